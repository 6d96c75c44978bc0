"""Withheld: what jobs said in their own words, where their data may not be shown to whoever asks."""

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.receipt import AuditPage
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["page_without_texts", "status_without_texts"]

_ENDED = (Phase.FAILED, Phase.CANCELLED, Phase.UNKNOWN, Phase.WAITING)
_MARKED = frozenset({"watch"})


def status_without_texts(status: ExperimentStatus, *, world: World) -> ExperimentStatus:
    """Return a status without the words of jobs that ended badly, where data of theirs may not be shown.

    An error's own words may quote a row; states and counts do not.
    """
    why = _why(world)
    if not why:
        return status
    steps = [
        entry.model_copy(update={"reason": why}) if entry.reason and entry.phase in _ENDED and entry.own else entry
        for entry in status.steps
    ]
    return status.model_copy(update={"steps": tuple(steps)})


def page_without_texts(page: AuditPage, *, world: World) -> AuditPage:
    """Return a page of the record without the words of jobs that ended badly, where data of theirs may not be shown."""
    why = _why(world) if any(record.error and record.verb in _MARKED for record in page.records) else ""
    if not why:
        return page
    records = [
        record.model_copy(update={"error": why}) if record.error and record.verb in _MARKED else record
        for record in page.records
    ]
    return page.model_copy(update={"records": tuple(records)})


def _why(world: World) -> str:
    """Return why words of jobs are withheld; empty where they may be shown."""
    try:
        plan, _ = recorded_plan(world=world)
    except PlanError:
        return ""
    shut = closed_plan(plan, way="show", world=world)
    return "" if shut is None else f"its words are withheld: {shut.fact}"
