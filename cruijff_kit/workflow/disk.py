"""Disk: what an experiment takes, what may go, and whether there is room for what is due."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import CruijffError, Problem
from cruijff_kit.planning.estimates import disk_span
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.disk import DiskItem, DiskKind, DiskReport, PruneReceipt
from cruijff_kit.schema.layout import MERGED, STASH, RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.run import Done, Phase
from cruijff_kit.schema.site_facts import FolderFacts
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.seal import read_lock, recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.surroundings import shelf_of

__all__ = ["disk_shortage", "drop_files", "list_disk", "outputs_of", "prune_disk", "take_stock"]

_EPOCH = re.compile(r"epoch_\d+")
_CHECKPOINTS = "recipe_state"
# What a run leaves beside its adapters: logs, metrics, predictions.
_RECORDS = 10_000_000
_FILES = 50
_TOP: Mapping[str, DiskKind] = {"runs": "records", "data": "data", "logs": "records", "outputs": "other"}


def list_disk(*, world: World) -> DiskReport:
    """Return what an experiment takes on disk, by kind and run, and what of it may go; never writes.

    Adapters, logs and records are never proposed: nothing makes them again.

    Raises:
        PlanError: nothing was scaffolded.
        SiteError: a directory cannot be read.
    """
    items = [item for item, _ in _items(world)]
    return DiskReport(
        items=tuple(items),
        bytes=sum(item.bytes for item in items),
        prunable=sum(item.bytes for item in items if item.prunable),
    )


def prune_disk(*, kinds: tuple[DiskKind, ...] = (), reason: str = "", world: World) -> PruneReceipt:
    """Remove what `list_disk` proposes, and nothing else; each run's `DONE` stops naming it first.

    Safe to repeat and to kill: what is left is proposed again.

    Args:
        kinds: kinds to remove; all that are proposed where empty.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: nothing was scaffolded.
        SiteError: a file cannot be removed, or a link lies in its way.
    """
    with world.store.lock("submit"):
        return drop_files(kinds=kinds, reason=reason, world=world)


def drop_files(*, kinds: tuple[DiskKind, ...], reason: str, world: World) -> PruneReceipt:
    """Remove what `list_disk` proposes of some kinds, of all where none is named; the caller holds the lock."""
    chosen = [(item, files) for item, files in _items(world) if item.prunable and (not kinds or item.kind in kinds)]
    if not chosen:
        return PruneReceipt(files=0, bytes=0)
    world.audit.append(*(_event(item, reason=reason, world=world) for item, _ in chosen))
    freed = 0
    for item, files in chosen:
        _forget(item, files, world=world)
        freed += shelf_of(world).remove(item.folder, files)
    render_views(world=world)
    return PruneReceipt(files=sum(len(files) for _, files in chosen), bytes=freed)


def take_stock(*, world: World) -> list[DiskItem]:
    """Return what an experiment takes on disk, by kind and run, of one that was not scaffolded too."""
    if read_lock(world) is None:
        root = str(world.store.root)
        return list(_own(shelf_of(world).files(root), root, told=()))
    return [item for item, _ in _items(world)]


def disk_shortage(due: Sequence[PlannedRun], *, world: World) -> list[Problem]:
    """Return a problem where due trainings keep more than is free, or left of a quota: bytes, or files."""
    if not due:
        return []
    facts = {path: world.hub.facts(path) for path in dict.fromkeys(run.model_path for run in due)}
    needed = int(sum(disk_span(run, facts[run.model_path]).value for run in due))
    place = outputs_of(due[0], world)
    if world.probe is None or place is None:
        here = FolderFacts(path=place or str(world.store.root), exists=True, free=world.store.disk().free)
        return list(_short(here, needed, runs=len(due), world=world))
    outputs, home = (world.probe.folder(each, tries=False) for each in (place, str(world.store.root)))
    problems = list(_short(outputs, needed, runs=len(due), world=world))
    if home.mount != outputs.mount:
        problems += _short(home, _RECORDS * len(due), runs=len(due), world=world)
    return problems


def outputs_of(run: PlannedRun, world: World) -> str | None:
    """Return the folder in which the output directories of runs lie, as a run's configuration names it."""
    path = RunLayout(run.id).config
    text = world.store.read_text(path)
    value = load_yaml(text, name=path).value if text is not None else None
    return str(PurePosixPath(value["output_dir"]).parent) if isinstance(value, dict) and "output_dir" in value else None


def _short(room: FolderFacts, needed: int, *, runs: int, world: World) -> Iterator[Problem]:
    """Yield a problem where a directory has less room than runs need, in bytes or in files."""
    left, source = room.free, "free"
    if room.quota_left is not None and (left is None or room.quota_left < left):
        left, source = (
            room.quota_left,
            f"left by the quota of {room.quota_of}" if room.quota_of else "left of your quota",
        )
    where = f"at `{room.path}`" + (f", on `{room.mount}`" if room.mount not in {"", "/"} else "")
    hint = f"{_proposal(world)}; or keep fewer epochs, or submit fewer runs at a time"
    if left is not None and needed > left:
        fact = f"the trainings keep about {needed / 1e9:.3g} GB, and {left / 1e9:.3g} GB are {source} {where}"
        yield Problem(fact, "output.output_dir_base", hint=hint)
    if room.files_left is not None and room.files_left < _FILES * runs:
        fact = f"{runs} runs make some {_FILES * runs} files, and {room.files_left} more may be made {where}"
        yield Problem(fact, "output.output_dir_base", hint=hint)


def _proposal(world: World) -> str:
    """Return what `ck disk` would free of this experiment, in words."""
    try:
        prunable = list_disk(world=world).prunable if world.shelf is not None else 0
    except CruijffError:
        prunable = 0
    if prunable:
        return f"`ck disk --prune` frees {prunable / 1e9:.3g} GB here"
    return "`ck disk` proposes what may go in each experiment"


def _items(world: World) -> Iterator[tuple[DiskItem, list[str]]]:
    """Yield each kind of file of each run, with the files, then the experiment's own."""
    plan, _ = recorded_plan(world=world)
    ended = {
        (entry.run_id, entry.step.value): entry.phase is Phase.COMPLETED for entry in read_status(world=world).steps
    }
    shelf, root = shelf_of(world), str(world.store.root)
    told: list[str] = []
    for run in plan.runs:
        folder = _output(run, world)
        if folder is None:
            continue
        told.append(f"{folder}/")
        trained, evaluated = ended.get((run.id, "train"), False), ended.get((run.id, "eval"), not run.cells)
        found = shelf.files(folder)
        kinds: dict[str, DiskKind] = {path: _kind(path, found) for path in found}
        for kind in dict.fromkeys(kinds.values()):
            files = [path for path in found if kinds[path] == kind]
            why = _why(kind, trained=trained, evaluated=evaluated)
            size = sum(found[path] for path in files)
            item = DiskItem(run_id=run.id, kind=kind, folder=folder, files=len(files), bytes=size, prunable=why)
            yield item, files
    yield from ((item, []) for item in _own(shelf.files(root), root, told=tuple(told)))


def _own(found: Mapping[str, int], root: str, *, told: tuple[str, ...]) -> Iterator[DiskItem]:
    """Yield what the experiment's own directory takes, output directories aside that were told before."""
    sizes: Counter[DiskKind] = Counter()
    counts: Counter[DiskKind] = Counter()
    for path, size in found.items():
        top, _, rest = path.partition("/")
        if f"{root}/{path}".startswith(told):
            continue
        kind = _TOP.get(top, "records" if not rest else "results")
        sizes[kind] += size
        counts[kind] += 1
    for kind, size in sizes.items():
        yield DiskItem(run_id="", kind=kind, folder=root, files=counts[kind], bytes=size, prunable="")


def _kind(path: str, found: Mapping[str, int]) -> DiskKind:
    """Return what a file of an output directory is, by where it lies."""
    parts = path.split("/")
    if parts[0] == _CHECKPOINTS:
        return "checkpoints"
    if parts[0] == "logs":
        return "tracking"
    if parts[0].startswith(".") and parts[0].endswith(".part"):
        return "unfinished"
    if not _EPOCH.fullmatch(parts[0]) or len(parts) < 2:
        return "adapters" if parts[0].startswith("best") else "other"
    stashed = any(other.startswith(f"{parts[0]}/{STASH}/adapter_") for other in found)
    merged = parts[1] == MERGED or (stashed and parts[1] != STASH)
    return "merged" if merged else "adapters"


def _why(kind: DiskKind, *, trained: bool, evaluated: bool) -> str:
    """Return why files of a kind may go; empty where they may not."""
    if kind == "checkpoints" and trained:
        return "the training is finished and resumes no more"
    if kind == "unfinished" and trained:
        return "what a killed job left half written"
    if kind == "merged" and trained and evaluated:
        return "`ck adapter merge` makes it again from base and adapter"
    return ""


def _output(run: PlannedRun, world: World) -> str | None:
    """Return a run's output directory, if its configuration names one that is called after the run."""
    base = outputs_of(run, world)
    return None if base is None else f"{base}/{RunLayout(run.id).output}"


def _forget(item: DiskItem, files: Sequence[str], *, world: World) -> None:
    """Take files out of what a run's `DONE` vouches for, before they go."""
    path = RunLayout(item.run_id).done("train")
    done = Done.found_in(world.store.read(path))
    if done is None:
        return
    gone = {str(PurePosixPath(item.folder, file)) for file in files}
    kept = {name: sha for name, sha in done.artefacts.items() if str(world.store.root / name) not in gone}
    if kept != done.artefacts:
        world.store.write(path, done.model_copy(update={"artefacts": kept}).model_dump_json(indent=2) + "\n")


def _event(item: DiskItem, *, reason: str, world: World) -> AuditEvent:
    return AuditEvent(
        actor=world.actor,
        verb="prune",
        action=Action.CHECK_DISK,
        subject=item.run_id,
        reason=reason,
        inputs={"folder": item.folder},
        outputs={"removed": item.kind, "files": str(item.files), "bytes": str(item.bytes)},
    )
