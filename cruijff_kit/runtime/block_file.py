"""An HDF5 file of embeddings that a kill at any moment can neither tear nor rob of finished blocks.

Everything but the vectors is known before the first of them: ids, lengths, shape, settings. So
the file is made whole at once, aside, with its vectors as one contiguous stretch of bytes still
empty; then HDF5 is done with it. Vectors are written to their places in that stretch, flushed,
and only then noted in a journal with their hash. The file gets its name when none is missing.

    .states.h5.part      the file, whole but for blocks that the journal does not hold
    .states.h5.journal   a line a block: number and SHA-256; a torn last line counts for nothing
    states.h5            finished
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import h5py
import numpy as np

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.files import sync_file, sync_folder
from cruijff_kit.runtime.tensor_files import IDS, LENGTHS, TENSOR

__all__ = ["Block", "BlockFile", "FileContent", "is_finished", "plan_blocks"]

_KIND = "settings"
_MOST_ROWS, _MOST_BYTES = 1024, 1 << 26
_FORCE = "name another file, or replace it with `--force`"


class Block(NamedTuple):
    """Texts that are written and noted together."""

    first: int
    """First text."""
    texts: int
    """How many."""
    start: int
    """First row of the tensor."""
    rows: int
    """How many: as many as texts, or as tokens where nothing is pooled."""


class FileContent(NamedTuple):
    """What a file holds besides its vectors."""

    settings: Mapping[str, str]
    """What decides the vectors; a file of other settings is never gone on with."""
    notes: Mapping[str, str]
    """What else a reader wants to know."""
    ids: Iterable[Sequence[str]]
    """Ids of the texts, some at a time."""
    lengths: Sequence[int]
    """Tokens of each text."""
    shape: tuple[int, int, int]
    """Shape of the tensor: rows, layers, width."""


def plan_blocks(lengths: Sequence[int], *, pooled: bool, row_bytes: int) -> list[Block]:
    """Return the blocks of a file: by settings and texts alone, so that a resumption finds the same ones."""
    blocks: list[Block] = []
    first = start = rows = 0
    for at, length in enumerate(lengths):
        own = 1 if pooled else length
        if at > first and (at - first == _MOST_ROWS or (rows + own) * row_bytes > _MOST_BYTES):
            blocks.append(Block(first, at - first, start, rows))
            first, start, rows = at, start + rows, 0
        rows += own
    return [*blocks, Block(first, len(lengths) - first, start, rows)]


def is_finished(path: Path, settings: Mapping[str, str], *, force: bool = False) -> bool:
    """Return whether a file of these settings is there; what a kill left beside it is removed.

    Args:
        path: the file.
        settings: what decides its vectors.
        force: whether a file of other settings is going to be replaced.

    Raises:
        ResultError: the file, or one that was begun, is of other settings, and is not to be replaced.
    """
    part = _part(path)
    if path.exists() and _is_ours(path, settings, name=path, force=force):
        part.unlink(missing_ok=True)
        _journal(path).unlink(missing_ok=True)
        return True
    if part.exists():
        _is_ours(part, settings, name=path, force=force)
    return False


class BlockFile:
    """A file while its blocks are written; as a context manager it is closed, and removed where an error left none."""

    def __init__(self, path: Path, content: FileContent, *, blocks: Sequence[Block]) -> None:
        """Go on with a file that was begun with these settings, or begin it; `is_finished` has refused others."""
        self._path, self._blocks = path, blocks
        self._row_bytes = content.shape[1] * content.shape[2] * 4
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (_part(path).exists() and _is_ours(_part(path), content.settings, name=path, force=True)):
            _begin(path, content)
        with h5py.File(_part(path), "r") as file:
            self._offset = _offset(file)
        self._file = os.open(_part(path), os.O_RDWR)
        self._noted = dict(self._whole(_noted(_journal(path))))
        # A line that a kill tore is gone with this, and so is the note of a block that is not whole.
        with _aside(path).open("w", encoding="utf-8") as journal:
            journal.writelines(_line(*note) for note in self._noted.items())
        _publish(_aside(path), _journal(path))
        self._journal = os.open(_journal(path), os.O_WRONLY | os.O_APPEND)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)
        os.close(self._journal)
        if error is not None and not self._noted:
            _part(self._path).unlink(missing_ok=True)
            _journal(self._path).unlink(missing_ok=True)

    def missing(self) -> list[int]:
        """Return the numbers of the blocks that are still to be written."""
        return [number for number in range(len(self._blocks)) if number not in self._noted]

    def write(self, number: int, vectors: np.ndarray) -> None:
        """Write a block, and note it once it is on disk.

        Args:
            number: which one.
            vectors: fp32, shape (rows of the block, layers, width).
        """
        content = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
        place, written = self._place(number), 0
        while written < len(content):
            written += os.pwrite(self._file, content[written:], place + written)
        os.fsync(self._file)
        self._noted[number] = hashlib.sha256(content).hexdigest()
        os.write(self._journal, _line(number, self._noted[number]).encode())
        os.fsync(self._journal)

    def finish(self) -> None:
        """Give the file its name; every block has to be there."""
        _publish(_part(self._path), self._path)
        _journal(self._path).unlink()

    def _place(self, number: int) -> int:
        return self._offset + self._blocks[number].start * self._row_bytes

    def _whole(self, noted: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yield the noted blocks whose bytes are still those that were written."""
        for number, digest in noted:
            if number < len(self._blocks):
                content = os.pread(self._file, self._blocks[number].rows * self._row_bytes, self._place(number))
                if hashlib.sha256(content).hexdigest() == digest:
                    yield number, digest


def _begin(path: Path, content: FileContent) -> None:
    """Make a file with everything but its vectors, and no journal."""
    _journal(path).unlink(missing_ok=True)
    with h5py.File(_aside(path), "w") as file:
        file.attrs[_KIND] = json.dumps(dict(content.settings), sort_keys=True)
        for name, text in {**content.notes, **content.settings}.items():
            file.attrs[name] = text
        # Moments of creation would make two files of the same vectors differ.
        file.create_dataset(LENGTHS, data=np.asarray(content.lengths, dtype=np.int32), track_times=False)
        ids = file.create_dataset(IDS, (len(content.lengths),), dtype=h5py.string_dtype(), track_times=False)
        at = 0
        for some in content.ids:
            ids[at : at + len(some)] = list(some)
            at += len(some)
        _reserve(file, content.shape)
    _publish(_aside(path), _part(path))


def _publish(aside: Path, path: Path) -> None:
    """Give a file its name once all of it is on disk."""
    sync_file(aside)
    aside.replace(path)
    sync_folder(path.parent)


def _reserve(file: Any, shape: tuple[int, int, int]) -> None:
    """Give the tensor one stretch of the file, whose place never changes, without writing to it."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_obj_track_times(False)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, TENSOR.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), dcpl=how)


def _offset(file: Any) -> int:
    return file[TENSOR].id.get_offset()


def _is_ours(found: Path, settings: Mapping[str, str], *, name: Path, force: bool) -> bool:
    """Return whether a file is of these settings; one that is not is refused unless it may be replaced."""
    try:
        with h5py.File(found, "r") as file:
            theirs = dict(json.loads(str(file.attrs[_KIND])))
    except (OSError, KeyError, ValueError, TypeError):
        theirs = {}
    if theirs == dict(settings) or force:
        return theirs == dict(settings)
    if not theirs:
        raise ResultError(f"`{name}` is there already and holds no embeddings of ours", hint=_FORCE)
    differing = [key for key in {**theirs, **settings} if theirs.get(key) != settings.get(key)]
    state = "holds" if found == name else "was begun with"
    facts = "; ".join(f"`{key}` was `{theirs.get(key)}` and is `{settings.get(key)}`" for key in differing)
    raise ResultError(f"`{name}` {state} other embeddings: {facts}", hint=_FORCE)


def _line(number: int, digest: str) -> str:
    return json.dumps({"block": number, "sha256": digest}) + "\n"


def _noted(journal: Path) -> Iterator[tuple[int, str]]:
    """Yield the whole lines of a journal."""
    try:
        lines = journal.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for line in lines:
        try:
            note = json.loads(line)
            yield int(note["block"]), str(note["sha256"])
        except (ValueError, KeyError, TypeError):
            continue


def _aside(path: Path) -> Path:
    # One name for whoever writes, so that nothing of one who was killed stays.
    return path.with_name(f".{path.name}.new")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _journal(path: Path) -> Path:
    return path.with_name(f".{path.name}.journal")
