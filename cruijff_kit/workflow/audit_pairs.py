"""Answers that an audit sets beside those it audits: to swapped terms, and to the same question again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from cruijff_kit.errors import CruijffError, ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun
from cruijff_kit.schema.prediction import AnswerPair, Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.schema.spec import Evaluation
from cruijff_kit.scoring.judging import JUDGES, judge
from cruijff_kit.workflow.calibrators import Collected, read_collected
from cruijff_kit.workflow.run_models import eval_config, planned_rows

__all__ = [
    "PAIR",
    "PAIR_SHA256",
    "SWAPPED",
    "Together",
    "collected_pairs",
    "evaluated_cell",
    "evaluated_rows",
    "evaluation_of",
    "repeated_answers",
    "row_sha256",
    "worded_scorer",
]

SWAPPED = "swapped"
"""Split of rows whose terms were swapped."""
PAIR = "pair"
"""Column of such a row: sample id of the row it was made of."""
PAIR_SHA256 = "pair_sha256"
"""Column of such a row: hash of the row it was made of."""

_AGAIN = "vary `generation.seed` with `do_sample: true`, or `ck audit-model --ask` samples some"
_WAYS = "`ck data swap` writes such rows to evaluate, and `ck audit-model --ask` asks the model itself"


class Together(NamedTuple):
    """Answers that belong together, or why there are none."""

    pairs: tuple[AnswerPair, ...] = ()
    """To a question as written and with its terms swapped."""
    items: tuple[tuple[Prediction, ...], ...] = ()
    """Several sampled ones to each question."""
    reason: str = ""
    """Why there are none, or what to know of them."""


def row_sha256(row: Mapping[str, Any]) -> str:
    """Return the hash of what a row holds, whatever its columns are called: a design may rename them."""
    # As `canonical_json` has it, and dates of a table too.
    told = partial(json.dumps, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256("\n".join(sorted(map(told, row.values()))).encode()).hexdigest()


def collected_pairs(run: PlannedRun, chosen: Sequence[Prediction], *, source: Collected, world: World) -> Together:
    """Return the collected answers to swapped rows, each beside that to the row it was made of.

    Args:
        run: the run audited.
        chosen: the predictions audited.
        source: everything collected of the run.
        world: the experiment and its surroundings; only read.
    """
    first = chosen[0]
    swapped = [each for each in source.records if each.split == SWAPPED and each.epoch == first.epoch]
    if not swapped:
        return Together(reason=f"no answers to a split `{SWAPPED}` were collected; {_WAYS}")
    if {each.checkpoint_sha256 for each in swapped} != {first.checkpoint_sha256}:
        return Together(reason=f"the answers to split `{SWAPPED}` come from another checkpoint")
    try:
        # Several lists of terms may have been swapped, each in a file of its own.
        made_of = {
            task: evaluated_rows(evaluation_of(run, each, world=world), run)
            for task, each in {each.task: each for each in swapped}.items()
        }
        rows = evaluated_rows(evaluation_of(run, first, world=world), run)
    except CruijffError as err:
        return Together(reason=str(err).partition("\n")[0])
    written, pairs, foreign = {each.sample_id: each for each in chosen}, [], 0
    for each in swapped:
        row = made_of[each.task].get(each.sample_id, {})
        origin = rows.get(str(row.get(PAIR)))
        answer = written.get(str(row.get(PAIR)))
        if answer is None or origin is None or row_sha256(origin) != row.get(PAIR_SHA256):
            foreign += 1
        else:
            pairs.append(AnswerPair(written=answer, swapped=each))
    fact = f"{foreign} of {len(swapped)} swapped rows were made of no row that is audited" if foreign else ""
    return Together(pairs=tuple(pairs), reason=fact)


def repeated_answers(
    plan: Plan, run: PlannedRun, *, chosen: Sequence[Prediction], evaluation: Evaluation, world: World
) -> Together:
    """Return every sampled answer of the audited checkpoint to each audited question, from all runs that sampled.

    One evaluation answers a prompt once, so that several answers come from runs that
    differ in `generation.seed` alone.

    Args:
        plan: the sealed plan.
        run: the run audited.
        chosen: the predictions audited.
        evaluation: of the design.
        world: the experiment and its surroundings; only read.
    """
    asked: dict[tuple[str, str], list[Prediction]] = {_question(each): [] for each in chosen if each.error is None}
    task = next((cell.task for cell in run.cells if cell.task.name == chosen[0].task), None)
    rules, scorer = (ScoringRules(), "match") if task is None else (task.rules, worded_scorer(task.scorers))
    checkpoint, sampling = chosen[0].checkpoint_sha256, 0
    for other in plan.runs:
        generation = other.generation or evaluation.generation
        if not generation.do_sample or other.model.name != run.model.name:
            continue
        sampling += 1
        for each in _collected(other, world):
            if each.checkpoint_sha256 == checkpoint and each.error is None and each.task == chosen[0].task:
                asked.get(_question(each), []).append(judge(each, scorer, rules=rules))
    items = tuple(tuple(answers) for answers in asked.values() if len(answers) > 1)
    if items:
        return Together(items=items)
    if not sampling:
        return Together(reason=f"answers were not sampled, so each question has one; {_AGAIN}")
    return Together(reason=f"no question was answered twice by this checkpoint; {_AGAIN}")


def _question(each: Prediction) -> tuple[str, str]:
    """Return what tells a question apart: of a model behind an API no prompt's ids are known."""
    return each.sample_id, each.prompt_token_sha256


def _collected(run: PlannedRun, world: World) -> tuple[Prediction, ...]:
    try:
        return read_collected(run.id, world=world).records
    except ResultError:
        return ()


def worded_scorer(scorers: Sequence[str]) -> str:
    """Return the scorer that reads an answer's words: the likeliest option is the same however an answer was drawn."""
    return next((name for name in scorers if name in JUDGES and name != "risk"), "match")


def evaluated_cell(run: PlannedRun, record: Prediction) -> Cell | None:
    """Return the evaluation that a prediction is of; None where the plan has none such."""
    wanted = (record.task, record.epoch)
    return next((cell for cell in run.cells if (cell.task.name, cell.epoch) == wanted), None)


def evaluation_of(run: PlannedRun, record: Prediction, *, world: World) -> EvalConfig:
    """Return the configuration of the evaluation that a prediction is of.

    Raises:
        ResultError: the plan has none such.
    """
    cell = evaluated_cell(run, record)
    if cell is None:
        raise ResultError(f"run `{run.id}` has no evaluation `{record.task}` at epoch {record.epoch}")
    return eval_config(run, cell, world=world)


def evaluated_rows(config: EvalConfig, run: PlannedRun) -> dict[str, Mapping[str, Any]]:
    """Return the rows of an evaluation by the sample id that it gives them."""
    rows = planned_rows(config.dataset, config.split, run=run)
    return {f"{config.split}-{at}": row for at, row in enumerate(rows)}
