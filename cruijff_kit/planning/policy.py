"""What follows when a job ends badly: the failure policy applied to one case; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cruijff_kit.planning.verdicts import out_of_memory
from cruijff_kit.schema.job import Attempt, JobState
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.policy import Decision, Ending, Policy, Reaction, Rule
from cruijff_kit.schema.run import Phase, StepStatus

__all__ = ["HELD", "Case", "decide", "ending_of", "gpu_hours", "smaller_passes"]

HELD = 75
"""Exit code of a job whose run another process held."""

_HELD_TEXT = "which works on it; this job does nothing"
_SPENT_MEMORY = (
    "CUDA out of memory",
    "HIP out of memory",
    "OutOfMemoryError",
    "can't allocate memory",
    "MemoryError",
    "oom-kill",
    "oom_kill",
    "Exceeded job memory limit",
    "Out Of Memory",
)
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
    asks: float
    """GPU-hours that a further attempt may take."""
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
    if out_of_memory(entry) is not None or any(words in text for words in _SPENT_MEMORY):
        return Ending.OUT_OF_MEMORY
    if _never_ran(entry, log):
        return Ending.LOST
    # The reason was recorded with the verdict; by now the scheduler may have forgotten the rest.
    if _HELD_TEXT in text or entry.reason.startswith(f"exit code {HELD}"):
        return Ending.HELD
    return Ending.KILLED if entry.reason.startswith("killed by signal") else Ending.FAILED


def _never_ran(entry: StepStatus, log: Sequence[str]) -> bool:
    """Return whether a scheduler called a job failed that it could not start, or whose start it forgot.

    A controller that died and came back ends such a job with exit code 1 at once when it starts it; the job
    itself printed nothing, or tells of no failure of its own: it may even be done.
    """
    last, own = entry.attempts[-1], entry.own
    if entry.reason.partition(":")[0] != "exit code 1":
        return False
    if own is not None and own.job_id == last.job_id:
        return own.state != "failed" or own.stopped
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
    if rule.reaction is Reaction.RESUME and not _further(case.entry.attempts):
        return _proposal(case, ending, now=now)
    refusal = _refusal(case, policy, rule=rule, ending=ending)
    if refusal:
        return _decision(ending, Reaction.STOP, reason=refusal, now=now)
    wait = min(_LONGEST_WAIT, rule.wait * 2 ** _opened(case.entry.attempts, ending))
    decision = _decision(ending, Reaction.RETRY, reason=_why(case, ending), now=now)
    return decision.model_copy(update={"not_before": now + timedelta(seconds=wait)}) if wait else decision


def gpu_hours(attempts: Sequence[Attempt], *, gpus: int) -> float:
    """Return the GPU-hours that attempts with a verdict have taken."""
    moments = [(each.started, each.ended) for each in attempts]
    return sum((end - start).total_seconds() for start, end in moments if start and end) * gpus / 3600


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


def _refusal(case: Case, policy: Policy, *, rule: Rule, ending: Ending) -> str:
    """Return which budget forbids a further attempt; empty where none does."""
    attempts = case.entry.attempts
    if _opened(attempts, ending) >= rule.retries:
        return f"`policy.{ending.value}` allows {rule.retries} further attempts, and they are spent"
    if _opened(attempts) >= policy.max_retries:
        return f"`policy.max_retries` allows {policy.max_retries} further attempts of a job, and they are spent"
    if case.spent + case.asks > case.allowed:
        return (
            f"a further attempt may take {case.asks:.3g} GPU-hours on top of {case.spent:.3g} taken; "
            f"the experiment may take {case.allowed:g}"
        )
    return ""


def _why(case: Case, ending: Ending) -> str:
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
    return _decision(ending, Reaction.PROPOSE, reason=reason, now=now).model_copy(update={"proposal": passes})
