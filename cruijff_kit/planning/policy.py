"""What follows when a job ends badly: the failure policy applied to one case; pure."""

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cruijff_kit.planning.remaining import time_left
from cruijff_kit.planning.time_limit import seconds_of, text_of
from cruijff_kit.planning.verdicts import out_of_memory, spent_memory
from cruijff_kit.schema.job import Attempt, JobState
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.policy import Decision, Ending, Policy, Reaction, Rule
from cruijff_kit.schema.run import Phase, StepStatus

__all__ = ["HELD", "Case", "decide", "ending_of", "gpu_hours", "smaller_passes"]

HELD = 75
"""Exit code of a job whose run another process held."""

# The notice before a time limit, which ends a recipe that does not know it.
_NOTICE = f"killed by signal {int(signal.SIGUSR1)}"
_HELD_TEXT = "which works on it; this job does nothing"
_LONGEST_WAIT = 3600.0
_AT_ONCE = 1.0
"""Seconds within which a job that was never started ends."""


class Case(NamedTuple):
    """A job that ended badly, and what a decision on it depends on."""

    entry: StepStatus
    """Where its step stands; the last attempt is the one that ended."""
    run: PlannedRun
    """The run as planned."""
    log: Sequence[str]
    """Last lines it printed."""
    spent: float
    """GPU-hours that all attempts of the experiment have taken."""
    gpus: int
    """GPUs that a further attempt holds."""
    limit: str
    """Time limit of its script."""
    allowed: float
    """GPU-hours that the experiment may take."""


def ending_of(entry: StepStatus, log: Sequence[str]) -> Ending | None:
    """Return how a step's last attempt ended; None where it did not end badly, or a person cancelled it."""
    if entry.phase is not Phase.FAILED or not entry.attempts:
        return None
    verdict, text = entry.attempts[-1].verdict, "\n".join(log)
    if verdict is JobState.LOST:
        return Ending.LOST
    if verdict is JobState.TIMED_OUT:
        return Ending.TIMED_OUT
    if out_of_memory(entry) is not None or spent_memory(log)[0]:
        return Ending.OUT_OF_MEMORY
    if _never_ran(entry, log):
        return Ending.LOST
    # The reason was recorded with the verdict; by now the scheduler may have forgotten the rest.
    if _HELD_TEXT in text or entry.reason.startswith(f"exit code {HELD}"):
        return Ending.HELD
    own = entry.account.state if entry.account is not None else ""
    # Its own word counts beside the exit code, which accounting does not tell from that of a signal.
    if own == "noticed" or entry.reason.startswith(_NOTICE):
        return Ending.TIMED_OUT
    return Ending.KILLED if own == "stopped" or entry.reason.startswith("killed by signal") else Ending.FAILED


def _never_ran(entry: StepStatus, log: Sequence[str]) -> bool:
    """Return whether a scheduler called a job failed that it could not start, or whose start it forgot.

    A controller that died and came back ends such a job with exit code 1 at once when it starts it; the job
    itself printed nothing, or tells of no failure of its own: it may even be done.
    """
    last = entry.attempts[-1]
    if entry.reason.partition(":")[0] != "exit code 1":
        return False
    if entry.account is not None:
        return entry.account.state != "failed"
    if last.started is None or last.ended is None:
        return False
    return not log and (last.ended - last.started).total_seconds() <= _AT_ONCE


def decide(case: Case, policy: Policy, *, ending: Ending, now: datetime) -> Decision:
    """Return what follows an ending; a budget that is spent stops what would be tried again."""
    rule: Rule = getattr(policy, ending.value)
    if rule.reaction is Reaction.STOP:
        return _decision(
            ending, Reaction.STOP, reason="the job failed by itself: trying again would fail again", now=now
        )
    if rule.reaction is Reaction.PROPOSE:
        return _proposal(case, ending, now=now)
    further, shortened = _further(case.entry.attempts), case.entry.attempts[-1].intent.time is not None
    # One that was given less than its script's limit may need all of it after all.
    if rule.reaction is Reaction.RESUME and not further and not shortened:
        return _proposal(case, ending, now=now)
    left = time_left(case.entry, limit=case.limit) if ending is Ending.TIMED_OUT and further else None
    limit = case.limit if left is None else text_of(left.limit)
    refusal = _refusal(case, policy, rule=rule, ending=ending, limit=limit)
    if refusal:
        return _decision(ending, Reaction.STOP, reason=refusal, now=now)
    wait = min(_LONGEST_WAIT, rule.wait * 2 ** _opened(case.entry.attempts, ending))
    why = _why(case, ending) if left is None else f"{_why(case, ending)}; {left.words}"
    asked = {"not_before": now + timedelta(seconds=wait) if wait else None, "time": None if left is None else limit}
    return _decision(ending, Reaction.RETRY, reason=why, now=now).model_copy(update=asked)


def gpu_hours(attempts: Sequence[Attempt], *, gpus: int) -> float:
    """Return the GPU-hours that attempts with a verdict have taken, every turn of a job that was queued again."""
    moments = [(each.started, each.ended) for each in attempts]
    earlier = sum(each.earlier_seconds for each in attempts if each.verdict is not None)
    return (earlier + sum((end - start).total_seconds() for start, end in moments if start and end)) * gpus / 3600


def smaller_passes(run: PlannedRun) -> dict[str, int]:
    """Return the split of a run's effective batch with half as many rows a pass; empty where one is the least."""
    rows = run.settings["batch_size"].value
    window = rows * run.settings["gradient_accumulation_steps"].value
    half = next((size for size in range(rows // 2, 0, -1) if window % size == 0), None)
    return {} if half is None else {"batch_size": half, "gradient_accumulation_steps": window // half}


def _decision(rule: Ending, reaction: Reaction, *, reason: str, now: datetime) -> Decision:
    return Decision.model_validate({"rule": rule, "reaction": reaction, "reason": reason, "decided": now})


def _further(attempts: Sequence[Attempt]) -> bool:
    """Return whether the last attempt came further than each before it."""
    reached = [each.reached or 0 for each in attempts]
    return reached[-1] > max(reached[:-1], default=0)


def _opened(attempts: Sequence[Attempt], ending: Ending | None = None) -> int:
    """Return how many further attempts the policy has opened, by one rule or by all."""
    made = [each.decision for each in attempts if each.decision is not None]
    own = [each for each in made if each.reaction is Reaction.RETRY and each.rule is not Ending.ORPHANED]
    return sum(ending in (None, each.rule) for each in own)


def _refusal(case: Case, policy: Policy, *, rule: Rule, ending: Ending, limit: str) -> str:
    """Return which budget forbids a further attempt; empty where none does."""
    attempts = case.entry.attempts
    if _opened(attempts, ending) >= rule.retries:
        return f"`policy.{ending.value}` allows {rule.retries} further attempts, and they are spent"
    if _opened(attempts) >= policy.max_retries:
        return f"`policy.max_retries` allows {policy.max_retries} further attempts of a job, and they are spent"
    asks = seconds_of(limit) * case.gpus / 3600
    if case.spent + asks > case.allowed:
        return (
            f"a further attempt may take {asks:.3g} GPU-hours on top of {case.spent:.3g} taken; "
            f"the experiment may take {case.allowed:g}"
        )
    return ""


def _why(case: Case, ending: Ending) -> str:
    if ending is Ending.TIMED_OUT and not _further(case.entry.attempts):
        shortened = case.entry.attempts[-1].intent.time is not None
        left = " it was left by its speed, so it asks for its whole limit" if shortened else " before its limit"
        return f"it came no further in the time{left}"
    reached = case.entry.attempts[-1].reached
    goes_on = f"; it goes on from its checkpoint of step {reached}" if reached and case.entry.step == "train" else ""
    words = {
        Ending.LOST: "its node failed, it was preempted, it was never started, or it vanished",
        Ending.TIMED_OUT: "it came further before its time limit than any attempt before",
        Ending.KILLED: "it was killed by a signal that nobody explains",
        Ending.HELD: "another process held its run",
        Ending.OUT_OF_MEMORY: "it ran out of memory",
        Ending.FAILED: "it failed by itself",
    }
    return f"{words[ending]}{goes_on}"


def _proposal(case: Case, ending: Ending, *, now: datetime) -> Decision:
    """Return the change that would help, for approval."""
    run_id = case.run.id
    if ending is Ending.TIMED_OUT:
        field = "resources.time" if case.entry.step == "train" else "resources.eval_time"
        reason = (
            f"no checkpoint further than that of the attempts before: the time limit is too short; raise `{field}` in "
            f"the design, `ck scaffold`, then `ck retry {run_id} --reason …`"
        )
        return _decision(ending, Reaction.PROPOSE, reason=reason, now=now)
    trains = case.entry.step == "train" and "batch_size" in case.run.settings
    passes = smaller_passes(case.run) if trains and ending is Ending.OUT_OF_MEMORY else {}
    if not passes:
        reason = f"nothing smaller keeps the results: see `ck estimate {run_id}` for what would fit"
        return _decision(ending, Reaction.PROPOSE, reason=reason, now=now)
    size, steps = passes["batch_size"], passes["gradient_accumulation_steps"]
    reason = (
        f"{size} rows a pass and {steps} passes a step need less memory, the effective batch stays {size * steps}; "
        f"`ck retry {run_id} --apply-proposal --reason …` approves it"
    )
    if case.gpus and out_of_memory(case.entry) == "host":
        reason += f"; it was the node's memory, which a higher `mem` mends more surely: see `ck estimate {run_id}`"
    return _decision(ending, Reaction.PROPOSE, reason=reason, now=now).model_copy(update={"proposal": passes})
