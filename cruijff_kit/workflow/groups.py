"""Groups: a run's answers, or a table of answers, compared between groups of samples."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.group_drawing import draw_groups
from cruijff_kit.rendering.group_text import group_json, group_table
from cruijff_kit.rendering.raster import draw_png
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.groups import GroupRules, GroupsReceipt
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.calibrators import (
    read_calibrator,
    read_collected,
    refuse_mismatch,
    refuse_own_splits,
    uniforms_of,
)
from cruijff_kit.workflow.collect import hashes_of, record_once, write_changed
from cruijff_kit.workflow.evaluation_results import read_cell
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier, tier_of

if TYPE_CHECKING:
    from cruijff_kit.analysis.calibrated import AnswerSets
    from cruijff_kit.analysis.group_columns import GroupColumns

__all__ = ["compare_answer_groups", "compare_run_groups"]


class _Subject(NamedTuple):
    """What is compared, by which column, and how it may be shown."""

    source: str
    by: str
    stem: str
    tier: Tier
    notes: tuple[str, ...] = ()


def compare_run_groups(
    run: str, by: str, *, task: str | None = None, rules: GroupRules | None = None, world: World
) -> GroupsReceipt:
    """Compare a run's last evaluation between groups, and write JSON, plot and table.

    Where the run has a calibrator that makes sets, and the evaluation is of a split that it
    was not made with, coverage and size of the sets are compared too.

    Args:
        run: run id, or an unambiguous start of it.
        by: group column of its predictions.
        task: evaluation; its first one where absent.
        rules: level, minimum n, bootstrap and correction.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: no run answers to the name.
        ResultError: the run has no results of the task.
        SpecError: its predictions have no such column.
        SiteError: an extra that reads logs or draws is not installed.
    """
    from cruijff_kit.analysis.group_columns import prediction_columns

    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run)
    predictions, source, content_hash = _last_answers(chosen, task, world=world)
    known = sorted({name for each in predictions for name in each.groups})
    grouped = [
        each if by in each.groups else each.model_copy(update={"groups": {by: "not recorded"}}) for each in predictions
    ]
    if by not in known:
        listed = ", ".join(f"`{name}`" for name in known)
        allowed = f"its group columns are {listed}" if listed else "they have no group columns"
        hint = "name the column under `analysis.groups` of the design before evaluating"
        raise SpecError(f"predictions of `{chosen.id}` have no group column `{by}`; {allowed}", hint=hint)
    tier = plan_tier(plan, world)
    sets, notes = _sets(chosen, predictions, tier=tier, world=world)
    inputs = {source: content_hash, **({} if sets is None else _calibrator_hash(chosen, world=world))}
    return _written(
        prediction_columns(grouped, by, sets=sets),
        subject=_Subject(f"{chosen.id}, {predictions[0].task}", by, f"{chosen.id}_{predictions[0].task}", tier, notes),
        rules=rules or GroupRules(),
        inputs=inputs,
        world=world,
    )


def compare_answer_groups(
    path: str,
    by: str,
    *,
    probability_of: Literal["1", "true", "predicted"] | None = None,
    probability_column: str | None = None,
    rules: GroupRules | None = None,
    world: World,
) -> GroupsReceipt:
    """Compare a CSV of answers of two classes between groups, and write JSON, plot and table.

    Args:
        path: CSV with `TRUE_LABEL`, `PREDICTION` and the group column.
        by: the group column.
        probability_of: what the probability column holds; required where there is one.
        probability_column: its name, `P(TRUE LABEL)` where absent.
        rules: level, minimum n, bootstrap and correction.
        world: the directory to write to and its surroundings.

    Raises:
        SpecError: the file cannot be read, or is not what it is declared to be.
        SiteError: an extra that draws is not installed.
    """
    from cruijff_kit.analysis.group_columns import table_columns
    from cruijff_kit.data.answer_table import PROBABILITY, read_answers

    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as err:
        raise SpecError(f"table `{path}` cannot be read: {err.strerror}", hint="give the path of a CSV") from err
    tier = tier_of(file, world=world)
    table = read_answers(
        content, name=file.name, by=by, meaning=probability_of,
        probability=probability_column or PROBABILITY, shown=tier == "green",
    )  # fmt: skip
    return _written(
        table_columns(table, by),
        subject=_Subject(file.name, by, file.stem, tier),
        rules=rules or GroupRules(),
        inputs={file.name: sha256(content).hexdigest()},
        world=world,
    )


def _last_answers(run: PlannedRun, task: str | None, *, world: World) -> tuple[Sequence[Prediction], str, str]:
    """Return the samples of the last epoch of a task, the log they stand in and its hash."""
    wanted = task or (run.cells[0].task.name if run.cells else "")
    cells = [cell for cell in run.cells if cell.task.name == wanted]
    if not cells:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(cell.task.name for cell in run.cells)) or "none"
        raise ResultError(f"run `{run.id}` has no evaluation `{wanted}`; it has {names}", hint="choose one of them")
    result = read_cell(run, max(cells, key=lambda cell: -1 if cell.epoch is None else cell.epoch), world=world)
    if result.record is None or not result.predictions:
        why = result.reason or "every sample errored before it was scored"
        raise ResultError(f"run `{run.id}` has no results of `{wanted}`: {why}", hint="see `ck status` and `ck logs`")
    return result.predictions, result.source, result.record.sha256


def _sets(
    run: PlannedRun, predictions: Sequence[Prediction], *, tier: Tier, world: World
) -> tuple["AnswerSets | None", tuple[str, ...]]:
    """Return the conformal set of each sample, and what a reader must know; None where there are no sets to judge."""
    from cruijff_kit.analysis.calibrated import answer_sets

    if world.store.read(RunLayout(run.id).calibrator) is None:
        return None, ()
    try:
        calibrator = read_calibrator(run.id, world=world)
        if not calibrator.thresholds:
            return None, (f"the calibrator (`{calibrator.settings.method}`) makes decisions, and no sets to cover",)
        if calibrator.epoch != predictions[0].epoch:
            return None, (f"no coverage: the calibrator is of epoch {calibrator.epoch}, not of this one",)
        refuse_own_splits(calibrator, predictions[0].split)
        refuse_mismatch(calibrator, read_collected(run.id, world=world), chosen=predictions)
        uniforms = uniforms_of(predictions, seed=calibrator.settings.seed)
        sets = answer_sets(predictions, calibrator=calibrator, uniforms=uniforms)
    except (ResultError, SpecError) as err:
        return None, (f"no coverage: {str(err).partition(chr(10))[0]}",)
    return sets, (_promise(calibrator, tier=tier),)


def _promise(calibrator: Calibrator, *, tier: Tier) -> str:
    """Return what coverage was promised; the words may count small groups, which red data does not show."""
    whole = f"at least {100 * (1 - calibrator.alpha):g} % over all samples" if tier == "red" else calibrator.claim
    within = calibrator.settings.by
    each = f"fitted within each `{within}`" if within else "nothing is promised of single groups"
    return f"coverage and set_size are of `{calibrator.settings.method}` sets, {each}; promised: {whole}"


def _calibrator_hash(run: PlannedRun, *, world: World) -> dict[str, str]:
    path = RunLayout(run.id).calibrator
    return {path: world.store.digest(path) or ""}


def _written(
    columns: "GroupColumns",
    *,
    subject: _Subject,
    rules: GroupRules,
    inputs: dict[str, str],
    world: World,
) -> GroupsReceipt:
    from cruijff_kit.analysis.heterogeneity import compare_columns

    found = compare_columns(columns, source=subject.source, column=subject.by, tier=subject.tier, rules=rules)
    found = found.model_copy(update={"notes": (*found.notes, *subject.notes)})
    folder, table = ExperimentLayout.groups(subject.stem, subject.by), group_table(found)
    files = {
        f"{folder}/heterogeneity_report.json": group_json(found).encode(),
        f"{folder}/heterogeneity.txt": table.encode(),
        f"{folder}/heterogeneity.png": draw_png(draw_groups(found)),
    }
    write_changed(files, world=world)
    outputs = hashes_of(files)
    if world.store.read(ExperimentLayout.lock) is not None:
        # Outside an experiment there is no record to keep.
        event = AuditEvent(
            actor=world.actor, verb="groups", action=Action.GENERATE_SUMMARY,
            subject=f"{subject.source}, by {subject.by}", inputs=inputs, outputs=outputs, result=Outcome.SUCCESS,
        )  # fmt: skip
        record_once(event, world=world)
        render_views(world=world)
    return GroupsReceipt(found=found.found, table=table, files=outputs)
