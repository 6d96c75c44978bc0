"""The ports: what the verbs need of the world, as Protocols."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cruijff_kit.schema.adapter import AdapterCheck, AdapterLimits, MergeReceipt, PortedFile
from cruijff_kit.schema.audit import Actor, Anchor, AuditEvent, AuditRecord, AuditVerdict
from cruijff_kit.schema.embedding import EmbeddingFile, EmbedJob
from cruijff_kit.schema.estimate import Probe
from cruijff_kit.schema.job import JobReport, JobRequest, JobUsage
from cruijff_kit.schema.prediction import Completion, PromptIds
from cruijff_kit.schema.registry import ModelTrait, PullReceipt
from cruijff_kit.schema.result import EvalLogRecord
from cruijff_kit.schema.site import DiskSpace, ModelFacts, Site
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, MachineFacts, OldScript, ScriptAnswer
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel

__all__ = [
    "Adapters",
    "AuditLog",
    "Clock",
    "Embedder",
    "EvalLogs",
    "Inference",
    "ModelHub",
    "Prober",
    "Progress",
    "RunStore",
    "Scheduler",
    "Shelf",
    "SiteFiles",
    "SiteProbe",
    "Tokenizer",
    "Tracking",
    "World",
]

Progress = Callable[[int, int, str], None]
"""Called with (done, total, label) while long work goes on."""


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a test's clock moves forward instead."""
        ...


class Scheduler(Protocol):
    """A queue that runs job scripts: Slurm, or the one embedded here."""

    name: str
    """Short name recorded with each attempt: `local`, `slurm`."""

    def submit(self, request: JobRequest) -> str:
        """Queue a script and return its job id; a tag already queued returns its id.

        Raises:
            SchedulerError: the scheduler refused or could not be reached.
        """
        ...

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the job ids of those tags that the scheduler holds, one query."""
        ...

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return what is known of each id, one query; absent ids report UNKNOWN. Never writes.

        Args:
            job_ids: ids that `submit` returned.
            tags: what each was submitted under, where known; an id that was given to another job is absent.
        """
        ...

    def usage(self, job_ids: Sequence[str]) -> dict[str, JobUsage]:
        """Return what ended jobs took, as far as the scheduler knows, one query; others are left out. Never writes."""
        ...

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """Ask for these jobs to stop; ended or unknown ones, and those of another tag, are left alone."""
        ...

    def revive(self) -> None:
        """Start whatever must run for the queue to move; only submit and watch call it."""
        ...


class RunStore(Protocol):
    """The files of one experiment. Paths are relative, POSIX, inside the root."""

    root: Path
    """Absolute experiment directory."""

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""
        ...

    def read_text(self, path: str) -> str | None:
        """Return a file's text (UTF-8), or None where there is none."""
        ...

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file, streamed, or None where there is none.

        Here alone a path may be absolute: what a run reads or leaves elsewhere has a hash too,
        and of a folder there it is that of the data set in it.
        """
        ...

    def glob(self, folder: str, pattern: str = "*") -> list[str]:
        """Return sorted relative paths in a folder that match a glob; empty where absent."""
        ...

    def write(self, path: str, content: bytes | str) -> None:
        """Write aside, fsync and rename; parents are made."""
        ...

    def publish(self, files: Mapping[str, bytes], *, manifest: str, progress: Progress | None = None) -> None:
        """Publish many files as one: staged, flushed once, renamed folder by folder, `manifest` last.

        Existing files not named are kept. A crash leaves either no manifest, and a
        repeat finishes the work, or everything.
        """
        ...

    def tail(self, path: str, lines: int) -> list[str]:
        """Return the last lines of a text file, read from its end; empty where absent."""
        ...

    def lock(self, name: str, *, wait: float = 30.0) -> AbstractContextManager[None]:
        """Hold a named lock between processes; it dies with its holder.

        Raises:
            SiteError: another process held it for longer than `wait` seconds.
        """
        ...

    def disk(self) -> DiskSpace:
        """Return free and total bytes where the experiment lives."""
        ...


class AuditLog(Protocol):
    """The append-only, hash-chained record of one experiment."""

    def append(self, *events: AuditEvent) -> Anchor:
        """Append events as whole lines, durably, and return the new head."""
        ...

    def records(self, *, after: int = -1) -> Iterator[AuditRecord]:
        """Yield the records with `seq` greater than `after`, in order."""
        ...

    def head(self) -> Anchor | None:
        """Return the last line's position and hash; None for an empty log."""
        ...

    def verify(self, anchors: Iterable[Anchor] = ()) -> AuditVerdict:
        """Check the chain, the head kept apart, and any further anchors. Never writes."""
        ...


class Tokenizer(Protocol):
    """What the tokens-and-labels module needs of a Hugging Face tokenizer."""

    bos_token_id: int | None
    eos_token_id: int | None
    chat_template: str | None

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of ids."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """Render a conversation; with `tokenize=False` to text."""
        ...


class ModelHub(Protocol):
    """Model directories on this machine, in Hugging Face format."""

    def facts(self, path: str) -> ModelFacts:
        """Read a model directory's configuration, size and content hash.

        Raises:
            SiteError: the directory or its `config.json` is missing or unreadable.
        """
        ...

    def tokenizer(self, path: str) -> Tokenizer:
        """Load a model directory's tokenizer; SiteError where there is none, or its extra is not installed."""
        ...

    def inference(self, path: str, *, adapter: str | None = None) -> "Inference":
        """Load a base model, an adapter unmerged on it; SiteError where it or its extra cannot be read."""
        ...

    def make_tiny(self, *, force: bool = False, progress: Progress | None = None) -> ModelFacts:
        """Train the small base model of the demo, or return the cached one.

        Raises:
            SiteError: the extra that trains is not installed, or a known answer was missed.
        """
        ...

    def present(self) -> Mapping[str, Mapping[str, str]]:
        """Return the model directories here: path to `repo` and `revision`, where they were pulled."""
        ...

    def check(self, path: str) -> tuple[ModelTrait, ...]:
        """Check a model directory part by part; what is wrong is told, not raised."""
        ...

    def pull(self, repo: str, *, revision: str | None = None) -> PullReceipt:
        """Pull a model from the hub into the models directory, or find it there.

        Raises:
            SiteError: this machine is offline, the hub refuses, or the directory is another model's.
        """
        ...


class Prober(Protocol):
    """Takes the first steps of a run apart from the run, to see what they take."""

    def probe(self, config: str, *, command: Sequence[str], steps: int) -> Probe:
        """Train a few steps as a `finetune.yaml` says, in a folder that is thrown away.

        Args:
            config: text of the run's `finetune.yaml`.
            command: program and arguments of the run's job; the word after `--config` is replaced.
            steps: optimiser steps to take.

        Raises:
            RunError: the steps could not be taken; the recipe's last words are told.
        """
        ...


class SiteFiles(Protocol):
    """The site files: the user's own, and the project's over it."""

    def files(self) -> tuple[SiteFile, ...]:
        """Return both files, the user's first, as they lie on disk."""
        ...

    def write(self, level: SiteLevel, text: str) -> None:
        """Write one of the files, aside and renamed; SiteError where that cannot be done."""
        ...


class SiteProbe(Protocol):
    """Looks at a machine and its cluster; what is missing is told, not raised."""

    def machine(self) -> MachineFacts:
        """Return the programs, modules, environments and GPUs that are here."""
        ...

    def cluster(self) -> ClusterFacts | None:
        """Return what the cluster says of itself, or its words where it does not answer; None where there is none."""
        ...

    def folder(self, path: str, *, tries: bool = True) -> FolderFacts:
        """Return how much is left in a directory, and what can be done in it where that is tried and undone."""
        ...

    def run_script(self, text: str, *, fresh: bool, seconds: float) -> ScriptAnswer:
        """Run a job script of ours under `bash`, as a job; `fresh` leaves out what is activated here."""
        ...

    def old_script(self, path: str) -> OldScript:
        """Read what another job script asks for and activates; SiteError where it cannot be read."""
        ...


class Shelf(Protocol):
    """Folders of output directories, which may lie outside the experiment."""

    def files(self, folder: str) -> dict[str, int]:
        """Return the regular files below a folder and their bytes on disk; links are not followed."""
        ...

    def remove(self, folder: str, paths: Sequence[str]) -> int:
        """Remove files below a folder, and what is empty then; return the bytes freed. SiteError where a link leads."""
        ...


class Adapters(Protocol):
    """LoRA adapter directories on this machine; paths start at the current directory."""

    def plan_port(self, folder: str, *, base: str | None = None, repo_id: str | None = None) -> tuple[PortedFile, ...]:
        """Return the new text of every file that names a base; the recorded repository where none is given.

        Raises:
            SiteError: there is no adapter, or the directory given is not its base.
            SpecError: no base is given or recorded, or its form is not known.
        """
        ...

    def write_port(self, files: Sequence[PortedFile]) -> None:
        """Write those texts, each aside and renamed."""
        ...

    def check(self, folder: str, *, base: str | None, prompt: str, limits: AdapterLimits) -> AdapterCheck:
        """Compare a base with and without an adapter on one text.

        Raises:
            ResultError: the adapter does not fit, or logits are not numbers.
            SiteError: either cannot be loaded.
            SpecError: the text is too short.
        """
        ...

    def merge(self, folder: str, output: str, *, base: str | None) -> MergeReceipt:
        """Write base and adapter as one model to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken or lies in the adapter or base, or these cannot be merged.
        """
        ...


class Embedder(Protocol):
    """Writes embeddings of a data file, a block at a time."""

    def embed(self, job: EmbedJob, *, progress: Progress | None = None) -> tuple[EmbeddingFile, ...]:
        """Embed the texts of a job by each of its models, or go on where a kill has stopped it.

        A file of the same settings that is finished stays as it is.

        Raises:
            PlanError: the model has no such layer.
            ResultError: a file of other settings is there, an adapter does not fit, or vectors are not finite.
            SiteError: the model cannot be loaded, or another process writes the same file.
            SpecError: the data cannot be used; nothing is written.
        """
        ...


class EvalLogs(Protocol):
    """Finished `.eval` logs."""

    def read(self, path: Path) -> EvalLogRecord:
        """Read one log and hash it; a torn or foreign file is a record with status `unreadable`."""
        ...


class Inference(Protocol):
    """A model held in this process, for spot checks."""

    def complete(
        self, prompts: Sequence[PromptIds], *, max_tokens: int, top_logprobs: int = 0, stop_ids: Sequence[int] = ()
    ) -> list[Completion]:
        """Complete each prompt greedily and return text, ids and log-probabilities.

        Args:
            prompts: token ids, as the model reads them.
            max_tokens: longest answer in tokens.
            top_logprobs: candidates kept per generated position.
            stop_ids: ids that end an answer besides those the model names itself.
        """
        ...


class Tracking(Protocol):
    """Offline runs of a tracking service, which only a person sends."""

    def size(self, folder: str) -> int | None:
        """Return the bytes of the run that lies in a `logs/wandb` folder; None where there is none."""
        ...

    def upload(self, folders: Sequence[str]) -> None:
        """Send the runs of these folders; what was sent whole before is left alone.

        Raises:
            SiteError: the service's own program is not installed, is set offline, or could not send.
        """
        ...


class World(NamedTuple):
    """Everything outside that one experiment's verbs may touch, chosen by `bootstrap`."""

    store: RunStore
    """Files of the experiment."""
    audit: AuditLog
    """Its record."""
    scheduler: Scheduler
    """Where its jobs run."""
    clock: Clock
    """Time."""
    hub: ModelHub
    """Base models."""
    adapters: Adapters
    """LoRA adapters."""
    evaluations: EvalLogs
    """Evaluation logs."""
    site: Site
    """Settings of this machine."""
    actor: Actor
    """On whose behalf the verbs act."""
    prober: Prober | None = None
    """Takes first steps; None where a world does without."""
    embedder: Embedder | None = None
    """Writes embeddings; None where a world does without."""
    sites: SiteFiles | None = None
    """The site files; None where a world does without."""
    probe: SiteProbe | None = None
    """Looks at the machine; None where a world does without."""
    shelf: Shelf | None = None
    """Output directories; None where a world does without."""
    settings: Callable[[], Site] | None = None
    """Reads the site's settings anew, for verbs that go on for long; None where they never change."""
