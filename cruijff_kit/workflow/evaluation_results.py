"""Evaluation results: the proven `.eval` log of each cell, and its rows."""

from collections.abc import Iterator
from pathlib import PurePath
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.ports import RunStore, World
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.imported import Foreign, ImportRecord
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord, ResultRow
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from cruijff_kit.scoring.figure_names import measures_of

__all__ = ["OWN", "CellResult", "evaluation_rows", "parity_notes", "read_cell"]

OWN = "own"
"""Stands for the scorers that a task brings, while nothing is known of them."""

# What inspect-ai says of the share of right answers and its spread is said here with an interval.
_REPEATED = frozenset({"accuracy", "mean", "std", "stderr"})


class CellResult(NamedTuple):
    """The proven log of one cell, or why there is none."""

    source: str
    """Path of the log, relative to the experiment; empty where there is none."""
    record: EvalLogRecord | None
    """What the log holds; None where it cannot be used."""
    reason: str
    """Why it cannot be used."""

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Return its samples, none where it cannot be used."""
        return self.record.predictions if self.record else ()


def read_cell(run: PlannedRun, cell: Cell, *, world: World) -> CellResult:
    """Read the log that a cell's `DONE` vouches for by hash.

    Any other log, a changed one included, is never used in its place.
    """
    layout = RunLayout(run.id)
    content = world.store.read(layout.cell_done(cell.name))
    if content is None:
        return CellResult("", None, _unfinished(layout, world.store))
    done = Done.found_in(content)
    if done is None:
        return CellResult("", None, f"its `DONE` cannot be read: {Done.unread(content)}")
    if done.exit_code != 0:
        return CellResult("", None, f"the evaluation ended with exit code {done.exit_code}")
    return _vouched(run, cell, done=done, world=world)


def evaluation_rows(run: PlannedRun, cell: Cell, *, result: CellResult) -> Iterator[ResultRow]:
    """Yield the share of right answers of each scorer, and `<scorer>/<figure>` for each of its figures.

    Errored and unparsed samples count as wrong. Where no scorers are planned, those that
    the task brought give theirs.
    """
    for scorer in cell.task.scorers or _own_scorers(result):
        share = _share(result, scorer)
        yield _row(run, cell, metric=scorer, share=share, result=result)
        for name, figure in _figures(cell, scorer, share=share, result=result).items():
            yield _row(run, cell, metric=f"{scorer}/{name}", share=figure, result=result)


def _own_scorers(result: CellResult) -> tuple[str, ...]:
    """Return the scorers found in a log; one that stands for them where there is none."""
    found = (*result.record.verdicts, *result.record.values) if result.record else ()
    return found or (OWN,)


class _Share(NamedTuple):
    """A figure of one scorer, as a row says it."""

    value: float | None
    n: int
    successes: int | None
    reason: str


def _row(run: PlannedRun, cell: Cell, *, metric: str, share: _Share, result: CellResult) -> ResultRow:
    return ResultRow(
        run=run.id,
        type=run.type,
        model=run.model.name,
        factors=run.factors,
        seed=run.seed,
        task=cell.task.name,
        epoch=cell.epoch,
        metric=metric,
        value=share.value,
        n=share.n,
        successes=share.successes,
        reason=share.reason,
        source=result.source,
        source_sha256=result.record.sha256 if result.record else None,
    )


def _share(result: CellResult, scorer: str) -> _Share:
    """Return the share of right answers, or the mean of a scorer that says no right or wrong."""
    record = result.record
    if record is not None and scorer in record.values:
        known = [value for value in record.values[scorer] if value is not None]
        missing = len(record.values[scorer]) - len(known)
        if missing or not known:
            return _Share(None, len(known), None, f"{missing} samples have no number of `{scorer}`")
        return _Share(fmean(known), len(known), None, "")
    verdicts, reason = _verdicts(result, scorer)
    if verdicts is None:
        return _Share(None, 0, None, reason)
    successes = sum(verdict is True for verdict in verdicts)
    return _Share(successes / len(verdicts), len(verdicts), successes, "")


def _figures(cell: Cell, scorer: str, *, share: _Share, result: CellResult) -> dict[str, _Share]:
    """Return a scorer's figures: ours from the records, of others what inspect-ai computed."""
    if scorer in cell.task.scorers:
        names = measures_of(scorer, cell.task.options)
        if share.value is None or result.record is None:
            return dict.fromkeys(names, _Share(None, 0, None, share.reason))
        if not result.record.predictions:
            return dict.fromkeys(names, _Share(None, 0, None, "no sample was answered"))
        return _measured(result.record.predictions, scorer, task=cell.task)
    computed = result.record.metrics.get(scorer, {}) if result.record else {}
    return {name: _Share(value, share.n, None, "") for name, value in computed.items() if name not in _REPEATED}


def _measured(predictions: tuple[Prediction, ...], scorer: str, *, task: EvalTask) -> dict[str, _Share]:
    # numpy comes with it; only logs that there are need it.
    from cruijff_kit.scoring.records import scorer_figures

    found = scorer_figures(predictions, scorer, rules=task.rules)
    return {name: _Share(figure.value, figure.n, None, figure.reason) for name, figure in found.items()}


def parity_notes(plan: Plan, *, world: World) -> Iterator[str]:
    """Yield what is known of the prompts of each model that answered behind an API."""
    for run in plan.runs:
        if run.model.api is None:
            continue
        layout = RunLayout(run.id)
        for cell in run.cells:
            manifest = Manifest.found_in(world.store.read(layout.cell_manifest(cell.name)))
            found = manifest.prompt_parity if manifest is not None else None
            if found is not None:
                name = f"`{run.id}` on {cell.task.name}"
                yield f"{name}, behind `{run.model.api}`: prompt parity: {found.verdict}, {found.reason}"


def _vouched(run: PlannedRun, cell: Cell, *, done: Done, world: World) -> CellResult:
    """Read the newest log that `DONE` names and check that it is what was recorded."""
    folder = RunLayout(run.id).cell_logs(cell.name)
    # By name alone: a marker that was copied with its logs still tells whose they are.
    recorded = {PurePath(path).name: sha for path, sha in done.artefacts.items() if path.endswith(".eval")}
    present = [path for path in world.store.glob(folder, "*.eval") if PurePath(path).name in recorded]
    if not present:
        return CellResult("", None, "the `.eval` log that its `DONE` names is missing")
    source = present[-1]
    record = world.evaluations.read(world.store.root / source, about=_imported(source, done, world=world))
    if record.sha256 != recorded[PurePath(source).name]:
        return CellResult(source, None, f"`{PurePath(source).name}` was changed after the evaluation; it is not used")
    reason = _fault(record, done) or _foreign(record, run, cell=cell)
    return CellResult(source, None, reason) if reason else CellResult(source, record, "")


def _imported(source: str, done: Done, *, world: World) -> Foreign | None:
    """Return whose samples a log holds that another system wrote; None for our own, which say it themselves."""
    if not done.imported:
        return None
    record = ImportRecord.found_in(world.store.read(ExperimentLayout.imported))
    return next((each.about for each in record.logs if each.path == source), None) if record is not None else None


def _fault(record: EvalLogRecord, done: Done) -> str:
    if record.status == "unreadable":
        return f"its `.eval` log cannot be read: {record.error}"
    if record.status != "success":
        return f"its `.eval` log has status {record.status}" + (f": {record.error}" if record.error else "")
    if record.samples == 0:
        return "its `.eval` log holds no samples"
    if done.samples is not None and record.samples != done.samples:
        return f"its `.eval` log holds {record.samples} samples instead of {done.samples}"
    return ""


def _foreign(record: EvalLogRecord, run: PlannedRun, *, cell: Cell) -> str:
    wanted = (run.id, cell.task.name, cell.epoch)
    for each in record.predictions:
        if (each.run, each.task, each.epoch) != wanted:
            return f"its `.eval` log belongs to `{each.run}`, {each.task}, epoch {each.epoch}"
    return ""


def _verdicts(result: CellResult, scorer: str) -> tuple[tuple[bool | None, ...] | None, str]:
    if result.record is None:
        return None, result.reason
    if not result.record.predictions:
        # Every sample errored before it was scored; each one counts as wrong.
        return (None,) * result.record.samples, ""
    if scorer not in result.record.verdicts:
        return None, f"its `.eval` log has no score of `{scorer}`"
    return result.record.verdicts[scorer], ""


def _unfinished(layout: RunLayout, store: RunStore) -> str:
    """Return why a cell has no `DONE`, from what its jobs say of themselves."""
    for step, words in (("eval", "evaluation"), ("train", "training")):
        own = JobStatus.found_in(store.read(layout.status(step)))
        if own is None:
            continue
        if own.state in ("failed", "stopped"):
            return f"its {words} {own.state} at {own.step} of {own.total}" + (f": {own.message}" if own.message else "")
        if step == "eval":
            return f"its {words} has not finished: {own.step} of {own.total}"
    return "it was not evaluated"
