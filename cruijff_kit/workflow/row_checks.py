"""Check the rows a design uses: overlaps, columns, and lengths in real tokens."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.data.tokens import Encoding, Row, encode_prompt, encode_row, encoding_problems
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.planning.data_checks import Used, check_columns, check_counts, check_groups, check_overlaps
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import EvalTask, ExperimentSpec
from cruijff_kit.workflow.datasets import Dataset
from cruijff_kit.workflow.plan import Planned

__all__ = ["RowFindings", "check_rows"]

_TRAINED = ("train", "validation")
_SHARED = ("dataset_type", "prompt", "system_prompt", "template_date", "max_seq_len", "overlong", "train_on_input")
# Byte-level tokenizers may put a blank or a marker before a text.
_SLACK = 16


class RowFindings(NamedTuple):
    """What the rows of a design were found to be."""

    problems: list[Problem]
    """All that stands in the way."""
    warnings: list[str]
    """What could not be checked."""


class _Reading(NamedTuple):
    """One way in which rows of one data set become tokens for one model."""

    model_path: str
    dataset: str
    encoding: Encoding


def check_rows(spec: ExperimentSpec, planned: Planned, *, world: World) -> RowFindings:
    """Return what is wrong with the rows that runs train on or are evaluated on."""
    by_key = {dataset.facts.key: dataset for dataset in planned.datasets}
    problems = [*_task_files(spec, world)]
    for key in dict.fromkeys(run.dataset for run in planned.plan.runs):
        runs = [run for run in planned.plan.runs if run.dataset == key]
        problems += _own_rows(spec, by_key[key], runs=runs)
        problems += _other_files(spec, by_key[key], datasets=planned.datasets, world=world)
    if any("prompt" in problem.path for problem in problems):
        return RowFindings(problems, [])
    lengths = _token_findings(spec, planned, world=world)
    return RowFindings([*problems, *lengths.problems], lengths.warnings)


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


def _own_rows(spec: ExperimentSpec, dataset: Dataset, *, runs: Sequence[PlannedRun]) -> list[Problem]:
    training = spec.data.training
    name = training.path or dataset.facts.key
    used = Used(name, _used_splits(dataset.splits, runs))
    evaluated = Used(name, {split: rows for split, rows in used.splits.items() if split not in _TRAINED})
    # Generators assert that their splits share nothing.
    shared = [] if training.generator else check_overlaps(used, column=training.input_key)
    return [
        *shared,
        *check_counts(training, Used(name, dataset.splits)),
        *check_columns(_prompts(spec), used, training=training),
        *(check_groups(spec.analysis, evaluated) if evaluated.splits else ()),
    ]


def _used_splits(splits: Splits, runs: Iterable[PlannedRun]) -> Splits:
    wanted = {cell.task.split for run in runs for cell in run.cells if cell.task.dataset is None}
    if any(run.type == "fine-tuned" for run in runs):
        wanted.update(_TRAINED)
    return {name: rows for name, rows in splits.items() if name in wanted}


def _other_files(spec: ExperimentSpec, own: Dataset, *, datasets: Sequence[Dataset], world: World) -> Iterator[Problem]:
    """Yield a problem for each evaluation file that shares questions with the training rows."""
    for index, task in enumerate(spec.evaluation.tasks):
        if task.dataset is None:
            continue
        place = str(world.store.root / task.dataset)
        rows = next((each.splits.get(task.split, ()) for each in datasets if each.facts.path == place), ())
        both = Used(task.dataset, {"train": own.splits.get("train", ()), task.split: rows})
        yield from check_overlaps(both, column=spec.data.training.input_key, path=f"evaluation.tasks[{index}].dataset")


def _prompts(spec: ExperimentSpec) -> dict[str, str]:
    found: dict[str, Any] = {}
    levels = spec.factors.get("prompt", ())
    if not levels:
        found["controls.prompt"] = spec.controls.prompt
    found |= {f"factors.prompt[{index}]": level for index, level in enumerate(levels)}
    for index, run in enumerate(spec.runs):
        if "prompt" in run.parameters:
            found[f"runs[{index}].parameters.prompt"] = run.parameters["prompt"]
    return {path: prompt for path, prompt in found.items() if isinstance(prompt, str)}


def _token_findings(spec: ExperimentSpec, planned: Planned, *, world: World) -> RowFindings:
    problems: list[Problem] = []
    by_key = {dataset.facts.key: dataset for dataset in planned.datasets}
    readings: dict[_Reading, list[PlannedRun]] = {}
    for run in planned.plan.runs:
        readings.setdefault(_reading(run, spec), []).append(run)
    tokenizers: dict[str, Tokenizer] = {}
    for reading, runs in readings.items():
        try:
            tokenizer = tokenizers.setdefault(reading.model_path, world.hub.tokenizer(reading.model_path))
        except SiteError as err:
            if "pip install" in err.hint:
                return RowFindings(problems, [f"the length of rows was not checked: {str(err).splitlines()[0]}"])
            problems.append(Problem(str(err).splitlines()[0], "models", hint=err.hint))
            continue
        splits = _used_splits(by_key[reading.dataset].splits, runs)
        found = encoding_problems(reading.encoding, tokenizer=tokenizer) or _long_rows(
            reading, splits, tokenizer=tokenizer
        )
        problems += [_at_factor(each, spec) for each in found]
    return RowFindings(problems, [])


def _reading(run: PlannedRun, spec: ExperimentSpec) -> _Reading:
    training = spec.data.training
    values: dict[str, Any] = {name: run.settings[name].value for name in _SHARED}
    encoding = Encoding(**values, input_key=training.input_key, output_key=training.output_key)
    return _Reading(run.model_path, run.dataset, encoding)


def _long_rows(reading: _Reading, splits: Splits, *, tokenizer: Tokenizer) -> Iterator[Problem]:
    for split, rows in splits.items():
        wrong = list(_refused(rows, split, encoding=reading.encoding, tokenizer=tokenizer))
        if wrong:
            first, more = wrong[0], len(wrong) - 1
            fact = f"{first.place}: {first.message}" + (f"; so have {more} more rows of `{split}`" if more else "")
            yield Problem(fact, first.path or "controls.max_seq_len", hint=first.hint)


def _refused(rows: Sequence[Row], split: str, *, encoding: Encoding, tokenizer: Tokenizer) -> Iterator[Problem]:
    """Yield the rows that cannot be tokenised within the limit; most are seen to fit by their bytes.

    A token stands for a byte at least, so a row has no more tokens than another row of
    the same template has, plus its own bytes.
    """
    allowance = 0
    for index, row in enumerate(rows):
        if _bytes(row) * _uses(encoding) < allowance:
            continue
        place = f"{split}[{index}]"
        try:
            length = _tokens(row, encoding, tokenizer=tokenizer, place=place)
        except SpecError as err:
            yield from (problem._replace(place=place) for problem in err.problems)
            continue
        allowance = allowance or max(encoding.max_seq_len - length - _SLACK, 0)


def _tokens(row: Row, encoding: Encoding, *, tokenizer: Tokenizer, place: str) -> int:
    """Return the tokens of a row; of rows that are only evaluated, those of the prompt."""
    if place.startswith(_TRAINED):
        return len(encode_row(row, encoding=encoding, tokenizer=tokenizer, place=place).ids)
    return len(encode_prompt(row, encoding=encoding, tokenizer=tokenizer, place=place))


def _uses(encoding: Encoding) -> int:
    return max(1, encoding.prompt.count("{"))


def _bytes(row: Row) -> int:
    return sum(len(str(value).encode()) for value in row.values())


def _at_factor(problem: Problem, spec: ExperimentSpec) -> Problem:
    control = problem.path.removeprefix("controls.")
    return problem._replace(path=f"factors.{control}") if control in spec.factors else problem
