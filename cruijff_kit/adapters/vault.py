"""The vault: directories on this machine's disks, put away and brought back whole."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.safe_paths import checked_parts, create_file, open_file, opened_file, opened_folder
from cruijff_kit.adapters.staging import flush_all
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import AuditLog, Clock, FileFacts, Tree

__all__ = ["DiskVault"]

_BLOCK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can tell."""
_ASIDE = ".ck-aside"
"""Under which a file is written before it appears; a name no experiment uses."""


class DiskVault:
    """The `Vault` of this machine's file systems."""

    def __init__(self, clock: Clock) -> None:
        """Keep the clock that records are written by."""
        self._clock = clock

    def survey(self, folder: str) -> Tree | None:
        """Return what lies below a directory; None where there is none."""
        tree = Tree({}, {}, {})
        try:
            with _told(folder), opened_folder(Path(folder), ()) as opened:
                tree.folders[""] = stat.S_IMODE(os.fstat(opened).st_mode)
                _look(folder, "", into=tree)
        except FileNotFoundError:
            return None
        return tree

    def copy(self, source: str, target: str, *, path: str) -> None:
        """Copy a file with its bits and times; one that is there already with the same bytes is left alone."""
        *folders, name = checked_parts(path)
        with _told(path), opened_file(Path(source), path) as file:
            if file is None:
                hint = "see that nothing else works there, then repeat the command"
                raise SiteError(f"`{path}` vanished from `{source}` while it was copied", hint=hint)
            facts = os.fstat(file.fileno())
            with opened_folder(Path(target), folders, create=True) as there:
                if _is_same(there, name, to=file.fileno()):
                    return
                with suppress(FileNotFoundError):
                    os.unlink(_ASIDE, dir_fd=there)
                # Flushed with all others, before anything is said to be there.
                create_file(there, _ASIDE, content=iter(lambda: file.read(_BLOCK), b""), flush=False)
                os.chmod(_ASIDE, stat.S_IMODE(facts.st_mode), dir_fd=there)
                os.utime(_ASIDE, ns=(facts.st_atime_ns, facts.st_mtime_ns), dir_fd=there)
                os.rename(_ASIDE, name, src_dir_fd=there, dst_dir_fd=there)

    def shape(self, folder: str, tree: Tree) -> None:
        """Make the folders and links of a tree, with their bits, and flush all that was written there."""
        with _told(folder):
            for path in tree.folders:
                with opened_folder(Path(folder), checked_parts(path) if path else (), create=True):
                    pass
            for path, said in tree.links.items():
                _link(Path(folder), path, said=said)
            # The innermost first: a folder that may not be written to still gets what belongs into it.
            for path, mode in sorted(tree.folders.items(), reverse=True):
                with opened_folder(Path(folder), checked_parts(path) if path else ()) as opened:
                    os.fchmod(opened, mode)
            with opened_folder(Path(folder), ()) as opened:
                flush_all(opened)

    def read(self, folder: str, path: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        with _told(path), opened_file(Path(folder), path) as file:
            return file.read() if file else None

    def digest(self, folder: str, path: str, *, first: int | None = None) -> str | None:
        """Return the SHA-256 of a file, or of its first bytes, read from the disk; None where there is none."""
        with _told(path), opened_file(Path(folder), path) as file:
            return _hashed(file.fileno(), first) if file else None

    def write(self, folder: str, path: str, *, content: bytes) -> None:
        """Write a file aside, flush and rename it; folders are made."""
        *folders, name = checked_parts(path)
        with _told(path), opened_folder(Path(folder), folders, create=True) as opened:
            with suppress(FileNotFoundError):
                os.unlink(_ASIDE, dir_fd=opened)
            create_file(opened, _ASIDE, content=content)
            os.rename(_ASIDE, name, src_dir_fd=opened, dst_dir_fd=opened)
            os.fsync(opened)

    def settle(self, staged: str, target: str) -> None:
        """Rename a directory to its place, durably."""
        if os.path.lexists(target):
            raise SiteError(f"`{target}` is there already", hint="look at it and move it away; nothing was changed")
        with _told(target):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(staged).rename(target)
            for parent in {Path(target).parent, Path(staged).parent}:
                with opened_folder(parent.resolve(), ()) as opened:
                    os.fsync(opened)

    def pack(self, folder: str, target: str) -> None:
        """Write the regular files below a directory into one zip file, durably: the same files give the same bytes."""
        if os.path.lexists(target):
            raise SiteError(f"`{target}` is there already", hint="look at it and move it away; nothing was changed")
        tree, place = self.survey(folder), Path(target)
        aside = place.with_name(f"{_ASIDE}-{place.name}")
        with _told(target):
            place.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                _pack(folder, sorted(tree.files if tree else ()), into=file)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(place)
            with opened_folder(place.parent.resolve(), ()) as opened:
                os.fsync(opened)

    def remove(self, folder: str, paths: Iterable[str]) -> None:
        """Remove files and links below a directory; what is gone is passed over."""
        for path in paths:
            *folders, name = checked_parts(path)
            with _told(path), suppress(FileNotFoundError), opened_folder(Path(folder), folders) as opened:
                os.unlink(name, dir_fd=opened)

    def sweep(self, folder: str) -> None:
        """Remove a directory and those below it as far as they are empty; others stay."""
        for place, _, _ in os.walk(folder, topdown=False):
            # What still holds something, or may not be removed, stays.
            with suppress(OSError):
                Path(place).rmdir()

    def free(self, folder: str) -> int:
        """Return the bytes free where a directory is, or would be."""
        place = Path(folder)
        return shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free

    def record(self, folder: str) -> AuditLog:
        """Return the record of the experiment in a directory."""
        return DiskAuditLog(Path(folder), clock=self._clock)


def _pack(folder: str, paths: Iterable[str], *, into: BufferedWriter) -> None:
    with ZipFile(into, "w", compression=ZIP_DEFLATED) as packed:
        for path in paths:
            _pack_one(folder, path, into=packed)


def _pack_one(folder: str, path: str, *, into: ZipFile) -> None:
    with _told(path), opened_file(Path(folder), path) as file:
        if file is None:
            hint = "see that nothing else works there, then repeat the command"
            raise SiteError(f"`{path}` vanished from `{folder}` while it was packed", hint=hint)
        # A member that says neither when nor by whom it was made differs by its content alone.
        entry = ZipInfo(path, _EPOCH)
        entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o100644 << 16
        with into.open(entry, "w", force_zip64=True) as member:
            shutil.copyfileobj(file, member, _BLOCK)


def _look(folder: str, prefix: str, *, into: Tree) -> None:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = f"{prefix}{entry.name}"
        checked_parts(path)
        if entry.is_symlink():
            into.links[path] = str(Path(entry.path).readlink())
        elif entry.is_dir(follow_symlinks=False):
            into.folders[path] = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
            _look(entry.path, f"{path}/", into=into)
        elif entry.is_file(follow_symlinks=False):
            facts = entry.stat(follow_symlinks=False)
            into.files[path] = FileFacts(facts.st_size, stat.S_IMODE(facts.st_mode), facts.st_mtime_ns)
        else:
            hint = "remove it: only files, folders and links are kept"
            raise SiteError(f"`{entry.path}` is a pipe, a socket or a device", hint=hint)


def _is_same(folder: int, name: str, *, to: int) -> bool:
    """Return whether a file of this name lies in a folder with the bits, times and bytes of an open one."""
    try:
        there = open_file(folder, name)
    except FileNotFoundError:
        return False
    try:
        known, found = os.fstat(to), os.fstat(there)
        facts = [(each.st_size, each.st_mtime_ns, stat.S_IMODE(each.st_mode)) for each in (known, found)]
        return facts[0] == facts[1] and _hashed(there) == _hashed(to)
    finally:
        os.close(there)


def _hashed(descriptor: int, first: int | None = None) -> str:
    # What was flushed is read anew, not from what the system still remembers of it.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    sha, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK if first is None else min(_BLOCK, first - at), at):
        sha.update(block)
        at += len(block)
    return sha.hexdigest()


def _link(root: Path, path: str, *, said: str) -> None:
    *folders, name = checked_parts(path)
    with opened_folder(root, folders, create=True) as opened:
        try:
            os.symlink(said, name, dir_fd=opened)
        except FileExistsError:
            if os.readlink(name, dir_fd=opened) != said:
                raise


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Tell errors of the system in words; that something is not there goes on as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as err:
        hint = "see owner, mode and free space there, then repeat the command: it goes on where it stopped"
        raise SiteError(f"`{err.filename or path}` cannot be used: {err.strerror}", hint=hint) from err
