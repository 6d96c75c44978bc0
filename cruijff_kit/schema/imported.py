"""Imported nouns: an experiment of the first system, what was taken over, and what nobody can know of it."""

from typing import Any, Literal

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256, Timestamp

__all__ = [
    "UNKNOWN",
    "Foreign",
    "ForeignLog",
    "ImportOrder",
    "ImportReceipt",
    "ImportRecord",
    "ImportedKey",
    "ImportedLog",
    "Unknown",
]

UNKNOWN = "unknown"
"""Word that stands where a name belongs that nobody can know any more."""


class ImportOrder(Noun):
    """What is said beside the directory."""

    name: Name | None = None
    """Name of the experiment made; the title of its summary, or the directory's name, where absent."""
    outputs: tuple[str, ...] = ()
    """Further directories in which its `ck-out-<run>` folders lie."""
    tier: Tier = "yellow"
    """How freely its data may be shown; what marks the data may make it stricter."""
    adapters: bool = True
    """Whether adapters are copied; else only their hashes are kept."""
    check: bool = False
    """Whether to tell what would be imported, and write nothing."""


class Unknown(Noun):
    """Something that cannot be known, and why."""

    what: str
    """What is not known."""
    reason: str
    """Why nobody can know it from the directory."""


class ForeignLog(Noun):
    """What an `.eval` log of any maker says of itself, its samples apart."""

    sha256: Sha256
    """Hash of the file's bytes."""
    status: Literal["success", "error", "cancelled", "started", "unreadable"]
    """The log's own status."""
    task: str = ""
    """Task it evaluated, as the log names it."""
    model: str = ""
    """Model, as the log names it."""
    data: str = ""
    """Where the evaluated data lay; empty where the log does not say."""
    samples: int = 0
    """Samples that the data had, as the log says."""
    scorers: tuple[str, ...] = ()
    """Scorers whose results it holds."""
    task_args: dict[str, Any] = {}
    """Arguments of the task."""
    model_args: dict[str, Any] = {}
    """Arguments of the model."""
    metadata: dict[str, Any] = {}
    """What whoever started it wrote of it."""
    generation: dict[str, Any] = {}
    """Generation settings that were set."""
    packages: dict[str, str] = {}
    """Versions of packages."""
    created: str = ""
    """When it was begun, in the log's own words."""
    error: str = ""
    """Why it cannot be read, or what ended it."""


class Foreign(Noun):
    """Whose samples an imported log holds: such a log does not say it."""

    run: RunId
    """The run."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    task: str
    """Evaluation name."""
    split: str
    """Split evaluated; `unknown` where the log does not say."""
    checkpoint_sha256: Sha256
    """Hash of the adapter; zeros where it is not known."""


class ImportedLog(Noun):
    """One evaluation log that was taken over."""

    original: str
    """Path in the directory it came from."""
    path: str
    """Path in the experiment."""
    sha256: Sha256
    """Hash of its bytes, the same in both places."""
    status: str
    """The log's own status."""
    about: Foreign
    """Whose samples it holds."""


class ImportedKey(Noun):
    """One key of a run's configuration, and what became of it."""

    run: str
    """Name of the run in the first system."""
    key: str
    """The key, with the file that says it."""
    outcome: str
    """The control it became, or why it was set aside."""


class ImportRecord(Noun):
    """`imported.json`: where an experiment came from, every file by hash, and what is not known of it."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    source: str
    """Absolute directory that it was imported from."""
    imported: Timestamp
    """When."""
    files: dict[str, Sha256]
    """Every file read or copied, by its path in that directory, or absolute where it lay elsewhere."""
    runs: dict[str, RunId]
    """Name in the first system to run here."""
    logs: tuple[ImportedLog, ...]
    """Evaluation logs, each with whose samples it holds."""
    keys: tuple[ImportedKey, ...] = ()
    """Configuration keys, and what became of each."""
    unknown: tuple[Unknown, ...] = ()
    """What cannot be known, with reasons."""
    left: tuple[str, ...] = ()
    """What was not imported, with reasons."""


class ImportReceipt(Noun):
    """What was imported, or would be."""

    path: str
    """Absolute directory of the experiment."""
    written: bool
    """Whether anything was written."""
    name: Name
    """Name of the experiment."""
    runs: dict[str, RunId]
    """Name in the first system to run here."""
    evaluations: int
    """Evaluations, each with its log."""
    files: int
    """Files imported."""
    bytes: int
    """Their size."""
    keys: tuple[ImportedKey, ...]
    """Configuration keys that were set aside; those that became controls are in `imported.json`."""
    unknown: tuple[Unknown, ...]
    """What cannot be known, with reasons."""
    left: tuple[str, ...]
    """What was not imported, with reasons."""
    design: str = ""
    """The design it becomes, where nothing was written."""
