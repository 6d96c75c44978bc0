"""Logs: the end of what a job printed, cleaned; or why it is withheld."""

import re
from typing import Literal

from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.redaction import redact
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.job import Attempt, Step, array_of
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.receipt import LogPage
from cruijff_kit.workflow.attempts import find_run, read_attempts
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["printed", "tail_log"]

_MOST = 500


def tail_log(
    run: str, *, step: Literal["train", "eval"] = "train", lines: int = 50, grep: str | None = None, world: World
) -> LogPage:
    """Return the last lines of a job's output; with `grep`, the last that match.

    Args:
        run: run id, or an unambiguous start of it.
        step: which of its jobs.
        lines: how many lines at most, from 1 to 500.
        grep: regular expression that a line must contain.
        world: the experiment and its surroundings.

    Raises:
        RunError: the run is not known, was not submitted, or its data is red.
        SpecError: `grep` is not a regular expression.
    """
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run)
    if plan.tier == "red":
        raise RunError(
            f"the output of `{chosen.id}` is withheld: its data is red",
            run_id=chosen.id,
            hint="read the file on this machine; `ck status` shows counts only",
        )
    attempts = read_attempts(world.store).get((chosen.id, Step(step)), ())
    job_id = attempts[-1].job_id if attempts else None
    if job_id is None:
        raise RunError(f"the {step} job of `{chosen.id}` was not submitted", run_id=chosen.id, hint="`ck submit`")
    path = RunLayout(chosen.id).job_output(job_id)
    most = max(1, min(lines, _MOST))
    found = printed(attempts[-1], most if grep is None else 100_000, world=world)
    wanted = found if grep is None else _matching(found, grep)
    return LogPage(run_id=chosen.id, step=Step(step), path=path, lines=tuple(wanted[-most:]))


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


def _matching(lines: list[str], grep: str) -> list[str]:
    try:
        pattern = re.compile(grep)
    except re.error as err:
        raise SpecError(f"`{grep}` is not a regular expression: {err}", hint="escape `. * + ? ( ) [ ] \\`") from err
    return [line for line in lines if pattern.search(line)]
