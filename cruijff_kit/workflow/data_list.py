"""List data: the data files below a folder, and the data sets that come with the package."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cruijff_kit.data.bundled import bundled
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.dataset_report import DataFile
from cruijff_kit.workflow.conversion import KEPT

__all__ = ["list_data"]

_FORMATS = (".json", ".jsonl", ".csv", ".parquet")
_MODELS = frozenset({"config.json", "adapter_config.json"})
_SIDECARS = (".meta.json", ".croissant.json")


def list_data(folder: str = ".", *, world: World) -> tuple[DataFile, ...]:
    """Return the bundled data sets, then every data file below a folder in order of path; nothing is opened.

    Args:
        folder: where to look; relative paths start at the experiment.
        world: the experiment.

    Raises:
        SpecError: there is no such folder.
    """
    place = world.store.root / folder
    if not place.is_dir():
        raise SpecError(f"`{folder}` is no folder", hint="name one, or leave it out to look below the experiment")
    ours = tuple(
        DataFile(
            path=str(each.path),
            format=f"json, {each.format}",
            bytes=each.path.stat().st_size,
            bundled=each.name,
            told=f"{each.family}: {each.told}; {each.licence}",
        )
        for each in bundled()
    )
    return (*ours, *_files(place))


def _files(place: Path) -> Iterator[DataFile]:
    """Yield the data files below a folder; what verbs and jobs write is none, whatever its ending."""
    found = []
    for home, folders, names in os.walk(place):
        if not _MODELS.isdisjoint(names):
            # A model or an adapter, whose files of JSON are no rows.
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in KEPT]
        found += [Path(home, name) for name in names if _is_data(name)]
    # A link may lead nowhere.
    for path in sorted(path for path in found if path.is_file()):
        yield DataFile(path=path.relative_to(place).as_posix(), format=path.suffix[1:], bytes=path.stat().st_size)


def _is_data(name: str) -> bool:
    plain = PurePosixPath(name).suffix in _FORMATS and name not in KEPT
    return plain and not name.startswith(".") and not name.endswith(_SIDECARS)
