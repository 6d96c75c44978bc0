"""Checks of designs that take points of a space, beyond their form."""

from collections.abc import Iterator

from cruijff_kit.errors import Problem
from cruijff_kit.planning.runs import NEUTRAL
from cruijff_kit.planning.search_space import DEFAULT, number_of, searched_names
from cruijff_kit.schema.design_kinds import GridDesign, LatinDesign, SearchDesign
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["check_kind", "kind_warnings"]

_BATCH = frozenset({"batch_size", "gradient_accumulation_steps"})


def check_kind(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield all that contradicts itself in a design of a kind."""
    design = spec.design
    if isinstance(design, GridDesign | LatinDesign):
        yield from _said_twice(spec, design)
    if isinstance(design, SearchDesign):
        yield from _neutral(design)
        yield from _reserved(spec)
        yield from _metric(spec, design)
        if 0.5**design.fresh_seeds > spec.analysis.alpha:
            fact = f"{design.fresh_seeds} fresh seeds can never show a win at level {spec.analysis.alpha:g}"
            yield Problem(fact, "design.fresh_seeds", hint="take more of them, or a higher `analysis.alpha`")


def kind_warnings(spec: ExperimentSpec) -> list[str]:
    """Return what is worth a second look in a design of a kind."""
    design = spec.design
    if not isinstance(design, SearchDesign) or design.is_loss:
        return []
    task = _task(spec, design)
    if task is None or task.split != "test":
        return []
    fact = f"the search picks by split `test` of task `{task.name}`: figures on it flatter the winner"
    return [f"{fact}; search by `val_loss`, or by a task on split `validation`"]


def _task(spec: ExperimentSpec, design: SearchDesign) -> EvalTask | None:
    """Return the task whose figure is searched for: the one named, else the first."""
    return next((each for each in spec.evaluation.tasks if design.task in {None, each.name}), None)


def _said_twice(spec: ExperimentSpec, design: GridDesign | LatinDesign) -> Iterator[Problem]:
    for name in design.space:
        if name in spec.factors:
            hint = "say it in one place: remove it here, or from `factors`"
            yield Problem(f"`{name}` is in `design.space` and in `factors`", f"design.space.{name}", hint=hint)
        if name in spec.controls.model_fields_set:
            hint = "say it in one place: remove it here, or from `design.space`"
            yield Problem(f"`{name}` is varied and is also held fixed", f"controls.{name}", hint=hint)


def _neutral(design: SearchDesign) -> Iterator[Problem]:
    for name in searched_names(design):
        if name in NEUTRAL - _BATCH:
            fact = f"`{name}` changes no result, so there is nothing to find"
            yield Problem(fact, f"design.space.{name}", hint="remove it; set it in `controls`")


def _reserved(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, run in enumerate(spec.runs):
        if run.name == DEFAULT:
            fact = f"`{DEFAULT}` is the name of the run that a search is held against"
            yield Problem(fact, f"runs[{index}].name", hint="rename the run, or remove it: a search has it anyway")
        if number_of(run.name) is not None and run.type == "control":
            yield Problem(f"trial `{run.name}` trains nothing", f"runs[{index}].type", hint="rename the control")


def _metric(spec: ExperimentSpec, design: SearchDesign) -> Iterator[Problem]:
    path, tasks = "design.metric", spec.evaluation.tasks
    if design.is_loss:
        if design.task is not None:
            yield Problem(f"`{design.metric}` is no figure of a task", "design.task", hint="remove `task`")
        return
    if spec.tools.evaluation == "none" or not tasks:
        hint = "search by `val_loss`, or name the task under `evaluation.tasks`"
        yield Problem(f"`{design.metric}` is measured by an evaluation, and there is none", path, hint=hint)
        return
    task = _task(spec, design)
    if task is None:
        known = ", ".join(f"`{each.name}`" for each in tasks)
        yield Problem(f"unknown task `{design.task}`; tasks are {known}", "design.task", hint="name one of them")
    elif task.scorers and design.metric.partition("/")[0] not in task.scorers:
        known = ", ".join(f"`{each}`" for each in task.scorers)
        fact = f"task `{task.name}` has no scorer `{design.metric.partition('/')[0]}`; it has {known}"
        yield Problem(fact, path, hint="name one of them, or add the scorer to the task")
