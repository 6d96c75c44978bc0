"""Models that answer people and programs."""

from collections.abc import Callable, Sequence
from typing import Protocol

from cruijff_kit.schema.answer import AnswerForm, Question, RawAnswer
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.schema.serving import Address, ChatSettings, Place, Reply, Saying, ServedModel
from cruijff_kit.schema.verdict import Doubt

__all__ = ["Classifier", "Dialogue", "OptionScorer", "Serving"]


class Dialogue(Protocol):
    """A model in this process that is talked to."""

    def answer(self, sayings: Sequence[Saying], settings: ChatSettings, *, heard: Callable[[str], None]) -> Reply:
        """Return the answer to a conversation whose last turn is the user's.

        An interrupt from the keyboard ends the answer, a second one the program.

        Args:
            sayings: the conversation.
            settings: how the answer is made.
            heard: told each piece of it as it becomes certain.

        Raises:
            SpecError: the conversation cannot be put to the model, or is too long for it.
        """
        ...


class OptionScorer(Protocol):
    """A model in this process that says how likely each of some options is."""

    def score(
        self, prompts: Sequence[PromptIds], *, options: Sequence[str], doubt: Doubt | None = None
    ) -> list[tuple[tuple[float, ...], ...]]:
        """Return, for each prompt, every option's log-probability: one row, or one for each pass or adapter.

        Args:
            prompts: ids as the model reads them.
            options: labels to score right behind each prompt.
            doubt: which several answers are wanted; a single one where None.

        Raises:
            PlanError: a prompt exceeds the model's positions, or two options are the same tokens.
            ResultError: an adapter does not fit, or was trained without the dropout that is to be on.
            SiteError: an adapter cannot be loaded, or what computes has no such passes.
        """
        ...


class Classifier(Protocol):
    """A model in this process that is asked for structured answers."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what whoever asks should know of it."""
        ...

    def ask(self, questions: Sequence[Question]) -> list[RawAnswer]:
        """Return an answer to each question in order; one that cannot be asked has its reason and stops no other.

        Raises:
            ResultError: the model's logits are not numbers.
        """
        ...


class Serving(Protocol):
    """Models of this machine, opened to others or to whoever sits at it."""

    def serve(
        self, served: ServedModel, place: Place, *, ready: Callable[[Address], None], log: Callable[[str], None]
    ) -> bool:
        """Answer requests until a signal ends that; return whether it was an interrupt from the keyboard.

        Args:
            served: the model.
            place: where to listen.
            ready: told once, when requests are answered.
            log: told one line a request, without any of its text.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the place is taken or needs a token, or the model cannot be loaded.
            SpecError: questions cannot be put to the model so.
        """
        ...

    def classifier(self, served: ServedModel, form: AnswerForm) -> Classifier:
        """Load a model to ask for structured answers.

        Raises:
            PlanError: two labels are one to its tokenizer, or answers may not be long enough for the form.
            ResultError: the adapter does not fit.
            SiteError: the model cannot be loaded.
            SpecError: questions cannot be put to the model so.
        """
        ...

    def open(self, served: ServedModel) -> Dialogue:
        """Load a model to talk to.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the model cannot be loaded.
            SpecError: questions cannot be put to the model so.
        """
        ...

    def scorer(self, served: ServedModel) -> OptionScorer:
        """Load a model to score options by.

        Raises:
            SiteError: the model cannot be loaded.
        """
        ...
