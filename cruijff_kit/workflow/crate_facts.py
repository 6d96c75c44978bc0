"""Crate facts: what was done, by whom, when, with what, and what came of it, as seals, markers and manifests tell."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import NamedTuple

from cruijff_kit.ports import World
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.crate import CrateAction, CrateFile, CrateLevel, CrateSoftware, CrateThing, StepName
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Cell, DesignLock, Plan, PlannedRun
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from cruijff_kit.workflow.crate_files import adapter_folder

__all__ = ["Told", "told_of"]

_REPORTED = (ExperimentLayout.results, ExperimentLayout.report, ExperimentLayout.page)


class Told(NamedTuple):
    """What is told of an experiment besides its files."""

    agents: tuple[str, ...]
    """People who took part, whoever exports first."""
    things: dict[str, CrateThing]
    """What is told by its hash alone, by name within the crate."""
    software: dict[str, CrateSoftware]
    """Programs and packages, by name within the crate."""
    levels: dict[str, CrateLevel]
    """Factor levels and seeds of runs that have run, by name within the crate."""
    actions: list[CrateAction]
    """Steps that were taken."""


class _Ground(NamedTuple):
    """What facts are read from."""

    plan: Plan
    lock: DesignLock
    files: Mapping[str, CrateFile]
    records: tuple[AuditRecord, ...]
    world: World
    told: Told


def told_of(plan: Plan, lock: DesignLock, *, files: Sequence[CrateFile], world: World) -> Told:
    """Return what was done in an experiment; nothing is told that no record tells.

    Args:
        plan: the sealed plan.
        lock: the seal.
        files: what lies in the crate.
        world: the experiment; only read.
    """
    records = tuple(world.audit.records())
    people = dict.fromkeys([world.actor.name, *(each.actor.name for each in records if each.actor.kind == "human")])
    told = Told(tuple(people), {}, {}, {}, [])
    ground = _Ground(plan, lock, {each.path: each for each in files}, records, world, told)
    _generated(ground)
    for run in plan.runs:
        if run.type == "fine-tuned":
            _trained(run, ground)
        for cell in run.cells:
            _evaluated(run, cell, ground=ground)
    _reported(ground)
    return told


def _generated(ground: _Ground) -> None:
    made = [each for each in ground.records if each.verb == "scaffold" and each.action is Action.GENERATE_YAML]
    if not made:
        return
    for facts in ground.plan.datasets:
        if not facts.generator:
            continue
        version = facts.generator_version or "unknown"
        key = _slug(f"generator-{facts.generator}-{version}")
        tool = CrateSoftware(id=key, name=facts.generator, version=version, step="generate")
        ground.told.actions.append(
            CrateAction(
                id=f"generate-{facts.key}",
                name=f"data set {facts.key}",
                about=f"{_rows(facts)}, by the seed and arguments that the design gives",
                step="generate",
                tool=_software(ground, tool),
                objects=(ExperimentLayout.summary,),
                results=(_dataset(facts.key, ground),),
                agent=_person(made[0], ground),
                started=None,
                ended=made[0].ts,
            )
        )


def _trained(run: PlannedRun, ground: _Ground) -> None:
    layout, store = RunLayout(run.id), ground.world.store
    done, manifest = Done.found_in(store.read(layout.done("train"))), Manifest.found_in(store.read(layout.manifest))
    own = JobStatus.found_in(store.read(layout.status("train")))
    failed = done is None and own is not None and own.state == "failed"
    if done is None and not failed:
        return
    told = manifest or own
    ends = (manifest and manifest.ended, done and done.finished, own and own.updated)
    results = [path for path in (layout.metrics, layout.manifest, layout.done("train")) if path in ground.files]
    results += [_adapter(run, epoch, done=done, ground=ground) for epoch in run.epochs_saved] if done else []
    inputs = (path for path in (layout.config, layout.train_script, layout.run_yaml) if path in ground.files)
    recipe = str(run.settings["recipe"].value) if "recipe" in run.settings else "of the design"
    ground.told.actions.append(
        CrateAction(
            id=f"train-{run.id}",
            name=f"training {run.id}",
            about=_job_words(manifest),
            step="train",
            tool=_tool(f"recipe {PurePosixPath(recipe).name}", manifest, step="train", ground=ground),
            objects=(_model(run, ground), _dataset(run.dataset, ground), *_settings(run, ground), *inputs),
            results=tuple(results),
            agent=_submitter(run.id, ground),
            started=told.started if told else None,
            ended=next(each for each in ends if each is not None),
            failed=failed,
        )
    )


def _evaluated(run: PlannedRun, cell: Cell, *, ground: _Ground) -> None:
    layout, store = RunLayout(run.id), ground.world.store
    done = Done.found_in(store.read(layout.cell_done(cell.name)))
    if done is None:
        return
    manifest = Manifest.found_in(store.read(layout.cell_manifest(cell.name)))
    told = {facts.sha256: facts.key for facts in ground.plan.datasets}
    key = told.get(manifest.inputs.get("data", "") if manifest else "", run.dataset)
    objects = [_model(run, ground), _dataset(key, ground)]
    objects += [path for path in (layout.cell_config(cell.name), layout.eval_script) if path in ground.files]
    if cell.epoch is not None:
        trained = Done.found_in(store.read(layout.done("train")))
        objects += [_adapter(run, cell.epoch, done=trained, ground=ground)]
    results = [path for path in (layout.cell_manifest(cell.name), layout.cell_done(cell.name)) if path in ground.files]
    ground.told.actions.append(
        CrateAction(
            id=f"evaluate-{run.id}-{cell.name}",
            name=f"evaluation {cell.name} of {run.id}",
            about=_job_words(manifest),
            step="evaluate",
            tool=_tool(f"task {cell.task.task}", manifest, step="evaluate", ground=ground),
            objects=tuple(objects),
            results=(*results, *_logs(run, cell, done=done, ground=ground)),
            agent=_submitter(run.id, ground),
            started=manifest.started if manifest else None,
            ended=(manifest.ended if manifest else None) or done.finished,
            failed=done.exit_code != 0,
        )
    )


def _reported(ground: _Ground) -> None:
    made = [each for each in ground.records if (each.verb, each.action) == ("report", Action.GENERATE_SUMMARY)]
    results = tuple(path for path in _REPORTED if path in ground.files)
    if not made or not results:
        return
    version = _version(ground)
    read = dict.fromkeys(
        name for each in ground.told.actions if each.step in {"train", "evaluate"} for name in each.results
    )
    last, tool = made[-1], CrateSoftware(id="reporting", name="cruijff-kit report", version=version, step="report")
    ground.told.actions.append(
        CrateAction(
            id="report",
            name="report",
            about="Results collected from markers and logs, intervals computed, summary and page written",
            step="report",
            tool=_software(ground, tool),
            objects=tuple(read) or (ExperimentLayout.summary,),
            results=results,
            agent=_person(last, ground),
            started=last.ts - timedelta(milliseconds=last.duration_ms) if last.duration_ms is not None else None,
            ended=last.ts,
        )
    )


def _version(ground: _Ground) -> str:
    return next((each.version for each in ground.told.software.values() if each.name == "cruijff-kit"), "unknown")


def _thing(ground: _Ground, name: str, *, said: str, sha256: str | None, about: str) -> str:
    """Tell something by its hash; return how actions name it."""
    key = _slug(name)
    ground.told.things[key] = CrateThing(id=key, name=said, sha256=sha256, about=about)
    return f"#{key}"


def _software(ground: _Ground, software: CrateSoftware) -> str:
    """Tell of a program; return its name within the crate."""
    ground.told.software[software.id] = software
    return software.id


def _tool(name: str, manifest: Manifest | None, *, step: StepName, ground: _Ground) -> str:
    """Return the program of a job, with the packages that its manifest tells; others are another program."""
    packages = manifest.packages if manifest else {}
    told = (CrateSoftware(id=_slug(f"package-{each}-{it}"), name=each, version=it) for each, it in packages.items())
    needs = tuple(_software(ground, each) for each in told)
    marked = hashlib.sha256("\n".join(needs).encode()).hexdigest()[:8]
    version = packages.get("cruijff-kit", "unknown")
    key = _slug(f"tool-{step}-{name}-{marked}")
    return _software(ground, CrateSoftware(id=key, name=name, version=version, needs=needs, step=step))


def _model(run: PlannedRun, ground: _Ground) -> str:
    about = f"Base model, revision {run.model.revision}" if run.model.revision else "Base model"
    return _thing(ground, f"model-{run.model.name}", said=run.model.name, sha256=run.model.sha256, about=about)


def _dataset(key: str, ground: _Ground) -> str:
    """Return how actions name a data set: its file where it is in the crate, else by its hash."""
    facts = ground.plan.dataset(key)
    own = ExperimentLayout.dataset(key)
    inside = [path for path in ground.files if path == own or path.startswith(f"inputs/{key}/")]
    if inside:
        return inside[0]
    about = f"Data set, told by its hash alone: {_rows(facts)}"
    return _thing(ground, f"data-{key}", said=key, sha256=facts.sha256, about=about)


def _rows(facts: DatasetFacts) -> str:
    return ", ".join(f"{count} {split}" for split, count in facts.splits.items())


def _settings(run: PlannedRun, ground: _Ground) -> Iterator[str]:
    """Yield the levels of a run's factors, and its seed."""
    for factor, value in {**run.factors, "seed": run.seed}.items():
        key = _slug(f"level-{run.id}-{factor}")
        ground.told.levels[key] = CrateLevel(id=key, factor=factor, value=value)
        yield f"#{key}"


def _adapter(run: PlannedRun, epoch: int, *, done: Done | None, ground: _Ground) -> str:
    """Return how actions name an adapter: its folder where it is in the crate, else by its hash."""
    folder = adapter_folder(run, epoch)
    if any(path.startswith(folder) for path in ground.files):
        return folder
    made = done.below(folder.removeprefix("outputs/").rstrip("/")) if done is not None else {}
    about = f"LoRA adapter of epoch {epoch}, told by the hash of its weights alone"
    return _thing(
        ground,
        f"adapter-{run.id}-epoch_{epoch}",
        said=f"adapter of {run.id}",
        sha256=made.get(ADAPTER_WEIGHTS),
        about=about,
    )


def _logs(run: PlannedRun, cell: Cell, *, done: Done, ground: _Ground) -> Iterator[str]:
    """Yield how actions name an evaluation's logs."""
    folder = RunLayout(run.id).cell_logs(cell.name)
    for name, sha256 in done.below(folder).items():
        if f"{folder}/{name}" in ground.files:
            yield f"{folder}/{name}"
        else:
            about = "Log of an evaluation, told by its hash alone"
            yield _thing(ground, f"log-{run.id}-{cell.name}-{name}", said=name, sha256=sha256, about=about)


def _job_words(manifest: Manifest | None) -> str:
    if manifest is None:
        return "Its job left no manifest"
    code = f"commit {manifest.git_sha[:12]}" if manifest.git_sha else "code of no checkout"
    changed = " with uncommitted changes" if manifest.git_patch_sha256 else ""
    return (
        f"{code}{changed}, on {manifest.device}, {manifest.threads} threads a process, {manifest.processes} processes"
    )


def _submitter(run: str, ground: _Ground) -> str:
    handed = [
        each
        for each in ground.records
        if each.action in {Action.SUBMIT_JOB, Action.SUBMIT_EVAL} and run in each.subject
    ]
    return _person(handed[-1], ground) if handed else ground.told.agents[0]


def _person(record: AuditRecord, ground: _Ground) -> str:
    """Return the person who acted; for an assistant's or a job's act the one who exports answers."""
    return record.actor.name if record.actor.kind == "human" else ground.told.agents[0]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
