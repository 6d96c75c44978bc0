"""The machine and its cluster: its settings, and what is found there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cruijff_kit.ports.clock import Progress
from cruijff_kit.schema.environment import BuildOrder, EnvironmentLock, FolderState, OwnEnvironment
from cruijff_kit.schema.site import GpuKind, Remote
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, LoginFacts, MachineFacts, OldScript, ScriptAnswer
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel

__all__ = ["Environments", "SiteFiles", "SiteProbe"]


class SiteFiles(Protocol):
    """The site files: the user's own, and the project's over it."""

    def files(self) -> tuple[SiteFile, ...]:
        """Return the files as they lie on disk, the user's first, those of a named site last."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of the sites that have a file of their own."""
        ...

    def write(self, level: SiteLevel, text: str) -> None:
        """Write one of the files, aside and renamed; SiteError where that cannot be done."""
        ...


class SiteProbe(Protocol):
    """Looks at a machine and its cluster; what is missing is told, not raised."""

    def machine(self) -> MachineFacts:
        """Return the programs, modules, environments and GPUs that are here."""
        ...

    def gpus(self) -> tuple[GpuKind, ...]:
        """Return the GPUs that this machine's driver tells of, also where the cluster is behind a login host."""
        ...

    def cluster(self) -> ClusterFacts | None:
        """Return what the cluster says of itself, or its words where it does not answer; None where there is none."""
        ...

    def login(self, remote: Remote | None, *, folder: str) -> LoginFacts | None:
        """Return what is found of the login host, and undo what was tried; None where jobs are submitted from here.

        Args:
            remote: where experiments lie there; None where both sides see the same directories.
            folder: directory here that both sides should see then.
        """
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


class Environments(Protocol):
    """Python environments made here for jobs; none that was not made here is ever changed."""

    def own(self) -> OwnEnvironment:
        """Return what runs here: this package, its extras that are complete, and the versions beside it.

        Raises:
            SiteError: this package runs from files that were never installed.
        """
        ...

    def version(self, python: str, *, modules: Sequence[str] = ()) -> str:
        """Return the version of an interpreter, once modules are loaded; SiteError where it does not run."""
        ...

    def state(self, folder: str) -> FolderState:
        """Return what lies in a folder where an environment would."""
        ...

    def build(self, order: BuildOrder, *, made: datetime, progress: Progress | None = None) -> EnvironmentLock:
        """Build an environment whole, its lock written last, and return the lock.

        What an interrupted build has left there is removed first.

        Raises:
            SiteError: something else lies there, or it could not be made; the tool's last words are told.
        """
        ...

    def read_lock(self, path: str) -> str | None:
        """Return the text of a lock; None where there is none."""
        ...

    def write_lock(self, path: str, text: str) -> None:
        """Write a lock, aside and renamed."""
        ...
