"""Archive: an experiment is put away whole, proven by hash, and leaves its place only then."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from cruijff_kit.errors import PlanError
from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.archive import ArchiveManifest, ArchiveMark, ArchivePreview, ArchiveReceipt
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.disk import DiskItem, DiskKind
from cruijff_kit.schema.drop import Drop
from cruijff_kit.schema.layout import ARCHIVE, ArchiveLayout, ExperimentLayout
from cruijff_kit.workflow.archive_checks import experiment_tier, outside_places, refuse_short, refuse_unfit
from cruijff_kit.workflow.archive_mark import (
    archive_of,
    manifest_in,
    moved_event,
    place_words,
    project_of,
    read_mark,
    record_step,
    refuse_changed,
    write_mark,
)
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.disk import drop_files, take_stock
from cruijff_kit.workflow.moving import gather, leave, parts_of
from cruijff_kit.workflow.seal import LOCK_NAME
from cruijff_kit.workflow.surroundings import shelf_of, vault_of

__all__ = ["DROPS", "archive_experiment", "preview_archive"]

DROPS: dict[Drop, tuple[DiskKind, ...]] = {"merged": ("merged",), "caches": ("checkpoints", "unfinished")}
"""The kinds of files that each of them stands for."""


def preview_archive(*, to: str | None = None, drop: Sequence[Drop] = (), world: World) -> ArchivePreview:
    """Return what would be put away, where, and what would be dropped; never writes.

    Args:
        to: directory to put it in; `archive` beside the experiments where None.
        drop: what to remove for good, of what `ck disk` proposes.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no experiment, a job of it has not ended, or it may not go there.
        SiteError: something lies there already, there is no room, or a file cannot be read.
    """
    mark = read_mark(world)
    if mark is not None and mark.state != "copying":
        return _begun(mark, world=world)
    place = _place(to, mark, world=world)
    refuse_unfit(place, mark, world=world)
    kinds = {kind for each in drop for kind in DROPS[each]}
    stock = take_stock(world=world)
    found = tuple(item for item in stock if item.prunable and item.kind in kinds)
    moved, dropped = tuple(item for item in stock if item not in found), _together(mark, found)
    preview = ArchivePreview(
        experiment=world.store.root.name,
        origin=str(world.store.root),
        archive=place,
        moved=moved,
        dropped=dropped,
        bytes=sum(item.bytes for item in moved),
        dropped_bytes=sum(item.bytes for item in dropped),
        free=vault_of(world).free(place),
        begun=mark is not None,
    )
    refuse_short(preview, copied=0 if mark is None else _lying(place, world=world))
    return preview


def archive_experiment(
    *,
    to: str | None = None,
    drop: Sequence[Drop] = (),
    reason: str = "",
    progress: Progress | None = None,
    world: World,
) -> ArchiveReceipt:
    """Put an experiment away: copied, every file verified by hash, the manifest written last, then removed here.

    Safe to kill at any point: the same command goes on where it stopped. Output directories that lie
    outside of the experiment go with it. Links are kept as they are.

    Args:
        to: directory to put it in; `archive` beside the experiments where None.
        drop: what to remove for good before, of what `ck disk` proposes.
        reason: why, in the words of whoever decided.
        progress: is told of files copied and verified.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no experiment, a job of it has not ended, it may not go there, or it changed meanwhile.
        ResultError: the archive of an interrupted move was changed since.
        SiteError: something lies there already, there is no room, or a file cannot be read or written.
    """
    with world.store.lock(LOCK_NAME):
        mark = read_mark(world)
        begun = mark is not None
        if mark is not None and mark.state == "restoring":
            hint = f"finish that with `ck -C {mark.experiment} unarchive`"
            raise PlanError(f"experiment `{mark.experiment}` is being brought back", hint=hint)
        if mark is None or mark.state == "copying":
            preview = preview_archive(to=to, drop=drop, world=world)
            mark = _copied(_opened(preview, mark, reason=reason, world=world), progress=progress, world=world)
        place = archive_of(mark, world=world)
        manifest = manifest_in(place, mark, world=world)
        if begun:
            refuse_changed(place, manifest, world=world)
        leave(parts_of(str(world.store.root), manifest.places), manifest, closely=begun, vault=vault_of(world))
        _close(mark, place, world=world)
        return ArchiveReceipt(
            experiment=mark.experiment,
            archive=place,
            files=mark.files,
            bytes=mark.bytes,
            manifest_sha256=mark.manifest_sha256 or "",
            dropped=mark.dropped,
        )


def _opened(preview: ArchivePreview, mark: ArchiveMark | None, *, reason: str, world: World) -> ArchiveMark:
    """Write down what is about to be done, drop what is to be dropped, and record both before anything moves."""
    named = place_words(preview.archive, world=world)
    if mark is not None and mark.archive != named:
        _retract(archive_of(mark, world=world), world=world)
    opened = ArchiveMark(
        experiment=preview.experiment,
        state="copying",
        archive=named,
        since=world.clock.now() if mark is None else mark.since,
        reason=reason or (mark.reason if mark is not None else ""),
        files=0,
        bytes=0,
        manifest_sha256=None,
        dropped=preview.dropped,
    )
    write_mark(opened, world=world)
    begun = AuditEvent(
        actor=world.actor,
        verb="archive",
        action=Action.ARCHIVE,
        subject=opened.experiment,
        reason=opened.reason or None,
        inputs={"origin": preview.origin, "archive": preview.archive},
        outputs={"bytes": str(preview.bytes), "dropped_bytes": str(sum(item.bytes for item in opened.dropped))},
    )
    # The part that was dropped before a kill is on record; what is left of it goes now.
    kinds: tuple[DiskKind, ...] = tuple(dict.fromkeys(item.kind for item in opened.dropped))
    if kinds:
        drop_files(kinds=kinds, reason=opened.reason, world=world)
    record_step(begun, world.audit)
    render_views(world=world)
    return opened


def _copied(mark: ArchiveMark, *, progress: Progress | None, world: World) -> ArchiveMark:
    """Copy an experiment to where it goes; the manifest comes last, and only then is it called archived."""
    vault, origin, place = vault_of(world), str(world.store.root), archive_of(mark, world=world)
    staged, places = ArchiveLayout.staged(place), outside_places(world)
    if _is_own(place, world=world):
        # Nothing was removed yet, and who knows what was done to the experiment since: it is compared anew.
        vault.settle(place, staged)
    tree, files = gather(parts_of(origin, places), staged, vault=vault, progress=progress)
    manifest = ArchiveManifest(
        experiment=mark.experiment,
        origin=origin,
        archived=world.clock.now(),
        tier=experiment_tier(world),
        head=world.audit.head(),
        files=files,
        links=tree.links,
        folders=tree.folders,
        places=places,
        dropped=mark.dropped,
    )
    content = (canonical_json(manifest.model_dump(mode="json")) + "\n").encode()
    vault.write(staged, ExperimentLayout.archived, content=content)
    vault.settle(staged, place)
    told = {
        "state": "archived",
        "files": len(files),
        "bytes": sum(entry.bytes for entry in files.values()),
        "manifest_sha256": hashlib.sha256(content).hexdigest(),
    }
    return write_mark(mark.model_copy(update=told), world=world)


def _close(mark: ArchiveMark, place: str, *, world: World) -> None:
    """Record in the archive that all of it is there and nothing is left behind, once."""
    ended = moved_event(mark, place, verb="archive", action=Action.COMPLETE, world=world)
    record_step(ended, vault_of(world).record(place))


def _begun(mark: ArchiveMark, *, world: World) -> ArchivePreview:
    """Return what is left of a move whose copy is whole."""
    place = archive_of(mark, world=world)
    return ArchivePreview(
        experiment=mark.experiment,
        origin=str(world.store.root),
        archive=place,
        moved=(),
        dropped=mark.dropped,
        bytes=0,
        dropped_bytes=0,
        free=vault_of(world).free(place),
        begun=vault_of(world).survey(str(world.store.root)) is not None,
    )


def _place(to: str | None, mark: ArchiveMark | None, *, world: World) -> str:
    """Return the absolute directory that an archive is to be."""
    if to is None and mark is not None:
        return archive_of(mark, world=world)
    home = Path(project_of(world), ARCHIVE if to is None else to).resolve()
    return str(home / world.store.root.name)


def _together(mark: ArchiveMark | None, dropped: Iterable[DiskItem]) -> tuple[DiskItem, ...]:
    """Return all that is dropped, what an interrupted move has dropped before included, each once."""
    before = mark.dropped if mark is not None else ()
    known = {(item.run_id, item.kind) for item in before}
    return (*before, *(item for item in dropped if (item.run_id, item.kind) not in known))


def _lying(place: str, *, world: World) -> int:
    """Return the bytes that an interrupted move has copied already."""
    return sum(sum(shelf_of(world).files(copy).values()) for copy in (ArchiveLayout.staged(place), place))


def _is_own(place: str, *, world: World) -> bool:
    """Return whether a directory is an archive of this experiment."""
    content = vault_of(world).read(place, ExperimentLayout.archived)
    return content is not None and manifest_in(place, None, world=world).origin == str(world.store.root)


def _retract(place: str, *, world: World) -> None:
    """Remove a copy that is not gone on with, as it is to lie elsewhere; the experiment itself is still whole."""
    vault = vault_of(world)
    for copy in (ArchiveLayout.staged(place), *((place,) if _is_own(place, world=world) else ())):
        tree = vault.survey(copy)
        if tree is not None:
            vault.remove(copy, (*tree.files, *tree.links))
            vault.sweep(copy)
