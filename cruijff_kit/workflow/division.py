"""Split data: rows divided by seed, those that ask the same kept together, each split with its share of a column."""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.splits import AUGMENTED_FROM, row_question, row_text, split_lines
from cruijff_kit.data.streams import Streamed
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.dataset_report import Division, SplitReceipt
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.item_rows import Gathered, opened_rows, reported, source_sha256, unchanged

__all__ = ["split_data"]

_NAMES = ("train", "validation", "test", "calibration")


_USUAL = Division()


class _Rows(NamedTuple):
    """What the first reading found, no row held: the number of each row's group, and what each group is."""

    group_of: "array[int]"
    groups: dict[bytes, int]
    strata: list[str]
    sizes: "array[int]"


def split_data(
    source: str,
    target: str = "data",
    *,
    division: Division = _USUAL,
    force: bool = False,
    progress: Progress | None = None,
    world: World,
) -> SplitReceipt:
    """Write a data file split by split; rows that ask the same never lie in two of them.

    Args:
        source: file or folder whose rows are not divided yet; relative paths start at the experiment.
        target: folder for one `.json` file a split, or one `.json` or `.jsonl` file of all.
        division: shares, seed and column.
        force: replace what is there.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: rows or target are wrong, or a split would be empty.
    """
    rows, places = opened_rows(source, world=world), _places(target, division, source=source, force=force, world=world)
    digest = source_sha256(source, world=world)
    found = _look(rows, source, stratify=division.stratify, progress=progress)
    chosen = _chosen(found, division)
    place_of = [chosen[group] for group in found.group_of]
    counts = Counter(place_of)
    empty = [name for at, name in enumerate(_NAMES) if division.shares[at] and not counts[at]]
    if empty:
        fact = f"`{source}` has {len(place_of)} rows, so split `{empty[0]}` would get none"
        raise SpecError(fact, hint="gather more rows, or set its share to 0")
    texts = _texts(places, whole=bool(PurePosixPath(target).suffix), rows=rows, place_of=place_of)
    kept = ((place, unchanged(parts, source, sha256=digest, world=world)) for place, parts in texts)
    written = {place: world.store.write_parts(place, parts)[0] for place, parts in kept}
    record_written("split", places[0], inputs={source: digest}, outputs=written, world=world)
    return SplitReceipt(
        source=source,
        source_sha256=digest,
        target=target,
        files=written,
        splits={name: counts[at] for at, name in enumerate(_NAMES) if division.shares[at]},
        repeated=sum(size for size in found.sizes if size > 1),
        seed=division.seed,
        stratify=division.stratify,
    )


def _places(target: str, division: Division, *, source: str, force: bool, world: World) -> list[str]:
    """Return every file that is to be written.

    Raises:
        SpecError: the target is of another format, is no place of a user's or too free a one, or others lie there.
    """
    suffix = PurePosixPath(target).suffix
    if suffix not in {"", ".json", ".jsonl"}:
        raise SpecError(f"`{target}` names no format for splits", hint="name a folder, or a `.json` or `.jsonl` file")
    named = [target] if suffix else [f"{target.rstrip('/')}/{name}.json" for name in _named(division)]
    places = [own_target(file, source=source, force=force, world=world) for file in named]
    if not suffix:
        _refuse_others(places, world)
    return places


def _named(division: Division) -> list[str]:
    return [name for name, share in zip(_NAMES, division.shares, strict=True) if share]


def _refuse_others(places: list[str], world: World) -> None:
    """Refuse a folder that holds other data files: they would be part of the data set."""
    folder = str(PurePosixPath(places[0]).parent)
    others = [path for path in world.store.glob(folder, "*") if path not in places and _is_split(path)]
    if others:
        hint = "name another folder, or move it away: whatever lies there is part of the data set"
        raise SpecError(f"folder `{folder}` holds `{others[0]}` already", hint=hint)


def _is_split(path: str) -> bool:
    plain = PurePosixPath(path)
    return plain.suffix in {".json", ".jsonl", ".parquet"} and plain.stem.partition("-")[0] in _NAMES


def _look(
    rows: Callable[[], Iterator[Streamed]], source: str, *, stratify: str | None, progress: Progress | None
) -> _Rows:
    """Read every row once, and tell which ask the same.

    Raises:
        SpecError: rows cannot be read, are divided already, or lack the column; lists them by line.
    """
    found, gathered = _Rows(array("L"), {}, [], array("L")), Gathered()
    splits: Counter[str] = Counter()
    for each in reported(rows(), progress):
        problems = [each.problem] if each.problem is not None else list(_lacking(each, stratify))
        if problems:
            gathered.add(*problems)
            continue
        splits[each.split] += 1
        group = found.groups.setdefault(_key(each.row), len(found.groups))
        if group == len(found.sizes):
            found.sizes.append(0)
            found.strata.append(str(each.row[stratify]) if stratify else "")
        found.sizes[group] += 1
        found.group_of.append(group)
    if gathered.count:
        raise SpecError(f"`{source}` cannot be split: nothing is written", problems=gathered.listed(source))
    if not found.group_of:
        raise SpecError(f"`{source}` holds no rows", hint="name another file")
    if len(splits) > 1:
        told = ", ".join(f"`{name}`" for name in splits)
        raise SpecError(f"`{source}` is divided already: it has {told}", hint="name the file of one split")
    return found


def _lacking(each: Streamed, stratify: str | None) -> Iterator[Problem]:
    if "split" in each.row:
        fact = "the row has a column `split` of its own, which would be read as the name of its split"
        yield Problem(fact, "split", each.place, "give the column another name")
    if AUGMENTED_FROM in each.row:
        fact = "the row is a changed copy of another, which may not be tested on"
        yield Problem(fact, AUGMENTED_FROM, each.place, "divide the rows first, then multiply those to train on")
    if stratify is not None and stratify not in each.row:
        known = ", ".join(f"`{column}`" for column in each.row) or "none"
        yield Problem(f"column `{stratify}` is missing; the row has {known}", stratify, each.place, "name another")


def _key(row: Mapping[str, Any]) -> bytes:
    """Return what tells a row's question apart; of a row of no known form all of it."""
    text = row_question(row) or json.dumps(dict(row), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()


def _chosen(found: _Rows, division: Division) -> list[int]:
    """Return the split of each group: value of the column by value, seeded within, each to where most is wanting.

    So each split has its share of every value as nearly as whole groups allow, also of rare ones.
    """
    groups = {key.hex(): group for key, group in found.groups.items()}
    drawn = [groups[name] for name in ordered(groups, seed=division.seed, label="split")]
    chosen, given, total = [0] * len(drawn), [0] * len(_NAMES), 0
    for group in sorted(drawn, key=lambda each: found.strata[each]):
        total += found.sizes[group]
        wanting = [share * total - had for share, had in zip(division.shares, given, strict=True)]
        chosen[group] = wanting.index(max(wanting))
        given[chosen[group]] += found.sizes[group]
    return chosen


def _texts(
    places: list[str], *, whole: bool, rows: Callable[[], Iterator[Streamed]], place_of: list[int]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield every file with its text, row by row."""
    used = sorted(set(place_of))
    if places[0].endswith(".jsonl"):
        yield places[0], (_line({"split": _NAMES[at], **each.row}) for at, each in zip(place_of, rows(), strict=True))
        return
    if whole:
        told = ((_NAMES[at], row) for at in used for row in _of(at, place_of, rows=rows))
        yield places[0], split_lines([_NAMES[at] for at in used], told)
        return
    for place, at in zip(places, used, strict=True):
        yield place, _listed(_of(at, place_of, rows=rows))


def _of(at: int, place_of: list[int], *, rows: Callable[[], Iterator[Streamed]]) -> Iterator[Mapping[str, Any]]:
    return (each.row for chosen, each in zip(place_of, rows(), strict=True) if chosen == at)


def _listed(rows: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for number, row in enumerate(rows):
        yield b",\n " if number else b"\n "
        yield row_text(row).encode()
    yield b"\n]\n"


def _line(row: Mapping[str, Any]) -> bytes:
    return f"{row_text(row)}\n".encode()
