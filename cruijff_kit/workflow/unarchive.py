"""Unarchive: an experiment comes back as it was, once its archive was held against the manifest."""

from pathlib import PurePosixPath
from typing import NamedTuple

from cruijff_kit.errors import PlanError, ResultError, SiteError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.archive import ArchiveManifest, ArchiveMark, UnarchivePreview, UnarchiveReceipt
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout
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
from cruijff_kit.workflow.moving import bring_back, parts_of
from cruijff_kit.workflow.seal import LOCK_NAME
from cruijff_kit.workflow.surroundings import vault_of

__all__ = ["preview_unarchive", "unarchive_experiment"]

_VERB = "unarchive"


class _Found(NamedTuple):
    """An archive that may be brought back."""

    place: str
    """Where it lies."""
    manifest: ArchiveManifest
    """What is in it."""


def preview_unarchive(*, source: str | None = None, proven: bool = True, world: World) -> UnarchivePreview:
    """Return what would come back, once every file was held against the manifest; never writes.

    Args:
        source: the archive; the one that the project's mark names where None.
        proven: whether the files are looked at; who brings them back does so in any case. Those of a move that was
            interrupted were, when it began.
        world: the experiment, as it is called in its project, and its surroundings.

    Raises:
        PlanError: the experiment is not archived, or something lies where it belongs.
        ResultError: the archive is not as it was put away; names the files.
        SiteError: a file cannot be read.
    """
    mark = read_mark(world)
    found = _found(source, mark, world=world)
    if mark is None or mark.state != "restoring":
        if proven:
            refuse_changed(*found, world=world)
        _refuse_taken(found, world=world)
    manifest = found.manifest
    return UnarchivePreview(
        experiment=manifest.experiment,
        archive=found.place,
        origin=manifest.origin,
        places=tuple(manifest.places.values()),
        files=len(manifest.files),
        bytes=sum(entry.bytes for entry in manifest.files.values()),
        archived=manifest.archived,
        dropped=manifest.dropped,
    )


def unarchive_experiment(
    *, source: str | None = None, reason: str = "", progress: Progress | None = None, world: World
) -> UnarchiveReceipt:
    """Bring an experiment back as it was: verified against the manifest, copied, verified again, then removed there.

    Safe to kill at any point: the same command goes on where it stopped.

    Args:
        source: the archive; the one that the project's mark names where None.
        reason: why, in the words of whoever decided.
        progress: is told of files copied.
        world: the experiment, as it is called in its project, and its surroundings.

    Raises:
        PlanError: the experiment is not archived, or something lies where it belongs.
        ResultError: the archive is not as it was put away; names the files.
        SiteError: a file cannot be read or written.
    """
    with world.store.lock(LOCK_NAME):
        mark = read_mark(world)
        begun = mark is not None and mark.state == "restoring"
        if mark is None or not begun:
            mark = _opened(source, mark, reason=reason, world=world)
        vault, origin = vault_of(world), str(world.store.root)
        place = archive_of(mark, world=world)
        if vault.survey(place) is not None and vault.read(place, ExperimentLayout.archived) is not None:
            manifest = _here(manifest_in(place, mark, world=world), world)
            # Whoever begins now has just verified it.
            if begun and vault.survey(origin) is None:
                refuse_changed(place, manifest, world=world)
            bring_back(place, manifest, vault=vault, progress=progress)
            _remove(place, manifest, world=world)
        if vault.survey(origin) is None:
            fact = f"neither `{place}` nor `{origin}` is there"
            raise SiteError(fact, hint="restore the archive from a copy, then repeat the command")
        vault.sweep(place)
        _close(mark, place, world=world)
        return UnarchiveReceipt(
            experiment=mark.experiment, origin=origin, files=mark.files, bytes=mark.bytes, dropped=mark.dropped
        )


def _found(source: str | None, mark: ArchiveMark | None, *, world: World) -> _Found:
    """Return the archive that is asked for."""
    name = world.store.root.name
    if mark is not None and mark.state == "copying":
        hint = f"finish that with `ck -C {name} archive`"
        raise PlanError(f"experiment `{name}` is still being put away, and lies in its place", hint=hint)
    if source is None and mark is None:
        hint = "name the archive with `--from DIR`; `ck search` lists those of this project"
        raise PlanError(f"experiment `{name}` is not archived here", hint=hint)
    marked = None if mark is None else archive_of(mark, world=world)
    place = marked or "" if source is None else str(PurePosixPath(project_of(world), source))
    manifest = manifest_in(place, mark if place == marked else None, world=world)
    if manifest.experiment != name:
        hint = f"run `ck -C {manifest.experiment} unarchive --from {place}`"
        raise PlanError(f"`{place}` is the archive of `{manifest.experiment}`", hint=hint)
    return _Found(place, _here(manifest, world))


def _here(manifest: ArchiveManifest, world: World) -> ArchiveManifest:
    """Return a manifest as it holds here: a project that was moved as a whole has its experiments where it is now."""
    return manifest.model_copy(update={"origin": str(world.store.root)})


def _refuse_taken(found: _Found, *, world: World) -> None:
    """Refuse to bring an experiment back where something else lies by now."""
    for part in parts_of(found.manifest.origin, found.manifest.places):
        if vault_of(world).survey(part.place) is not None:
            hint = "if `ck archive` was interrupted, repeat it first; else move that away. The archive is as it was"
            raise PlanError(f"`{part.place}` is there already", hint=hint)


def _opened(source: str | None, mark: ArchiveMark | None, *, reason: str, world: World) -> ArchiveMark:
    """Verify an archive, and write down and record that it is about to be brought back."""
    found = _found(source, mark, world=world)
    refuse_changed(*found, world=world)
    _refuse_taken(found, world=world)
    place, manifest = found
    content = vault_of(world).digest(place, ExperimentLayout.archived)
    opened = ArchiveMark(
        experiment=manifest.experiment,
        state="restoring",
        archive=place_words(place, world=world),
        since=world.clock.now(),
        reason=reason,
        files=len(manifest.files),
        bytes=sum(entry.bytes for entry in manifest.files.values()),
        manifest_sha256=content,
        dropped=manifest.dropped,
    )
    begun = moved_event(opened, place, verb=_VERB, action=Action.UNARCHIVE, world=world)
    record_step(begun, vault_of(world).record(place))
    return write_mark(opened, world=world)


def _remove(place: str, manifest: ArchiveManifest, *, world: World) -> None:
    """Remove an archive whose files are all back; its manifest goes last."""
    vault = vault_of(world)
    grown = vault.digest(manifest.origin, ExperimentLayout.audit)
    if vault.digest(place, ExperimentLayout.audit) not in (None, grown):
        hint = "nothing was removed; compare the two records"
        raise ResultError(f"the record in `{place}` has other lines than that in `{manifest.origin}`", hint=hint)
    vault.remove(place, (*manifest.files, *manifest.links))
    vault.remove(place, (ExperimentLayout.archived,))
    vault.sweep(place)


def _close(mark: ArchiveMark, place: str, *, world: World) -> None:
    """Record that the experiment is back, once, and forget where it was."""
    record_step(moved_event(mark, place, verb=_VERB, action=Action.COMPLETE, world=world), world.audit)
    render_views(world=world)
    vault_of(world).remove(project_of(world), (ArchiveLayout(mark.experiment).mark,))
