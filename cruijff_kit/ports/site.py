"""The machine and its cluster: its settings, and what is found there."""

from typing import Protocol

from cruijff_kit.schema.site import Remote
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, LoginFacts, MachineFacts, OldScript, ScriptAnswer
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel

__all__ = ["SiteFiles", "SiteProbe"]


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
