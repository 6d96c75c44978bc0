"""Convert data: a data set written in another format, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cruijff_kit.data.converters import write_dataset
from cruijff_kit.data.formats import Content, content_sha256, is_data_file
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.tiers import TIERS, strictest
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.dataset_report import ConvertReceipt
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.seal import read_lock
from cruijff_kit.workflow.tiers import marks_of, tier_of

__all__ = ["KEPT", "convert_data", "own_target", "record_written"]

KEPT = frozenset(
    {
        ExperimentLayout.lock,
        ExperimentLayout.plan,
        ExperimentLayout.results,
        ExperimentLayout.model_audit,
        ExperimentLayout.wanted,
        ExperimentLayout.compute,
        ExperimentLayout.search,
        ExperimentLayout.sanity,
        ExperimentLayout.archived,
        ExperimentLayout.imported,
        ExperimentLayout.arrays,
        ExperimentLayout.predictions,
        ExperimentLayout.runs,
        ExperimentLayout.logs,
        "outputs",
        "report",
    }
)
"""What jobs and verbs write: no data of a user's, whatever its ending."""


def convert_data(source: str, target: str, *, force: bool = False, world: World) -> ConvertReceipt:
    """Write a data set in the format that its new name asks for; rows and splits stay as they are.

    Args:
        source: file or folder in any format that a design may name; relative paths start at the experiment.
        target: `.json`, `.jsonl` or `.parquet` file, or a folder, inside the experiment.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the source cannot be used, the target cannot hold it, or is there already.
        SiteError: the extra that reads or writes a format is not installed.
    """
    place = world.store.root / source
    try:
        read = read_data(place)
    except (OSError, ValueError) as err:
        fact = (getattr(err, "strerror", None) or str(err)).lower()
        hint = "mend the path; relative paths start at the experiment's directory"
        raise SpecError(f"`{source}` cannot be read: {fact}", hint=hint) from err
    splits = load_splits(read, name=source, columns=Columns(None, None))
    name = _relative(target, world)
    content = write_dataset(splits, name=name)
    files = (
        {f"{name}/{file}": each for file, each in content.items()} if isinstance(content, Mapping) else {name: content}
    )
    _refuse_overwriting(name, files, force=force, world=world)
    _refuse_freer(source, name, world=world)
    for path, each in files.items():
        world.store.write(path, each)
    receipt = ConvertReceipt(
        source=str(place),
        source_sha256=content_sha256(read),
        target=name,
        sha256=content_sha256(content),
        files=tuple(files),
        splits={split: len(rows) for split, rows in splits.items()},
    )
    rows = {f"rows_{split}": str(count) for split, count in receipt.splits.items()}
    outputs = {"sha256": receipt.sha256, **rows}
    record_written("convert", name, inputs={receipt.source: receipt.source_sha256}, outputs=outputs, world=world)
    return receipt


def own_target(target: str, *, source: str | None, force: bool, world: World) -> str:
    """Return where a file of the user's may be written, relative to the experiment.

    Args:
        target: the file, as it was named.
        source: what it is made of; it is kept no less closely there, and never replaced. None where it is made up.
        force: replace what is there.
        world: the experiment.

    Raises:
        SpecError: it is a place of the experiment's own files, outside it, kept less closely, there already, or the
            source or a part of it.
    """
    name = _relative(target, world)
    if source is not None:
        _refuse_source(source, name, root=world.store.root)
    _refuse_overwriting(name, {name: b""}, force=force, world=world)
    if source is not None:
        _refuse_freer(source, name, world=world)
    return name


def record_written(
    verb: str, path: str, *, inputs: Mapping[str, str], outputs: Mapping[str, str], world: World
) -> None:
    """Record data that was written where there is a record: before the first design there is none."""
    if world.audit.head() is None:
        return
    event = AuditEvent(
        actor=world.actor,
        verb=verb,
        action=Action.VERIFY_DATASET,
        subject=path,
        inputs=dict(inputs),
        outputs=dict(outputs),
    )
    world.audit.append(event)


def _relative(target: str, world: World) -> str:
    path = Path(target)
    if path.is_absolute() and path.is_relative_to(world.store.root):
        path = path.relative_to(world.store.root)
    return PurePosixPath(path).as_posix()


def _refuse_overwriting(name: str, files: Mapping[str, Content], *, force: bool, world: World) -> None:
    lock = read_lock(world)
    kept = {*KEPT, *(lock.files if lock else ())}
    ours = [path for path in files if path in kept or path.partition("/")[0] in KEPT]
    if ours:
        hint = "name a file of your own, best below `data/`"
        raise SpecError(f"`{ours[0]}` is a place of the experiment's own files", hint=hint)
    there = [path for path in files if world.store.read(path) is not None]
    if there and not force:
        raise SpecError(f"`{there[0]}` is there already", hint="name another, or replace it with `--force`")
    others = [path for path in world.store.glob(name) if path not in files] if name not in files else []
    if others:
        hint = "name another folder, or move those away: whatever lies in it is part of the data set"
        raise SpecError(f"folder `{name}` holds `{others[0]}` already", hint=hint)


def _refuse_source(source: str, target: str, *, root: Path) -> None:
    """Refuse to replace what is read, even where replacing was asked for, or to become a part of it."""
    read, written = (root / source).resolve(), (root / target).resolve()
    if read == written:
        hint = "write another file, look at it, and move it over this one then"
        raise SpecError(f"`{target}` is the source itself, and would be gone", hint=hint)
    if written.is_relative_to(read) and is_data_file(written.relative_to(read).as_posix()):
        hint = "name a place outside that folder: whatever lies in it is part of the data set"
        raise SpecError(f"`{target}` would lie in `{source}`, which is read", hint=hint)


def _refuse_freer(source: str, target: str, *, world: World) -> None:
    """Refuse to write a copy where it would be kept less closely than what it is a copy of."""
    root = world.store.root
    kept = strictest(marks_of(root / source, root=root), unsaid="green")
    found = tier_of(root / target, world=world)
    if TIERS.index(found) < TIERS.index(kept):
        hint = f"write it below `data/{kept}/`"
        raise SpecError(f"`{source}` is {kept}, and `{target}` would be {found}", hint=hint)
