"""Marks: where an archived experiment went, and the manifest that proves what is there."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from pydantic import ValidationError

from cruijff_kit.errors import Problem, ResultError, SiteError
from cruijff_kit.ports import AuditLog, World
from cruijff_kit.schema.archive import ArchiveManifest, ArchiveMark
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout
from cruijff_kit.workflow.moving import misfits
from cruijff_kit.workflow.roots import refuse_writing
from cruijff_kit.workflow.surroundings import vault_of

__all__ = [
    "archive_of",
    "manifest_in",
    "moved_event",
    "place_words",
    "project_of",
    "read_mark",
    "record_step",
    "refuse_changed",
    "write_mark",
]

_SHOWN = 20


def project_of(world: World) -> str:
    """Return the directory that the experiment lies in, or would."""
    return str(world.store.root.parent)


def read_mark(world: World) -> ArchiveMark | None:
    """Return what tells where the experiment went; None where it is in its place.

    Raises:
        SiteError: the mark cannot be read.
    """
    path = ArchiveLayout(world.store.root.name).mark
    content = vault_of(world).read(project_of(world), path)
    try:
        return None if content is None else ArchiveMark.model_validate_json(content)
    except ValidationError as err:
        hint = "restore it from a copy, or remove it: `ck unarchive --from DIR` finds an archive without it"
        raise SiteError(f"`{path}` is torn, or was changed by hand", hint=hint) from err


def write_mark(mark: ArchiveMark, *, world: World) -> ArchiveMark:
    """Write where the experiment went, or goes."""
    text = mark.model_dump_json(indent=1) + "\n"
    vault_of(world).write(project_of(world), ArchiveLayout(mark.experiment).mark, content=text.encode())
    return mark


def archive_of(mark: ArchiveMark, *, world: World) -> str:
    """Return the absolute directory of an archive.

    Raises:
        PlanError: a mark that somebody changed leads out of the directories an assistant may use.
    """
    place = str(PurePosixPath(project_of(world), mark.archive))
    refuse_writing(place, world)
    return place


def place_words(place: str, *, world: World) -> str:
    """Return how a mark names an archive: from the project where it lies in it, which may be moved as a whole."""
    path, project = PurePosixPath(place), project_of(world)
    return str(path.relative_to(project) if path.is_relative_to(project) else path)


def manifest_in(place: str, mark: ArchiveMark | None, *, world: World) -> ArchiveManifest:
    """Return the manifest of an archive.

    Args:
        place: the archive.
        mark: keeps the manifest's hash; None where there is no mark.
        world: the experiment and its surroundings.

    Raises:
        PlanError: what is in it belongs out of the directories an assistant may use.
        ResultError: it is missing, or not as it was written.
    """
    content = vault_of(world).read(place, ExperimentLayout.archived)
    if content is None:
        hint = "name the directory with `--from DIR`, or restore it from a copy"
        raise ResultError(f"`{place}` holds no archive: `{ExperimentLayout.archived}` is not there", hint=hint)
    changed = mark is not None and hashlib.sha256(content).hexdigest() != mark.manifest_sha256
    with suppress(ValidationError):
        manifest = ArchiveManifest.model_validate_json(content)
        if not changed:
            for each in manifest.places.values():
                refuse_writing(each, world)
            return manifest
    fact = f"`{ExperimentLayout.archived}` in `{place}` is not as it was written"
    raise ResultError(fact, hint="restore it from a copy: nothing else proves what is in the archive")


def record_step(event: AuditEvent, record: AuditLog) -> None:
    """Append a step of a move, unless the record ends with it: a repeat after a kill is silent."""
    head = record.head()
    last = next(iter(record.records(after=head.seq - 1)), None) if head is not None else None
    if last is None or (last.verb, last.action, last.inputs) != (event.verb, event.action, event.inputs):
        record.append(event)


def moved_event(mark: ArchiveMark, place: str, *, verb: str, action: Action, world: World) -> AuditEvent:
    """Return a step of a move whose files are counted."""
    return AuditEvent(
        actor=world.actor,
        verb=verb,
        action=action,
        subject=mark.experiment,
        reason=mark.reason or None,
        inputs={"origin": str(world.store.root), "archive": place},
        outputs={"files": str(mark.files), "bytes": str(mark.bytes), "manifest_sha256": mark.manifest_sha256 or ""},
    )


def refuse_changed(place: str, manifest: ArchiveManifest, *, world: World) -> None:
    """Refuse an archive that is not as it was put away; its record may have further lines.

    Raises:
        ResultError: names each file that was changed, is missing, or came later.
    """
    problems = list(_changed(place, manifest, world=world))
    if problems:
        more = f", {_SHOWN} of them shown" if len(problems) > _SHOWN else ""
        fact = f"the archive `{place}` is not as it was put away: {len(problems)} files{more}"
        hint = "restore those files from a copy, or move away what came later; nothing was moved"
        raise ResultError(fact, hint=hint, problems=problems[:_SHOWN])


def _changed(place: str, manifest: ArchiveManifest, *, world: World) -> Iterator[Problem]:
    aside = (ExperimentLayout.archived,)
    yield from misfits(place, manifest.files, links=manifest.links, grown=True, aside=aside, vault=vault_of(world))
    verdict = vault_of(world).record(place).verify([manifest.head] if manifest.head is not None else [])
    if not verdict.ok:
        yield Problem(f"`{ExperimentLayout.audit}` does not hold at line {verdict.line}: {verdict.problem}")
