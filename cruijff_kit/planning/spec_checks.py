"""Checks of a design that need nothing but the design itself."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any

from cruijff_kit.data.generators.registry import GENERATORS, check_arguments
from cruijff_kit.data.prompts import asks
from cruijff_kit.data.recipe_names import resolve_recipe, unknown_recipe
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.data.template_registry import MODEL, NOT_IN_TEXT, get, is_file
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.api_models import api_problems
from cruijff_kit.planning.audit_checks import check_audit
from cruijff_kit.planning.claim_checks import check_claims
from cruijff_kit.planning.data_checks import wanted_columns
from cruijff_kit.planning.kind_checks import check_kind
from cruijff_kit.planning.scorer_checks import check_outcome, check_scorers
from cruijff_kit.planning.settings import READ_BY_EVALUATION
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.schema.data import TrainingData
from cruijff_kit.schema.spec import Controls, ExperimentSpec, Level

__all__ = ["check_spec", "said"]

_DATA = "data."


def check_spec(spec: ExperimentSpec) -> list[Problem]:
    """Return all that contradicts itself or names what does not exist, in design order."""
    checks = (
        _date,
        _names,
        _generator,
        _factors,
        _control_runs,
        _prompts,
        _conversations,
        _templates,
        _recipes,
        _tasks,
        check_scorers,
        _engines,
        api_problems,
        check_outcome,
        check_kind,
        _analysis,
        check_claims,
        check_audit,
        _metrics,
    )
    return [problem for check in (*checks, _times) for problem in check(spec)]


def _date(spec: ExperimentSpec) -> Iterator[Problem]:
    try:
        date.fromisoformat(spec.created)
    except ValueError:
        yield Problem(f"`{spec.created}` is no day of the calendar", "created", hint="write it as year-month-day")


def _names(spec: ExperimentSpec) -> Iterator[Problem]:
    yield from _repeated(spec.controls.seeds, "controls.seeds[{}]", kind="seed")
    for index, run in enumerate(spec.runs):
        yield from _repeated(run.seeds or (), f"runs[{index}].seeds[{{}}]", kind="seed")
    yield from _repeated([run.name for run in spec.runs], "runs[{}].name", kind="run")
    yield from _repeated([task.name for task in spec.evaluation.tasks], "evaluation.tasks[{}].name", kind="task")
    yield from _repeated([row.run for row in spec.evaluation.matrix], "evaluation.matrix[{}].run", kind="matrix row")


def _repeated(names: Iterable[Any], path: str, *, kind: str) -> Iterator[Problem]:
    seen: set[Any] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Problem(f"{kind} `{name}` is named twice", path.format(index), hint="keep one, or rename it")
        seen.add(name)


def _generator(spec: ExperimentSpec) -> Iterator[Problem]:
    training = spec.data.training
    if training.generator is None:
        return
    levels = {
        name.removeprefix(_DATA): each[0] for name, each in spec.factors.items() if name.startswith(_DATA) and each
    }
    levels.pop("path", None)
    for problem in check_arguments(training.generator, {**levels, **training.arguments}):
        if problem.path in levels and problem.path not in training.arguments:
            continue
        path = f"data.training.arguments.{problem.path}" if problem.path else "data.training.generator"
        yield problem._replace(path=path)
    if training.generator not in GENERATORS:
        return
    for name, levels in spec.factors.items():
        if name.startswith(_DATA) and name != "data.path":
            yield from _argument_levels(name, levels, training=training)


def _argument_levels(name: str, levels: Iterable[Level], *, training: TrainingData) -> Iterator[Problem]:
    argument, generator = name.removeprefix(_DATA), str(training.generator)
    for index, level in enumerate(levels):
        for problem in check_arguments(generator, {**training.arguments, argument: level}):
            if problem.path != argument:
                continue
            known = argument in GENERATORS[generator].arguments.model_fields
            yield problem._replace(path=f"factors.{name}[{index}]" if known else f"factors.{name}")
            if not known:
                return


def _factors(spec: ExperimentSpec) -> Iterator[Problem]:
    for name, levels in spec.factors.items():
        yield from _truth_levels(name, levels)
        yield from _fixed_too(name, spec)


def _truth_levels(name: str, levels: Iterable[Level]) -> Iterator[Problem]:
    field = Controls.described().get(name)
    if field is None or "bool" in str(field.annotation):
        return
    for index, level in enumerate(levels):
        if isinstance(level, bool):
            fact = f"`{str(level).lower()}` is not a valid `{name}`"
            yield Problem(fact, f"factors.{name}[{index}]", hint=f"{name}: {field.description}")


def _fixed_too(name: str, spec: ExperimentSpec) -> Iterator[Problem]:
    # Runs named one by one take the fixed value where they read it, so with them both may be meant.
    read_by_control = name in READ_BY_EVALUATION or name.startswith(_DATA)
    if any(run.type == "fine-tuned" or read_by_control for run in spec.runs):
        return
    argument = name.removeprefix(_DATA)
    fact, hint = (
        f"`{name}` is a factor and is also held fixed",
        "say it in one place: remove it here, or from `factors`",
    )
    if name in spec.controls.model_fields_set:
        yield Problem(fact, f"controls.{name}", hint=hint)
    if argument != name and argument in spec.data.training.arguments:
        yield Problem(fact, f"data.training.arguments.{argument}", hint=hint)


def _control_runs(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, run in enumerate(spec.runs):
        if run.type != "control":
            continue
        for name in run.parameters:
            if name in Controls.model_fields and name not in READ_BY_EVALUATION:
                hint = "remove it, or make the run `type: fine-tuned`"
                fact = f"control run `{run.name}` sets `{name}`, which only training reads"
                yield Problem(fact, f"runs[{index}].parameters.{name}", hint=hint)


def _prompts(spec: ExperimentSpec) -> Iterator[Problem]:
    hint = "put `{input}` where the question belongs"
    for path, prompt in said(spec, "prompt"):
        if isinstance(prompt, str) and not asks(prompt, input_key=spec.data.training.input_key):
            yield Problem(f"prompt `{prompt}` lacks `{{input}}`", path, hint=hint)


def _conversations(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what a design says of questions and answers where no row is read by it."""
    columns = wanted_columns(spec)
    if columns.input is not None:
        return
    kind = "auto" if columns.items else "chat"
    hint = (
        "remove it: rows of `dataset_type: auto` say by their own columns what they ask"
        if columns.items
        else "remove it: rows of `dataset_type: chat` hold whole turns in their column `messages`"
    )
    for path, prompt in said(spec, "prompt"):
        if prompt != "{input}":
            yield Problem(f"`{kind}` has no prompt template", path, hint=hint)
    training = spec.data.training
    for key, column in (("input_key", training.input_key), ("output_key", training.output_key)):
        if column != key.removesuffix("_key"):
            yield Problem(f"`{kind}` reads no `{key}`", f"data.training.{key}", hint=hint)


def _templates(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield templates that are none, and named ones where nothing is written as a conversation; plans read files."""
    hint = "leave `template` out, or use `dataset_type: chat_completion`"
    types = {kind for _, kind in said(spec, "dataset_type")}
    for path, template in said(spec, "template"):
        if template == MODEL or not isinstance(template, str):
            continue
        if types == {"text_completion"}:
            yield Problem(NOT_IN_TEXT, path, hint=hint)
        if is_file(template):
            continue
        try:
            get(template)
        except ValueError as err:
            yield Problem(str(err), path, hint="see `template` in `ck schema`")


def _recipes(spec: ExperimentSpec) -> Iterator[Problem]:
    for path, recipe in said(spec, "recipe"):
        if recipe is None:
            continue
        try:
            resolve_recipe(str(recipe))
        except ValueError as err:
            yield Problem(str(err), path, hint=unknown_recipe(str(recipe))[1])


def _metrics(spec: ExperimentSpec) -> Iterator[Problem]:
    for path, named in said(spec, "custom_metrics"):
        name, colon, labels = str(named).partition(":")
        if named is None or str(named).endswith(".py"):
            continue
        if name != "label_format" or (colon and not all(labels.split(","))):
            hint = "write `label_format`, `label_format:yes,no`, or the path of a `.py` file of yours"
            yield Problem(f"unknown custom metrics `{named}`", path, hint=hint)
        elif any(value is True for _, value in said(spec, "train_on_input")):
            hint = "leave `train_on_input` out, or measure with a `.py` file of yours"
            fact = (
                "`label_format` looks at the first supervised token, which with `train_on_input` is none of the answer"
            )
            yield Problem(fact, path, hint=hint)


def said(spec: ExperimentSpec, control: str) -> Iterator[tuple[str, Any]]:
    """Yield every value a control takes in a design, with its path."""
    yield f"controls.{control}", getattr(spec.controls, control)
    for index, level in enumerate(spec.factors.get(control, ())):
        yield f"factors.{control}[{index}]", level
    for index, run in enumerate(spec.runs):
        if control in run.parameters:
            yield f"runs[{index}].parameters.{control}", run.parameters[control]


def _tasks(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, task in enumerate(spec.evaluation.tasks):
        try:
            parse_task(task.task)
        except SpecError as err:
            yield Problem(str(err).partition("\n")[0], f"evaluation.tasks[{index}].task", hint=err.hint)
        if task.split == "train" and task.dataset is None:
            hint = "evaluate a split that was not trained on"
            fact = f"task `{task.name}` evaluates the training split"
            yield Problem(fact, f"evaluation.tasks[{index}].split", hint=hint)
        repeated = [name for name, count in Counter(task.scorers).items() if count > 1]
        for name in repeated:
            path = f"evaluation.tasks[{index}].scorers"
            yield Problem(f"scorer `{name}` is named twice", path, hint="keep one of them")


def _engines(spec: ExperimentSpec) -> Iterator[Problem]:
    evaluated, tasks = spec.tools.evaluation != "none", spec.evaluation.tasks
    if evaluated and not tasks:
        hint = "name a task, or set `tools.evaluation: none` to compare training losses only"
        yield Problem("nothing is evaluated: `evaluation.tasks` is empty", "evaluation.tasks", hint=hint)
    if not evaluated and tasks:
        hint = "remove the tasks, or set `tools.evaluation: inspect-ai`"
        yield Problem("`tools.evaluation` is `none`, and evaluation tasks are named", "evaluation.tasks", hint=hint)
    if not evaluated and spec.tools.preparation == "none":
        hint = "set `tools.evaluation: inspect-ai` and name a task"
        yield Problem("nothing is trained and nothing is evaluated", "tools", hint=hint)
    for index, run in enumerate(spec.runs):
        if run.type == "control" and not evaluated:
            hint = "remove it, or set `tools.evaluation: inspect-ai`"
            yield Problem(f"control run `{run.name}` has nothing to do without evaluation", f"runs[{index}]", hint=hint)


def _analysis(spec: ExperimentSpec) -> Iterator[Problem]:
    tasks = spec.evaluation.tasks
    if not tasks or spec.tools.evaluation == "none":
        return
    known: Mapping[str, Iterable[str]] = {
        "primary_task": [task.name for task in tasks],
        "comparisons": ["base", *spec.factors],
    }
    chosen = [("primary_task", spec.analysis.primary_task)]
    chosen += [("comparisons", name) for name in spec.analysis.comparisons]
    for key, name in chosen:
        if name == "base" and key == "comparisons" and spec.tools.preparation == "none":
            fact = "comparison `base` sets trained runs beside their base, and `tools.preparation` is `none`"
            hint = "remove it: every run is compared with the first one, on the same items"
            yield Problem(fact, "analysis.comparisons", hint=hint)
        elif name == "base" and key == "comparisons" and not any(run.type == "control" for run in spec.runs):
            fact = "comparison `base` needs a control run, and there is none"
            yield Problem(fact, "analysis.comparisons", hint="add `{name: base, type: control}` to `runs`")
        elif name is not None and name not in known[key]:
            fact = f"unknown `{name}`; known are {', '.join(f'`{each}`' for each in known[key])}"
            near = get_close_matches(name, list(known[key]), n=1)
            yield Problem(fact, f"analysis.{key}", hint=f"write `{near[0]}`" if near else "name one of them")


def _times(spec: ExperimentSpec) -> Iterator[Problem]:
    for key in ("time", "eval_time"):
        if seconds_of(getattr(spec.resources, key)) == 0:
            yield Problem("a time limit of nothing", f"resources.{key}", hint="give the job some time: `00:30:00`")
