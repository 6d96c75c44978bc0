"""The body of `experiment_summary.md`: its sections, rendered from design and plan."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.rendering.claim_text import claim_words
from cruijff_kit.rendering.markdown import as_code, as_text, byte_size, markdown_table
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Estimate, Plan, PlannedRun
from cruijff_kit.schema.policy import DesignPolicy, DesignRule
from cruijff_kit.schema.proof import MaskProof
from cruijff_kit.schema.site import DiskSpace, ModelFacts
from cruijff_kit.schema.spec import ExperimentSpec

# What evaluation reads of the controls.
_READ = (
    *("dataset_type", "prompt", "system_prompt", "template", "template_date"),
    *("max_seq_len", "overlong", "dtype"),
)

__all__ = ["Checked", "PriorSearch", "render_body", "source_of"]


class PriorSearch(NamedTuple):
    """What was found of earlier runs of the same models."""

    experiments: int = 0
    """Experiments looked at."""
    runs: tuple[str, ...] = ()
    """Finished runs whose speed was read."""


class Checked(NamedTuple):
    """A design, what it implies, and what was found when it was checked."""

    spec: ExperimentSpec
    """The design, model hashes filled in."""
    plan: Plan
    """Every run it implies."""
    models: Mapping[str, ModelFacts]
    """Model name to facts."""
    power: tuple[Estimate, ...]
    """The minimum detectable difference of each kind of comparison."""
    disk: DiskSpace
    """Space where checkpoints go."""
    day: str
    """ISO-8601 date of the check."""
    warnings: tuple[str, ...] = ()
    """What is worth a second look."""
    proofs: tuple[MaskProof, ...] = ()
    """What was proven of the masks of rows that are trained on."""
    prior: PriorSearch = PriorSearch()
    """Earlier runs that times were told from."""
    space: Mapping[str, str] = MappingProxyType({})
    """Dimensions of the design's space, in words."""
    kind: tuple[str, ...] = ()
    """What the kind of design means, in sentences."""


def render_body(checked: Checked) -> str:
    """Return the sections in their order, each below its heading."""
    title = f"# {checked.spec.name}"
    parts = ("\n".join([f"## {name}", "", *lines(checked)]) for name, lines in _SECTIONS.items())
    return "\n\n".join([title, *parts]) + "\n"


def source_of(checked: Checked) -> str:
    """Return all that a body is rendered from, but for the day, the free disk space and the estimates.

    Estimates of time change whenever a run of the project ends; a design does not.
    """
    facts = [checked.models[name].model_dump_json() for name in sorted(checked.models)]
    nouns = (checked.spec, checked.plan.model_copy(update={"estimates": ()}), *checked.power)
    return "\n".join(("form 1", *(noun.model_dump_json() for noun in nouns), *facts, *checked.warnings))


def _overview(checked: Checked) -> list[str]:
    spec, runs = checked.spec, checked.plan.runs
    controls = sum(run.type == "control" for run in runs)
    rows = [
        ("Type", spec.type),
        ("Runs", _counted(len(runs) - controls, controls)),
        ("Question", as_text(spec.question)),
        ("Hypothesis", as_text(spec.hypothesis) or "none stated"),
        ("Created", spec.created),
    ]
    warnings = [f"- warning: {as_text(warning)}" for warning in checked.warnings]
    table = markdown_table(("Item", "Value"), rows)
    return [*table, *_claims(checked), *([""] if warnings else []), *warnings]


def _claims(checked: Checked) -> list[str]:
    """Return the claims and what decides on each; nothing where the design makes none."""
    analysis, rows = checked.spec.analysis, []
    for place, claim in enumerate(analysis.claims, start=1):
        outcome = analysis.primary_metric if checked.spec.evaluation.tasks else "val_loss"
        metric, task = claim.metric or outcome, claim.task or analysis.primary_task
        words = claim_words(claim, figure=f"{metric}{f' on {task}' if task else ''}") or "not testable as stated"
        rows.append((str(place), as_text(claim.text) or "as compared", as_text(words)))
    if not rows:
        return []
    intro = f"Claims, each confirmed or violated at alpha {analysis.alpha:g} over all of them, or left open:"
    return ["", intro, "", *markdown_table(("Claim", "In words", "Decided by"), rows)]


def _counted(trained: int, controls: int) -> str:
    return f"{trained} fine-tuned + {controls} control" if trained else f"{controls} of base models, none trained"


def _tools(checked: Checked) -> list[str]:
    tools, runs = checked.spec.tools, checked.plan.runs
    trained = sum(run.type == "fine-tuned" for run in runs)
    evaluated = sum(bool(run.cells) for run in runs)
    rows = [
        (
            "Model preparation",
            tools.preparation,
            "LoRA fine-tuning" if trained else "nothing is trained",
            f"{trained} runs",
        ),
        ("Evaluation", tools.evaluation, "accuracy of every run on every task", f"{evaluated} runs"),
    ]
    return markdown_table(("Stage", "Tool", "Purpose", "Used by"), rows)


def _variables(checked: Checked) -> list[str]:
    rows = [(f"`{name}`", as_code(levels)) for name, levels in checked.spec.factors.items()]
    rows += [(f"`{name}`", as_text(words)) for name, words in checked.space.items()]
    if any(run.type == "fine-tuned" for run in checked.plan.runs):
        rows.append(("replicates (seed)", as_code(checked.spec.controls.seeds)))
    told = [f"- {as_text(words)}" for words in checked.kind]
    return [*markdown_table(("Factor", "Levels"), rows), *(["", *told] if told else [])]


def _runs(checked: Checked) -> list[str]:
    factors = [*checked.spec.factors, *checked.space]
    heads = ("Run", "Model", "Type", *(f"`{name}`" for name in factors), "Seed", "Steps")
    return markdown_table(heads, [_run_row(run, factors) for run in checked.plan.runs])


def _run_row(run: PlannedRun, factors: list[str]) -> tuple[str, ...]:
    levels = [as_code(run.factors[name]) if name in run.factors else "" for name in factors]
    if run.type == "control":
        return (f"`{run.id}`", run.model.name, "Control", *levels, "", "")
    return (f"`{run.id}`", run.model.name, "Fine-tuned", *levels, str(run.seed), str(run.total_steps))


def _resources(checked: Checked) -> list[str]:
    verified = f"✓ {checked.day}"
    models = [(*_model_row(name, facts), verified) for name, facts in checked.models.items()]
    data = [(*_data_row(facts), verified) for facts in checked.plan.datasets]
    tasks = [(*_task_row(task), verified) for task in checked.spec.evaluation.tasks]
    return [
        *markdown_table(("Model", "Path", "What", "Size", "SHA-256", "Verified"), models),
        "",
        *markdown_table(("Data", "Origin", "Rows", "Size", "SHA-256", "Verified"), data),
        "",
        f"Data tier: {checked.plan.tier}{_consent(checked.spec)}.",
        "",
        *markdown_table(("Evaluation task", "Task", "Split", "Data", "Scorers", "Verified"), tasks),
    ]


def _model_row(name: str, facts: ModelFacts) -> tuple[str, ...]:
    if facts.api is not None:
        copy = as_code(facts.path) if facts.path else "none here"
        return (name, copy, f"{as_code(facts.api)}, behind an API", "not known", f"`{facts.sha256}` of its name")
    what = f"{as_text(facts.architecture)}, {facts.parameters:,} parameters"
    return (name, as_code(facts.path), what, byte_size(facts.bytes), f"`{facts.sha256}`")


def _data_row(facts: DatasetFacts) -> tuple[str, ...]:
    arguments = ", ".join(f"{name} {as_code(value)}" for name, value in facts.arguments.items())
    origin = f"generator `{facts.generator}` {facts.generator_version}: {arguments}" if facts.generator else "given"
    rows = ", ".join(f"{as_text(split)} {count:,}" for split, count in facts.splits.items())
    return (as_code(facts.path), origin, rows, byte_size(facts.bytes), f"`{facts.sha256}`")


def _task_row(task: EvalTask) -> tuple[str, ...]:
    data = as_code(task.dataset) if task.dataset else "the run's own"
    told = f" of {', '.join(map(as_text, task.options))}" if task.options else ""
    scorers = ", ".join(task.scorers) or "the task's own"
    return (task.name, as_code(task.task), as_text(task.split), data, f"{scorers}{told}")


def _consent(spec: ExperimentSpec) -> str:
    consent = spec.data.consent
    if consent is None:
        return ""
    return f"; consent of {as_text(consent.who)} ({as_text(consent.when)}): {as_text(consent.why)}"


def _evaluation(checked: Checked) -> list[str]:
    runs, tasks = checked.plan.runs, [task.name for task in checked.spec.evaluation.tasks]
    cells = sum(len(run.cells) for run in runs)
    if not cells:
        return ["Nothing is evaluated; runs are compared by their losses."]
    rows = [(f"`{run.id}`", *(_epochs(run, task) for task in tasks)) for run in runs]
    intro = f"{cells} evaluations. Epochs count from 0; base models are evaluated once."
    return [intro, "", *markdown_table(("Run", *tasks), rows)]


def _epochs(run: PlannedRun, task: str) -> str:
    epochs = [cell.epoch for cell in run.cells if cell.task.name == task]
    named = ", ".join("base" if epoch is None else str(epoch) for epoch in epochs)
    return f"✓ {named}" if epochs else ""


def _configuration(checked: Checked) -> list[str]:
    spec = checked.spec
    generation = ", ".join(
        f"`{name}` {as_code(value)}" for name, value in spec.evaluation.generation if name != "dropout_passes" or value
    )
    example = checked.plan.runs[0].id if checked.plan.runs else "<run>"
    adapters = f"{spec.output.output_dir_base or 'outputs'}/{RunLayout(example).epoch(0)}"
    trains = any(run.type == "fine-tuned" for run in checked.plan.runs)
    shared = "Evaluation reads the system prompt, prompt, data set type and token limit that training reads."
    names = [name for name in type(spec.controls).model_fields if trains or name in _READ]
    return [
        shared if trains else "Nothing is trained; these are the settings that evaluation reads.",
        "",
        *markdown_table(("Setting", "Value", "Set by"), [_setting_row(name, spec) for name in names]),
        "",
        f"Generation, {'sampled' if spec.evaluation.generation.do_sample else 'greedy'}: {generation}.",
        *(("", f"Adapters: one folder an epoch, such as {as_code(adapters)}.") if trains else ()),
        *_policy(spec.policy),
    ]


def _policy(asked: DesignPolicy | None) -> list[str]:
    """Return what the design asks to follow when jobs end badly; nothing where it leaves all to the site."""
    if asked is None:
        return []
    rows = [_rule_row(name, rule) for name, rule in asked.stated.items()]
    budgets = {"further attempts of a job": asked.max_retries, "GPU-hours in all": asked.max_gpu_hours}
    told = ", ".join(f"{value:g} {name}" for name, value in budgets.items() if value is not None)
    table = markdown_table(("When a job ends", "Follows", "Further attempts", "First wait, s"), rows)
    return [
        "",
        "When jobs end badly this counts over the site's policy, which fills the gaps.",
        *(("", *table) if rows else ()),
        *(("", f"At most: {told}.") if told else ()),
    ]


def _rule_row(name: str, rule: DesignRule) -> tuple[str, ...]:
    values = (rule.reaction and rule.reaction.value, rule.retries, None if rule.wait is None else f"{rule.wait:g}")
    return (f"`{name}`", *("" if value is None else str(value) for value in values))


def _setting_row(name: str, spec: ExperimentSpec) -> tuple[str, ...]:
    if name in spec.factors:
        return (f"`{name}`", as_code(spec.factors[name]), "factor")
    source = "design" if name in spec.controls.model_fields_set else "default"
    return (f"`{name}`", as_code(getattr(spec.controls, name)), source)


def _estimates(checked: Checked) -> list[str]:
    rows = [row for each in checked.plan.estimates for row in (_estimate_row(each), *_part_rows(each))]
    free = f"Free on disk, {checked.day}: {byte_size(checked.disk.free)} of {byte_size(checked.disk.total)}."
    return [*markdown_table(("What", "Value", "Interval", "Source"), rows), "", free]


def _estimate_row(each: Estimate) -> tuple[str, ...]:
    if each.value is None:
        return (as_text(each.name), "not assessed", "", as_text(each.source))
    interval = f"{each.low:.3g} to {each.high:.3g}" if each.low is not None and each.high is not None else ""
    return (as_text(each.name), f"{each.value:.3g} {each.unit}", interval, as_text(each.source))


def _part_rows(each: Estimate) -> list[tuple[str, ...]]:
    """Return a row for every part that is not nothing, marked as a part."""
    return [(f"· {name}", f"{value:.3g} {each.unit}", "", "") for name, value in each.parts.items() if value]


def _power(checked: Checked) -> list[str]:
    return [f"- {_detectable(each)}" for each in checked.power]


def _detectable(each: Estimate) -> str:
    name = f"{each.name[:1].upper()}{each.name[1:]}"
    if each.value is None:
        return f"{name}: {as_text(each.source)}."
    return f"{name}: {each.value:.3f} ({each.unit}), from {as_text(each.source)}."


def _naming(checked: Checked) -> list[str]:
    example = checked.plan.runs[0].id if checked.plan.runs else "none"
    layout = RunLayout("RUN")
    begun = "two words" if checked.spec.output.naming == "words" else "what varies"
    return [
        f"A run is named by {begun}, its seed and eight hexadecimal digits, such as `{example}`. The digits change",
        "with whatever can change its results, and with nothing else. Epoch N of it lies in",
        f"`{layout.output}/epoch_N`, an evaluation in `{layout.cell('TASK_epoch_N')}`.",
    ]


def _reference(checked: Checked) -> list[str]:
    searches = isinstance(checked.spec.design, SearchDesign)
    rows = [
        *(
            (("run the search to its end", "`ck sweep watch`"), ("see its trials", "`ck sweep show`"))
            if searches
            else ()
        ),
        ("write the runs' files", "`ck scaffold`"),
        ("submit their jobs", "`ck submit`"),
        ("watch them", "`ck watch`"),
        ("read the end of a run's output", "`ck logs RUN`"),
        ("add seeds or levels", "`ck design amend --seed N --reason WHY`"),
        ("report", f"`ck report` writes `{ExperimentLayout.report}` and `{ExperimentLayout.page}`"),
        ("see who did what and why", f"`ck audit show` reads `{ExperimentLayout.audit}`"),
    ]
    return markdown_table(("To", "Do"), rows)


_SECTIONS: Mapping[str, Callable[[Checked], list[str]]] = {
    "Overview": _overview,
    "Tools": _tools,
    "Variables": _variables,
    "All Runs": _runs,
    "Resources": _resources,
    "Evaluation Plan": _evaluation,
    "Configuration": _configuration,
    "Compute Estimates": _estimates,
    "Statistical Power": _power,
    "Naming": _naming,
    "Quick Reference": _reference,
}
