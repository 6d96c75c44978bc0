"""Sweep record: what a search was told, read from results that their jobs vouch for."""

from collections.abc import Iterable, Iterator, Sequence

from cruijff_kit.errors import PlanError
from cruijff_kit.planning.search_space import DEFAULT, fresh_name, number_of
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.result import ResultRow
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.schema.sweep import RunValue, SweepRecord, Told
from cruijff_kit.workflow.evaluation_results import evaluation_rows, read_cell
from cruijff_kit.workflow.training_results import read_history, training_rows

__all__ = [
    "ended_runs",
    "names_of",
    "read_record",
    "record_told",
    "runs_named",
    "say_once",
    "search_of",
    "tell",
    "trials_of",
    "write_record",
]

_ENDED = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED})


def search_of(spec: ExperimentSpec) -> SearchDesign:
    """Return the search of a design.

    Raises:
        PlanError: the design is none.
    """
    if isinstance(spec.design, SearchDesign):
        return spec.design
    raise PlanError("the design is no search", hint="write `design: {kind: search, …}`; see `ck schema`")


def read_record(world: World) -> SweepRecord:
    """Return what a search was told so far; an empty record where it was not begun.

    Raises:
        PlanError: the record is damaged.
    """
    text = world.store.read_text(ExperimentLayout.search)
    try:
        return SweepRecord() if text is None else SweepRecord.model_validate_json(text)
    except ValueError as err:
        fact = f"`{ExperimentLayout.search}` cannot be read: {err}"
        raise PlanError(fact, hint="put back the copy of your backup: proposals follow from it") from err


def write_record(record: SweepRecord, world: World) -> None:
    """Write the record, with the lock `sweep` held; the same record leaves the file alone."""
    text = record.model_dump_json(indent=1) + "\n"
    if world.store.read_text(ExperimentLayout.search) != text:
        world.store.write(ExperimentLayout.search, text)


def trials_of(spec: ExperimentSpec) -> tuple[str, ...]:
    """Return the names of the trials in a design, by number."""
    names = [run.name for run in spec.runs if number_of(run.name) is not None]
    return tuple(sorted(names, key=lambda name: number_of(name) or 0))


def names_of(spec: ExperimentSpec) -> tuple[str, ...]:
    """Return whatever a search has to tell of: the default, its trials, and what runs on fresh seeds."""
    trials = trials_of(spec)
    fresh = {fresh_name(name) for name in (DEFAULT, *trials)}
    return (DEFAULT, *trials, *(run.name for run in spec.runs if run.name in fresh))


def runs_named(plan: Plan, name: str) -> tuple[PlannedRun, ...]:
    """Return the runs of a named one, one a seed."""
    return tuple(run for run in plan.runs if run.id.rpartition("_seed")[0] == name)


def ended_runs(status: ExperimentStatus) -> frozenset[str]:
    """Return the runs of which every job has a verdict and none will have another turn by itself.

    One whose training was cancelled has not ended: a person stopped it, and only a person goes on.
    """
    still = {entry.run_id for entry in status.steps if entry.phase not in _ENDED}
    still |= {entry.run_id for entry in status.steps if entry.step is Step.TRAIN and entry.phase is Phase.CANCELLED}
    return frozenset(entry.run_id for entry in status.steps) - still


def tell(name: str, spec: ExperimentSpec, *, plan: Plan, world: World) -> Told:
    """Return what came of a trial whose runs have ended."""
    values = [_value(run, search_of(spec), plan=plan, world=world) for run in runs_named(plan, name)]
    return Told(name=name, values=tuple(values))


def record_told(told: Sequence[Told], spec: ExperimentSpec, *, world: World) -> None:
    """Tell the audit log what came of trials, each once, before the record of the search says so."""
    search = search_of(spec)
    events = [
        AuditEvent(
            actor=world.actor,
            verb="sweep",
            action=Action.COLLECT_RESULTS,
            subject=each.name,
            inputs={value.source: value.source_sha256 for value in each.values if value.source_sha256},
            outputs={search.metric: "none" if each.mean is None else repr(each.mean)},
            result=Outcome.SUCCESS if each.mean is not None else Outcome.WARNING,
            error=each.reason or None,
        )
        for each in told
    ]
    say_once(events, world=world)


def say_once(events: Sequence[AuditEvent], *, world: World) -> None:
    """Append events whose verb, action and subject stand in no earlier one: a repeat after a kill is silent."""
    known = {(each.verb, each.action, each.subject) for each in world.audit.records()}
    fresh = [each for each in events if (each.verb, each.action, each.subject) not in known]
    if fresh:
        world.audit.append(*fresh)


def _value(run: PlannedRun, search: SearchDesign, *, plan: Plan, world: World) -> RunValue:
    rows = list(_rows(run, search, plan=plan, world=world))
    last = [row for row in rows if row.metric == search.metric]
    if not last:
        return RunValue(run=run.id, value=None, reason=f"nothing of the run is called `{search.metric}`")
    row = last[-1]
    return RunValue(run=run.id, value=row.value, reason=row.reason, source=row.source, source_sha256=row.source_sha256)


def _rows(run: PlannedRun, search: SearchDesign, *, plan: Plan, world: World) -> Iterable[ResultRow]:
    """Yield the figures of a run, those of its last epoch last."""
    if search.is_loss:
        return training_rows(run, read_history(run, world=world), plan=plan)
    return _evaluated(run, search, world=world)


def _evaluated(run: PlannedRun, search: SearchDesign, *, world: World) -> Iterator[ResultRow]:
    first = next((cell.task.name for cell in run.cells), None)
    for cell in run.cells:
        if cell.task.name == (search.task or first):
            yield from evaluation_rows(run, cell, result=read_cell(run, cell, world=world))
