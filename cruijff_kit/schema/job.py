"""Job nouns: what is handed to a scheduler, and what is known of it later."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cruijff_kit.schema.noun import Name, Noun, RunId, TimeLimit, Timestamp
from cruijff_kit.schema.policy import Decision
from cruijff_kit.schema.site import Mail

__all__ = [
    "ArrayElement",
    "ArrayRequest",
    "Attempt",
    "Intent",
    "JobReport",
    "JobRequest",
    "JobState",
    "JobUsage",
    "Step",
    "array_of",
    "element_tag",
]


_Place = Annotated[str, Field(pattern=r"^/[^\x00]*$")]
_Words = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class Step(StrEnum):
    """The two kinds of job a run can have."""

    TRAIN = "train"
    """Fine-tuning: one job a run."""
    EVAL = "eval"
    """Evaluation: one job a run, over all tasks and epochs of it."""


class JobState(StrEnum):
    """Our own words for where a job stands; adapters translate into them."""

    PENDING = "pending"
    """Accepted by the scheduler and waiting."""
    RUNNING = "running"
    """On a node, including while it completes."""
    SUCCEEDED = "succeeded"
    """Ended with exit code 0."""
    FAILED = "failed"
    """Ended with another exit code or by a signal of its own."""
    CANCELLED = "cancelled"
    """Stopped by a person, or because its dependency can never be met."""
    TIMED_OUT = "timed_out"
    """Stopped at its time limit."""
    OUT_OF_MEMORY = "out_of_memory"
    """Stopped for memory."""
    LOST = "lost"
    """Its node or process vanished: node failure, preemption, reboot."""
    UNKNOWN = "unknown"
    """The scheduler gave no usable answer; never a failure."""

    @property
    def ended(self) -> bool:
        """Return whether the job can no longer change by itself."""
        return self not in (JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN)


class JobRequest(Noun):
    """Everything a scheduler needs to run one script."""

    script: _Place
    """Absolute path of the job script; the scheduler takes a copy."""
    tag: Name
    """Idempotency key: the same tag is never queued twice."""
    name: Name
    """Job name shown in queues."""
    chdir: _Place
    """Absolute directory the job starts in."""
    after_ok: tuple[str, ...] = ()
    """Job ids that must succeed first."""
    after_tags: tuple[Name, ...] = ()
    """The tags of those jobs, in the same order, where known: some schedulers give an id anew."""
    comment: _Words = ""
    """Anchor of the design and audit log, shown by the scheduler."""
    mail: Mail | None = None
    """Where the scheduler writes one mail to when the job ends, for the last job of a submission."""
    time: TimeLimit | None = None
    """Time limit, which wins over the script's own; that one where None."""


class ArrayElement(Noun):
    """One job of an array."""

    index: int = Field(ge=0)
    """Its place in the array, which the job is told; places may be left out."""
    after_ok: tuple[str, ...] = ()
    """Job ids that must succeed before this one element starts."""
    after_tags: tuple[Name, ...] = ()
    """The tags of those jobs, in the same order, where known."""


class ArrayRequest(Noun):
    """Everything a scheduler needs to run one script many times, each time told another index."""

    script: str
    """Absolute path of the script; the scheduler takes a copy. `SLURM_ARRAY_TASK_ID` tells it its index, or, where that
    is not set, its first argument."""
    tag: Annotated[Name, Field(max_length=56)]
    """What the tags of its elements begin with: `<tag>.<index>`, none of which is ever queued twice."""
    name: Name
    """Job name shown in queues."""
    chdir: str
    """Absolute directory the jobs start in; `slurm-<job id>.out` there is their output."""
    elements: tuple[ArrayElement, ...] = Field(min_length=1)
    """Its jobs, by rising index."""
    comment: str = ""
    """Anchor of the design and audit log, shown by the scheduler."""
    mail: Mail | None = None
    """Where the scheduler writes one mail to when the last of its jobs has ended."""


def element_tag(array: str, index: int) -> str:
    """Return the tag of one element of an array."""
    return f"{array}.{index}"


def array_of(tag: str) -> tuple[str, int] | None:
    """Return the array's tag and the index that an element's tag tells; None for a job of its own."""
    array, dot, index = tag.rpartition(".")
    return (array, int(index)) if dot and index.isascii() and index.isdigit() else None


class JobReport(Noun):
    """What the scheduler says of one job."""

    job_id: str
    """The scheduler's id."""
    state: JobState
    """Where it stands."""
    reason: str = ""
    """The scheduler's reason for waiting or ending."""
    exit_code: int | None = None
    """Exit code where it ended by itself."""
    signal: int | None = None
    """Signal number where it was killed."""
    submitted: Timestamp | None = None
    """When it was queued."""
    started: Timestamp | None = None
    """When it started."""
    ended: Timestamp | None = None
    """When it ended."""
    absent: bool = False
    """Whether accounting alone believes that it lives: the scheduler itself answered, and has no such job any more."""


class JobUsage(Noun):
    """What a job took, as far as anybody knows."""

    elapsed_seconds: float | None = None
    """Time between its start and its end."""
    cpu_seconds: float | None = None
    """CPU time of all its processes."""
    max_memory_bytes: int | None = None
    """Most memory of the node that one of its processes held."""
    energy_joules: float | None = None
    """Energy its nodes took for it."""
    gpus: int | None = None
    """GPUs that the scheduler gave it."""


class Intent(Noun):
    """Written to `attempts/<step>_<n>/intent.json` before a job is submitted."""

    run_id: RunId
    """The run."""
    step: Step
    """Which of its jobs."""
    number: int
    """Which attempt, from 1."""
    tag: Name
    """The idempotency key the scheduler will hold."""
    why: str
    """Why this attempt was opened: `first attempt`, or the reason of a retry."""
    time: TimeLimit | None = None
    """Time limit that it asks for where that is shorter than its script's: what is left takes no longer."""
    recorded: Timestamp
    """When the intent was written."""


class Attempt(Noun):
    """One submission of one job of a run, as known from disk."""

    intent: Intent
    """What was meant."""
    job_id: str | None = None
    """The scheduler's id, absent while it is not known that the job was accepted."""
    scheduler: str | None = None
    """Name of the scheduler that took it."""
    submitted: Timestamp | None = None
    """When the scheduler accepted it."""
    verdict: JobState | None = None
    """The end state that `watch` recorded, absent while it lives."""
    reason: str = ""
    """Why it ended so, recorded with the verdict: schedulers forget."""
    log: tuple[str, ...] = ()
    """Last lines of its output, recorded with the verdict of one that failed; empty where data is red."""
    after_ok: tuple[str, ...] = ()
    """Job ids it was to wait for."""
    after_tags: tuple[Name, ...] = ()
    """The tags of those jobs, in the same order: schedulers give ids anew."""
    started: Timestamp | None = None
    """When it started, recorded with the verdict."""
    ended: Timestamp | None = None
    """When it ended, recorded with the verdict."""
    reached: int | None = None
    """Step of its last checkpoint, or cells evaluated, recorded with the verdict."""
    turns: int = 1
    """How often it was started, by its own account: once more each time that it was queued again."""
    earlier_seconds: float = 0.0
    """Seconds that it ran before its last start, by its own account; schedulers forget them."""
    decision: Decision | None = None
    """What followed, where it ended badly and the failure policy was asked."""
    usage: JobUsage | None = None
    """What it took by its own account, recorded with the verdict."""
