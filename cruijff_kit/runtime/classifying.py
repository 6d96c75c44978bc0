"""Questions put to a model for structured answers, and labels scored where the decision stands."""

from collections.abc import Callable, Iterator, Sequence

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.prompts import placeholders
from cruijff_kit.data.structured import INPUT_TEMPLATE, METADATA_KEY, TEXT_KEY, question_row, system_prompt
from cruijff_kit.data.tokens import encode_prompt, encoding_problems, stop_ids
from cruijff_kit.errors import PlanError, Problem, SiteError, SpecError
from cruijff_kit.runtime.decisions import Decisions
from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.option_scores import OptionTable
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.runtime.residents import load_served
from cruijff_kit.schema.answer import AnswerForm, Question, RawAnswer
from cruijff_kit.schema.prediction import Completion, PromptIds
from cruijff_kit.schema.serving import ServedModel

__all__ = ["Asker", "load_asker"]

_UNBOUNDED = 2**31
_LETTERS = 256
"""Letters of a text per position of a model above which it is too long without being tokenised."""


class Asker:
    """A loaded model, asked for structured answers."""

    def __init__(
        self, model: Resident, encoding: Encoding, *, form: AnswerForm, adapter: str | None, clock: Callable[[], float]
    ) -> None:
        """Take a loaded model.

        Args:
            model: what answers.
            encoding: how rows become prompts.
            form: labels, and how to ask.
            adapter: adapter directory; None for the bare base.
            clock: seconds, for latencies.

        Raises:
            PlanError: two labels are one to the tokenizer, or answers may not be long enough for the form.
            SpecError: questions cannot be put to it so.
        """
        problems = [*encoding_problems(encoding, tokenizer=model.tokenizer), *_unknown_columns(encoding)]
        if problems:
            raise SpecError("this model cannot be asked so", problems=problems)
        self._model, self._encoding, self._form = model, encoding, form
        self._adapter, self._clock = adapter, clock
        self._ends = stop_ids(encoding=encoding, tokenizer=model.tokenizer)
        self.notes: tuple[str, ...] = ()
        self._decisions = self._known() if form.options else None
        if not form.options:
            self.notes = ("no labels are named, so there are no probabilities and answers may be invalid",)
        if self._decisions is not None:
            self._decisions.prove_room(form.max_tokens, hint="raise `--max-tokens`")

    @property
    def constrained(self) -> bool:
        """Return whether answers are held to their form."""
        return self._decisions is not None and self._decisions.guides is not None

    def ask(self, questions: Sequence[Question]) -> list[RawAnswer]:
        """Return an answer to each question in order; one that cannot be asked has its reason and stops no other.

        Raises:
            ResultError: the model's logits are not numbers, or the adapter does not fit.
        """
        prompts = [self._prompt(each) for each in questions]
        asked = {at: each for at, each in enumerate(prompts) if not isinstance(each, str)}
        found = dict(zip(asked, self._answered(list(asked.values()), size=self._form.batch_size), strict=True))
        return [found.get(at) or RawAnswer(problem=str(prompts[at])) for at in range(len(questions))]

    def _known(self) -> Decisions:
        """Return the labels in the model's tokens; where nothing can hold answers to the form, it is noted."""
        options, constrained = self._form.options, self._form.constrained
        try:
            return Decisions.of(options, model=self._model, constrained=constrained)
        except (PlanError, SiteError) as err:
            if not constrained:
                raise
            known = Decisions.of(options, model=self._model, constrained=False)
            self.notes = (f"answers may be invalid, and are abstentions then: {str(err).splitlines()[0]}",)
            return known

    def _prompt(self, question: Question) -> PromptIds | str:
        """Return the ids that put a question, or why it cannot be put."""
        text, most = question.text, self._model.max_positions
        if question.problem:
            return question.problem
        if most is not None and len(text) > _LETTERS * most:
            return f"the text has {len(text):,} letters, and the model reads {most:,} tokens"
        try:
            ids = encode_prompt(
                question_row(text, question.metadata), encoding=self._encoding, tokenizer=self._model.tokenizer
            )
        except SpecError as err:
            return err.problems[0].message if err.problems else str(err).splitlines()[0]
        lead = len(self._decisions.ids.lead) if self._decisions else 0
        room = self._form.max_tokens + lead
        if most is not None and len(ids) + room > most:
            return f"a prompt of {len(ids):,} tokens and an answer of {room} exceed the model's {most:,} positions"
        return ids

    def _answered(self, prompts: Sequence[PromptIds], *, size: int) -> Iterator[RawAnswer]:
        """Yield answers; where memory does not do for a batch, each prompt is tried by itself."""
        for start in range(0, len(prompts), size):
            batch = prompts[start : start + size]
            try:
                yield from self._together(batch)
            except PlanError as err:
                if len(batch) == 1:
                    yield RawAnswer(problem=str(err).splitlines()[0])
                else:
                    yield from self._answered(batch, size=1)

    def _together(self, prompts: Sequence[PromptIds]) -> list[RawAnswer]:
        known, began = self._decisions, self._clock()
        ended = [began] * len(prompts)

        def noted(at: int) -> Callable[[Completion], None]:
            def done(_: Completion) -> None:
                ended[at] = self._clock()

            return done

        guides = known.guides if known else None
        asides = [Aside(done=noted(at), guide=guides.guide() if guides else None) for at in range(len(prompts))]
        if known is None or guides is None:
            scores = self._scored(prompts, known)
            texts = [found.text for found in self._complete(prompts, asides=asides)]
        else:
            led = [(*prompt, *known.ids.lead) for prompt in prompts]
            found = self._complete(led, asides=asides, options=[known.table] * len(prompts))
            scores = [known.scores(each) for each in found]
            texts = [known.told(each, tokenizer=self._model.tokenizer).text for each in found]
        return [
            score.model_copy(update={"text": text, "latency_ms": 1000 * (end - began)})
            for score, text, end in zip(scores, texts, ended, strict=True)
        ]

    def _scored(self, prompts: Sequence[PromptIds], known: Decisions | None) -> list[RawAnswer]:
        """Return the labels' scores alone; none where there are no labels."""
        if known is None:
            return [RawAnswer()] * len(prompts)
        scored = self._model.complete(
            [(*prompt, *known.ids.lead) for prompt in prompts],
            Limits(0, batch_size=self._form.batch_size),
            adapter=self._adapter,
            options=[known.table] * len(prompts),
        )
        return [known.scores(found) for found in scored]

    def _complete(
        self, prompts: Sequence[PromptIds], *, asides: Sequence[Aside], options: Sequence[OptionTable] = ()
    ) -> list[Completion]:
        limits = Limits(self._form.max_tokens, batch_size=self._form.batch_size)
        return self._model.complete(
            prompts, limits, adapter=self._adapter, stop_ids=self._ends, options=options, asides=asides
        )


def _unknown_columns(encoding: Encoding) -> list[Problem]:
    """Return what a prompt template asks for that a text and its metadata are not."""
    known = ("input", TEXT_KEY, METADATA_KEY)
    hint = "give another template with `--prompt`; it may name `{text}` and `{metadata}`"
    return [
        Problem(f"the prompt template asks for `{{{name}}}`, which a text does not have", "prompt", hint=hint)
        for name in placeholders(encoding.prompt)
        if name not in known
    ]


def load_asker(served: ServedModel, form: AnswerForm, *, clock: Callable[[], float]) -> Asker:
    """Load a model, put its adapter on, and return what asks it.

    Raises:
        PlanError: two labels are one to the tokenizer, or answers may not be long enough for the form.
        ResultError: the adapter does not fit.
        SiteError: base or adapter cannot be loaded, or backend or device are not here.
        SpecError: questions cannot be put to it so.
    """
    model = load_served(served)
    asker = Asker(model, _encoding(served, form), form=form, adapter=served.adapter, clock=clock)
    if served.adapter is not None:
        # One that does not fit is told now, not with the first text: nothing is computed for a single token.
        model.read((0,), count=1, adapter=served.adapter)
    return asker


def _encoding(served: ServedModel, form: AnswerForm) -> Encoding:
    """Return how training put its rows, the text in the place of their question; where none is known, our own way."""
    known = Encoding.of(served.dataset) if served.dataset else None
    kind = "text_completion" if served.dataset_type == "text_completion" else "chat_completion"
    asked = served.system_prompt or ("" if known else system_prompt(form.options))
    prompt = form.prompt or (known.prompt if known else INPUT_TEMPLATE)
    if kind == "text_completion":
        prompt, asked = (prompt if known or not asked else f"{asked}\n\n{prompt}\nAnswer: "), ""
    return (known or Encoding(dataset_type=kind)).model_copy(
        update={
            "dataset_type": kind,
            "prompt": prompt,
            "system_prompt": asked,
            "input_key": TEXT_KEY,
            "max_seq_len": _UNBOUNDED,
        }
    )
