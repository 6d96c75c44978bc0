"""Adopt: take a hand edit of a run's files over into the plan and the seal."""

import hashlib
from typing import NamedTuple

from cruijff_kit.errors import CruijffError, PlanError, Problem
from cruijff_kit.planning.edits import edit_problems, eval_problems, with_edit
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.rendering.sbatch import JobScript, parse_script, render_script
from cruijff_kit.rendering.setup import apply_setup
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.receipt import FileChange, ScaffoldReceipt
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.run_files import Frame, files_of, frame, launched, placed_recipe
from cruijff_kit.workflow.run_models import edited_config
from cruijff_kit.workflow.seal import LOCK_NAME, plan_hash, plan_text, recorded_plan, seal

__all__ = ["adopt_edit", "with_adopted"]

# What a person may set in a job script; time and GPUs are what the site's caps are held against.
_JOB_FIELDS = {"cpus", "mem", "partition", "account", "qos", "constraint", "gpu_type", "modules", "venv", "conda"}


class _Edit(NamedTuple):
    """One run's files, as planned and as they lie on disk."""

    run: PlannedRun
    lock: DesignLock
    shared: Frame
    planned: dict[str, str]
    """The run's files as the sealed plan renders them."""
    found: dict[str, str]
    """Those that somebody edited since they were sealed, as they are now."""


class _Settled(NamedTuple):
    """What an edit comes to."""

    run: PlannedRun
    """The run with the edited settings."""
    texts: dict[str, str]
    """Every file of the run as it shall lie on disk."""
    rendered: dict[str, str]
    """The same as the plan renders them."""


def adopt_edit(run: str, *, reason: str, world: World) -> ScaffoldReceipt:
    """Seal a run's files as somebody edited them, with the reason on record.

    An edit of `setup_finetune.yaml` is carried into the configurations and the script;
    an edit of `finetune.yaml` counts as it is. The edited values stand in the plan with
    source `edit`, so that reports tell what was really run.

    Raises:
        PlanError: nothing is scaffolded, or the edit does not fit; lists every problem.
        RunError: no run, or more than one, answers to the name.
    """
    with world.store.lock(LOCK_NAME):
        plan, lock = recorded_plan(world=world)
        edit = _edited(find_run(plan.runs, run), plan, lock=lock, world=world)
        if not edit.found:
            return ScaffoldReceipt(plan_id=lock.plan_id, dry_run=False, runs=lock.runs, changes=())
        settled = _settled(edit, plan.dataset(edit.run.dataset).splits.get("train", 0))
        runs = tuple(settled.run if each.id == edit.run.id else each for each in plan.runs)
        return _publish(edit, settled, plan=plan.model_copy(update={"runs": runs}), reason=reason, world=world)


def with_adopted(plan: Plan, sealed: DesignLock | None, *, overwrite: tuple[str, ...] = (), world: World) -> Plan:
    """Return the plan with adopted edits in place of what the design says.

    Raises:
        PlanError: an adopted file was edited again, or is gone.
    """
    if sealed is None or not sealed.adopted:
        return plan
    runs = []
    for run in plan.runs:
        path = RunLayout(run.id).config
        dropped = path not in sealed.adopted or path in overwrite or run.id in overwrite
        runs.append(run if dropped else _overlaid(run, path, plan=plan, sealed=sealed, world=world))
    return plan.model_copy(update={"runs": tuple(runs)})


def _overlaid(run: PlannedRun, path: str, *, plan: Plan, sealed: DesignLock, world: World) -> PlannedRun:
    text = world.store.read_text(path) or ""
    if _digest(text) != sealed.files[path]:
        hint = f"take the new edit over with `ck adopt {run.id} --reason …`, or drop it with `--overwrite {run.id}`"
        raise PlanError(f"`{path}` was adopted and then edited again", hint=hint)
    return with_edit(run, read_config(TrainConfig, text, name=path), rows=plan.dataset(run.dataset).splits["train"])


def _edited(run: PlannedRun, plan: Plan, *, lock: DesignLock, world: World) -> _Edit:
    spec = read_design(world)
    if design_hash(spec) != lock.spec_sha256:
        raise PlanError("the design was changed since it was scaffolded", hint="run `ck scaffold` first, then adopt")
    shared = frame(spec, plan, root=str(world.store.root), site=world.site)
    planned = dict(files_of(run, shared))
    texts = {path: world.store.read_text(path) for path in planned}
    found = {path: text for path, text in texts.items() if text is not None and _digest(text) != lock.files.get(path)}
    return _Edit(run, lock, shared, planned, found)


def _settled(edit: _Edit, rows: int) -> _Settled:
    """Return what the edit comes to.

    Raises:
        PlanError: it does not fit; lists every problem.
    """
    layout, problems = RunLayout(edit.run.id), _told_problems(edit)
    if edit.run.type == "control":
        settled = _Settled(edit.run, edit.planned | edit.found, edit.planned)
    else:
        config, job = _asked(edit, problems)
        run = with_edit(edit.run, config, rows=rows)
        rendered = dict(files_of(run, edit.shared))
        settled = _Settled(run, rendered | {layout.train_script: render_script(job)} | edit.found, rendered)
    problems += _job_problems(edit, settled) + _cell_problems(edit, settled)
    if problems:
        raise PlanError(f"the edit of run `{edit.run.id}` cannot be adopted", problems=list(dict.fromkeys(problems)))
    return settled


def _asked(edit: _Edit, problems: list[Problem]) -> tuple[TrainConfig, JobScript]:
    """Return configuration and script that the edited files ask for, `finetune.yaml` before its stage 1."""
    layout = RunLayout(edit.run.id)
    planned = read_config(TrainConfig, edit.planned[layout.config], name=layout.config)
    config, job = planned, parse_script(edit.planned[layout.train_script])
    try:
        if layout.setup in edit.found:
            recipe = placed_recipe(edit.run.settings["recipe"].value, edit.shared.places)
            text = edit.found[layout.setup]
            config, asked = apply_setup(text, planned, job=job, recipe=recipe, name=layout.setup)
            job = launched(asked)
        if layout.config in edit.found:
            own = edited_config(TrainConfig, edit.found[layout.config], path=layout.config)
            if layout.setup in edit.found and own != config:
                hint = f"edit one of the two, and set the other back with `--overwrite {layout.setup}`"
                problems.append(Problem(f"`{layout.setup}` and `{layout.config}` say different things", hint=hint))
            config = own
    except CruijffError as err:
        problems += err.problems or [Problem(str(err), hint=err.hint)]
        return planned, job
    problems += edit_problems(edit.run, planned, edited=config, place=layout.config)
    return config, job


def _told_problems(edit: _Edit) -> list[Problem]:
    path = RunLayout(edit.run.id).run_yaml
    if path not in edit.found:
        return []
    hint = f"edit `finetune.yaml` instead, and set this one back with `ck scaffold --overwrite {path}`"
    return [Problem("it only tells what was resolved; no job reads it", place=path, hint=hint)]


def _job_problems(edit: _Edit, settled: _Settled) -> list[Problem]:
    """Return a problem for everything in a script that is not a person's to change there."""
    layout, problems = RunLayout(edit.run.id), list[Problem]()
    for path in (layout.train_script, layout.eval_script):
        if path not in edit.planned or settled.texts[path] == edit.planned[path]:
            continue
        try:
            old, new = (parse_script(text)._asdict() for text in (edit.planned[path], settled.texts[path]))
        except PlanError as err:
            problems.append(Problem(str(err).partition("\n")[0], place=path, hint=err.hint))
            continue
        hint = "set it back; time and GPUs are changed in the design, where the site's caps are held against them"
        problems += [
            Problem(f"`{old[field]}` became `{value}`", field, path, hint)
            for field, value in new.items()
            if field not in _JOB_FIELDS and value != old[field]
        ]
    return problems


def _cell_problems(edit: _Edit, settled: _Settled) -> list[Problem]:
    layout, problems = RunLayout(edit.run.id), list[Problem]()
    for path in (layout.cell_config(cell.name) for cell in edit.run.cells):
        if path in edit.found:
            try:
                own = edited_config(EvalConfig, edit.found[path], path=path)
            except CruijffError as err:
                problems += err.problems or [Problem(str(err), hint=err.hint)]
            else:
                problems += eval_problems(read_config(EvalConfig, settled.rendered[path], name=path), own, place=path)
    return problems


def _publish(edit: _Edit, settled: _Settled, *, plan: Plan, reason: str, world: World) -> ScaffoldReceipt:
    """Record the adoption, then write what follows from it, the seal last."""
    lock = edit.lock
    texts = {**settled.texts, ExperimentLayout.plan: plan_text(plan).decode()}
    files = {**lock.files, **{path: _digest(text) for path, text in texts.items()}}
    mine = {path for path, text in settled.texts.items() if path in edit.found or text != settled.rendered[path]}
    mine |= {RunLayout(edit.run.id).config} & set(settled.texts)
    adopted = {**lock.adopted, **{path: _digest(settled.rendered[path]) for path in sorted(mine)}}
    plan_id = plan_hash(files, lock.inputs)
    event = AuditEvent(
        actor=world.actor,
        verb="adopt",
        action=Action.DECIDE_CONFIG,
        subject=edit.run.id,
        reason=reason,
        inputs={path: lock.files[path] for path in edit.found},
        outputs={**{path: files[path] for path in edit.found}, "plan_id": plan_id},
    )
    anchor = world.audit.append(event)
    changes = {"plan_id": plan_id, "files": files, "adopted": adopted}
    anchored = {"anchor_seq": anchor.seq, "anchor_sha256": anchor.sha256}
    sealed = seal(lock.model_copy(update={**changes, **anchored}))
    contents = {path: text.encode() for path, text in texts.items()}
    world.store.publish({**contents, ExperimentLayout.lock: sealed}, manifest=ExperimentLayout.lock)
    render_views(world=world)
    shown = tuple(
        FileChange(path=path, kind="edited" if path in edit.found else "overwrite")
        for path in settled.texts
        if files[path] != lock.files[path]
    )
    return ScaffoldReceipt(plan_id=plan_id, dry_run=False, runs=lock.runs, changes=shown)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
