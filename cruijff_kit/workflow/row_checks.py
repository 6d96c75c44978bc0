"""Check the rows a design uses: tiers, counts, columns, and what splits share."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cruijff_kit.data.generators.registry import named_files
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.data_checks import (
    Used,
    check_columns,
    check_counts,
    check_groups,
    check_overlaps,
    wanted_columns,
)
from cruijff_kit.planning.scorer_checks import check_targets
from cruijff_kit.ports import World
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.datasets import Dataset
from cruijff_kit.workflow.mask_gate import TRAINED
from cruijff_kit.workflow.plan import Planned

__all__ = ["check_rows", "check_tiers", "other_rows", "used_splits"]

_TIERS = ("green", "yellow", "red")


def check_rows(spec: ExperimentSpec, planned: Planned, *, world: World) -> list[Problem]:
    """Return what is wrong with the rows that runs train on or are evaluated on."""
    by_key = {dataset.facts.key: dataset for dataset in planned.datasets}
    problems = [*_task_files(spec, world), *check_tiers(spec, world)]
    for key in dict.fromkeys(run.dataset for run in planned.plan.runs):
        runs = [run for run in planned.plan.runs if run.dataset == key]
        problems += _own_rows(spec, by_key[key], runs=runs)
        problems += _other_files(spec, by_key[key], others=other_rows(spec, planned, world=world))
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


def check_tiers(spec: ExperimentSpec, world: World) -> Iterator[Problem]:
    """Yield a problem for each folder of data that is marked more closely kept than the design says."""
    levels = [level for level in spec.factors.get("data.path", ()) if isinstance(level, str)]
    named = named_files(spec.data.training.generator or "", spec.data.training.arguments)
    files = [spec.data.training.path, *levels, *named.values(), *(task.dataset for task in spec.evaluation.tasks)]
    places = [world.store.root / file for file in files if file]
    for folder in dict.fromkeys(folder for place in places for folder in (place.parent, place) if folder.is_dir()):
        mark = folder / "TIER"
        tier = mark.read_text(encoding="utf-8").strip() if mark.is_file() else "green"
        if tier not in _TIERS:
            fact = f"`{mark}` says `{tier[:20]}`; tiers are `green`, `yellow` and `red`"
            yield Problem(fact, "data.tier", hint="write one of them into that file")
        elif _TIERS.index(tier) > _TIERS.index(spec.data.tier):
            fact = f"data in `{folder}` is marked `{tier}`, and the design says `{spec.data.tier}`"
            yield Problem(fact, "data.tier", hint=f"write `tier: {tier}`")


def _own_rows(spec: ExperimentSpec, dataset: Dataset, *, runs: Sequence[PlannedRun]) -> list[Problem]:
    training, name, shown = spec.data.training, dataset.facts.key, _shown(spec)
    used = Used(name, used_splits(dataset.splits, runs), shown)
    evaluated = Used(name, {split: rows for split, rows in used.splits.items() if split not in TRAINED})
    # Generators assert that their splits share nothing.
    shared = [] if training.generator else check_overlaps(used, column=_question_column(spec))
    return [
        *shared,
        *check_counts(training, Used(name, dataset.splits)),
        *check_columns(_prompts(spec), used, training=training),
        *(check_groups(spec.analysis, evaluated) if evaluated.splits else ()),
        *_targets(spec, evaluated.splits),
    ]


def _targets(spec: ExperimentSpec, splits: Splits) -> Iterator[Problem]:
    """Yield what is wrong with the targets of tasks that evaluate the runs' own data."""
    for index, task in enumerate(spec.evaluation.tasks):
        if task.dataset is None:
            yield from _targets_of(spec, index, splits=splits)


def _targets_of(spec: ExperimentSpec, index: int, *, splits: Splits) -> Iterator[Problem]:
    column = wanted_columns(spec).output
    if column is not None:
        path = f"evaluation.tasks[{index}]"
        yield from check_targets(spec.evaluation.tasks[index], splits, column=column, path=path, shown=_shown(spec))


def _other_files(spec: ExperimentSpec, own: Dataset, *, others: dict[int, Splits]) -> Iterator[Problem]:
    """Yield what is wrong with evaluation files beside the runs' own data."""
    training = spec.data.training
    for index, splits in others.items():
        path, name = f"evaluation.tasks[{index}].dataset", str(spec.evaluation.tasks[index].dataset)
        yield from check_groups(spec.analysis, Used(name, splits))
        yield from _targets_of(spec, index, splits=splits)
        for problem in check_columns(_prompts(spec), Used(name, splits), training=training):
            yield problem._replace(path=path)
        both = {
            "train": own.splits.get("train", ()),
            **{f"{split} of the other file": splits[split] for split in splits},
        }
        yield from check_overlaps(Used(name, both, _shown(spec)), column=_question_column(spec), path=path)


def _question_column(spec: ExperimentSpec) -> str | None:
    """Return the column of questions; None where rows say by their own columns what they are."""
    columns = wanted_columns(spec)
    if columns.items and columns.input is None:
        return None
    return columns.input or columns.messages or spec.data.training.input_key


def _shown(spec: ExperimentSpec) -> bool:
    """Return whether rows may be quoted: to anyone, or with the consent that is recorded."""
    return spec.data.tier == "green" or (spec.data.tier == "yellow" and spec.data.consent is not None)


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
