"""What an audit asks the model itself: questions with their terms swapped, and each question several times."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cruijff_kit.data.term_pairs import TermPairs, swap_row
from cruijff_kit.data.tokens import Encoding, answer_text, encode_prompt, prompt_sha256, stop_ids
from cruijff_kit.errors import ResultError
from cruijff_kit.ports import Asking, Inference, World
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.model_audit import AuditRequest
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.prediction import AnswerPair, Completion, Prediction, PromptIds
from cruijff_kit.scoring.judging import JUDGES, judge
from cruijff_kit.workflow.audit_pairs import Together, evaluated_rows, evaluation_of, worded_scorer

__all__ = ["Audience", "ask_again", "ask_swapped", "opened"]


class _Question(NamedTuple):
    """One prompt and what its row expects."""

    sample_id: str
    ids: PromptIds
    target: str


class Audience(NamedTuple):
    """A model that is loaded, and the audited rows that it may be asked."""

    config: EvalConfig
    """The evaluation audited."""
    model: Inference
    """The model."""
    tokenizer: Any
    """Its tokenizer."""
    rows: Mapping[str, Mapping[str, Any]]
    """Row by sample id."""
    sample: Prediction
    """One of the predictions audited."""

    @property
    def encoding(self) -> Encoding:
        """Return how rows become tokens."""
        return Encoding.of(self.config.dataset)

    def question(self, name: str, row: Mapping[str, Any]) -> _Question:
        """Return a row as the model reads it."""
        ids = encode_prompt(row, encoding=self.encoding, tokenizer=self.tokenizer, place=name)
        return _Question(name, ids, answer_text(row, encoding=self.encoding, place=name))

    def answers(self, asked: Sequence[_Question], asking: Asking) -> list[Prediction]:
        """Return the answers to questions, judged as the evaluation judged them; sampled ones by their words."""
        ends = stop_ids(encoding=self.encoding, tokenizer=self.tokenizer)
        told = self.model.ask([each.ids for each in asked], asking, stop_ids=ends)
        planned = next((name for name in self.config.scorers if name in JUDGES), "match")
        scorer = planned if asking.temperature is None else worded_scorer(self.config.scorers)
        return [self._judged(*each, scorer=scorer) for each in zip(asked, told, strict=True)]

    def _judged(self, question: _Question, told: Completion, *, scorer: str) -> Prediction:
        rules = self.config.rules
        bare = self.sample.model_copy(
            update={
                "sample_id": question.sample_id,
                "target": question.target,
                "options": rules.options,
                "option_logprobs": told.option_logprobs,
                "option_mass": told.option_mass,
                "completion": told.text,
                "prompt_token_sha256": prompt_sha256(question.ids),
                "confidence": None,
                "error": None,
                "reason": "",
            }
        )
        return judge(bare, scorer, rules=rules)


def opened(run: PlannedRun, chosen: Sequence[Prediction], *, most: int, world: World) -> Audience:
    """Return a run's model, loaded, and the first audited rows.

    Args:
        run: the run audited.
        chosen: the predictions audited, of one evaluation.
        most: rows that may be asked.
        world: the experiment and its surroundings; only read.

    Raises:
        ResultError: the model lies behind an API, or the plan has no such evaluation.
        RunError: the rows are not those planned.
        SiteError: the model cannot be loaded.
    """
    if run.model.api is not None:
        fact = f"run `{run.id}` asked `{run.model.api}`, which is not loaded here"
        raise ResultError(fact, hint="evaluate the rows that `ck data swap` writes, and audit without `--ask`")
    config = evaluation_of(run, chosen[0], world=world)
    known = {each.sample_id for each in chosen}
    rows = {name: row for name, row in evaluated_rows(config, run).items() if name in known}
    model = world.hub.inference(config.base_model.path, adapter=config.adapter, backend=config.backend)
    tokenizer = world.hub.tokenizer(config.base_model.path)
    return Audience(config, model, tokenizer, dict(list(rows.items())[:most]), chosen[0])


def ask_swapped(audience: Audience, terms: TermPairs) -> Together:
    """Return the answers to every row that holds a term, as written and swapped.

    Args:
        audience: the model and the rows.
        terms: what is swapped.
    """
    found, unclear = [], 0
    for name, row in audience.rows.items():
        swapped = swap_row(row, terms, columns=[each for each in row if each != audience.config.dataset.output_key])
        unclear += swapped.unclear
        if swapped.terms:
            pair = audience.question(name, row), audience.question(name, swapped.value)
            # A term may stand in a column that the prompt does not show.
            found += [pair] if pair[0].ids != pair[1].ids else []
    told = f"of {len(audience.rows)} questions asked here {len(found)} hold a term to swap"
    told += f", and {unclear} one of several counterparts" if unclear else ""
    if not found:
        return Together(reason=told)
    asking = Asking(audience.config.generation.max_tokens, options=audience.config.rules.options)
    written, swapped = (audience.answers([pair[at] for pair in found], asking) for at in (0, 1))
    pairs = (AnswerPair(written=one, swapped=other) for one, other in zip(written, swapped, strict=True))
    return Together(pairs=tuple(pairs), reason=told)


def ask_again(audience: Audience, asked: AuditRequest, *, seed: int) -> Together:
    """Return several sampled answers to each row.

    Args:
        audience: the model and the rows.
        asked: how many, and at which temperature.
        seed: of the first; each further one has the next.
    """
    questions = [audience.question(name, row) for name, row in audience.rows.items()]
    drawn = [audience.answers(questions, asking) for asking in _draws(audience, asked, seed=seed)]
    told = f"asked here, {asked.draws} answers each at temperature {asked.temperature:g}, seeds from {seed}"
    return Together(items=tuple(zip(*drawn, strict=True)), reason=told)


def _draws(audience: Audience, asked: AuditRequest, *, seed: int) -> Iterator[Asking]:
    for at in range(asked.draws):
        yield Asking(audience.config.generation.max_tokens, temperature=asked.temperature, seed=seed + at)
