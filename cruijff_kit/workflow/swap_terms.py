"""Swap terms: the rows of a data file with terms for a person's group swapped, to be evaluated beside them."""

from pathlib import PurePosixPath

from cruijff_kit.data.splits import write_splits
from cruijff_kit.data.streams import Streamed
from cruijff_kit.data.term_pairs import BUNDLED, swap_row
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.row_files import no_rows
from cruijff_kit.schema.dataset_report import SwapReceipt, TermSwap
from cruijff_kit.workflow.audit_pairs import PAIR, PAIR_SHA256, SWAPPED, row_sha256
from cruijff_kit.workflow.audit_rules import lists_of
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.item_rows import Gathered, opened_rows, refuse_changing, source_sha256

__all__ = ["swap_data"]

_ANSWERS = ("output", "completion", "response", "answer", "label", "target")


def swap_data(source: str, target: str, *, asked: TermSwap, force: bool = False, world: World) -> SwapReceipt:
    """Write the rows of a split that hold a term, with their terms swapped, as split `swapped`.

    Each row remembers which one it was made of, so that an audit can pair their answers.
    Answers stay as they are: what is right does not depend on the terms, or the pair is
    none to be compared.

    Args:
        source: data file, folder or bundled data set; relative paths start at the experiment.
        target: `.json` file in the experiment.
        asked: terms, split and columns.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: rows, terms or target are wrong, or no row holds a term.
    """
    if not asked.terms:
        listed = ", ".join(f"`{name}`" for name in BUNDLED)
        raise SpecError("no terms are named", hint=f"name one of {listed}, or a file of pairs")
    if PurePosixPath(target).suffix != ".json":
        raise SpecError(f"`{target}` is no `.json` file", hint="name one")
    place, swaps = own_target(target, source=source, force=force, world=world), lists_of(asked.terms, world)
    digest, rows = source_sha256(source, world=world), _rows(source, asked, world=world)
    found, unclear = [], 0
    for each in rows:
        named = asked.columns or [name for name in each.row if name not in _ANSWERS]
        swapped = swap_row(each.row, swaps, columns=named)
        unclear += swapped.unclear
        if swapped.terms:
            found.append({**swapped.value, PAIR: f"{asked.split}-{each.number}", PAIR_SHA256: row_sha256(each.row)})
    refuse_changing(source, digest, world=world)
    if not found:
        left = f"; {unclear} hold one of several counterparts" if unclear else ""
        raise SpecError(
            f"no row of split `{asked.split}` holds a term to swap{left}", hint="name other terms or columns"
        )
    sha256 = world.store.write_parts(place, iter([write_splits({SWAPPED: found})]))[0]
    record_written("swap", place, inputs={source: digest}, outputs={place: sha256}, world=world)
    return SwapReceipt(
        source=source, source_sha256=digest, target=place, sha256=sha256, split=asked.split, rows=len(rows),
        swapped=len(found), unclear=unclear,
    )  # fmt: skip


def _rows(source: str, asked: TermSwap, *, world: World) -> list[Streamed]:
    rows, splits, gathered = list[Streamed](), set[str](), Gathered()
    for each in opened_rows(source, world=world)():
        splits.add(each.split)
        gathered.add(*([] if each.problem is None else [each.problem]))
        rows += [each] if each.split == asked.split else []
    if gathered.count:
        raise SpecError(f"`{source}` is not a usable data set", problems=gathered.listed(source))
    if not rows:
        raise no_rows(world.store.root / source, asked.split, known=splits)
    unknown = [name for name in asked.columns if not any(name in each.row for each in rows)]
    if unknown:
        known = ", ".join(f"`{name}`" for name in rows[0].row)
        raise SpecError(f"no row has a column `{unknown[0]}`", hint=f"its columns are {known}")
    return rows
