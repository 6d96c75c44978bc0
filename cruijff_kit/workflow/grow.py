"""Grow: from one run to a design in which that run is a cell, to be written into a directory of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import CruijffError, PlanError, RunError
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import front_matter
from cruijff_kit.runtime.data_files import data_names
from cruijff_kit.schema.data import DatasetFacts, DataSpec, Tier, TrainingData
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.receipt import GrownDesign
from cruijff_kit.schema.spec import Controls, ExperimentSpec, Level, RunSpec
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier

__all__ = ["grow_design"]

_UNSAID = ("default", "derived", "site")


def grow_design(
    run: str,
    *,
    levels: Mapping[str, Sequence[Level]],
    seeds: Sequence[int] = (),
    question: str = "",
    reason: str,
    worlds: tuple[World, World],
) -> GrownDesign:
    """Write a design that varies what one run held fixed, that run being one of its cells.

    Model, rows, evaluation and every control are the run's own. Rows that lie in its
    experiment are copied, so that the new one stands by itself.

    Args:
        run: run id, or an unambiguous start of it.
        levels: levels by factor; the run's own is among them, also where it is not named.
        seeds: further replicate seeds.
        question: what the new experiment asks; made of the factors where empty.
        reason: why, in the words of whoever decided.
        worlds: the run's experiment, and the directory of the new one.

    Raises:
        PlanError: the experiment is not scaffolded, or the directory has a design.
        RunError: the run is not known, or trains nothing.
        SpecError: the design cannot be; lists every problem.
    """
    world, target = worlds
    spec, (plan, _) = read_design(world), recorded_plan(world=world)
    chosen = find_run(plan.runs, run)
    if chosen.type == "control":
        fact = f"run `{chosen.id}` is the base model untouched, so it holds nothing fixed"
        raise RunError(fact, run_id=chosen.id, hint="name a run that trains")
    if target.store.read_text(ExperimentLayout.summary) is not None:
        raise PlanError(f"`{target.store.root}` has a design already", hint="name another directory")
    factors = {name: _with_own(each, name, run=chosen) for name, each in levels.items()}
    data, copied = _data(spec, plan.dataset(chosen.dataset), root=world.store.root)
    grown = _grown(spec, chosen, factors=factors).model_copy(
        update={
            "name": target.store.root.name,
            "created": target.clock.now().date().isoformat(),
            "question": question or _question(factors, chosen),
            "data": _kept(data, plan_tier(plan, world)),
            "controls": _controls(chosen, factors, seeds=seeds),
        }
    )
    with _copies(copied, worlds):
        return _written(grown, chosen, reason=reason, target=target)


@contextmanager
def _copies(paths: Sequence[str], worlds: tuple[World, World]) -> Iterator[None]:
    """Copy rows into the new experiment; where its design cannot be, those that were not there go again."""
    world, target = worlds
    own = [path for path in paths if target.store.digest(path) is None]
    for path in paths:
        target.store.write(path, world.store.read(path) or b"")
    try:
        yield
    except CruijffError:
        if target.shelf is not None:
            target.shelf.remove(str(target.store.root), own)
        raise


def _grown(spec: ExperimentSpec, run: PlannedRun, *, factors: Mapping[str, tuple[Level, ...]]) -> ExperimentSpec:
    """Return the design with the run's own model and measures, and what is varied now."""
    generation = run.generation or spec.evaluation.generation
    return spec.model_copy(
        update={
            "models": (run.model.model_copy(update={"path": run.model_path or run.model.path}),),
            "design": "full",
            "factors": factors,
            "runs": _runs(spec, factors),
            "evaluation": spec.evaluation.model_copy(update={"matrix": (), "generation": generation}),
        }
    )


def _written(grown: ExperimentSpec, run: PlannedRun, *, reason: str, target: World) -> GrownDesign:
    receipt = write_design(front_matter(grown), reason=reason, world=target)
    digest = run.id.rpartition("-")[2]
    same = next((each for each in receipt.runs if each.endswith(f"-{digest}")), None)
    path = str(target.store.root / receipt.path)
    return GrownDesign(path=path, runs=receipt.runs, same=same, warnings=receipt.warnings)


def _with_own(levels: Sequence[Level], name: str, *, run: PlannedRun) -> tuple[Level, ...]:
    """Return the levels of a factor, the run's own among them."""
    own = run.factors.get(name)
    if name in run.settings:
        own = run.settings[name].value
    if own is None or isinstance(own, list | tuple):
        return tuple(levels)
    return tuple(levels) if any(own == each for each in levels) else (own, *levels)


def _controls(run: PlannedRun, factors: Mapping[str, Any], *, seeds: Sequence[int]) -> Controls:
    """Return what the run held fixed, those that are varied now left out."""
    fixed = {
        name: each.value
        for name, each in run.settings.items()
        if each.source not in _UNSAID and name not in factors and each.value is not None
    }
    return Controls.model_validate({**fixed, "seeds": tuple(dict.fromkeys((run.seed, *seeds)))})


def _runs(spec: ExperimentSpec, factors: Mapping[str, Any]) -> tuple[RunSpec, ...]:
    """Return the base model as control where it was one; where nothing is varied, the run by itself too."""
    controls = tuple(each.model_copy(update={"model": None}) for each in spec.runs if each.type == "control")[:1]
    return controls if factors else (RunSpec(name="tuned"), *controls)


def _data(spec: ExperimentSpec, facts: DatasetFacts, *, root: Path) -> tuple[DataSpec, tuple[str, ...]]:
    """Return the run's data as the new design names it, and the files to copy for that."""
    training = spec.data.training
    if facts.generator is not None:
        plain = training.model_dump(exclude={"arguments", "generator"})
        named = {"generator": facts.generator, "arguments": facts.arguments}
        return spec.data.model_copy(update={"training": TrainingData.model_validate({**plain, **named})}), ()
    place = Path(facts.path)
    inside = place.is_relative_to(root)
    path = place.relative_to(root).as_posix() if inside else str(place)
    own = training.model_copy(update={"path": path, "generator": None, "arguments": {}})
    within = [path] if place.is_file() else [f"{path}/{name}" for name in data_names(place)]
    return spec.data.model_copy(update={"training": own}), tuple(within if inside else ())


def _kept(data: DataSpec, tier: Tier) -> DataSpec:
    """Return data that is kept as closely as the run's is by now: marks in its folders do not go with the files."""
    return data if strictest((data.tier, tier)) == data.tier else data.model_copy(update={"tier": tier})


def _question(factors: Mapping[str, Any], run: PlannedRun) -> str:
    if not factors:
        return f"Does what run {run.id} learnt hold over seeds?"
    return f"How do {' and '.join(factors)} change what run {run.id} learnt?"
