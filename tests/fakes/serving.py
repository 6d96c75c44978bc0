"""Models that say a question back, and a server that is asked by nobody."""

from collections.abc import Callable, Sequence
from math import log

from cruijff_kit.data.structured import answer_json
from cruijff_kit.errors import PlanError, ResultError, SiteError, SpecError
from cruijff_kit.schema.answer import AnswerForm, Question, RawAnswer
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.schema.serving import Address, ChatSettings, Place, Reply, Saying, ServedModel
from cruijff_kit.schema.verdict import Doubt

__all__ = ["FakeClassifier", "FakeDialogue", "FakeScorer", "FakeServing"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class FakeDialogue:
    """Says the last question back, a word at a time, one token a word."""

    def __init__(self, served: ServedModel) -> None:
        self.served = served

    def answer(self, sayings: Sequence[Saying], settings: ChatSettings, *, heard: Callable[[str], None]) -> Reply:
        if not sayings or sayings[-1].role != "user":
            raise SpecError("the last turn is not the user's")
        words = sayings[-1].content.split()
        asked = sum(len(saying.content.split()) for saying in sayings)
        longest = settings.max_tokens or 256
        if asked + (settings.max_tokens or 1) > self.served.max_positions:
            raise SpecError("prompt and answer exceed the model's positions")
        said = [word if at == 0 else f" {word}" for at, word in enumerate(words[:longest])]
        for word in said:
            heard(word)
        ended = "stop" if len(said) == len(words) else "length"
        return Reply(text="".join(said), ended=ended, prompt_tokens=asked, tokens=len(said))


class FakeScorer:
    """Scores options by their place and the prompt's length; passes and adapters differ a little, by their number."""

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self.asked: list[PromptIds] = []

    def score(
        self, prompts: Sequence[PromptIds], *, options: Sequence[str], doubt: Doubt | None = None
    ) -> list[tuple[tuple[float, ...], ...]]:
        if any(len(prompt) >= self.served.max_positions for prompt in prompts):
            raise PlanError("a prompt and its options exceed the model's positions")
        if len({option.strip() for option in options}) < len(options):
            raise PlanError("options are the same tokens")
        if doubt is not None and doubt.source == "mc_dropout" and self.served.adapter is None:
            raise ResultError("a bare base model has no LoRA dropout")
        self.asked += prompts
        rows = 1 if doubt is None else doubt.passes if doubt.source == "mc_dropout" else 1 + len(doubt.adapters)
        return [
            tuple(tuple(-1.0 - at - 0.01 * len(prompt) * row for at in range(len(options))) for row in range(rows))
            for prompt in prompts
        ]


class FakeClassifier:
    """Decides for the label that a text names first, else abstains; a text says in full what is answered instead."""

    def __init__(self, served: ServedModel, form: AnswerForm) -> None:
        self.served, self.form, self.asked = served, form, list[str]()
        self.notes: tuple[str, ...] = ()

    def ask(self, questions: Sequence[Question]) -> list[RawAnswer]:
        return [self._answer(each) for each in questions]

    def _answer(self, question: Question) -> RawAnswer:
        if question.problem:
            return RawAnswer(problem=question.problem)
        self.asked.append(question.text)
        words = question.text.split()
        if len(words) > self.served.max_positions:
            return RawAnswer(problem=f"a prompt of {len(words)} tokens exceeds the model's positions")
        named = next((word for word in words if word in self.form.options), None)
        logprobs = tuple(log(0.8 if each == named else 0.05) for each in self.form.options)
        text = question.text.partition("SAY ")[2] or answer_json(named, rationale="it says so")
        return RawAnswer(text=text, logprobs=logprobs, abstain_logprob=log(0.9 if named is None else 0.01))


class FakeServing:
    """Takes places until it is ended at once, and keeps what it served."""

    def __init__(self, *, token: str | None = None) -> None:
        self.token, self.taken, self.served = token, set[int](), list[ServedModel]()

    def serve(
        self, served: ServedModel, place: Place, *, ready: Callable[[Address], None], log: Callable[[str], None]
    ) -> bool:
        if place.host not in _LOOPBACK and served.here_only:
            raise SiteError(f"{served.here_only}, so it is served on this machine alone")
        if place.host not in _LOOPBACK and self.token is None:
            raise SiteError(f"`{place.host}` can be reached from other machines, and no token is set")
        if place.port in self.taken:
            raise SiteError(f"port `{place.port}` of `{place.host}` is taken")
        self.served.append(served)
        port = place.port or 49152
        names = (served.name,) if served.adapter is None else (served.name, served.base_name)
        address = Address(
            url=f"http://{place.host}:{port}/v1", host=place.host, port=port, model=served.name, models=names,
            token=self.token is not None, pid=1,
        )  # fmt: skip
        ready(address)
        return True

    def classifier(self, served: ServedModel, form: AnswerForm) -> FakeClassifier:
        if len(set(form.options)) < len(form.options):
            raise PlanError("two labels are one")
        self.served.append(served)
        return FakeClassifier(served, form)

    def open(self, served: ServedModel) -> FakeDialogue:
        self.served.append(served)
        return FakeDialogue(served)

    def scorer(self, served: ServedModel) -> FakeScorer:
        self.served.append(served)
        return FakeScorer(served)
