"""Tables to text: a schema drafted or checked, rows told and written, one row in memory at a time."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple

from cruijff_kit.data.generators.registry import (
    GENERATORS,
    check_arguments,
    dataset_facts,
    dataset_key,
    dataset_meta,
    named_files,
)
from cruijff_kit.data.generators.tabular import telling_of
from cruijff_kit.data.splits import split_lines
from cruijff_kit.data.tabular.draft import Look, draft_schema, look_at, misfits
from cruijff_kit.data.tabular.row_reader import Telling
from cruijff_kit.data.tabular.schema_text import parse_schema, render_schema
from cruijff_kit.data.tabular.texts import Scan, scan_table, split_names, told_rows
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.table import SchemaDraft, TableReceipt, TableSchema, TableSource, TableText, Tabular
from cruijff_kit.workflow.conversion import record_written
from cruijff_kit.workflow.generated_files import open_named, withheld
from cruijff_kit.workflow.tiers import sidecar_of, tier_of, told_tier

__all__ = ["check_table_schema", "draft_table_schema", "tell_table"]

_GENERATOR = "tabular"
_MOST = 50


class _Work(NamedTuple):
    """A table that is to be told: how, what was found in it, the hashes of its files, and its tier as declared."""

    told: Telling
    scan: Scan
    hashes: Mapping[str, str]
    declared: Tier | None


def draft_table_schema(
    table: TableSource,
    *,
    output: str | None = None,
    keep: Sequence[str] = (),
    mode: Literal["show", "new", "replace"] = "new",
    progress: Progress | None = None,
    world: World,
) -> SchemaDraft:
    """Draft the schema of a table: types, ranges, words for codes; what may tell a person is left out.

    Args:
        table: the table; relative paths start at the experiment.
        output: file to write inside the experiment; `<table>.schema.yaml` where None.
        keep: columns to keep though they look like identifiers or personal data.
        mode: return it only, write it where none is, or replace what is there.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the table cannot be used, or a schema is there already.
        SiteError: the extra that reads the format is not installed.
    """
    source, place = table.path, world.store.root / table.path
    path = output or f"{PurePosixPath(source).stem}.schema.yaml"
    found = tier_of(place, declared=table.tier, world=world)
    with open_named(place, shown=source) as file:
        if mode == "new" and world.store.read(path) is not None:
            hint = "name another with `--output`, or replace it with `--force`"
            raise SpecError(f"`{path}` is there already", hint=hint)
        look = look_at(file, source, sheet=table.sheet, progress=progress)
    text = render_schema(draft_schema(look, keep=keep))
    if mode != "show":
        world.store.write(path, text)
        inputs = {source: _digest(place, world)}
        record_written("schema", path, inputs=inputs, outputs={path: _sha256(text)}, world=world)
    hidden = bool(withheld(found, [source], world=world))
    draft = _draft(source, look, path=path, tier=found, hidden=hidden, world=world)
    return draft.model_copy(update={"text": "" if hidden or mode != "show" else text})


def check_table_schema(
    table: TableSource, schema_file: str, *, progress: Progress | None = None, world: World
) -> SchemaDraft:
    """Check a schema against every cell of its table; nothing is written.

    Args:
        table: the table; relative paths start at the experiment.
        schema_file: its schema, relative likewise.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the table or the schema cannot be used.
        SiteError: the extra that reads the format is not installed.
    """
    source, place = table.path, world.store.root / table.path
    schema = _schema(schema_file, world)
    found = tier_of(place, declared=table.tier, world=world)
    hidden = bool(withheld(found, [source], world=world))
    with open_named(place, shown=source) as file:
        look = look_at(file, source, schema=schema, sheet=table.sheet, progress=progress)
    with open_named(place, shown=source) as file:
        problems = tuple(misfits(file, source, schema=schema, sheet=table.sheet, shown=not hidden))
    draft = _draft(source, look, path=schema_file, tier=found, hidden=hidden, world=world)
    return draft.model_copy(update={"problems": problems})


def tell_table(
    arguments: Mapping[str, Any],
    *,
    dry_run: bool = False,
    count: int = 2,
    tier: Tier | None = None,
    progress: Progress | None = None,
    world: World,
) -> TableReceipt:
    """Write the data set that a table, a schema and arguments make, or show its first texts.

    A design that names the generator `tabular` with the same arguments finds this file.

    Args:
        arguments: of the generator; relative paths start at the experiment.
        dry_run: write nothing, and show texts where the tier allows it.
        count: texts of each split that a dry run shows, from 0 to 50.
        tier: how freely the table may be shown, as declared.
        progress: told of rows read, of all that will be.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the arguments, the schema or the table cannot be used; all problems at once.
        SiteError: the extra that reads the format is not installed.
    """
    if not 0 <= count <= _MOST:
        raise SpecError(f"`count` is `{count}`; it goes from 0 to {_MOST}", hint="show fewer texts")
    problems = check_arguments(_GENERATOR, arguments)
    if problems:
        raise SpecError("the table cannot be told like that", problems=problems)
    typed = Tabular.model_validate(dict(arguments))
    place = world.store.root / typed.source
    paths = named_files(_GENERATOR, arguments)
    files = {name: _bytes(world.store.root / path, shown=path) for name, path in paths.items() if name != "source"}
    told = telling_of(typed, files)
    shown_tier = tier_of(place, declared=tier, world=world)
    hashes = {"source": _digest(place, world), **{name: _sha256(each) for name, each in files.items()}}
    key = dataset_key(_GENERATOR, arguments, hashes=hashes)
    with open_named(place, shown=typed.source) as file:
        scan = scan_table(told, file, progress=progress)
    receipt = _receipt(key, scan, tier=shown_tier)
    if typed.threshold is None and not typed.mapping and withheld(shown_tier, [typed.source], world=world):
        # Answers by threshold or mapping are the user's own words; others are cells.
        receipt = receipt.model_copy(update={"answers": {}})
    if dry_run:
        return _preview(receipt, told, scan=scan, count=count, world=world)
    return _written(receipt, _Work(told, scan, hashes, tier), progress=progress, world=world)


def _receipt(key: str, scan: Scan, *, tier: Tier) -> TableReceipt:
    return TableReceipt(
        path=ExperimentLayout.dataset(key),
        key=key,
        written=False,
        rows=scan.rows,
        splits={},
        answers=_plain(scan.answers),
        skipped=dict(scan.skipped),
        tier=tier,
    )


def _preview(receipt: TableReceipt, told: Telling, *, scan: Scan, count: int, world: World) -> TableReceipt:
    source = told.arguments.source
    hidden = withheld(receipt.tier, [source], world=world)

    def opened() -> IO[bytes]:
        return open_named(world.store.root / source, shown=source)

    rows = () if hidden or not count else told_rows(told, scan, opened=opened, most=count)
    samples = tuple(
        TableText(split=name, row=row["row"], input=row["input"], output=row["output"]) for name, row in rows
    )
    return receipt.model_copy(update={"samples": samples, "withheld": hidden, "splits": _expected(told, scan)})


def _expected(told: Telling, scan: Scan) -> dict[str, int]:
    copies = {"train": told.arguments.copies}
    return {
        name: int((scan.splits == code).sum()) * copies.get(name, 1)
        for code, name in enumerate(GENERATORS[_GENERATOR].splits)
        if name in split_names(told.arguments)
    }


def _written(receipt: TableReceipt, work: _Work, *, progress: Progress | None, world: World) -> TableReceipt:
    """Write the data set row by row, its sidecar last; a file that is there already and whole is left alone."""
    told, scan, hashes, declared = work
    source, counts = told.arguments.source, _expected(told, scan)
    meta_path = ExperimentLayout.dataset_meta(receipt.key)
    sha256 = world.store.digest(receipt.path)
    if sha256 is not None and sidecar_of(world.store.root / receipt.path).get("sha256") == sha256:
        return receipt.model_copy(update={"sha256": sha256, "splits": counts})

    def opened() -> IO[bytes]:
        return open_named(world.store.root / source, shown=source)

    lines = split_lines(split_names(told.arguments), told_rows(told, scan, opened=opened, progress=progress))
    written = world.store.write_parts(receipt.path, lines)
    if _digest(world.store.root / source, world) != hashes["source"]:
        raise SpecError(f"`{source}` changed while it was read", hint="try again when nothing writes it")
    arguments = told.arguments.model_dump(mode="json")
    facts = dataset_facts(_GENERATOR, arguments, key=receipt.key, splits=counts, written=written)
    facts = facts.model_copy(update={"inputs": dict(hashes)})
    root = world.store.root
    said = told_tier(root / receipt.path, sources=[root / source], declared=declared, root=root)
    world.store.write(meta_path, dataset_meta(facts, tier=said))
    inputs = {str(getattr(told.arguments, name)): sha256 for name, sha256 in hashes.items()}
    record_written("tell", receipt.path, inputs=inputs, outputs={receipt.path: written[0]}, world=world)
    return receipt.model_copy(update={"written": True, "sha256": written[0], "splits": counts})


def _draft(source: str, look: Look, *, path: str, tier: Tier, hidden: bool, world: World) -> SchemaDraft:
    empty = {"counts": {}, "least": "", "greatest": ""}
    columns = tuple(each.model_copy(update=empty) if hidden else each for each in look.columns)
    sha256 = _digest(world.store.root / source, world)
    return SchemaDraft(source=source, sha256=sha256, rows=look.rows, tier=tier, path=path, columns=columns)


def _schema(path: str, world: World) -> TableSchema:
    content = _bytes(world.store.root / path, shown=path)
    try:
        return parse_schema(content.decode("utf-8-sig"), name=path)
    except UnicodeDecodeError as err:
        raise SpecError(f"`{path}` is not UTF-8", hint="save it as UTF-8") from err


def _bytes(place: Path, *, shown: str) -> bytes:
    with open_named(place, shown=shown) as file:
        return file.read()


def _digest(place: Path, world: World) -> str:
    return world.store.digest(str(place)) or ""


def _sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _plain(answers: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {split: dict(counts) for split, counts in answers.items()}
