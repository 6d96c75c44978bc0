"""Inputs of a training: the base model and the rows that its user named, found on this machine."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from cruijff_kit.data.bundled import bundled, bundled_path
from cruijff_kit.data.holdout import hold_out
from cruijff_kit.data.items import item_form, item_turns
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import Splits, write_splits
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.planning.registry import find_entry, known_models
from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.schema.registry import ModelEntry
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.training import ExampleData

__all__ = [
    "FORMATS",
    "TINY",
    "FoundData",
    "FoundModel",
    "FoundPlace",
    "RowWish",
    "default_data",
    "find_base",
    "find_rows",
    "list_training_data",
    "longest_answer",
    "model_here",
]

FORMATS: Mapping[str, str | None] = {
    "auto": None,
    "chat": "messages",
    "messages": "messages",
    "instruction": "instruction",
    "prompt": "prompt",
    "text": "text",
    "mlx": "text",
}
"""Names of forms of rows, the original's too, to the form that every row must have; any where None."""

TINY = "tiny"
"""Name of the small model that is made on this machine."""
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_ANY = Columns.read_as("auto", ("", ""))


class FoundModel(NamedTuple):
    """A base model, as far as it is known."""

    path: str | None
    """Its directory; None where it is not on this machine."""
    facts: ModelFacts | None
    """What that says of itself."""
    entry: ModelEntry | None
    """What the registry says of a model of that name."""


class FoundPlace(NamedTuple):
    """Where rows came from."""

    path: Path
    """Absolute file or folder."""
    bundled: str | None
    """Name of the data of this package that it is; None for the user's own."""


class FoundData(NamedTuple):
    """Rows to learn, and those held out."""

    path: str
    """Absolute file or folder that those to learn came from."""
    sources: tuple[FoundPlace, ...]
    """That, and whatever the held out ones came from."""
    splits: Splits
    """Rows by split."""
    forms: dict[str, int]
    """Rows by form."""
    held_out: str
    """How the validation rows came about."""
    text: str
    """The data set as it is written into the experiment; empty where the file is read where it lies."""
    stem: str
    """Name of that file without its ending."""


def find_base(name: str, *, make: bool = True, progress: Progress | None = None, world: World) -> FoundModel:
    """Return a base model by its directory, its repository or its name; nothing is pulled.

    Args:
        name: what it was called; `tiny`, where no other model is called so, is the small one.
        make: whether that is made first where it is not cached.
        progress: called while it is made.
        world: the project and its models.
    """
    entry = find_entry(known_models(world.site), name, PurePath(name).name)
    for place in _places(name, world):
        try:
            facts = world.hub.facts(place)
        except SiteError:
            if Path(place, "config.json").is_file():
                raise
            continue
        return FoundModel(facts.path, facts, entry)
    if name == TINY and make:
        facts = world.hub.make_tiny(progress=progress)
        return FoundModel(facts.path, facts, None)
    return FoundModel(None, None, entry)


def model_here(name: str, found: FoundModel) -> ModelFacts:
    """Return the facts of a model that is on this machine.

    Raises:
        SiteError: it is not.
    """
    if found.facts is None:
        pulled = (
            f"`ck models pull {name}` brings it here"
            if "/" in name or found.entry
            else "`ck models list` shows those here"
        )
        hint = f"{pulled}; `tiny` is a small one that is made on this machine"
        raise SiteError(f"model `{name}` is not on this machine", hint=hint)
    return found.facts


def _places(name: str, world: World) -> Iterable[str]:
    """Yield where a model of that name may lie, a path first."""
    own = world.store.root / Path(name).expanduser()
    if own.is_dir():
        yield str(own)
    yield name
    for path, source in world.hub.present().items():
        if name.casefold() in {str(source.get("repo")).casefold(), PurePath(path).name.casefold()}:
            yield path


class RowWish(NamedTuple):
    """What is wanted of rows."""

    form: str | None
    """Form that every row must have; any where None."""
    share: float
    """Part of the training rows to hold out where there is no split `validation`."""
    seed: int
    """Fixes which."""
    validation: str | None
    """Another file to validate on."""


def find_rows(name: str, wish: RowWish, *, world: World) -> FoundData:
    """Return the rows of a file, a folder or bundled data, some held out where none are.

    Args:
        name: path, or a name of `ck train list-data`.
        wish: what is wanted of them.
        world: the project; only read.

    Raises:
        SpecError: it is not there, or rows cannot be learnt; names line and field.
    """
    place = _place(name, world)
    splits = _read(place.path, name)
    if not splits.get("train"):
        found = ", ".join(f"`{split}`" for split in splits) or "none"
        raise SpecError(f"`{name}` has no rows in split `train`; its splits are {found}", hint="name it `train`")
    forms = _forms(splits, name, wanted=wish.form)
    other = None if wish.validation is None else _place(wish.validation, world)
    whole, told = _validated(splits, wish, name=name, other=other)
    kept = place.bundled is None and whole is splits
    stem = place.bundled or _PLAIN.sub("-", place.path.stem).strip("-.")[:48] or "data"
    text = "" if kept else write_splits(whole).decode("utf-8")
    sources = (place,) if other is None else (place, other)
    return FoundData(str(place.path), sources, whole, forms, told, text, stem)


def longest_answer(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the bytes of the longest answer of some rows, none of them plain text."""
    return max((len(item_turns(row, joint="")[-1]["content"].encode()) for row in rows), default=0)


def list_training_data() -> tuple[ExampleData, ...]:
    """Return the data of this package that a model can be trained on at once."""
    return tuple(
        ExampleData(
            name=each.name,
            family=each.family,
            form=each.format,
            path=str(each.path),
            present=Path(each.path).is_file(),
            rows=dict(each.rows),
            told=each.told,
            licence=each.licence,
        )
        for each in bundled()
    )


def default_data(template: str) -> str:
    """Return the bundled data that is taken where none is named: table questions, as a template writes them.

    Templates of conversations get conversations, all others text that is learnt as it stands.
    """
    return "table_questions_text" if template == "alpaca" or "{" in template else "table_questions_chat"


def _place(name: str, world: World) -> FoundPlace:
    own = world.store.root / Path(name).expanduser()
    if own.exists():
        return FoundPlace(own.absolute(), None)
    known = tuple(each.name for each in bundled())
    if name in known:
        return FoundPlace(bundled_path(name), name)
    hint = f"name a file or folder, or one of {', '.join(f'`{each}`' for each in known)} (`ck train list-data`)"
    raise SpecError(f"data `{name}` is not there", hint=hint)


def _read(place: Path, name: str) -> Splits:
    try:
        content = read_data(place)
    except (OSError, ValueError) as err:
        fact = (getattr(err, "strerror", None) or str(err)).lower()
        raise SpecError(f"data `{name}` cannot be read: {fact}", hint="name a .json, .jsonl or .parquet file") from err
    try:
        return load_splits(content, name=name, columns=_ANY)
    except SpecError as err:
        if isinstance(content, bytes) and place.suffix.lower() == ".csv":
            hint = f"`ck data prepare {name}` writes its rows as JSON Lines, which are"
            raise SpecError(f"`{name}` is a table in CSV, which is not trained on as it is", hint=hint) from err
        hint = err.hint or f"`ck data validate {name}` tells all that is wrong with its rows"
        raise SpecError(str(err).partition("\n")[0], problems=err.problems, hint=hint) from err


def _forms(splits: Splits, name: str, *, wanted: str | None) -> dict[str, int]:
    """Count rows by form, and refuse those of another than is wanted."""
    problems, counts = [], Counter[str]()
    for split, rows in splits.items():
        for at, row in enumerate(rows):
            form = item_form(row) if isinstance(row, Mapping) else None
            counts[form or "unknown"] += 1
            if wanted is not None and form != wanted:
                fact = f"the row is of form `{form or 'unknown'}`, and `{wanted}` is asked for"
                problems.append(Problem(fact, f"{split}[{at}]", name, "leave `--format` out to take any form"))
    if problems:
        raise SpecError(f"{len(problems)} rows of `{name}` are of another form", problems=problems[:20])
    return dict(counts)


def _validated(splits: Splits, wish: RowWish, *, name: str, other: FoundPlace | None) -> tuple[Splits, str]:
    """Return the splits with rows to validate on, and how these came about; the same splits where they stand."""
    if wish.validation is not None and other is not None:
        held = _read(other.path, wish.validation)
        rows = held.get("validation") or held.get("train") or ()
        if not rows:
            raise SpecError(f"`{wish.validation}` has no rows to validate on", hint="name its split `validation`")
        return {**splits, "validation": rows}, f"{len(rows):,} rows of {wish.validation}"
    if splits.get("validation"):
        return splits, f"{len(splits['validation']):,} rows, the data's own split"
    if not wish.share:
        return splits, "none are held out"
    learnt, held = hold_out(splits["train"], share=wish.share, seed=wish.seed)
    if not held:
        return splits, f"`{name}` has one question, so none is held out"
    drawn = f"{len(held):,} row{'s' * (len(held) > 1)} drawn by seed {wish.seed}"
    return {**splits, "train": learnt, "validation": held}, drawn
