"""Export: an experiment as a crate that other tools read, without what its data's tier keeps here."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import PlanError, SiteError, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.crate import METADATA, README, ROOT_FILE, crate_metadata, crate_readme
from cruijff_kit.runtime.provenance import package_versions
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.crate import CrateFacts, CrateFile, CrateFolder, ExportPart, ExportReceipt
from cruijff_kit.schema.inclusion import LogRoot
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.crate_facts import told_of
from cruijff_kit.workflow.crate_files import (
    Picked,
    about_file,
    adapter_folder,
    chosen_files,
    refuse_closed,
    refuse_secrets,
)
from cruijff_kit.workflow.croissant import NO_LICENCE, described, origins_of
from cruijff_kit.workflow.inclusion import log_root
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.roots import refuse_writing
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.surroundings import vault_of

__all__ = ["export_crate"]

_ZIP = ".zip"
_OTHERS = (".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


def export_crate(
    *,
    into: str | None = None,
    parts: Sequence[ExportPart] = (),
    licence: str = NO_LICENCE,
    reason: str = "",
    progress: Progress | None = None,
    world: World,
) -> ExportReceipt:
    """Write an experiment as a Provenance Run Crate: a zip file or a directory; the experiment is only read.

    What holds no text of the data goes in: design, plan, seal, configurations, manifests, curves, figures and report.
    Adapters, data and logs go in if they are asked for and the data's tier lets them: green, or yellow with consent
    to the way `host`; of red data hashes alone. The record is told by its root.

    Args:
        into: a file that ends in `.zip`, or a directory; `<experiment>.crate.zip` beside the experiment where None.
        parts: what goes in besides.
        licence: under which terms it is given: a URL, or words.
        reason: why, in the words of whoever decided.
        progress: told of files copied.
        world: the experiment and its surroundings.

    Raises:
        PlanError: nothing was sealed, nothing has run yet, or what is asked for may not leave this machine.
        ResultError: the record does not hold.
        SiteError: something lies there already, or a file cannot be read or written.
        SpecError: the licence is empty, or the place is called like a file of another form.
    """
    if not licence.strip():
        raise SpecError("the licence is empty", hint="name its URL, say it in words, or leave `--license` out")
    plan, lock = recorded_plan(world=world)
    order = _Order(plan, lock, tuple(sorted(set(parts))), licence, _place(into, world))
    refuse_closed(order.parts, plan, world=world)
    if not told_of(plan, lock, files=(), world=world).actions:
        hint = "submit its runs first; `ck archive` puts away what has not run"
        raise PlanError("nothing has run yet, so there is nothing to tell of how results came about", hint=hint)
    picked = chosen_files(plan, order.parts, world=world)
    refuse_secrets(picked, world=world)
    _record_begun(order, reason=reason, world=world)
    _clear(order.staged, world)
    _copy(picked, order.staged, progress=progress, world=world)
    told = _described(order, log_root(world=world), world=world)
    vault_of(world).write(order.staged, METADATA, content=crate_metadata(told))
    receipt = _receipt(order, told, world=world)
    _settle(order, world=world)
    _record_done(receipt, plan, world=world)
    return receipt


class _Order(NamedTuple):
    """What is to be exported, and where to."""

    plan: Plan
    lock: DesignLock
    parts: tuple[ExportPart, ...]
    licence: str
    place: str

    @property
    def staged(self) -> str:
        return ArchiveLayout.staged(self.place)


def _place(into: str | None, world: World) -> str:
    """Return the absolute path to write to."""
    root = world.store.root
    place = Path(root.parent, f"{root.name}.crate.zip" if into is None else into).resolve()
    if place.name.casefold().endswith(_OTHERS):
        hint = "name a file that ends in `.zip`, or a directory"
        raise SpecError(f"`{place.name}` is called like a file of a form that is not written here", hint=hint)
    if place.is_relative_to(root.resolve()) or root.resolve().is_relative_to(place):
        raise SiteError(f"`{place}` lies in the experiment, or around it", hint="name a place beside it")
    if place.exists() or place.is_symlink():
        raise SiteError(f"`{place}` is there already", hint="name another with `--into`, or move it away")
    refuse_writing(str(place), world)
    return str(place)


def _record_begun(order: _Order, *, reason: str, world: World) -> None:
    """Record what is about to leave; the root of all lines before stands in that very line, and so in the chain."""
    event = AuditEvent(
        actor=world.actor,
        verb="export",
        action=Action.EXPORT,
        subject=order.plan.experiment,
        reason=reason or None,
        inputs={"plan_id": order.lock.plan_id, "audit_root": log_root(world=world).token},
        outputs={"place": order.place, "parts": ", ".join(order.parts) or "none"},
    )
    world.audit.append(event)
    render_views(world=world)


def _record_done(receipt: ExportReceipt, plan: Plan, *, world: World) -> None:
    event = AuditEvent(
        actor=world.actor,
        verb="export",
        action=Action.COMPLETE,
        subject=plan.experiment,
        inputs={"audit_root": receipt.root.token},
        outputs={"place": receipt.place, METADATA: receipt.metadata_sha256, "files": str(receipt.files)},
    )
    world.audit.append(event)
    render_views(world=world)


def _clear(staged: str, world: World) -> None:
    """Remove what an export that was killed left."""
    tree = vault_of(world).survey(staged)
    if tree is not None:
        vault_of(world).remove(staged, (*tree.files, *tree.links))
        vault_of(world).sweep(staged)


def _copy(picked: Sequence[Picked], staged: str, *, progress: Progress | None, world: World) -> None:
    for number, each in enumerate(picked):
        target = f"{staged}/{each.home}" if each.home else staged
        vault_of(world).copy(each.folder, target, path=each.inner)
        if progress is not None:
            progress(number + 1, len(picked), each.path)


def _described(order: _Order, root: LogRoot, *, world: World) -> CrateFacts:
    """Write a word to the reader, the record's root and descriptions of data; return what is told of it all."""
    vault, plan = vault_of(world), order.plan
    readme = crate_readme(plan.experiment, read_design(world).question, root=root, parts=order.parts)
    vault.write(order.staged, README, content=readme)
    vault.write(order.staged, ROOT_FILE, content=(root.model_dump_json(indent=2) + "\n").encode())
    if "data" in order.parts:
        origins = origins_of(order.licence, world)
        for facts in (each for each in plan.datasets if each.generator):
            content = described(facts, origins=origins, world=world)
            vault.write(order.staged, ExperimentLayout.dataset_croissant(facts.key), content=content)
    return _facts(order, root, world=world)


def _facts(order: _Order, root: LogRoot, *, world: World) -> CrateFacts:
    """Return what is told of what lies in the staging directory, each file by its hash there."""
    files = tuple(_files(order.staged, world))
    told, spec = told_of(order.plan, order.lock, files=files, world=world), read_design(world)
    return CrateFacts(
        name=order.plan.experiment,
        about=" ".join(f"{spec.question} {spec.hypothesis or ''}".split()),
        license=order.licence,
        published=world.clock.now(),
        version=package_versions().get("cruijff-kit", "unknown"),
        plan_id=order.lock.plan_id,
        root=root,
        agents=told.agents,
        files=files,
        folders=tuple(_folders(order.plan, files)),
        things=tuple(told.things.values()),
        software=tuple(told.software.values()),
        levels=tuple(told.levels.values()),
        actions=tuple(told.actions),
    )


def _files(staged: str, world: World) -> Iterable[CrateFile]:
    tree = vault_of(world).survey(staged)
    for path, facts in (tree.files if tree else {}).items():
        digest = vault_of(world).digest(staged, path) or ""
        yield CrateFile(path=path, sha256=digest, bytes=facts.bytes, about=about_file(path))


def _folders(plan: Plan, files: Sequence[CrateFile]) -> Iterable[CrateFolder]:
    """Yield the adapters that lie in the crate."""
    for run in plan.runs:
        for epoch in run.epochs_saved:
            folder = adapter_folder(run, epoch)
            if any(each.path.startswith(folder) for each in files):
                yield CrateFolder(path=folder, about=f"LoRA adapter of {run.id}, epoch {epoch}")


def _receipt(order: _Order, told: CrateFacts, *, world: World) -> ExportReceipt:
    return ExportReceipt(
        place=order.place,
        files=len(told.files) + 1,
        bytes=sum(each.bytes for each in told.files),
        parts=order.parts,
        left_out=tuple(f"{each.name}: {each.about}" for each in told.things),
        root=told.root,
        metadata_sha256=vault_of(world).digest(order.staged, METADATA) or "",
    )


def _settle(order: _Order, *, world: World) -> None:
    """Give the export its place: as one file, or as it lies."""
    if not order.place.casefold().endswith(_ZIP):
        vault_of(world).settle(order.staged, order.place)
        return
    vault_of(world).pack(order.staged, order.place)
    _clear(order.staged, world)
