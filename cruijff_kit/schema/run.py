"""Run nouns: what a job writes of itself, and what is known of a run."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from cruijff_kit.schema.job import Attempt, JobReport, Step
from cruijff_kit.schema.noun import Noun, RunId, Sha256, Timestamp
from cruijff_kit.schema.watched import WatchedFigures

__all__ = [
    "Done",
    "ExperimentStatus",
    "JobStatus",
    "Lease",
    "Manifest",
    "MetricPoint",
    "Phase",
    "PromptParity",
    "StepStatus",
    "TrainingProgress",
]


class JobStatus(Noun):
    """`status.json`, rewritten by the job itself as it goes."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    state: Literal["starting", "running", "done", "failed", "stopped", "noticed"]
    """Where the job stands, in its own words.

    One that a signal `stopped` may have another turn; one that was `noticed` before its
    time limit has made a checkpoint and asked for it.
    """
    step: int = 0
    """Optimiser steps or samples done."""
    total: int = 0
    """Optimiser steps or samples in all."""
    epoch: int | None = None
    """Epoch in progress, from 0."""
    message: str = ""
    """What it is doing, or why it failed."""
    job_id: str = ""
    """The scheduler's id, from the job's environment."""
    saved: int = 0
    """Step of the last checkpoint to resume from; 0 where there is none."""
    turn: int = 1
    """Which turn of its job this is: one that was queued again has several."""
    earlier_seconds: float = 0.0
    """Seconds that the earlier turns ran."""
    first: int = 0
    """Step that this job went on from; 0 where it began the training."""
    first_at: Timestamp | None = None
    """When it had loaded everything and began with its steps; None before that."""
    host: str = ""
    """Node it runs on."""
    pid: int = 0
    """Process id on that node."""
    token: int = 0
    """Fencing token of the run lock it holds; 0 where it holds none."""
    cpu_seconds: float | None = None
    """CPU time of this process and those it has ended, of all turns."""
    max_memory_bytes: int | None = None
    """Most memory that this process, or one it has ended, held in any turn."""
    started: Timestamp
    """When this turn of the job started."""
    updated: Timestamp
    """When this file was written."""


class Lease(Noun):
    """`lock/<step>/<token>.json`: which process may publish for a step of a run."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    token: int
    """The fencing token: each holder's is higher than any before; 0 before it is taken."""
    run_id: RunId
    """The run."""
    job_id: str
    """The scheduler's id of the holder's job; empty outside a scheduler."""
    host: str
    """Name of the machine that the holder runs on."""
    machine: str
    """What else names that machine; empty where nothing does."""
    boot: str
    """Start of that machine."""
    space: str
    """Where the holder's process number counts."""
    pid: int
    """The holder's process number."""
    started: str
    """When the holder's process started, in that system's own words."""
    places: dict[str, str]
    """Trees of the run's files, and the staging folder through which the holder changes each."""


class Done(Noun):
    """`DONE`, written last by a job that finished its work."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    exit_code: int
    """The exit code the job ends with."""
    artefacts: dict[str, Sha256]
    """Files it made, relative to the experiment or absolute, and their hashes."""
    samples: int | None = None
    """Samples evaluated, for an evaluation."""
    token: int = 0
    """Fencing token of the run lock under which it was written; 0 where there was none."""
    # A marker that a job left keeps the bytes it had before there was such a key.
    imported: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether an import wrote it: no exit code is known then, and 0 only says that the files are these."""
    finished: Timestamp
    """When it was written."""

    def below(self, folder: str) -> dict[str, str]:
        """Return the files it made below a folder, path in it to hash, wherever that folder lay then."""
        cut = ((f"/{path}".rpartition(f"/{folder}/"), sha256) for path, sha256 in self.artefacts.items())
        return {inside: sha256 for (_, found, inside), sha256 in cut if found}

    def strays(self, digest: Callable[[str], str | None]) -> Iterator[tuple[str, str | None]]:
        """Yield the files that are not those it made, each with its hash now; None for one that is gone.

        Args:
            digest: returns a file's hash, or None where there is none.
        """
        for path, sha256 in self.artefacts.items():
            found = digest(path)
            if found != sha256:
                yield path, found


class PromptParity(Noun):
    """Whether a server behind an API sends its model the prompts that this package would."""

    verdict: Literal["proven", "differs", "unproven"]
    """`proven` for prompts compared by their token ids or rendered text; `unproven` where nothing told."""
    reason: str
    """What was compared, or why nothing could be."""


class Manifest(Noun):
    """`manifest.json`: provenance of one run."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    run_id: RunId
    """The run."""
    git_sha: str | None
    """Commit of this package's checkout, where it is one."""
    git_patch_sha256: Sha256 | None
    """Hash of uncommitted changes, where there are any."""
    packages: dict[str, str]
    """Versions of the packages that shape the result."""
    environment: Sha256 | None = None
    """Hash of the lock of the environment it ran in; None where `ck site env build` did not make that."""
    inputs: dict[str, Sha256]
    """Model, data and configuration hashes."""
    seeds: dict[str, int]
    """Every seed set, by what it seeds."""
    host: str
    """Node."""
    device: str
    """Device, such as `cpu` or `cuda:0 NVIDIA H200`."""
    threads: int
    """OpenMP threads."""
    processes: int = 1
    """Processes that shared the work."""
    job_ids: tuple[str, ...]
    """Scheduler ids that worked on the run."""
    prompt_parity: PromptParity | None = None
    """Whether a server renders prompts as this package does; None where no server answered."""
    started: Timestamp
    """Start of training."""
    ended: Timestamp | None
    """End of training."""


class MetricPoint(WatchedFigures):
    """One line of `metrics.jsonl`."""

    step: int
    """Optimiser step, from 1."""
    epoch: int
    """Epoch, from 0."""
    loss: float | None = None
    """Mean per supervised token of the step of what is minimised, for cross-entropy in nats."""
    lr: float | None = None
    """Learning rate of the step."""
    tokens: int | None = None
    """Tokens processed since the start, padding excluded."""
    supervised_tokens: int | None = None
    """Supervised tokens since the start."""
    tokens_per_second: float | None = None
    """Processed tokens per second over the step, prompts included, padding excluded."""
    supervised_tokens_per_second: float | None = None
    """Supervised tokens per second over the step."""
    grad_norm: float | None = None
    """Norm of the gradient before it was clipped."""
    peak_memory_bytes: int | None = None
    """Most memory so far: allocated on the GPU, else resident in the process."""
    val_loss: float | None = None
    """Mean cross-entropy per supervised token of the validation split, in nats, whatever is minimised."""
    custom: dict[str, float] = {}
    """Custom metrics."""


class TrainingProgress(Noun):
    """`progress.json` of a checkpoint: how far a training has come."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    identity: Sha256
    """Hash of what decides the results of the training it belongs to; another one cannot resume from it."""
    token: int = 0
    """Fencing token of the run lock under which it was made; 0 where there was none."""
    step: int
    """Optimiser steps done."""
    tokens: int
    """Tokens processed, padding excluded."""
    supervised: int
    """Tokens that a loss was taken on."""
    best_loss: float | None = None
    """Best value so far of what the best adapter is chosen by: the validation loss in nats unless another is named."""
    best_step: int | None = None
    """The step it was measured at."""
    waited: int = 0
    """Validations since then."""
    lr_scale: float = 1.0
    """What is left of the planned learning rate."""
    job_ids: tuple[str, ...] = ()
    """Scheduler ids of the jobs that came so far, in order."""
    random: dict[str, str] = {}
    """States of Python's and NumPy's generators as text, of every process."""


class Phase(StrEnum):
    """Where one step of a run stands, all evidence considered."""

    NOT_SUBMITTED = "not submitted"
    """No attempt was opened."""
    WAITING = "waiting"
    """To be handed over by `ck watch`: once the queue has room, or once it may be tried again."""
    INTENDED = "intended"
    """An intent is on disk; whether the scheduler has it is to be reconciled."""
    PENDING = "pending"
    """Queued."""
    RUNNING = "running"
    """On a node."""
    COMPLETED = "completed"
    """Ended well, artefacts proven."""
    FAILED = "failed"
    """Ended badly; the reason is known."""
    CANCELLED = "cancelled"
    """Stopped by a person or for want of its dependency."""
    UNKNOWN = "unknown"
    """No usable answer at the moment; not a failure."""


_MOVING = (Phase.WAITING, Phase.PENDING, Phase.RUNNING, Phase.UNKNOWN)


class StepStatus(Noun):
    """What is known of one step of a run."""

    run_id: RunId
    """The run."""
    step: Step
    """Training or evaluation."""
    phase: Phase
    """The verdict, or `unknown`."""
    reason: str = ""
    """Why, in words."""
    attempts: tuple[Attempt, ...] = ()
    """Every submission, oldest first."""
    report: JobReport | None = None
    """What the scheduler says of the last one."""
    own: JobStatus | None = None
    """What the job says of itself."""
    last: dict[str, Any] = {}
    """Last metrics line, of a training that runs."""

    @property
    def account(self) -> JobStatus | None:
        """Return what the job of the last attempt says of itself; None where it said nothing: words may be older."""
        current = self.attempts[-1].job_id if self.attempts else None
        return self.own if self.own is not None and self.own.job_id == current else None


class ExperimentStatus(Noun):
    """What is known of a whole experiment."""

    experiment: str
    """Name of the experiment."""
    steps: tuple[StepStatus, ...]
    """One entry per run and step, in design order."""
    watcher: str = ""
    """The other process whose watch acts, where this one only shows; empty where it is this one, or nobody."""

    @property
    def finished(self) -> bool:
        """Return whether every step of every run has a verdict."""
        still = (Phase.NOT_SUBMITTED, Phase.WAITING, Phase.INTENDED, Phase.PENDING, Phase.RUNNING, Phase.UNKNOWN)
        return not any(entry.phase in still for entry in self.steps)

    @property
    def moving(self) -> bool:
        """Return whether anything may still change without a new command."""
        return any(entry.phase in _MOVING for entry in self.steps)
