"""Preflight: every input of jobs, tried in their own environment with the network shut, before any is queued."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cruijff_kit import __version__
from cruijff_kit.data.recipe_names import resolve_recipe
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.errors import Problem, SiteError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import render_script
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun
from cruijff_kit.schema.site_facts import ScriptAnswer
from cruijff_kit.workflow.site_env import environment_job

__all__ = ["JobInput", "TriedInputs", "input_problems", "planned_inputs", "try_inputs"]

_MODULE = "cruijff_kit.runtime.preflight"
_LONGEST = 300.0
_EVALUATION = ("cruijff_kit.runtime.evaluate", "cruijff_kit.runtime.inspect_cell")


class JobInput(NamedTuple):
    """One thing that jobs read."""

    kind: str
    """What it is: `model`, `data`, `code`, `module`, or `task`."""
    name: str
    """Path or name, as the job finds it."""
    said: str
    """Where the design says it."""
    hint: str
    """How to mend it where it does not resolve."""
    shown: str
    """What it is called; inputs of one kind and one such name are one."""


class TriedInputs(NamedTuple):
    """What the environment of jobs answered."""

    found: Mapping[str, Any] | None
    """What it printed; None where it did not come so far."""
    fault: str
    """Its last words where it failed."""
    version: str = __version__
    """Version of this package here."""


def planned_inputs(runs: Sequence[PlannedRun], plan: Plan, *, world: World) -> tuple[JobInput, ...]:
    """Return each distinct input of the jobs of runs once.

    Args:
        runs: runs whose jobs are meant.
        plan: their plan.
        world: the experiment.
    """
    found = (each for run in runs for each in _inputs_of(run, plan, world=world))
    distinct: dict[tuple[str, str], JobInput] = {}
    for each in found:
        distinct.setdefault((each.kind, each.shown), each)
    return tuple(distinct.values())


def try_inputs(inputs: Iterable[JobInput], *, world: World) -> TriedInputs:
    """Have the environment of jobs resolve inputs, in a process that no network reaches.

    Raises:
        SiteError: this world looks at no machine.
    """
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint="use `ck` at a terminal")
    words = (word for each in inputs for word in (f"--{each.kind}", each.name))
    text = render_script(environment_job(world, "-m", _MODULE, *words))
    fresh = world.site.environment.kind != "none"
    answer = world.probe.run_script(text, fresh=fresh, seconds=_LONGEST)
    fault = next(reversed(answer.errors.strip().splitlines()), f"exit code {answer.code}")
    return TriedInputs(_printed(answer) if answer.code == 0 else None, fault)


def input_problems(runs: Sequence[PlannedRun], plan: Plan, *, world: World) -> list[Problem]:
    """Return a problem for every input of due jobs that does not resolve without a network.

    A site may leave this to the jobs: its login node may be another kind of machine.
    """
    if world.probe is None or not world.site.prove_inputs or not runs:
        return []
    inputs = planned_inputs(runs, plan, world=world)
    answer = try_inputs(inputs, world=world)
    if answer.found is None:
        hint = (
            "`ck site check` tells more; where the environment of jobs cannot run on this machine, "
            "set `prove_inputs: false` in site.yaml, and `ck site check --job` tries it on a node"
        )
        return [Problem(f"the environment of jobs does not start: {answer.fault}", "environment", hint=hint)]
    faults = answer.found["inputs"]
    wrong = ((each, fault) for each in inputs if (fault := faults.get(each.name)))
    fact = "{} `{}` does not resolve without a network: {}"
    return [Problem(fact.format(each.kind, each.shown, fault), each.said, hint=each.hint) for each, fault in wrong]


def _inputs_of(run: PlannedRun, plan: Plan, *, world: World) -> Iterator[JobInput]:
    """Yield what the jobs of a run read and start, as they find it."""
    if run.model_path:
        hint = f"`ck models pull` brings it here, `ck models check {run.model_path}` tells more"
        yield JobInput("model", run.model_path, f"models.{run.model.name}", hint, run.model_path)
    yield _data(plan.dataset(run.dataset).path, "data.training", world=world)
    if run.type == "fine-tuned":
        yield from _code_of(run, world=world)
    if run.cells:
        hint = "`ck site env build --extras train,eval` makes an environment that has it"
        yield from (JobInput("module", name, "environment", hint, name) for name in _EVALUATION)
    for cell in run.cells:
        yield from _cell_inputs(run, cell, world=world)


def _cell_inputs(run: PlannedRun, cell: Cell, *, world: World) -> Iterator[JobInput]:
    """Yield what one evaluation reads beside the run's own: data of its own, a task of somebody's."""
    task, said = cell.task, f"evaluation.tasks.{cell.task.name}"
    if task.dataset is not None:
        yield _data(task.dataset, said, world=world)
    if parse_task(task.task).foreign:
        hint = "fetch its data where there is a network, name judges by their directory, or install what it needs"
        path = str(world.store.root / RunLayout(run.id).cell_config(cell.name))
        yield JobInput("task", path, said, hint, task.task)


def _code_of(run: PlannedRun, *, world: World) -> Iterator[JobInput]:
    """Yield what a training starts: its recipe, and metrics of the user's own."""
    hint = "install what it needs where jobs run: `ck site env build --extras …`, or mend the file"
    recipe = resolve_recipe(str(run.settings["recipe"].value))
    if recipe.kind == "file":
        path = str(world.store.root / recipe.name)
        yield JobInput("code", path, "controls.recipe", hint, path)
    else:
        yield JobInput("module", recipe.module, "controls.recipe", hint, recipe.module)
    metrics = run.settings["custom_metrics"].value
    if isinstance(metrics, str) and metrics.endswith(".py"):
        path = str(world.store.root / metrics)
        yield JobInput("code", path, "controls.custom_metrics", hint, path)


def _data(path: str, said: str, *, world: World) -> JobInput:
    place = str(world.store.root / path)
    return JobInput("data", place, said, "bring it back where the plan found it, or `ck scaffold` anew", place)


def _printed(answer: ScriptAnswer) -> dict[str, Any] | None:
    """Return what was printed last: what is activated may print lines of its own before."""
    for line in reversed(answer.output.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return None
