"""Structured answers: what is asked, how, what the model said, and what is decided by it."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from cruijff_kit.schema.noun import Noun

__all__ = ["Answer", "AnswerForm", "PredictReceipt", "Question", "RawAnswer", "Thresholds"]

_Share = Annotated[float, Field(ge=0, le=1)]


class Question(Noun):
    """A text to decide on; or why there is none, which is answered too."""

    text: str = ""
    """The text."""
    metadata: dict[str, Any] = {}
    """What else is known of it, for the prompt."""
    id: str | None = None
    """What whoever asks calls it."""
    line: int | None = None
    """Line of the input, from 1; None where there were no lines."""
    problem: str = ""
    """Why it cannot be asked; empty where it can."""


class AnswerForm(Noun):
    """How a model is asked for structured answers."""

    options: tuple[str, ...] = ()
    """Labels; without them no probabilities are had and nothing is held to the form."""
    prompt: str | None = None
    """Template of the user's turn; that of the training, or text and metadata, where None."""
    constrained: bool = True
    """Whether the answer is held to its form, so that it cannot be invalid."""
    max_tokens: Annotated[int, Field(ge=1)] = 160
    """Longest answer in tokens."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    """Most texts of one forward pass."""


class RawAnswer(Noun):
    """What a model said to one question."""

    text: str = ""
    """Its answer as it stands."""
    logprobs: tuple[float, ...] = ()
    """Natural log-probability of each label as the decision, not normalised; empty without labels."""
    abstain_logprob: float | None = None
    """That of `null`, the abstention."""
    latency_ms: float = 0.0
    """Time from the batch's beginning to this answer's end."""
    problem: str = ""
    """Why it was not asked."""


class Thresholds(Noun):
    """When a decision stands, by its probability among the labels; probabilities and raw answers are told anyway."""

    default_threshold: _Share = 0.7
    """The last model's decision stands from here on, and is an abstention below; 0 lets every decision stand."""
    cascade_threshold: _Share = 0.85
    """Every model but the last decides from here on; below, the text goes to the next. No effect on one model."""
    max_abstain_rate: _Share = 0.15
    """Share of abstentions above which it is told that there are too many; changes no answer."""

    @model_validator(mode="after")
    def _cascading(self) -> "Thresholds":
        if self.cascade_threshold < self.default_threshold:
            raise ValueError(
                f"`cascade_threshold` is `{self.cascade_threshold:g}`, below `default_threshold` "
                f"`{self.default_threshold:g}`: a smaller model would decide what the last one may not"
            )
        return self


class Answer(Noun):
    """What is decided on one question: a label, or an abstention with its reason."""

    id: str | None = None
    """What whoever asked calls it."""
    line: int | None = None
    """Line of the input, from 1."""
    decision: str | None
    """The label; None where nothing is decided."""
    rationale: str | None
    """Why, in the model's words; None where it gave none that can be read."""
    abstain: bool
    """Whether nothing is decided."""
    reason: str
    """Why not; empty for a decision."""
    probs: dict[str, float]
    """Probability of each label, normalised over the labels; empty where they are not known."""
    max_prob: float | None
    """The greatest of them."""
    mass: float | None
    """Probability of any label at all before normalising; what is lacking to 1 abstains or is no answer."""
    abstain_prob: float | None
    """Probability that the model gives to `null`, on the same scale as `mass`."""
    latency_ms: float
    """Time from the batch's beginning to the answer's end, over all models asked."""
    cost_cents: float | None
    """What it cost; None where nobody charges."""
    model_id: str
    """The model that answered, the last one asked; empty where none was."""
    raw_output: str
    """The answer as it stands; empty where no model was asked."""


class PredictReceipt(Noun):
    """Answers to a file of questions."""

    target: str
    """File that was written, relative to the experiment."""
    sha256: str
    """Its hash."""
    answers: int
    """Lines written, one for every line read."""
    decisions: dict[str, int]
    """How often each label was decided."""
    abstentions: int
    """How often nothing was."""
    invalid: int
    """Questions that could not be asked."""
    too_many_abstentions: bool
    """Whether their share is above `max_abstain_rate`."""
    kept: int = 0
    """Lines taken over from an earlier call that was stopped."""
