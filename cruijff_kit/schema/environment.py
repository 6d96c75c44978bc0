"""Environment nouns: what the Python of jobs is, what it was locked to, and how one is built."""

from typing import Annotated, Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun, Sha256, Timestamp
from cruijff_kit.schema.site import Folder

__all__ = [
    "LOCK_FILE",
    "BuildOrder",
    "BuildReceipt",
    "BuildWish",
    "EnvironmentLock",
    "FolderState",
    "Inventory",
    "LockReceipt",
    "LockedPackage",
    "OwnEnvironment",
    "OwnPackage",
    "TorchFacts",
]

_Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
LOCK_FILE = "environment-lock.txt"
"""Name of a lock; in a built environment it is written last, and means that it is whole."""

FolderState = Literal["absent", "foreign", "unfinished", "whole"]
"""What lies where an environment would: nothing, something not made here, a build that did not end, or one that did."""


class OwnPackage(Noun):
    """This package as one interpreter has it."""

    version: _Line
    """Its version."""
    path: str
    """Its folder."""
    code: Sha256
    """Hash over all its files."""


class TorchFacts(Noun):
    """Torch as its own file tells it; it was not loaded."""

    version: _Line
    """Version, its build included: `2.13.0+cpu`."""
    cuda: _Line
    """CUDA it was built for; empty for a build without."""


class Inventory(Noun):
    """What an interpreter is and has, by its own account."""

    python: str
    """The interpreter."""
    version: _Line
    """Version of Python."""
    prefix: str
    """Folder of its environment."""
    platform: _Line
    """System and processor."""
    packages: dict[str, str]
    """Version of every package, by normal name."""
    package: OwnPackage | None
    """This package; None where it cannot be imported."""
    torch: TorchFacts | None
    """Torch; None where it cannot be imported."""
    gpus: int | None
    """GPUs that the driver gives a process; None where there is no driver."""


class OwnEnvironment(Noun):
    """What runs this command, as far as another environment could be like it."""

    package: OwnPackage
    """This package."""
    python: str
    """Interpreter that environments are made with, outside of any environment."""
    version: _Line
    """Version of Python."""
    extras: tuple[str, ...]
    """Extras of which everything is here, those for developers aside."""
    offered: tuple[str, ...]
    """All extras there are."""
    pins: dict[str, str]
    """Versions of the packages that an index can know, builds left out."""


class LockedPackage(Noun):
    """One package of a lock."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    """Normal name."""
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
    """Version, its build included."""
    sha256: Sha256 | None = None
    """Hash of the file it was installed from; None where it was locked as it was found."""
    file: _Line = ""
    """Address of a file that lies beside the lock; empty for one that pip looks up."""


class EnvironmentLock(Noun):
    """`environment-lock.txt`: what an environment was when it was locked."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    made: Timestamp
    """When it was locked."""
    python: _Line
    """Version of Python."""
    platform: _Line
    """System and processor."""
    torch: _Line
    """Build of torch; empty where there is none."""
    cuda: _Line
    """CUDA that torch was built for; empty for a build without."""
    extras: tuple[_Line, ...] = ()
    """Extras of this package that it was built with."""
    code: Sha256 | None
    """Hash over all files of this package; None where it was not there."""
    key: _Line
    """What it was built from, as eight digits; empty where it was locked as it was found."""
    packages: tuple[LockedPackage, ...]
    """Every package, by name."""


class BuildOrder(Noun):
    """What shall be built, and from what."""

    folder: Folder
    """Where the environment shall lie."""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    """What it is built from, as eight digits."""
    kind: Literal["venv", "conda"]
    """Who makes it: Python itself, or conda."""
    python: str
    """Interpreter that makes a venv, or the version that conda is asked for."""
    version: str
    """Version of Python it will have, as far as known."""
    modules: tuple[str, ...] = ()
    """Modules to load first."""
    extras: tuple[str, ...]
    """Extras of this package."""
    pins: dict[str, str]
    """Versions that packages must have, where they are needed at all."""
    wheels: str | None = None
    """Folder of wheels, which are then all there is; None where an index is asked."""
    indexes: tuple[str, ...] = ()
    """Further indexes to ask."""


class BuildWish(Noun):
    """What was asked of a build; what is left out is as it is here."""

    into: Folder | None = None
    """Where the environment shall lie; a folder named by its content where None."""
    python: _Line | None = None
    """Interpreter to make it with, or version that conda is asked for; that which runs here where None."""
    conda: bool = False
    """Whether conda makes it."""
    build: Annotated[str, Field(pattern=r"^(cpu|cu\d{2,3})$")] | None = None
    """Build of torch: `cpu`, or `cu128` for CUDA 12.8; whichever is found where None."""
    extras: tuple[_Line, ...] = ()
    """Extras of this package; those that are complete here where none are named."""
    wheels: Folder | None = None
    """Folder of wheels to install from, without a network."""
    indexes: tuple[_Line, ...] = ()
    """Further indexes to ask."""


class BuildReceipt(Noun):
    """What became of a build."""

    order: BuildOrder
    """What was to be built."""
    state: FolderState
    """What was found in its place."""
    built: bool
    """Whether it was built now."""
    lock: str = ""
    """The lock; empty where nothing was built."""
    packages: int = 0
    """Packages in it."""
    torch: str = ""
    """Build of torch in it; empty where there is none."""
    site: str = ""
    """The site file that names it now; empty where none was changed."""
    diff: str = ""
    """What that changed."""


class LockReceipt(Noun):
    """What was locked as it was found."""

    path: str
    """The lock."""
    packages: int
    """Packages in it."""
    site: str
    """The site file that names the lock now; empty where it was named already."""
    diff: str
    """What that changed."""
