"""Where a step of a run stands, all evidence considered; pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from cruijff_kit.schema.job import Attempt, JobReport, JobState, Step
from cruijff_kit.schema.run import Done, JobStatus, Phase, StepStatus

__all__ = ["Evidence", "judge", "out_of_memory", "retryable", "spent_memory"]

_PHASES = {
    JobState.PENDING: Phase.PENDING,
    JobState.RUNNING: Phase.RUNNING,
    JobState.FAILED: Phase.FAILED,
    JobState.CANCELLED: Phase.CANCELLED,
    JobState.TIMED_OUT: Phase.FAILED,
    JobState.OUT_OF_MEMORY: Phase.FAILED,
    JobState.LOST: Phase.FAILED,
    JobState.UNKNOWN: Phase.UNKNOWN,
}

_REASONS = {
    JobState.TIMED_OUT: "stopped at its time limit",
    JobState.OUT_OF_MEMORY: "ran out of memory",
    JobState.LOST: "its node or process vanished",
}

_UNSEEN = "its job has ended; what it wrote last is not seen here yet"


_NODE_MEMORY = (
    "Exceeded job memory limit",
    "exceeded memory limit",
    "oom-kill",
    "oom_kill",
    "out-of-memory handler",
    "Out Of Memory",
)
_GPU_MEMORY = ("CUDA out of memory", "HIP out of memory", "MPS backend out of memory")
_HOST_MEMORY = ("can't allocate memory", "MemoryError")
_OTHER_MEMORY = (*_GPU_MEMORY, "OutOfMemoryError", *_HOST_MEMORY)


class Evidence(NamedTuple):
    """Everything on record about one step of one run."""

    attempts: tuple[Attempt, ...]
    """Submissions, oldest first."""
    report: JobReport | None
    """What the scheduler says of the last one."""
    own: JobStatus | None
    """What the job says of itself."""
    done: Done | None
    """The marker it left, where its artefacts still have their hashes."""
    fresh: bool = False
    """Whether it ended so lately that what it wrote last may not be seen here yet."""


def judge(run_id: str, step: Step, *, evidence: Evidence) -> StepStatus:
    """Return where the step stands; no answer is `unknown`, never a failure."""
    phase, reason = _phase(evidence._replace(own=_of_last(evidence.own, evidence.attempts)))
    return StepStatus(
        run_id=run_id,
        step=step,
        phase=phase,
        reason=reason,
        attempts=evidence.attempts,
        report=evidence.report,
        own=evidence.own,
    )


def retryable(status: StepStatus) -> bool:
    """Return whether opening a further attempt cannot double the work."""
    return status.phase in (Phase.FAILED, Phase.CANCELLED)


def spent_memory(log: Sequence[str]) -> tuple[str, bool]:
    """Return the words by which a job's last lines tell of too little memory, and whether the node killed it for that.

    Without cgroups a scheduler kills with a signal and calls it a failure; its own words are in the job's output.
    """
    text = "\n".join(log)
    killed = next((words for words in _NODE_MEMORY if words in text), "")
    return (killed, True) if killed else (next((words for words in _OTHER_MEMORY if words in text), ""), False)


def out_of_memory(status: StepStatus) -> Literal["host", "gpu"] | None:
    """Return which memory a step ended for want of: the node's or the GPU's; None for any other ending.

    A scheduler ends jobs for the node's memory only. What ran out on a GPU the job says
    itself, in torch's words.
    """
    if status.phase is not Phase.FAILED:
        return None
    verdict = status.attempts[-1].verdict if status.attempts else None
    own = _of_last(status.own, status.attempts)
    said = status.reason + (own.message if own is not None else "")
    if any(words in said for words in _GPU_MEMORY):
        return "gpu"
    state = verdict or (status.report.state if status.report is not None else None)
    host = state is JobState.OUT_OF_MEMORY or any(words in said for words in _HOST_MEMORY)
    return "host" if host else None


def _of_last(own: JobStatus | None, attempts: Sequence[Attempt]) -> JobStatus | None:
    """Return what the job of the last attempt says of itself; None where the words are those of an earlier one."""
    last = attempts[-1].job_id if attempts else None
    if own is None or not own.job_id or last is None:
        return own
    return own if own.job_id == last else None


def _phase(evidence: Evidence) -> tuple[Phase, str]:
    last = evidence.attempts[-1] if evidence.attempts else None
    if last is None:
        by_hand = _finished(evidence.done)
        return (Phase.COMPLETED, "run by hand") if by_hand else (Phase.NOT_SUBMITTED, "")
    if last.job_id is None:
        return Phase.INTENDED, "the submission was interrupted; submit again to settle it"
    if last.verdict is not None and last.reason:
        return _PHASES.get(last.verdict, Phase.FAILED), last.reason
    state = last.verdict or (evidence.report.state if evidence.report else JobState.UNKNOWN)
    if evidence.fresh and _unseen(state, evidence, last=last):
        return Phase.RUNNING, _UNSEEN
    if state is JobState.UNKNOWN and _owned_up(evidence, last):
        return Phase.FAILED, _ending(None, evidence.own.message if evidence.own else "")
    if state is JobState.SUCCEEDED or (state is JobState.UNKNOWN and _finished(evidence.done)):
        return _completed(evidence.done)
    return _PHASES[state], _reason(state, evidence)


def _unseen(state: JobState, evidence: Evidence, *, last: Attempt) -> bool:
    """Return whether the last words that such an end is judged by are missing: a marker, a failure, a checkpoint."""
    if state is JobState.SUCCEEDED:
        return evidence.done is None
    return state in (JobState.FAILED, JobState.TIMED_OUT) and not _owned_up(evidence, last)


def _finished(done: Done | None) -> bool:
    return done is not None and done.exit_code == 0


def _owned_up(evidence: Evidence, last: Attempt) -> bool:
    """Return whether the job of this attempt told of its failure itself, which no silence takes back."""
    own = evidence.own
    return own is not None and own.state == "failed" and own.job_id == last.job_id


def _completed(done: Done | None) -> tuple[Phase, str]:
    if done is None:
        return (
            Phase.FAILED,
            "ended with exit code 0 but its `DONE` is missing or unreadable, or its artefacts changed",
        )
    if done.exit_code != 0:
        return Phase.FAILED, f"its `DONE` holds exit code {done.exit_code}"
    return Phase.COMPLETED, ""


def _reason(state: JobState, evidence: Evidence) -> str:
    report, own = evidence.report, evidence.own
    said = own.message if own is not None and own.state in ("failed", "stopped", "noticed") else ""
    if state is JobState.FAILED:
        return _ending(report, said)
    parts = (_REASONS.get(state, ""), report.reason if report else "", said)
    return "; ".join(part for part in parts if part)


def _ending(report: JobReport | None, said: str) -> str:
    how = "failed"
    if report is not None and report.signal:
        how = f"killed by signal {report.signal}"
    elif report is not None and report.exit_code is not None:
        how = f"exit code {report.exit_code}"
    elif report is not None and report.reason:
        how = f"failed: {report.reason}"
    return f"{how}: {said}" if said else how
