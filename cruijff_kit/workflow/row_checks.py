"""Check the rows a design uses: tiers, counts, columns, and what splits share."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.data.tiers import TIERS, strictest
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.data_checks import (
    Used,
    check_columns,
    check_counts,
    check_groups,
    check_overlaps,
    wanted_columns,
)
from cruijff_kit.planning.loss_checks import check_answers
from cruijff_kit.planning.scorer_checks import check_targets
from cruijff_kit.ports import World
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.datasets import Dataset
from cruijff_kit.workflow.mask_gate import TRAINED
from cruijff_kit.workflow.plan import Planned
from cruijff_kit.workflow.tiers import marks_of, named_data

__all__ = ["check_rows", "check_tiers", "other_rows", "used_splits"]


def check_rows(spec: ExperimentSpec, planned: Planned, *, world: World) -> list[Problem]:
    """Return what is wrong with the rows that runs train on or are evaluated on."""
    by_key = {dataset.facts.key: dataset for dataset in planned.datasets}
    problems = [*_task_files(spec, world), *check_tiers(spec, world)]
    shown = closed_plan(planned.plan, way="show", world=world) is None
    for key in dict.fromkeys(run.dataset for run in planned.plan.runs):
        runs = [run for run in planned.plan.runs if run.dataset == key]
        problems += _own_rows(spec, by_key[key], runs=runs, shown=shown)
        others = other_rows(spec, planned, world=world)
        problems += _other_files(spec, by_key[key], others=others, shown=shown)
    return problems


def used_splits(splits: Splits, runs: Iterable[PlannedRun]) -> Splits:
    """Return the splits of their own data set that runs train on or are evaluated on."""
    wanted = {cell.task.split for run in runs for cell in run.cells if cell.task.dataset is None}
    if any(run.type == "fine-tuned" for run in runs):
        wanted.update(TRAINED)
    return {name: rows for name, rows in splits.items() if name in wanted}


def other_rows(spec: ExperimentSpec, planned: Planned, *, world: World) -> dict[int, Splits]:
    """Return the split each task evaluates of a file of its own, by position of the task."""
    places = {dataset.facts.path: dataset for dataset in planned.datasets}
    found: dict[int, Splits] = {}
    for index, task in enumerate(spec.evaluation.tasks):
        dataset = places.get(str(world.store.root / task.dataset)) if task.dataset else None
        if dataset is not None:
            found[index] = {task.split: dataset.splits.get(task.split, ())}
    return found


def _task_files(spec: ExperimentSpec, world: World) -> Iterator[Problem]:
    for index, task in enumerate(spec.evaluation.tasks):
        file = _file_of(task)
        if file is not None and not (world.store.root / file).is_file():
            hint = "give a path that is absolute or starts at the experiment"
            yield Problem(f"task file `{file}` is missing", f"evaluation.tasks[{index}].task", hint=hint)


def _file_of(task: EvalTask) -> str | None:
    try:
        return parse_task(task.task).file
    except SpecError:
        return None


def check_tiers(spec: ExperimentSpec, world: World) -> list[Problem]:
    """Return a problem for each folder of data that is marked more closely kept than the design says.

    Raises:
        SpecError: a mark names no tier.
    """
    problems = []
    for _, path in named_data(spec):
        place = world.store.root / path
        folder = place if place.is_dir() else place.parent
        tier = strictest(marks_of(place, root=world.store.root), unsaid="green")
        if TIERS.index(tier) > TIERS.index(spec.data.tier):
            fact = f"data in `{folder}` is marked `{tier}`, and the design says `{spec.data.tier}`"
            problems.append(Problem(fact, "data.tier", hint=f"write `tier: {tier}`"))
    return list(dict.fromkeys(problems))


def _own_rows(spec: ExperimentSpec, dataset: Dataset, *, runs: Sequence[PlannedRun], shown: bool) -> list[Problem]:
    training, name = spec.data.training, dataset.facts.key
    used = Used(name, used_splits(dataset.splits, runs), shown)
    evaluated = Used(name, {split: rows for split, rows in used.splits.items() if split not in TRAINED})
    # Generators assert that their splits share nothing.
    shared = [] if training.generator else check_overlaps(used, column=_question_column(spec))
    return [
        *shared,
        *check_counts(training, Used(name, dataset.splits)),
        *check_columns(_prompts(spec), used, training=training),
        *check_answers(runs, used, column=wanted_columns(spec).output),
        *(check_groups(spec.analysis, evaluated) if evaluated.splits else ()),
        *_targets(spec, evaluated.splits, shown=shown),
    ]


def _targets(spec: ExperimentSpec, splits: Splits, *, shown: bool) -> Iterator[Problem]:
    """Yield what is wrong with the targets of tasks that evaluate the runs' own data."""
    for index, task in enumerate(spec.evaluation.tasks):
        if task.dataset is None:
            yield from _targets_of(spec, index, splits=splits, shown=shown)


def _targets_of(spec: ExperimentSpec, index: int, *, splits: Splits, shown: bool) -> Iterator[Problem]:
    column = wanted_columns(spec).output
    if column is not None:
        path = f"evaluation.tasks[{index}]"
        yield from check_targets(spec.evaluation.tasks[index], splits, column=column, path=path, shown=shown)


def _other_files(spec: ExperimentSpec, own: Dataset, *, others: dict[int, Splits], shown: bool) -> Iterator[Problem]:
    """Yield what is wrong with evaluation files beside the runs' own data."""
    training = spec.data.training
    for index, splits in others.items():
        path, name = f"evaluation.tasks[{index}].dataset", str(spec.evaluation.tasks[index].dataset)
        yield from check_groups(spec.analysis, Used(name, splits))
        yield from _targets_of(spec, index, splits=splits, shown=shown)
        for problem in check_columns(_prompts(spec), Used(name, splits), training=training):
            yield problem._replace(path=path)
        both = {
            "train": own.splits.get("train", ()),
            **{f"{split} of the other file": splits[split] for split in splits},
        }
        yield from check_overlaps(Used(name, both, shown), column=_question_column(spec), path=path)


def _question_column(spec: ExperimentSpec) -> str | None:
    """Return the column of questions; None where rows say by their own columns what they are."""
    columns = wanted_columns(spec)
    if columns.items and columns.input is None:
        return None
    return columns.input or columns.messages or spec.data.training.input_key


def _prompts(spec: ExperimentSpec) -> dict[str, str]:
    """Return every prompt template of a design by its path."""
    found: dict[str, Any] = {}
    levels = spec.factors.get("prompt", ())
    if not levels:
        found["controls.prompt"] = spec.controls.prompt
    found |= {f"factors.prompt[{index}]": level for index, level in enumerate(levels)}
    for index, run in enumerate(spec.runs):
        if "prompt" in run.parameters:
            found[f"runs[{index}].parameters.prompt"] = run.parameters["prompt"]
    return {path: prompt for path, prompt in found.items() if isinstance(prompt, str)}
