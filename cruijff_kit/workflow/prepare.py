"""Prepare data: rows of any forms brought into one, whole or not at all, and counted in and out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cruijff_kit.data.items import TEXT, item_form, item_rest, item_turns
from cruijff_kit.data.splits import row_text, split_lines
from cruijff_kit.data.streams import Streamed
from cruijff_kit.data.turns import MESSAGES
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.dataset_report import DataForm, LeftOut, Preparation, PrepareReceipt
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.item_rows import (
    SHOWN,
    Gathered,
    Measure,
    item_problems,
    measure_of,
    opened_rows,
    reported,
    source_sha256,
    unchanged,
)

__all__ = ["prepare_data"]

_AS_IT_IS = Preparation()


class _Look(NamedTuple):
    """What the first reading found."""

    forms: Counter[str]
    splits: Counter[str]
    kept: Counter[str]
    long: list[LeftOut]
    long_count: int
    left: set[int]


def prepare_data(
    source: str,
    target: str | None = None,
    *,
    asked: Preparation = _AS_IT_IS,
    force: bool = False,
    progress: Progress | None = None,
    world: World,
) -> PrepareReceipt:
    """Write the rows of a data file in one form; a row that is too long is left out whole, and told.

    A text that is learnt whole stays a text. Columns that no form reads are kept.

    Args:
        source: file or folder of rows; relative paths start at the experiment.
        target: `.json` or `.jsonl` file inside the experiment; `<name>_prepared` beside the source where None.
        asked: form, template, and the longest row.
        force: replace what is there.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: rows cannot be used, listed by line; the target cannot be written, or nothing is left.
        SiteError: the model's tokenizer cannot be read.
    """
    rows = opened_rows(source, world=world)
    name = _target(target or _beside(source, world), source=source, force=force, world=world)
    measure = measure_of(asked.template, asked.model, world=world)
    digest = source_sha256(source, world=world)
    look = _look(rows, source, asked=asked, measure=measure, progress=progress)
    parts = (_lines if name.endswith(".jsonl") else _object)(rows, look, form=asked.form, joint=measure.joint)
    written = world.store.write_parts(name, unchanged(parts, source, sha256=digest, world=world))
    receipt = PrepareReceipt(
        source=source,
        source_sha256=digest,
        target=name,
        sha256=written[0],
        form=asked.form,
        template=measure.template,
        rows=look.forms.total(),
        splits={split: look.kept[split] for split in look.splits if look.kept[split]},
        forms=dict(look.forms.most_common()),
        unit=measure.unit,
        max_length=asked.max_length,
        left_out=tuple(look.long),
        left_out_count=look.long_count,
    )
    record_written("prepare", name, inputs={source: digest}, outputs={name: written[0]}, world=world)
    return receipt


def _beside(source: str, world: World) -> str:
    """Return the file that is written where none is named: `rows.csv` gives `rows_prepared.jsonl`, `.json` stays so."""
    root = world.store.root
    place = root / source
    named = f"{place.stem}_prepared{'.json' if place.suffix == '.json' else '.jsonl'}"
    inside = place.is_relative_to(root) and ".." not in place.parts
    return str(place.relative_to(root).with_name(named)) if inside else named


def _target(target: str, *, source: str, force: bool, world: World) -> str:
    if PurePosixPath(target).suffix not in {".json", ".jsonl"}:
        hint = "end it in `.json` or `.jsonl`; `ck data convert` writes the other formats"
        raise SpecError(f"`{target}` names no format that is written row by row", hint=hint)
    return own_target(target, source=source, force=force, world=world)


def _look(
    rows: Callable[[], Iterator[Streamed]],
    source: str,
    *,
    asked: Preparation,
    measure: Measure,
    progress: Progress | None,
) -> _Look:
    """Read every row once: count it, measure it, and gather what is wrong.

    Raises:
        SpecError: rows cannot be used, or none is left.
    """
    look, gathered = _Look(Counter(), Counter(), Counter(), [], 0, set()), Gathered()
    long = 0
    for number, each in enumerate(reported(rows(), progress)):
        problems = item_problems(each) or list(_unfit(each, asked.form))
        if problems:
            gathered.add(*problems)
            continue
        look.forms[str(item_form(each.row))] += 1
        look.splits[each.split] += 1
        try:
            length = 0 if asked.max_length is None else measure.length(each)
        except SpecError as err:
            gathered.add(*err.problems)
            continue
        if asked.max_length is None or length <= asked.max_length:
            look.kept[each.split] += 1
            continue
        long += 1
        look.left.add(number)
        look.long.extend([LeftOut(place=each.place, length=length)] if len(look.long) < SHOWN else [])
    if gathered.count:
        raise SpecError(f"`{source}` cannot be prepared: nothing is written", problems=gathered.listed(source))
    if not look.kept:
        fact = f"every row is longer than {asked.max_length}" if long else "it holds no rows"
        raise SpecError(f"`{source}` leaves nothing to write: {fact}", hint="raise `--max-length`, or name other data")
    return look._replace(long_count=long)


def _unfit(each: Streamed, form: DataForm) -> Iterator[Problem]:
    """Yield why a row cannot lie in the form that is asked for."""
    if "split" in each.row:
        fact = "the row has a column `split` of its own, which would be read as the name of its split"
        yield Problem(fact, "split", each.place, "give the column another name")
    if form == "messages" or item_form(each.row) == "text":
        return
    turns = item_turns(each.row, joint="")
    hint = "write it as `--form messages`"
    if turns[0]["role"] == "system":
        fact = "the row has a system message, which columns `input` and `output` do not hold"
        yield Problem(fact, "", each.place, hint)
    elif len(turns) != 2:
        yield Problem("the row has several questions, and columns `input` and `output` hold one", "", each.place, hint)
    elif item_turns(_prepared(each.row, form=form, joint=""), joint="") != turns:
        fact = "the row has another column that would be read as its question or answer"
        yield Problem(fact, "", each.place, "give that column another name")


def _prepared(row: Mapping[str, Any], *, form: DataForm, joint: str) -> dict[str, Any]:
    rest = item_rest(row)
    if item_form(row) == "text":
        return {**rest, TEXT: str(row[TEXT])}
    turns = item_turns(row, joint=joint)
    if form == "messages":
        return {**rest, MESSAGES: turns}
    return {**rest, "input": turns[0]["content"], "output": turns[1]["content"]}


def _kept(rows: Callable[[], Iterator[Streamed]], look: _Look) -> Iterator[Streamed]:
    return (each for number, each in enumerate(rows()) if number not in look.left)


def _lines(rows: Callable[[], Iterator[Streamed]], look: _Look, *, form: DataForm, joint: str) -> Iterator[bytes]:
    """Yield the rows as lines, the name of its split in each; left out where all rows train."""
    named = set(look.kept) != {"train"}
    for each in _kept(rows, look):
        row = _prepared(each.row, form=form, joint=joint)
        line = {"split": each.split, **row} if named else row
        yield f"{row_text(line)}\n".encode()


def _object(rows: Callable[[], Iterator[Streamed]], look: _Look, *, form: DataForm, joint: str) -> Iterator[bytes]:
    """Yield the rows as one object of splits; the source is read once a split, and never held."""
    names = [split for split in look.splits if look.kept[split]]
    told = (
        (split, _prepared(each.row, form=form, joint=joint))
        for split in names
        for each in _kept(rows, look)
        if each.split == split
    )
    yield from split_lines(names, told)
