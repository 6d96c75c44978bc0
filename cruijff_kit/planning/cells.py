"""Cells: which adapters a run keeps, and what each of them is evaluated on."""

from collections.abc import Iterator
from typing import NamedTuple

from cruijff_kit.data.mlx_limits import MLX_RECIPE
from cruijff_kit.errors import Problem
from cruijff_kit.planning.grid import Point
from cruijff_kit.schema.evaluation import Evaluation, MatrixRow
from cruijff_kit.schema.plan import Cell
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Reach", "epochs_saved", "plan_cells", "unused_rows", "vain_passes"]


class Reach(NamedTuple):
    """Where evaluation of one run goes: tasks by name, and epochs."""

    tasks: tuple[str, ...]
    """Names of evaluation tasks."""
    epochs: tuple[int | None, ...]
    """Epochs from 0; None alone for a base model."""


def epochs_saved(point: Point) -> tuple[tuple[int, ...], list[Problem]]:
    """Return the epochs whose adapter a run keeps, and those asked for in vain."""
    if point.type == "control":
        return (), []
    epochs: int = point.settings["epochs"].value
    wanted = point.settings["epochs_to_save"].value
    if wanted == "all":
        return tuple(range(epochs)), []
    if wanted == "last":
        return (epochs - 1,), []
    if wanted == "none":
        return (), []
    kept = tuple(sorted(set(wanted)))
    beyond = [epoch for epoch in kept if epoch >= epochs]
    if not beyond:
        return kept, []
    fact = f"epoch `{beyond[0]}` cannot be saved: run `{point.name}` has {epochs}, counted from 0"
    return kept, [Problem(fact, "controls.epochs_to_save", hint=f"save epochs 0 to {epochs - 1}, or `all`")]


def plan_cells(point: Point, saved: tuple[int, ...], *, spec: ExperimentSpec) -> tuple[tuple[Cell, ...], list[Problem]]:
    """Return a run's evaluations in task order, and what is wrong with the matrix for it."""
    if spec.tools.evaluation == "none":
        return (), []
    reach, path = _reach(point, spec.evaluation)
    problems = [*_unknown(reach, spec.evaluation, path=path), *_unsaved(point, reach, saved=saved, path=path)]
    if problems:
        return (), problems
    tasks = {task.name: task for task in spec.evaluation.tasks}
    return tuple(Cell(task=tasks[name], epoch=epoch) for name in reach.tasks for epoch in reach.epochs), []


def unused_rows(points: tuple[Point, ...], evaluation: Evaluation) -> Iterator[Problem]:
    """Yield the matrix rows that no run answers to."""
    names = {name for point in points for name in (point.name, point.slug)}
    for index, row in enumerate(evaluation.matrix):
        if row.run not in names:
            hint = f"runs are {', '.join(f'`{name}`' for name in sorted(names)[:6])}"
            yield Problem(f"no run is called `{row.run}`", f"evaluation.matrix[{index}].run", hint=hint)


def vain_passes(points: tuple[Point, ...], evaluation: Evaluation) -> Iterator[Problem]:
    """Yield why passes with dropout on cannot be had of a run that trains, or tell nothing; each fact once a place."""
    place = "evaluation.generation.dropout_passes"
    for point in points:
        generation = point.generation or evaluation.generation
        if not generation.dropout_passes or point.type == "control":
            continue
        if not any(task.options for task in evaluation.tasks):
            yield Problem(
                "no task has options to score, so passes tell nothing", place, hint="name `options` of a task"
            )
        if not point.settings["lora_dropout"].value:
            hint = "set `controls.lora_dropout` above 0, or leave the passes out"
            yield Problem(f"run `{point.slug}` trains without dropout, so passes would not differ", place, hint=hint)
        if point.settings["recipe"].value == MLX_RECIPE:
            hint = "train and evaluate with torch, or leave the passes out"
            yield Problem(f"run `{point.slug}` answers in MLX, which has no passes with dropout on", place, hint=hint)


def _reach(point: Point, evaluation: Evaluation) -> tuple[Reach, str]:
    rows = ((index, row) for index, row in enumerate(evaluation.matrix) if row.run in (point.slug, point.name))
    index, row = next(rows, (0, None))
    tasks = row.tasks if row else tuple(task.name for task in evaluation.tasks)
    path = f"evaluation.matrix[{index}]" if row else "evaluation.epochs"
    return Reach(tasks, _epochs(point, row, evaluation=evaluation)), path


def _epochs(point: Point, row: MatrixRow | None, *, evaluation: Evaluation) -> tuple[int | None, ...]:
    if point.type == "control":
        return (None,)
    if row is not None and row.epochs is not None:
        return row.epochs
    if evaluation.epochs == "last":
        return (point.settings["epochs"].value - 1,)
    if evaluation.epochs == "all":
        return epochs_saved(point)[0]
    return evaluation.epochs


def _unknown(reach: Reach, evaluation: Evaluation, *, path: str) -> Iterator[Problem]:
    known = [task.name for task in evaluation.tasks]
    for name in reach.tasks:
        if name not in known:
            hint = f"tasks are {', '.join(f'`{task}`' for task in known) or 'none'}"
            yield Problem(f"unknown evaluation task `{name}`", f"{path}.tasks", hint=hint)


def _unsaved(point: Point, reach: Reach, *, saved: tuple[int, ...], path: str) -> Iterator[Problem]:
    if point.type == "control" or not reach.tasks:
        return
    for epoch in reach.epochs:
        if epoch not in saved:
            hint = "add it to `controls.epochs_to_save`, or evaluate another epoch"
            yield Problem(f"epoch `{epoch}` of run `{point.name}` is evaluated and not saved", path, hint=hint)
