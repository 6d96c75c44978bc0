"""Reproduce: one run made again from its sealed design, compared file by file and, once run, figure by figure."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import PlanError, ResultError, SpecError
from cruijff_kit.planning.tolerances import ALIKE
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.reproduction import ComparedFigure, Difference, Reproduction
from cruijff_kit.schema.result import ResultRow
from cruijff_kit.schema.run import Manifest
from cruijff_kit.workflow.archive_checks import refuse_freer
from cruijff_kit.workflow.conditions import TRAINING, differences_between, differences_here, found_inputs, manifests_of
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.evaluation_results import evaluation_rows, read_cell
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.rebuild import Rebuilt, Sealed, rebuild_run, sealed_run
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.training_results import read_history, training_rows
from cruijff_kit.workflow.watch import watch_jobs

__all__ = ["reproduce_run"]


class _Again(NamedTuple):
    """What running a run again gave."""

    environment: tuple[Difference, ...]
    tolerance: float
    rule: str
    figures: tuple[ComparedFigure, ...]


def reproduce_run(
    run: str,
    *,
    execute: bool = False,
    tolerance: float | None = None,
    fresh: World | None = None,
    progress: Progress | None = None,
    world: World,
) -> Reproduction:
    """Make a run's configurations, scripts and generated data again and compare them byte for byte with the seal.

    The original is only read. Files name directories: they are made for those of the original, wherever it lies by
    now, and what is elsewhere here is told. What differs in the environment is named; alone it is no fault.

    Args:
        run: run id, or an unambiguous start of it.
        execute: train and evaluate again in the fresh place and compare figures.
        tolerance: how far these may differ, of figures above 1 in proportion; where None they must be equal in the
            same environment, and alike in another.
        fresh: the fresh place, in which the design is scaffolded anew; nothing is written where None.
        progress: told of the jobs' steps.
        world: the original experiment and its surroundings.

    Raises:
        PlanError: nothing was sealed, the design was changed since, or the fresh place holds something else.
        RunError: no run, or more than one, answers to the name.
        SpecError: a fresh place is wanted and not named, or the tolerance is negative.
    """
    if execute and fresh is None:
        raise SpecError("a run is run again in a fresh place", hint="name a new directory with `--into DIR`")
    if tolerance is not None and not tolerance >= 0:
        raise SpecError(f"a tolerance is 0 or more, not `{tolerance}`", hint="0 asks for equal figures")
    sealed = sealed_run(run, world=world)
    if fresh is not None:
        _refuse_place(sealed, fresh, world=world)
    rebuilt = rebuild_run(sealed, here=world, world=world)
    if fresh is None or rebuilt.planned:
        untold = "nothing was written: what is planned here is not the run that was sealed" if fresh else ""
        return _told(sealed, rebuilt, here=world, untold=untold, world=world)
    plan_id = _scaffolded(sealed, fresh, world=world)
    told = _told(sealed, rebuild_run(sealed, here=fresh, world=world), here=fresh, world=world)
    if not execute:
        return told
    again = _run_again(sealed, plan_id, tolerance=tolerance, fresh=fresh, progress=progress, world=world)
    return told.model_copy(update=again._asdict())


def _told(sealed: Sealed, rebuilt: Rebuilt, *, here: World, untold: str = "", world: World) -> Reproduction:
    """Return what was made again, and what was looked for, here."""
    environment, notes = _environment(sealed, here=here, world=world)
    return Reproduction(
        run_id=sealed.run.id,
        original=str(world.store.root),
        into=None if here is world else str(here.store.root),
        planned=rebuilt.planned,
        places=rebuilt.places,
        files=rebuilt.files,
        inputs=found_inputs(sealed, rebuilt.origin, here=here),
        environment=environment,
        notes=(*notes, *([untold] if untold else [])),
    )


def _refuse_place(sealed: Sealed, fresh: World, *, world: World) -> None:
    """Refuse a place that holds something else, or that is the original, or that its data may not go to."""
    place, root = Path(fresh.store.root).resolve(), Path(world.store.root).resolve()
    if place.is_relative_to(root) or root.is_relative_to(place):
        raise PlanError(f"`{place}` is the original, or lies around or in it", hint="name a new directory beside it")
    refuse_freer(str(place), world=world)
    if fresh.store.read_text(ExperimentLayout.summary) is None:
        # What an attempt that failed leaves is its record.
        if place.is_dir() and {each.name for each in place.iterdir()} - {ExperimentLayout.logs}:
            raise PlanError(f"`{place}` is not empty", hint="name a directory that is not there yet")
        return
    same = False
    with suppress(PlanError, SpecError):
        same = design_hash(read_design(fresh)) == sealed.lock.spec_sha256
    if not same:
        raise PlanError(f"`{place}` holds another design", hint="name a directory that is not there yet")


def _environment(sealed: Sealed, *, here: World, world: World) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Return what is not here as it was where the run ran."""
    manifests = manifests_of(sealed, world)
    if not manifests:
        return (), ("no job of the run left a manifest, so nothing tells in what environment it ran",)
    found: dict[Difference, None] = {}
    for name, manifest in manifests.items():
        threads = _threads(sealed.run, name, world=world)
        found |= dict.fromkeys(differences_here(sealed, name, then=manifest, threads=threads, here=here))
    return tuple(found), ()


def _threads(run: PlannedRun, job: str, *, world: World) -> int | None:
    """Return the threads that each process of a job gets by its script."""
    layout = RunLayout(run.id)
    text = world.store.read_text(layout.train_script if job == TRAINING else layout.eval_script)
    with suppress(PlanError):
        script = parse_script(text or "")
        return max(1, script.cpus // script.processes)
    return None


def _scaffolded(sealed: Sealed, fresh: World, *, world: World) -> str:
    """Write the design into the fresh place and scaffold it; return the plan's id."""
    why = f"to reproduce `{sealed.run.id}` of `{sealed.plan.experiment}`, sealed as {sealed.lock.plan_id[:12]}"
    if fresh.store.read_text(ExperimentLayout.summary) is None:
        # The record makes the directory, which relative paths of the design start at.
        fresh.audit.append(_begun(sealed, why, fresh=fresh, world=world))
        write_design(world.store.read_text(ExperimentLayout.summary) or "", reason=why, world=fresh)
    receipt = scaffold_runs(reason=why, world=fresh)
    if sealed.run.id not in receipt.runs:
        raise ResultError(f"scaffolded in `{fresh.store.root}`, the design gives no run `{sealed.run.id}`")
    return receipt.plan_id


def _begun(sealed: Sealed, why: str, *, fresh: World, world: World) -> AuditEvent:
    return AuditEvent(
        actor=fresh.actor,
        verb="reproduce",
        action=Action.DECIDE_CONFIG,
        subject=sealed.run.id,
        reason=why,
        inputs={"original": str(world.store.root), "plan_id": sealed.lock.plan_id, "design": sealed.lock.spec_sha256},
    )


def _run_again(
    sealed: Sealed, plan_id: str, *, tolerance: float | None, fresh: World, progress: Progress | None, world: World
) -> _Again:
    """Train and evaluate in the fresh place, and compare."""
    run = sealed.run
    if RunLayout(run.id).config in sealed.lock.adopted:
        fact = f"an edit of `{RunLayout(run.id).config}` was adopted, which the design does not hold"
        raise PlanError(fact, hint=f"adopt the same edit in `{fresh.store.root}`, then `ck submit` there")
    submit_jobs(plan_id, runs=(run.id,), reason=f"to reproduce `{run.id}`", world=fresh)
    for status in watch_jobs(world=fresh):
        own = next((each.own for each in status.steps if each.run_id == run.id and each.own is not None), None)
        if progress is not None and own is not None:
            progress(own.step, own.total, f"{own.state} {own.message}")
    then, now = manifests_of(sealed, world), manifests_of(sealed, fresh)
    environment = tuple(dict.fromkeys(_between(then, now)))
    allowed, rule = _allowed(tolerance, environment, known=bool(then.keys() & now.keys()))
    return _Again(environment, allowed, rule, tuple(_compared(run, allowed, fresh=fresh, world=world)))


def _between(then: dict[str, Manifest], now: dict[str, Manifest]) -> Iterator[Difference]:
    for name in then.keys() & now.keys():
        yield from differences_between(then[name], now[name])


def _allowed(asked: float | None, environment: tuple[Difference, ...], *, known: bool) -> tuple[float, str]:
    if asked is not None:
        return asked, "as asked for"
    if environment:
        return ALIKE, f"the environment differs: {', '.join(each.what for each in environment)}"
    if not known:
        return ALIKE, "nothing tells whether the environment is the same"
    return 0.0, "versions, commit, device and threads are the same, so figures must be equal"


def _compared(run: PlannedRun, allowed: float, *, fresh: World, world: World) -> Iterator[ComparedFigure]:
    before, after = (_figures(run, each) for each in (world, fresh))
    for name in dict.fromkeys((*before, *after)):
        then, again = before.get(name), after.get(name)
        old, new = (None if each is None else each.value for each in (then, again))
        near = old is not None and new is not None and abs(old - new) <= allowed * max(1.0, abs(old))
        why = "; ".join(
            f"{when}: {row.reason if row is not None else 'no such figure'}"
            for when, row in (("original", then), ("again", again))
            if row is None or row.value is None
        )
        yield ComparedFigure(figure=name, then=old, again=new, within=near, reason=why)


def _figures(run: PlannedRun, world: World) -> dict[str, ResultRow]:
    plan, _ = recorded_plan(world=world)
    own = next(each for each in plan.runs if each.id == run.id)
    rows: list[ResultRow] = []
    if own.type == "fine-tuned":
        rows += training_rows(own, read_history(own, world=world), plan=plan)
    for cell in own.cells:
        rows += evaluation_rows(own, cell, result=read_cell(own, cell, world=world))
    return {f"{row.task}/{'base' if row.epoch is None else row.epoch}/{row.metric}": row for row in rows}
