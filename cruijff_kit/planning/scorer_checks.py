"""Checks of what a design says of scorers: options, costs, the outcome, and the targets they are to judge."""

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

from cruijff_kit.data.splits import Splits
from cruijff_kit.data.structured import label_of
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.scoring.figure_names import FIGURES, metrics_of, split_metric
from cruijff_kit.scoring.judging import event_options
from cruijff_kit.scoring.numbers import find_number

__all__ = ["check_outcome", "check_scorers", "check_targets", "check_task"]

_SHOWN = 3
_PROBABLE = ("acs", "synthetic_twins")


def check_scorers(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what is wrong with the scorers of each task and with what they are told."""
    for index, task in enumerate(spec.evaluation.tasks):
        yield from check_task(task, path=f"evaluation.tasks[{index}].")


def check_task(task: EvalTask, *, path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the scorers of one task; `path` is what stands before its keys."""
    for check in (_planned, _options, _structured, _probable, _costs, _threshold):
        yield from check(task, path)


def check_outcome(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what is wrong with the primary metric: unknown to its task, or neither better high nor low."""
    tasks, metric, path = spec.evaluation.tasks, spec.analysis.primary_metric, "analysis.primary_metric"
    if not tasks or spec.tools.evaluation == "none":
        return
    chosen = spec.analysis.primary_task
    task = next((each for each in tasks if each.name == chosen), tasks[0])
    known = [name for scorer in task.scorers for name in metrics_of(scorer, task.options)]
    # What a task's own scorers give is known when it has run.
    if task.scorers and metric not in known:
        near = get_close_matches(metric, known, n=1)
        fact = f"unknown `{metric}`; known are {', '.join(f'`{each}`' for each in known)}"
        yield Problem(fact, path, hint=f"write `{near[0]}`" if near else "name one of them")
    figure = split_metric(metric)[1]
    if metric in known and figure and not FIGURES[figure].better:
        hint = "take `ece` or `log_loss` of that scorer as the outcome; this figure is reported beside it"
        yield Problem(f"`{metric}` is best near a value, neither high nor low: it cannot rank runs", path, hint=hint)


def check_targets(task: EvalTask, splits: Splits, *, column: str, path: str, shown: bool) -> Iterator[Problem]:
    """Yield a problem where targets of the rows a task evaluates can never be answered rightly.

    Args:
        task: the task; one of somebody else's makes its own targets, and is passed over.
        splits: rows by split.
        column: column of the answer.
        path: place of the task in the design.
        shown: whether rows may be quoted.
    """
    try:
        asked = parse_task(task.task)
    except SpecError:
        return
    wanted = None if asked.foreign else _wanted(task)
    rows = splits.get(task.split, ())
    if wanted is None or not rows:
        return
    fits, words, hint = wanted
    structured = asked.name == "structured"
    targets = (label_of(row, output_key=column) if structured else str(row.get(column, "")) for row in rows)
    strays = [text for text in targets if not fits(text)]
    if strays:
        named = ", ".join(f"`{text[:40]}`" for text in list(dict.fromkeys(strays))[:_SHOWN]) if shown else ""
        fact = (
            f"{len(strays)} of {len(rows)} targets in split `{task.split}` are {words}{named and ', such as '}{named}"
        )
        yield Problem(fact, path, hint=hint)


def _planned(task: EvalTask, path: str) -> Iterator[Problem]:
    if task.scorers:
        return
    try:
        foreign = parse_task(task.task).foreign
    except SpecError:
        return
    if not foreign:
        hint = "name some, such as `scorers: [match]`; only tasks of yours bring scorers of their own"
        yield Problem(f"task `{task.name}` has no scorers", f"{path}scorers", hint=hint)


def _options(task: EvalTask, path: str) -> Iterator[Problem]:
    where, options = f"{path}options", task.options
    if "risk" in task.scorers and len(options) < 2:
        hint = "name all answers there are, the event last: `options: ['no', 'yes']`"
        yield Problem("scorer `risk` needs two options at least", where, hint=hint)
    if "numeric_risk" in task.scorers and options and len(options) != 2:
        hint = "name the target of no event and that of the event, or leave them out for `0` and `1`"
        yield Problem(f"scorer `numeric_risk` tells two options apart, and there are {len(options)}", where, hint=hint)
    seen: set[str] = set()
    for option in options:
        key = option.strip().casefold() if task.ignore_case else option.strip()
        if not key:
            yield Problem("an option is blank", where, hint="remove it, or write the answer it stands for")
        elif option != option.strip():
            hint = f"write `{option.strip()}`; spellings with a space before them are added up anyway"
            yield Problem(f"option `{option}` has white space around it", where, hint=hint)
        elif key in seen:
            yield Problem(f"option `{option}` is named twice", where, hint="keep one of them")
        seen.add(key)


def _structured(task: EvalTask, path: str) -> Iterator[Problem]:
    if task.task == "structured" and len(task.options) < 2:
        hint = "name every label there is: `options: [NO_RISK, HIGH_RISK]`"
        yield Problem("task `structured` needs two options at least", f"{path}options", hint=hint)


def _probable(task: EvalTask, path: str) -> Iterator[Problem]:
    """Yield a problem where a task whose answers have probabilities would not have them scored."""
    if task.task in _PROBABLE and not {"risk", "numeric_risk", "continuous"}.intersection(task.scorers):
        hint = "add `risk` with the two answers, `options: ['0', '1']`, or `continuous` where a number is asked for"
        yield Problem(f"task `{task.task}` scores how likely each answer is", f"{path}scorers", hint=hint)


def _costs(task: EvalTask, path: str) -> Iterator[Problem]:
    where = f"{path}costs"
    if not task.costs:
        return
    options = event_options(task.rules) if "numeric_risk" in task.scorers else task.options
    if not options:
        yield Problem("costs are named, and no options", where, hint="name the answers there are in `options`")
        return
    # Designs are checked without numpy, which few of them need.
    from cruijff_kit.scoring.records import cost_matrix

    try:
        cost_matrix(task.costs, options=options)
    except ResultError as err:
        for problem in err.problems:
            yield Problem(problem.message, where, hint=err.hint)


def _threshold(task: EvalTask, path: str) -> Iterator[Problem]:
    if "threshold" in task.model_fields_set and "numeric_risk" not in task.scorers:
        hint = "remove it, or plan `numeric_risk`; `risk` takes the likeliest option"
        yield Problem("only `numeric_risk` reads a threshold", f"{path}threshold", hint=hint)


def _wanted(task: EvalTask) -> tuple[Callable[[str], bool], str, str] | None:
    """Return what a target must be, what others are, and what to do; None where anything is right."""
    options: Sequence[str] = event_options(task.rules) if "numeric_risk" in task.scorers else task.options
    if options and set(task.scorers) != {"continuous"}:
        fold = str.casefold if task.ignore_case else str
        known = {fold(option) for option in options}
        words = f"none of the options {', '.join(f'`{option}`' for option in options)}"
        hint = "name every answer there is in `options`, or evaluate rows that have these alone"
        return lambda text: fold(text.strip()) in known, words, hint
    if "continuous" in task.scorers:
        hint = "evaluate rows whose answer is a number, or plan another scorer"
        return lambda text: find_number(text).value is not None, "no numbers", hint
    return None
