"""Scaffold: write every run's directory from the design, and seal what was written."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from cruijff_kit.data.generators.registry import dataset_meta, named_files
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.receipt import FileChange, ScaffoldReceipt
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.adopt import adopt_edit, with_adopted
from cruijff_kit.workflow.attempts import read_attempts
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.changes import compare
from cruijff_kit.workflow.hook_checks import hook_hashes
from cruijff_kit.workflow.plan import Planned, plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.recipes import recipe_file, recipe_hash
from cruijff_kit.workflow.run_files import check_files, files_of, frame
from cruijff_kit.workflow.seal import (
    LOCK_NAME,
    plan_hash,
    plan_text,
    read_lock,
    recorded_plan,
    refuse_imported,
    seal,
    sealed_plan,
    site_words,
)
from cruijff_kit.workflow.statement import keep_statement
from cruijff_kit.workflow.tiers import told_tier
from cruijff_kit.workflow.withheld import changes_without_rows

__all__ = ["adopt_edit", "recorded_plan", "scaffold_runs", "sealed_plan"]


class _Sheet(NamedTuple):
    """A plan rendered, beside what lies on disk."""

    plan: Plan
    """The plan."""
    files: dict[str, bytes]
    """Every file planned, the seal aside."""
    sealed: DesignLock | None
    """The seal on disk."""
    changes: tuple[FileChange, ...]
    """What becomes of each file."""
    seal: dict[str, Any]
    """The seal to be, its anchor in the audit log aside."""

    def resembles_seal(self) -> bool:
        """Return whether the seal on disk says the same already."""
        return self.sealed is not None and all(getattr(self.sealed, name) == value for name, value in self.seal.items())


def scaffold_runs(
    *,
    dry_run: bool = False,
    overwrite: tuple[str, ...] = (),
    reason: str | None = None,
    progress: Progress | None = None,
    world: World,
) -> ScaffoldReceipt:
    """Write data sets, run directories and job scripts, and seal them; safe to repeat and to kill.

    A file that somebody edited is shown as a diff and kept; the seal holds what was
    planned, so that an edit is either adopted or undone before anything is submitted.
    Runs that left the design are dropped from the seal if they were never submitted;
    their directories stay where they are.

    Args:
        dry_run: return the text of every file and write nothing.
        overwrite: edited files to replace: their paths, or run ids for all files of a run.
        reason: why, in the words of whoever decided; kept in the audit log.
        progress: called as files are written.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the design cannot be planned, or it changes or drops runs that were submitted.
        SpecError: data is missing or wrong.
    """
    refuse_imported(world)
    if dry_run:
        sheet = _sheet(overwrite, world)
        return _receipt(sheet, sheet.files, world=world)
    with world.store.lock(LOCK_NAME):
        sheet = _sheet(overwrite, world)
        if _due(sheet) or not sheet.resembles_seal():
            _publish(sheet, progress, reason=reason, world=world)
    return _receipt(sheet, {}, world=world)


def _sheet(overwrite: tuple[str, ...], world: World) -> _Sheet:
    spec, sealed = read_design(world), read_lock(world)
    _keep_site(sealed, world)
    planned = plan_with_data(spec, world=world)
    plan = with_adopted(planned.plan, sealed, overwrite=overwrite, world=world)
    files = _files(spec, planned._replace(plan=plan), world=world)
    changes = compare(plan, files, sealed=sealed, overwrite=overwrite, store=world.store)
    code = {**_recipes(plan, world), **hook_hashes(plan.runs, world)}
    fields = _seal(plan, files, sealed=sealed, changes=changes, code=code)
    stated = keep_statement(spec, plan, sealed=sealed, world=world)
    return _Sheet(plan, files, sealed, changes, {**fields, "site": world.site_name, "stated": stated})


def _keep_site(sealed: DesignLock | None, world: World) -> None:
    """Refuse another site once jobs were handed over: their record tells of a queue that the new one does not know."""
    if sealed is None or sealed.site == world.site_name or not read_attempts(world.store):
        return
    asked = site_words(world.site_name)
    fact = f"runs of this experiment were submitted to {site_words(sealed.site)}, and {asked} is asked for"
    raise PlanError(fact, hint="leave out `--site`, or write the design in another folder for the other site")


def _files(spec: ExperimentSpec, planned: Planned, *, world: World) -> dict[str, bytes]:
    """Return the content of every planned file; the first and last run are parsed in full."""
    plan, root = planned.plan, world.store.root
    files: dict[str, bytes] = {}
    for dataset in planned.datasets:
        if dataset.facts.generator and isinstance(dataset.content, bytes):
            path = ExperimentLayout.dataset(dataset.facts.key)
            sources = named_files(dataset.facts.generator, dataset.facts.arguments).values()
            tier = told_tier(root / path, sources=[root / source for source in sources], root=root)
            files[path] = dataset.content
            files[ExperimentLayout.dataset_meta(dataset.facts.key)] = dataset_meta(dataset.facts, tier=tier)
    shared = frame(spec, plan, root=str(world.store.root), site=world.site)
    for index, run in enumerate(plan.runs):
        texts = dict(files_of(run, shared))
        if index in {0, len(plan.runs) - 1}:
            check_files(run, texts, shared=shared)
        files.update((path, text.encode()) for path, text in texts.items())
    files[ExperimentLayout.plan] = plan_text(plan)
    return files


def _recipes(plan: Plan, world: World) -> dict[str, str]:
    """Return path and hash of every recipe that is the user's own: what trains is sealed as data and models are."""
    named = dict.fromkeys(run.settings["recipe"].value for run in plan.runs if run.type == "fine-tuned")
    found = {name: recipe_file(name, root=world.store.root) for name in named}
    return {str(path): str(recipe_hash(name, root=world.store.root)) for name, path in found.items() if path}


def _seal(
    plan: Plan,
    files: Mapping[str, bytes],
    *,
    sealed: DesignLock | None,
    changes: tuple[FileChange, ...],
    code: Mapping[str, str],
) -> dict[str, Any]:
    """Return the fields of the seal; an adopted edit is sealed as it lies on disk."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    untouched = {change.path for change in changes if change.kind in {"edited", "unchanged"}}
    kept = untouched & set(sealed.adopted if sealed else ())
    adopted = {path: digests[path] for path in sorted(kept)}
    digests |= {path: sealed.files[path] for path in adopted if sealed}
    models = {f"model {run.model.name}": str(run.model.sha256) for run in plan.runs}
    data = {facts.path: facts.sha256 for facts in plan.datasets}
    inputs = {**models, **data, **code}
    return {
        "plan_id": plan_hash(digests, inputs),
        "spec_sha256": plan.spec_sha256,
        "runs": tuple(run.id for run in plan.runs),
        "files": digests,
        "inputs": inputs,
        "adopted": adopted,
    }


def _due(sheet: _Sheet) -> dict[str, bytes]:
    """Return the files to write: new ones, and those that may be replaced."""
    paths = (change.path for change in sheet.changes if change.kind in {"create", "overwrite"})
    return {path: sheet.files[path] for path in paths}


def _publish(sheet: _Sheet, progress: Progress | None, *, reason: str | None, world: World) -> None:
    """Record what is about to be sealed, then publish everything, the seal last.

    The record comes first: the seal then holds the hash of the very line that tells of it,
    and a crash in between is mended, and recorded again, by a repeat.
    """
    anchor = world.audit.append(*(event.model_copy(update={"reason": reason}) for event in _events(sheet, world)))
    lock = DesignLock(**sheet.seal, anchor_seq=anchor.seq, anchor_sha256=anchor.sha256)
    files = {**_due(sheet), ExperimentLayout.lock: seal(lock)}
    world.store.publish(files, manifest=ExperimentLayout.lock, progress=progress)
    render_views(world=world)


def _events(sheet: _Sheet, world: World) -> list[AuditEvent]:
    written = _due(sheet)
    kinds = {
        Action.CREATE_RUN_DIR: [path for path in written if path.endswith("/run.yaml")],
        Action.GENERATE_YAML: [path for path in written if path.endswith(".yaml") and not path.endswith("/run.yaml")],
        Action.GENERATE_SLURM: [path for path in written if path.endswith(".slurm")],
    }
    plan_id = sheet.seal["plan_id"]
    told = [
        AuditEvent(
            actor=world.actor,
            verb="scaffold",
            action=action,
            subject=sheet.plan.experiment,
            inputs={"design": sheet.plan.spec_sha256},
            outputs={"files": str(len(paths)), "plan_id": plan_id},
        )
        for action, paths in kinds.items()
    ]
    return [*told, *_warnings(sheet, world)]


def _warnings(sheet: _Sheet, world: World) -> list[AuditEvent]:
    """Return an event for whatever a person's eye should see: edits replaced or kept, runs dropped."""
    facts = {"overwrite": "replaced", "edited": "kept as edited", "removed": "left the design"}
    found = {fact: [change.path for change in sheet.changes if change.kind == kind] for kind, fact in facts.items()}
    return [
        AuditEvent(
            actor=world.actor,
            verb="scaffold",
            action=Action.WARNING,
            subject=sheet.plan.experiment,
            outputs=dict.fromkeys(paths[:20], fact) | {"files": str(len(paths))},
            result=Outcome.WARNING,
        )
        for fact, paths in found.items()
        if paths
    ]


def _receipt(sheet: _Sheet, shown: Mapping[str, bytes], *, world: World) -> ScaffoldReceipt:
    changes = sheet.changes
    if shown:
        changes = tuple(
            change.model_copy(update={"content": shown[change.path].decode()}) if change.path in shown else change
            for change in changes
        )
    changes = changes_without_rows(changes, sheet.plan, world=world)
    return ScaffoldReceipt(plan_id=sheet.seal["plan_id"], dry_run=bool(shown), runs=sheet.seal["runs"], changes=changes)
