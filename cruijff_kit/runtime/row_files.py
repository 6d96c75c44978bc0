"""Rows of data files on disk, one after the other; of folders all at once."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cruijff_kit.data.formats import read_parts
from cruijff_kit.data.streams import Streamed, stream_rows
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.data_files import read_data

__all__ = ["all_rows", "no_rows", "selected_rows"]


def all_rows(path: Path) -> Iterator[Streamed]:
    """Yield every row of a data file or folder in order, or what is wrong with it; a file is never held whole.

    Raises:
        SpecError: it is missing, torn or laid out otherwise.
        SiteError: the extra that reads the format is not installed.
    """
    try:
        if path.is_dir():
            yield from _folder_rows(path)
            return
        with path.open("rb") as file:
            yield from stream_rows(file, str(path))
    except OSError as err:
        fact = (err.strerror or str(err)).lower()
        raise SpecError(f"`{path}` cannot be read: {fact}", hint="mend the path, or make the file readable") from err


def selected_rows(path: Path, *, split: str | None = None, most: int | None = None) -> Iterator[Streamed]:
    """Yield the first rows of a split, or of all splits.

    Raises:
        SpecError: the file cannot be used, a row cannot, or there is no such split.
    """
    splits: set[str] = set()

    def chosen() -> Iterator[Streamed]:
        for each in all_rows(path):
            if each.problem is not None:
                raise SpecError(f"`{path}` is not a usable data set", problems=[each.problem])
            splits.add(each.split)
            if split in (None, each.split):
                yield each

    rows = islice(chosen(), most)
    first = next(rows, None)
    if first is None:
        raise no_rows(path, split, known=splits)
    yield first
    yield from rows


def no_rows(path: Path, split: str | None, *, known: set[str]) -> SpecError:
    """Return the error of a file without the rows asked for."""
    if split is None or not known:
        return SpecError(f"`{path}` holds no rows", hint="name another file")
    listed = ", ".join(f"`{name}`" for name in sorted(known))
    return SpecError(f"`{path}` has no split `{split}`; it has {listed}", hint="name one of them, or none for all rows")


def _folder_rows(path: Path) -> Iterator[Streamed]:
    for split, part in read_parts(read_data(path), str(path)).items():
        for number, row in enumerate(part.rows):
            yield Streamed(row, part.place(number), split, number)
