"""What a design can be expected to see, each comparison planned by its own test."""

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from cruijff_kit.planning.power import detectable_difference, detectable_paired, detectable_shift
from cruijff_kit.schema.plan import Estimate, Plan, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec, Pilot

__all__ = ["power_estimates"]

_BASE = "base"
_INDEPENDENT = 0.5
_UNIT = "accuracy"
_NOT = "not assessed"


class _Question(NamedTuple):
    """What is asked of how many items."""

    n: int
    """Items of the primary task."""
    alpha: float
    """Two-sided significance level of one test."""
    power: float
    """Chance of finding what is there."""
    pilot: Pilot
    """What earlier results say."""


def power_estimates(spec: ExperimentSpec, plan: Plan) -> tuple[Estimate, ...]:
    """Return the minimum detectable difference of each kind of comparison, with its source.

    Two runs on different items; a run and its base model on the same items (the first run
    in its place where nothing is trained), by the exact McNemar test or, where samples come
    in clusters, by a t-test over these; and a factor of two levels over seeds. What is not
    known is not assessed, in words.
    """
    analysis = spec.analysis
    question = _Question(_items(spec, plan), analysis.alpha, analysis.power, analysis.pilot or Pilot())
    comparisons = analysis.comparisons
    found = [_unpaired(question)]
    clustered = analysis.cluster is not None
    if spec.tools.preparation == "none":
        found += _paired(question, clustered=clustered, tests=_run_tests(plan), reference="first run")
    elif not comparisons or _BASE in comparisons:
        found += _paired(question, clustered=clustered, tests=_base_tests(plan), reference="base model")
    found += _over_seeds(question, plan)
    return tuple(found)


def _items(spec: ExperimentSpec, plan: Plan) -> int:
    """Return how many items of the primary task each run answers; 0 where that is not known."""
    wanted = spec.analysis.primary_task
    for run in plan.runs:
        for cell in run.cells:
            if wanted in (None, cell.task.name) and cell.task.dataset is None:
                rows = plan.dataset(run.dataset).splits.get(cell.task.split, 0)
                return min(rows, cell.task.samples or rows)
    return 0


def _base_tests(plan: Plan) -> int:
    """Return how many comparisons with a base model there will be."""
    answered = {(run.model.name, cell.task.name) for run in plan.runs if run.type == "control" for cell in run.cells}
    tuned = (run for run in plan.runs if run.type == "fine-tuned")
    return sum(len({(run.model.name, cell.task.name) for cell in run.cells} & answered) for run in tuned)


def _run_tests(plan: Plan) -> int:
    """Return how many comparisons with the first run there will be, where nothing is trained."""
    first, *others = plan.runs or (None,)
    tasks = {cell.task.name for cell in first.cells} if first else set()
    return sum(len({cell.task.name for cell in run.cells} & tasks) for run in others if run)


def _unpaired(question: _Question) -> Estimate:
    name, share = "minimum detectable difference of two runs", question.pilot.accuracy or 0.5
    if not question.n:
        return _unknown(name, _NOT)
    value = detectable_difference(question.n, alpha=question.alpha, power=question.power, share=share)
    source = f"two proportions on different items, n = {question.n}, p = {share:g}, {_levels(question)}"
    return Estimate(name=name, value=value, unit=_UNIT, source=source)


def _paired(question: _Question, *, clustered: bool, tests: int, reference: str) -> Iterator[Estimate]:
    name = f"minimum detectable difference from the {reference}"
    if not tests:
        return
    pilot = question.pilot
    if not question.n:
        yield _unknown(name, _NOT)
        return
    if clustered and (pilot.icc is None or pilot.cluster_size is None):
        yield _unknown(name, f"{_NOT}: samples come in clusters, and `analysis.pilot` lacks `icc` or `cluster_size`")
        return
    known = pilot.discordance is not None
    discordance = pilot.discordance if pilot.discordance is not None else _INDEPENDENT
    said = f"pilot discordance {discordance:g}" if known else f"discordance {discordance:g}, as of independent answers"
    # Holm's first step is the level at which the first of several comparisons is judged.
    level = question._replace(alpha=question.alpha / tests)
    adjusted = f", adjusted for {tests} comparisons" if tests > 1 else ""
    if clustered and pilot.icc is not None and pilot.cluster_size is not None:
        value = _clustered(level, discordance, icc=pilot.icc, size=pilot.cluster_size)
        how = f"t over clusters of {pilot.cluster_size:g}, ICC {pilot.icc:g}"
    else:
        value, how = _mcnemar(level, discordance), "exact McNemar test on the same items"
    source = f"{how}, n = {question.n}, {said}, {_levels(question)}{adjusted}"
    if value is None:
        source = f"none: even if every change were a gain it would not be found ({source})"
    yield Estimate(name=name, value=value, unit=_UNIT, source=source)


def _mcnemar(question: _Question, discordance: float) -> float | None:
    return detectable_paired(question.n, alpha=question.alpha, power=question.power, discordance=discordance)


def _clustered(question: _Question, discordance: float, *, icc: float, size: float) -> float | None:
    """Return the difference that a t-test over clusters finds; its variance shrinks as the difference grows."""
    clusters = round(question.n / size)
    if clusters < 2:
        return None
    ratio = detectable_shift(1.0, df=clusters - 1, alpha=question.alpha, power=question.power)
    # The error is sqrt((discordance - d d) x inflation / n), and d is `ratio` times that.
    scale = ratio * ratio * (1 + (size - 1) * icc) / question.n
    value = sqrt(discordance * scale / (1 + scale))
    return value if value <= discordance else None


def _over_seeds(question: _Question, plan: Plan) -> Iterator[Estimate]:
    name = "minimum detectable effect of a factor of two levels over seeds"
    tuned = [run for run in plan.runs if run.type == "fine-tuned"]
    df = len(tuned) - len({_setting(run) for run in tuned})
    if not any(len({repr(run.factors.get(factor)) for run in tuned}) > 1 for run in tuned for factor in run.factors):
        return
    if df < 1:
        yield _unknown(name, f"{_NOT}: one seed a combination, so the spread between seeds stays unknown")
    elif question.pilot.seed_sd is None:
        yield _unknown(name, f"{_NOT}: `analysis.pilot.seed_sd` is not given")
    else:
        error = 2 * question.pilot.seed_sd / sqrt(len(tuned))
        value = detectable_shift(error, df=df, alpha=question.alpha, power=question.power)
        source = (
            f"t over {len(tuned)} runs, half at each level, {df} degrees of freedom, pilot standard deviation between "
            f"seeds {question.pilot.seed_sd:g}, {_levels(question)}"
        )
        yield Estimate(name=name, value=value, unit="primary metric", source=source)


def _setting(run: PlannedRun) -> tuple[tuple[str, str], ...]:
    return tuple((name, repr(level)) for name, level in run.factors.items())


def _levels(question: _Question) -> str:
    return f"two-sided alpha = {question.alpha:g}, power = {question.power:g}"


def _unknown(name: str, source: str) -> Estimate:
    return Estimate(name=name, value=None, unit=_UNIT, source=source)
