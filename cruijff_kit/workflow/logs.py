"""Logs: what a job printed, cleaned: its end, a stretch of it, its first error; or why it is withheld."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from cruijff_kit.analysis.job_log import find_error, moment, within
from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.redaction import redact
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.job import Attempt, Step, array_of
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.receipt import Excerpt, LogPage
from cruijff_kit.workflow.attempts import find_run, read_attempts
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["printed", "tail_log"]

_PATIENCE = 1.0
"""Seconds that one line is searched at most."""
_LAST = Excerpt()
_MOST = 500
_SEARCHED = 100_000
"""Lines from the end that are looked through where not the last ones are asked for."""


def tail_log(run: str, *, step: Literal["train", "eval"] = "train", excerpt: Excerpt = _LAST, world: World) -> LogPage:
    """Return the last lines of a job's output, or the last of those asked for; or its first error in its context.

    Args:
        run: run id, or an unambiguous start of it.
        step: which of its jobs.
        excerpt: which lines.
        world: the experiment and its surroundings.

    Raises:
        RunError: the run is not known, was not submitted, or its data may not be shown.
        SpecError: `grep` is not a regular expression, a moment cannot be read, or no line tells its time.
    """
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run)
    _refuse_hidden(plan, chosen, world=world)
    attempts = read_attempts(world.store).get((chosen.id, Step(step)), ())
    job_id = attempts[-1].job_id if attempts else None
    if job_id is None:
        raise RunError(f"the {step} job of `{chosen.id}` was not submitted", run_id=chosen.id, hint="`ck submit`")
    path = RunLayout(chosen.id).job_output(job_id)
    most = max(1, min(excerpt.lines, _MOST))
    found: Sequence[str] = printed(attempts[-1], _SEARCHED if _chooses(excerpt) else most, world=world)
    found = _between(found, excerpt, now=world.clock.now())
    found = found if excerpt.grep is None else _matching(found, excerpt.grep)
    shown, note = _error_of(found, most) if excerpt.first_error else (found[-most:], "")
    return LogPage(run_id=chosen.id, step=Step(step), path=path, lines=tuple(shown), note=note)


def _refuse_hidden(plan: Plan, run: PlannedRun, *, world: World) -> None:
    """Refuse the output of jobs that red data went through, and to an assistant that of yellow data without consent.

    A person at a terminal may read the file itself: what jobs print is theirs to see.
    """
    shut = closed_plan(plan, way="show", world=world)
    if shut is None or (shut.tier == "yellow" and world.actor.kind != "assistant"):
        return
    more = "; `ck status` shows counts and states" if shut.tier == "red" else ""
    fact = f"the output of `{run.id}`, which may hold text of its data, is withheld: {shut.fact}"
    raise RunError(fact, run_id=run.id, hint=f"{shut.hint}{more}")


def printed(attempt: Attempt, lines: int, *, world: World) -> list[str]:
    """Return the last lines of a job's output as they may be shown: cleaned, secrets masked; none before it has an id.

    Of an array's job that is the file in its run's folder. Where that could not be the one
    that the scheduler itself writes to, or the job never came so far, the scheduler's words follow.
    """
    intent, job_id, place = attempt.intent, attempt.job_id, array_of(attempt.intent.tag)
    if job_id is None:
        return []
    # Read before the job's own, which therefore has at least the same lines where both are one file.
    told = world.store.tail(ExperimentLayout.array_output(place[0], job_id), lines) if place else []
    own = world.store.tail(RunLayout(intent.run_id).job_output(job_id), lines)
    known = set(own)
    found = [*own, *(line for line in told if line not in known)]
    return [redact(clean_line(line)) for line in found[-lines:]]


def _chooses(excerpt: Excerpt) -> bool:
    """Return whether other lines than simply the last ones are wanted."""
    return excerpt.model_copy(update={"lines": _LAST.lines}) != _LAST


def _between(lines: Sequence[str], excerpt: Excerpt, *, now: datetime) -> Sequence[str]:
    if excerpt.since is None and excerpt.until is None:
        return lines
    since, until = (_moment(name, getattr(excerpt, name), now=now) for name in ("since", "until"))
    kept = within(lines, since=since, until=until, ended=now)
    if kept is None:
        raise SpecError("no line of this output tells its time", hint="use `lines` or `grep` instead")
    return kept


def _moment(name: str, text: str | None, *, now: datetime) -> datetime | None:
    try:
        return moment(text, now) if text is not None else None
    except ValueError as err:
        hint = "write `14:05`, `2026-11-27 14:05` (UTC), or `10m` for ten minutes ago"
        raise SpecError(f"`{name}` is `{text}`, which is no moment", hint=hint) from err


def _error_of(lines: Sequence[str], most: int) -> tuple[Sequence[str], str]:
    place = find_error(lines)
    if place is None:
        return (), f"no line of the last {len(lines):,} reads like an error"
    start, end = place
    cut = f"; the last {end - start - most} lines of it are cut" if end - start > most else ""
    return lines[start:end][:most], f"lines {start + 1} to {end} of the last {len(lines):,}{cut}"


def _matching(lines: Sequence[str], grep: str) -> list[str]:
    # Unlike `re`, it gives up in time on an expression that would take for ever.
    import regex

    try:
        pattern = regex.compile(grep)
        return [line for line in lines if pattern.search(line, timeout=_PATIENCE)]
    except regex.error as err:
        raise SpecError(f"`{grep}` is not a regular expression: {err}", hint="escape `. * + ? ( ) [ ] \\`") from err
    except TimeoutError as err:
        raise SpecError(f"`{grep}` takes too long to look for", hint="look for plainer words") from err
