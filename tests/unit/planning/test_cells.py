"""Cells: epochs kept, and what each run is evaluated on."""

from typing import Any

import pytest

from cruijff_kit.planning.cells import epochs_saved, plan_cells, unused_rows, vain_passes
from cruijff_kit.planning.grid import Point, cross
from cruijff_kit.schema.spec import ExperimentSpec
from tests.fakes.designed import DESIGN, design

TASKS = [{"name": "bits", "task": "rows"}, {"name": "more", "task": "rows"}]


def first_and_control(spec: ExperimentSpec) -> tuple[Point, Point]:
    points = cross(spec)
    return points[0], points[-1]


def names(spec: ExperimentSpec) -> tuple[list[str], list[str]]:
    tuned, control = first_and_control(spec)
    return (
        [cell.name for cell in plan_cells(tuned, epochs_saved(tuned)[0], spec=spec)[0]],
        [cell.name for cell in plan_cells(control, (), spec=spec)[0]],
    )


def saving(kept: Any, epochs: int = 3) -> dict[str, Any]:
    return {"controls": {**DESIGN["controls"], "epochs": epochs, "epochs_to_save": kept}}


@pytest.mark.parametrize("kept,saved", (("all", (0, 1, 2)), ("last", (2,)), ([2, 0], (0, 2)), ([], ())))
def test_epochs_are_saved_as_asked(kept: Any, saved: tuple[int, ...]) -> None:
    assert epochs_saved(first_and_control(design(**saving(kept)))[0]) == (saved, [])


def test_an_epoch_that_never_comes_cannot_be_saved() -> None:
    _, problems = epochs_saved(first_and_control(design(**saving([0, 3])))[0])
    assert [problem.path for problem in problems] == ["controls.epochs_to_save"]


@pytest.mark.parametrize(
    "epochs,expected",
    (
        ("last", ["bits_epoch_1", "more_epoch_1"]),
        ("all", ["bits_epoch_0", "bits_epoch_1", "more_epoch_0", "more_epoch_1"]),
        ([0], ["bits_epoch_0", "more_epoch_0"]),
    ),
)
def test_every_task_is_run_on_the_epochs_asked_for_and_a_base_model_once(epochs: Any, expected: list[str]) -> None:
    spec = design(evaluation={"tasks": TASKS, "epochs": epochs})
    assert names(spec) == (expected, ["bits_base", "more_base"])


@pytest.mark.parametrize("run", ("rank4_lr3e-4", "rank4_lr3e-4_seed1"))
def test_a_matrix_row_is_an_exception_for_one_run(run: str) -> None:
    row = {"run": run, "tasks": ["more"], "epochs": [0]}
    spec = design(evaluation={"tasks": TASKS, "matrix": [row]})
    assert names(spec) == (["more_epoch_0"], ["bits_base", "more_base"])


def test_a_matrix_row_that_no_run_answers_to_is_a_problem() -> None:
    spec = design(evaluation={"tasks": TASKS, "matrix": [{"run": "rank5", "tasks": ["bits"]}]})
    assert [problem.path for problem in unused_rows(cross(spec), spec.evaluation)] == ["evaluation.matrix[0].run"]


def test_an_unknown_task_in_the_matrix_is_a_problem() -> None:
    spec = design(evaluation={"tasks": TASKS, "matrix": [{"run": "base", "tasks": ["bit"]}]})
    _, problems = plan_cells(cross(spec)[-1], (), spec=spec)
    assert [problem.message for problem in problems] == ["unknown evaluation task `bit`"]


def test_an_epoch_that_is_not_saved_cannot_be_evaluated() -> None:
    spec = design(**saving("last"), evaluation={"tasks": TASKS, "epochs": [0]})
    tuned = cross(spec)[0]
    _, problems = plan_cells(tuned, epochs_saved(tuned)[0], spec=spec)
    assert [(problem.path, "epoch `0`" in problem.message) for problem in problems] == [("evaluation.epochs", True)]


def test_without_an_evaluation_engine_there_is_nothing_to_evaluate() -> None:
    assert names(design(tools={"evaluation": "none"})) == ([], [])


OPTIONED = {"name": "bits", "task": "rows", "scorers": ["risk"], "options": ["0", "1"]}


@pytest.mark.parametrize(
    "task,controls,said",
    (
        (OPTIONED, {"lora_dropout": 0.1}, []),
        (OPTIONED, {"lora_dropout": 0.0}, ["trains without dropout, so passes would not differ"]),
        (TASKS[0], {"lora_dropout": 0.1}, ["no task has options to score"]),
        (OPTIONED, {"lora_dropout": 0.1, "recipe": "mlx_lora"}, ["answers in MLX"]),
    ),
)
def test_passes_with_dropout_on_that_tell_nothing_are_a_problem(
    task: dict[str, Any], controls: dict[str, Any], said: list[str]
) -> None:
    spec = design(
        factors={},
        controls={**DESIGN["controls"], **controls},
        evaluation={"tasks": [task], "generation": {"dropout_passes": 4}},
    )
    found = [problem.message for problem in vain_passes(cross(spec)[:1], spec.evaluation)]
    assert len(found) == len(said)
    assert all(words in message for words, message in zip(said, found, strict=True))
    # A base model has no dropout, and is asked once.
    assert list(vain_passes(cross(spec)[-1:], spec.evaluation)) == []
