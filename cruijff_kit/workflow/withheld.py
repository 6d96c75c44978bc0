"""Withheld: what jobs said in their own words, where their data may not be shown to whoever asks."""

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import AuditRecord
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.receipt import AuditPage, FileChange
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["changes_without_rows", "page_without_texts", "status_without_texts"]

_ENDED = (Phase.FAILED, Phase.CANCELLED, Phase.UNKNOWN, Phase.WAITING)
_MARKED = frozenset({"watch"})


def status_without_texts(status: ExperimentStatus, *, world: World) -> ExperimentStatus:
    """Return a status without the words of jobs that ended badly, where data of theirs may not be shown.

    An error's own words may quote a row; states and counts do not.
    """
    why = _why(world) if any(map(_tells, status.steps)) else ""
    if not why:
        return status
    steps = [entry.model_copy(update={"reason": why}) if _tells(entry) else entry for entry in status.steps]
    return status.model_copy(update={"steps": tuple(steps)})


def page_without_texts(page: AuditPage, *, world: World) -> AuditPage:
    """Return a page of the record without the words of jobs that ended badly, where data of theirs may not be shown."""
    why = _why(world) if any(map(_quotes, page.records)) else ""
    if not why:
        return page
    records = [record.model_copy(update={"error": why}) if _quotes(record) else record for record in page.records]
    return page.model_copy(update={"records": tuple(records)})


def changes_without_rows(changes: tuple[FileChange, ...], plan: Plan, *, world: World) -> tuple[FileChange, ...]:
    """Return what becomes of files without the rows of data sets among them, where these may not be shown."""
    rows = {change.path for change in changes if _is_rows(change) and (change.diff or change.content)}
    shut = closed_plan(plan, way="show", world=world) if rows else None
    if shut is None:
        return changes
    told = f"withheld: {shut.fact}\n"
    return tuple(
        change.model_copy(update={"diff": change.diff and told, "content": change.content and told})
        if change.path in rows
        else change
        for change in changes
    )


def _tells(entry: StepStatus) -> bool:
    """Return whether a state is told in words that a job left when it ended badly."""
    return bool(entry.reason) and entry.phase in _ENDED and entry.own is not None


def _quotes(record: AuditRecord) -> bool:
    """Return whether a record holds such words."""
    return bool(record.error) and record.verb in _MARKED


def _is_rows(change: FileChange) -> bool:
    return change.path.startswith(f"{ExperimentLayout.data}/") and not change.path.endswith(".meta.json")


def _why(world: World) -> str:
    """Return why words of jobs are withheld; empty where they may be shown."""
    try:
        plan, _ = recorded_plan(world=world)
    except PlanError:
        return ""
    shut = closed_plan(plan, way="show", world=world)
    return "" if shut is None else f"its words are withheld: {shut.fact}"
