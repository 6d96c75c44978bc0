"""What an experiment leaves: its files, its record, its evaluation logs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from cruijff_kit.ports.clock import Progress
from cruijff_kit.schema.audit import Anchor, AuditEvent, AuditRecord, AuditVerdict
from cruijff_kit.schema.imported import Foreign, ForeignLog
from cruijff_kit.schema.result import EvalLogRecord
from cruijff_kit.schema.site import DiskSpace

__all__ = ["AuditLog", "EvalLogs", "RunStore", "Shelf", "Tracking"]


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

    def read_from(self, path: str, start: int) -> bytes | None:
        """Return a file's bytes from a position on, none beyond its end; None where there is no file."""
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

    def write_parts(self, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        """Write a file part by part, aside, fsync and rename; return its SHA-256 and size. No part, no file."""
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

    def shared(self) -> bool:
        """Return whether other machines may write here too, so that what they write may be seen a while later."""
        ...


class Shelf(Protocol):
    """Folders of output directories, which may lie outside the experiment."""

    def files(self, folder: str) -> dict[str, int]:
        """Return the regular files below a folder and their bytes on disk; links are not followed."""
        ...

    def remove(self, folder: str, paths: Sequence[str]) -> int:
        """Remove files below a folder, and what is empty then; return the bytes freed. SiteError where a link leads."""
        ...


class AuditLog(Protocol):
    """The append-only, hash-chained record of one experiment."""

    def append(self, *events: AuditEvent) -> Anchor:
        """Append events as whole lines, durably, and return the new head."""
        ...

    def records(self, *, after: int = -1) -> Iterator[AuditRecord]:
        """Yield the records with `seq` greater than `after`, in order."""
        ...

    def raw_lines(self) -> Iterator[bytes]:
        """Yield the whole lines as they lie there, without their newlines."""
        ...

    def head(self) -> Anchor | None:
        """Return the last line's position and hash; None for an empty log."""
        ...

    def verify(self, anchors: Iterable[Anchor] = ()) -> AuditVerdict:
        """Check the chain, the head kept apart, and any further anchors. Never writes."""
        ...


class EvalLogs(Protocol):
    """Finished `.eval` logs."""

    def read(self, path: Path, *, about: Foreign | None = None) -> EvalLogRecord:
        """Read one log and hash it; a torn or foreign file is a record with status `unreadable`.

        Args:
            path: the log.
            about: whose samples it holds, where the log itself does not say.
        """
        ...

    def look(self, path: Path) -> ForeignLog:
        """Return what a log of any maker says of itself, and its hash; a torn file has status `unreadable`."""
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
