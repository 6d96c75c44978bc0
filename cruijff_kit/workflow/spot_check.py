"""Spot check: a few rows put to a run's model, token by token, before trusting figures."""

from collections.abc import Iterator, Sequence
from math import exp, fsum
from typing import NamedTuple

from cruijff_kit.data.tokens import Encoding, Row, answer_text, encode_prompt, prompt_sha256, stop_ids
from cruijff_kit.errors import RunError, SiteError, SpecError
from cruijff_kit.planning.backends import library_of
from cruijff_kit.ports import Asking, Tokenizer, World
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.evaluation import Generation
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, PlannedRun
from cruijff_kit.schema.prediction import Prediction, PromptIds
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.schema.spot import OptionChance, SpotCheck, SpotSample
from cruijff_kit.scoring.judging import text_verdict
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.consent import refuse_hidden
from cruijff_kit.workflow.evaluation_results import read_cell
from cruijff_kit.workflow.roots import refuse_outside_files
from cruijff_kit.workflow.run_models import eval_config, kept_adapter, planned_rows, train_config
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["AskedRow", "asked_rows", "spot_check_run"]

_MOST = 50
_CANDIDATES = 5


class AskedRow(NamedTuple):
    """A row as a run's model is asked it."""

    prompt: str
    """The prompt as the model reads it."""
    ids: PromptIds
    """Its tokens."""
    expected: str
    """What the row answers."""


class _Subject(NamedTuple):
    """What is asked and how, as the run's own configuration says."""

    config: EvalConfig | TrainConfig
    epoch: int | None
    adapter: str | None
    split: str
    scorer: str
    rules: ScoringRules
    max_tokens: int
    backend: Library
    cell: Cell | None = None


def spot_check_run(run: str, *, count: int = 5, world: World) -> SpotCheck:
    """Return the answers of a run's last model to the first rows of its evaluation.

    Prompts are made by the function that training and evaluation use, so the ids shown
    are those. Where the evaluation has run and scored options, their probabilities stand
    beside, for samples whose prompt had just these ids. Nothing is written.

    Args:
        run: run id, or an unambiguous start of it.
        count: how many rows, from 1 to 50.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or its files lie where an assistant may not look.
        RunError: the run is unknown or not trained, or its data may not be shown.
        SpecError: `count` is out of range, or a row cannot be tokenised.
        SiteError: the model cannot be loaded.
    """
    chosen, subject, rows = _opened(run, count, world=world)
    samples = tuple(_samples(subject, rows, world=world))
    recorded, unscored = _recorded(chosen, subject.cell, world=world)
    samples = tuple(_with_options(each, recorded.get(each.sample_id)) for each in samples)
    if recorded and not any(each.options for each in samples):
        unscored = "the evaluation was made of other prompts"
    return SpotCheck(
        run_id=chosen.id, epoch=subject.epoch, split=subject.split, scorer=subject.scorer, samples=samples,
        unscored=unscored,
    )  # fmt: skip


def asked_rows(run: str, *, count: int, world: World) -> tuple[AskedRow, ...]:
    """Return the rows that a spot check puts to a run's model, without asking it.

    Args:
        run: run id, or an unambiguous start of it.
        count: how many rows, from 1 to 50.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or its files lie where an assistant may not look.
        RunError: the run is unknown or not trained, or its data may not be shown.
        SpecError: `count` is out of range, or a row cannot be tokenised.
        SiteError: the tokenizer cannot be loaded.
    """
    _, subject, rows = _opened(run, count, world=world)
    tokenizer = world.hub.tokenizer(subject.config.base_model.path)
    return tuple(_asked(row, subject, tokenizer=tokenizer) for row in rows)


def _opened(run: str, count: int, *, world: World) -> tuple[PlannedRun, _Subject, list[Row]]:
    """Return a run whose rows may be shown, what is asked and how, and its first rows."""
    if not 1 <= count <= _MOST:
        raise SpecError(f"`count` is `{count}`; it goes from 1 to {_MOST}", hint="evaluate the run to see more rows")
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run)
    refuse_hidden("rows and answers", chosen.id, plan=plan, world=world)
    if chosen.model.api is not None:
        fact = f"run `{chosen.id}` asked `{chosen.model.api}`, which is not loaded here"
        raise RunError(fact, run_id=chosen.id, hint="its prompts and answers lie in `predictions/` and in its logs")
    subject = _subject(chosen, world)
    refuse_outside_files((subject.config.dataset.path, subject.config.base_model.path, subject.adapter), world)
    rows = planned_rows(subject.config.dataset, subject.split, run=chosen)
    return chosen, subject, rows[:count]


def _asked(row: Row, subject: _Subject, *, tokenizer: Tokenizer) -> AskedRow:
    encoding = Encoding.of(subject.config.dataset)
    prompt = encode_prompt(row, encoding=encoding, tokenizer=tokenizer)
    return AskedRow(tokenizer.decode(prompt), prompt, answer_text(row, encoding=encoding))


def _recorded(run: PlannedRun, cell: Cell | None, *, world: World) -> tuple[dict[str, Prediction], str]:
    """Return the scored options of the evaluation by sample, and why there are none."""
    if cell is None:
        return {}, "the run has no evaluation"
    try:
        found = read_cell(run, cell, world=world)
    except SiteError as err:
        return {}, str(err).partition("\n")[0]
    scored = {each.sample_id: each for each in found.predictions if each.option_logprobs}
    return scored, "" if scored else found.reason or f"`{cell.task.name}` scores no options"


def _with_options(sample: SpotSample, recorded: Prediction | None) -> SpotSample:
    """Return a sample with its options' probabilities, where its prompt is the one that was evaluated."""
    if recorded is None or recorded.prompt_token_sha256 != prompt_sha256(sample.prompt_ids):
        return sample
    total = fsum(exp(each) for each in recorded.option_logprobs)
    options = tuple(
        OptionChance(option=option, probability=exp(score), share=exp(score) / total if total else 0.0)
        for option, score in zip(recorded.options, recorded.option_logprobs, strict=True)
    )
    return sample.model_copy(update={"options": options, "option_mass": recorded.option_mass})


def _samples(subject: _Subject, rows: Sequence[Row], *, world: World) -> Iterator[SpotSample]:
    encoding, path = Encoding.of(subject.config.dataset), subject.config.base_model.path
    tokenizer, right = world.hub.tokenizer(path), text_verdict(subject.scorer, rules=subject.rules)
    asked = [_asked(row, subject, tokenizer=tokenizer) for row in rows]
    answers = world.hub.inference(path, adapter=subject.adapter, backend=subject.backend).ask(
        [each.ids for each in asked],
        Asking(subject.max_tokens, top_logprobs=_CANDIDATES),
        stop_ids=stop_ids(encoding=encoding, tokenizer=tokenizer),
    )
    for at, (each, answer) in enumerate(zip(asked, answers, strict=True)):
        yield SpotSample(
            sample_id=f"{subject.split}-{at}",
            prompt=each.prompt,
            prompt_ids=each.ids,
            expected=each.expected,
            got=answer.text,
            match=right(answer.text, each.expected),
            top=answer.top,
        )


def _subject(run: PlannedRun, world: World) -> _Subject:
    """Return the last epoch of the run's first evaluation, or of its training where it has none."""
    if run.type == "fine-tuned":
        _refuse_untrained(run, world)
    if not run.cells:
        config = train_config(run, world)
        epoch = run.epochs_saved[-1]
        adapter = kept_adapter(config, f"epoch_{epoch}")
        split, tokens = config.split_val or config.split, Generation().max_tokens
        return _Subject(config, epoch, adapter, split, "match", ScoringRules(), tokens, library_of(run))
    first = [cell for cell in run.cells if cell.task.name == run.cells[0].task.name]
    last = max(first, key=lambda cell: -1 if cell.epoch is None else cell.epoch)
    cell = eval_config(run, last, world=world)
    scorer = next((name for name in cell.scorers if name != "risk"), "match")
    tokens, backend = cell.generation.max_tokens, cell.backend
    return _Subject(cell, cell.epoch, cell.adapter, cell.split, scorer, cell.rules, tokens, backend, last)


def _refuse_untrained(run: PlannedRun, world: World) -> None:
    done = Done.found_in(world.store.read(RunLayout(run.id).done("train")))
    if done is None or done.exit_code != 0:
        raise RunError(f"run `{run.id}` has not finished training", run_id=run.id, hint="see `ck status`")
