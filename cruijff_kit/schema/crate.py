"""Crate nouns: what an exported experiment tells of itself, before it is written as linked data."""

from typing import Literal

from cruijff_kit.schema.inclusion import LogRoot
from cruijff_kit.schema.noun import Noun, Sha256, Timestamp
from cruijff_kit.schema.spec import Level

__all__ = [
    "CrateAction",
    "CrateFacts",
    "CrateFile",
    "CrateFolder",
    "CrateLevel",
    "CrateSoftware",
    "CrateThing",
    "ExportPart",
    "ExportReceipt",
    "StepName",
]

ExportPart = Literal["adapters", "data", "logs"]
"""What goes into an export only if it is asked for: what was trained, rows, and logs with answers."""

StepName = Literal["generate", "train", "evaluate", "report"]
"""The steps of an experiment, in order."""


class CrateFile(Noun):
    """A file in the crate."""

    path: str
    """Path relative to the crate."""
    sha256: Sha256
    """Hash of its bytes."""
    bytes: int
    """Its size."""
    about: str
    """What it is, in words."""


class CrateFolder(Noun):
    """A folder of files that belong together, such as an adapter."""

    path: str
    """Path relative to the crate, ending in a slash."""
    about: str
    """What it is, in words."""


class CrateThing(Noun):
    """Something that a step read or made and that is not in the crate: told by its hash."""

    id: str
    """Its name within the crate, without the leading `#`."""
    name: str
    """What it is called."""
    sha256: Sha256 | None
    """Hash of its content, where it has one."""
    about: str
    """What it is, in words."""


class CrateSoftware(Noun):
    """A program, with its version."""

    id: str
    """Its name within the crate, without the leading `#`."""
    name: str
    """What it is called."""
    version: str
    """Its version; `unknown` where no record tells it."""
    needs: tuple[str, ...] = ()
    """Names within the crate of packages that it computed with."""
    step: StepName | None = None
    """The step that it takes; None for a package and for what led all steps."""


class CrateLevel(Noun):
    """A factor's level, or a seed, of one run."""

    id: str
    """Its name within the crate, without the leading `#`."""
    factor: str
    """The factor."""
    value: Level
    """The level."""


class CrateAction(Noun):
    """One step that was taken: a data set generated, a run trained, evaluated, or all reported."""

    id: str
    """Its name within the crate, without the leading `#`."""
    name: str
    """What was done."""
    about: str
    """More of it, in words."""
    step: StepName
    """Which step it was."""
    tool: str
    """Name within the crate of the program that took it."""
    objects: tuple[str, ...]
    """Names of what it read: paths, or names within the crate with a leading `#`."""
    results: tuple[str, ...]
    """Names of what it made."""
    agent: str
    """Who had it done."""
    started: Timestamp | None
    """When it began, where a record tells it."""
    ended: Timestamp
    """When it ended."""
    failed: bool = False
    """Whether it ended badly."""


class CrateFacts(Noun):
    """Everything that the metadata of a crate tell."""

    name: str
    """Name of the experiment."""
    about: str
    """Its question and hypothesis."""
    license: str
    """Under which terms the crate is given: a URL, or words."""
    published: Timestamp
    """When the crate was made."""
    version: str
    """Version of this package that made it."""
    plan_id: Sha256
    """Hash of the sealed plan."""
    root: LogRoot
    """Root of the record as exported."""
    agents: tuple[str, ...]
    """People who took part, the one who exported first."""
    files: tuple[CrateFile, ...]
    """Files in the crate, the metadata aside."""
    folders: tuple[CrateFolder, ...]
    """Folders in the crate that stand for something."""
    things: tuple[CrateThing, ...]
    """What is told by its hash alone."""
    software: tuple[CrateSoftware, ...]
    """Programs and packages."""
    levels: tuple[CrateLevel, ...]
    """Factor levels and seeds of runs that have run."""
    actions: tuple[CrateAction, ...]
    """Steps that were taken, in order."""


class ExportReceipt(Noun):
    """What was exported."""

    place: str
    """The zip file, or the directory."""
    files: int
    """Files in it, the metadata included."""
    bytes: int
    """Their size."""
    parts: tuple[ExportPart, ...]
    """What went in because it was asked for."""
    left_out: tuple[str, ...]
    """What is told by hash alone, and why."""
    root: LogRoot
    """Root of the record as exported: proofs of its lines are checked against it."""
    metadata_sha256: Sha256
    """Hash of `ro-crate-metadata.json`."""
