"""Withheld: what jobs said in their own words, where their data may not be shown to whoever asks."""

import re

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import AuditRecord
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.receipt import AuditPage, FileChange
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier

__all__ = [
    "changes_without_rows",
    "files_tier",
    "page_without_texts",
    "status_without_texts",
    "step_for_files",
    "words_for_files",
]

_ENDED = (Phase.FAILED, Phase.CANCELLED, Phase.UNKNOWN, Phase.WAITING)
_MARKED = frozenset({"watch"})
# What an error is called is code; what it says may quote a row.
_KIND = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)\b")
_OF_JOBS = re.compile(r"its (?:`\.eval` log (?:cannot be read|has status)|training|evaluation)\b[^:]*: ")


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


def step_for_files(entry: StepStatus, *, tier: Tier) -> StepStatus:
    """Return where a step stands as files may tell it that others read: of data that is not green without its words.

    What an error is called stays; `ck status` and `ck logs` tell a person the rest.
    """
    said = entry.own.message if entry.own is not None else ""
    settled = bool(entry.attempts) and entry.attempts[-1].verdict is not None
    if tier == "green" or entry.phase not in _ENDED or not (said or settled):
        return entry
    if said and said in entry.reason:
        head, tail = entry.reason.split(said, 1)
        return entry.model_copy(update={"reason": f"{head}{_named(said, tier)}{tail}"})
    # A verdict that was recorded keeps the words of a job that another one has replaced since.
    parts = re.split(r"(?<=[:;]) ", entry.reason, maxsplit=1)
    told = f"{parts[0]} {_named(parts[1], tier)}" if len(parts) > 1 else entry.reason
    return entry.model_copy(update={"reason": told})


def words_for_files(reason: str, *, tier: Tier) -> str:
    """Return why a result is missing as files may tell it: of data that is not green without the words of a job."""
    found = _OF_JOBS.match(reason)
    return reason if tier == "green" or found is None else f"{found[0]}{_named(reason[found.end() :], tier)}"


def _named(said: str, tier: Tier) -> str:
    """Return what may be told of a job's own words: the kind of error."""
    kind = _KIND.match(said)
    return f"{f'{kind[0]}, ' if kind else ''}its words are withheld here, as the data is {tier}"


def files_tier(world: World) -> Tier:
    """Return the tier of what was submitted; red where no plan tells it."""
    try:
        return plan_tier(recorded_plan(world=world)[0], world)
    except PlanError:
        return "red"


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
