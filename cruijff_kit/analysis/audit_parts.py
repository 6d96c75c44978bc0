"""Parts of an audit that rest on probabilities and decisions: calibration, coverage, cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.analysis.audit_verdicts import component_of, estimable, limited, shared_level, unassessed
from cruijff_kit.analysis.distributions import beta_binomial_limits
from cruijff_kit.analysis.group_columns import Ints, encode_levels
from cruijff_kit.analysis.heterogeneity import withheld_groups
from cruijff_kit.analysis.intervals import bounded_mean_interval, wilson_interval
from cruijff_kit.analysis.score_intervals import debiased_ece_interval
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, AuditRules
from cruijff_kit.scoring.calibration_error import fill_bins
from cruijff_kit.scoring.estimates import Floats
from cruijff_kit.scoring.figures import Answers, costs_paid, forecasts

__all__ = ["ControlledRisk", "Promise", "audit_calibration", "audit_cost", "audit_coverage", "largest_gap"]

_BINS = 10


class Promise(NamedTuple):
    """What a calibrator that makes sets promises, and whether they hold it."""

    alpha: float
    """Share of sets that may miss."""
    held: Ints
    """(n,) 1 where a sample's set holds the right option, 0 where not, -1 without a set."""
    quantile: tuple[int, int] | None
    """Rank and n of its one quantile; None where it has several, or full sets."""


class ControlledRisk(NamedTuple):
    """What a calibrator that makes decisions controls, and what they cost."""

    costs: Floats
    """Cost of each sample that its risk counts."""
    bound: float
    """Largest cost of a sample."""
    alpha: float
    """Mean cost that it allows."""
    risk: str
    """`selective` for the cost of a sample acted on, `marginal` with abstaining free."""


def audit_calibration(answers: Answers, rules: AuditRules) -> AuditComponent:
    """Return whether probabilities are what comes true: over all bins, and in the worst one."""
    sure, right = forecasts(answers)
    n, without = len(sure), len(answers.true) - len(sure)
    if n < rules.min_n:
        fact = f"{n} samples have a probability of their answer; {rules.min_n} are needed"
        return component_of("calibration", (), reason=fact)
    level = shared_level(rules, 2)
    checks = (
        limited("ece_debiased", debiased_ece_interval(sure, right, level=level), rule="at most", limit=rules.ece),
        limited("mce", largest_gap(sure, right, level=level), rule="at most", limit=rules.mce),
    )
    left = f"; {without} samples have no probability" if without else ""
    return component_of("calibration", checks, reason=f"bins are equally filled{left}")


def largest_gap(sure: Floats, right: Floats, *, level: float) -> Interval:
    """Return the largest distance of a bin's mean probability from its share of right answers.

    Bins are equally filled, ten of them or as many as hold thirty samples; Wilson intervals of
    their shares hold together.

    Args:
        sure: probability of each sample's answer, at least one.
        right: 1 where it is right.
        level: confidence level in (0, 1).
    """
    n = len(sure)
    bins = fill_bins(y_prob=sure, y_true=right, n_bins=max(1, min(_BINS, n // 30)), equally=True)
    each = 1 - (1 - level) / len(bins.counts)
    low, value, high = 0.0, 0.0, 0.0
    for count, forecast, share in zip(bins.counts, bins.forecast, bins.share, strict=True):
        found = wilson_interval(round(share * count), int(count), level=each)
        under, over = (found.low or 0.0) - forecast, (found.high or 0.0) - forecast
        low, high = max(low, under, -over), max(high, abs(under), abs(over))
        value = max(value, abs(share - forecast))
    limits = (float(low), min(1.0, float(high)))
    return Interval(
        value=float(value), low=limits[0], high=limits[1], n=n, level=level, method="wilson, all bins at once"
    )


def audit_coverage(
    promise: Promise | None,
    groups: Mapping[str, Sequence[str]],
    *,
    rules: AuditRules,
    tier: Tier = "green",
    reason: str = "",
) -> AuditComponent:
    """Return whether conformal sets hold the right option as often as promised, overall and in each group.

    Args:
        promise: what was promised and held; None without sets.
        groups: group column to the value of each sample.
        rules: limits.
        tier: of red data small groups are not shown.
        reason: why there are no sets.
    """
    if promise is None:
        return component_of("coverage", (), reason=reason)
    known = promise.held >= 0
    parts = [part for column, values in groups.items() for part in _parts(column, values, tier=tier)]
    level = shared_level(rules, 1 + len(parts))
    checks = [_whole_coverage(promise, rules, level=level)]
    checks += [
        _coverage(name, promise.held[known & own], promise=promise, rules=rules, level=level) for name, own in parts
    ]
    lost = int((~known).sum())
    told = f"at least {1 - promise.alpha:g} was promised over all samples, in a group at least as an aim"
    return component_of("coverage", checks, reason=f"{told}; {lost} samples have no set" if lost else told)


def _parts(column: str, values: Sequence[str], *, tier: Tier) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each group that may be shown, and which samples it holds."""
    levels, group = encode_levels(list(values), column=column)
    hidden = withheld_groups(np.bincount(group, minlength=len(levels)).tolist(), tier=tier)
    for code, level in enumerate(levels):
        if code not in hidden:
            yield f"coverage of {column} `{level}`", group == code
    if hidden:
        yield f"coverage of {len(hidden)} groups of {column} withheld", np.zeros(len(group), dtype=bool)


def _whole_coverage(promise: Promise, rules: AuditRules, *, level: float) -> AuditCheck:
    """Return the check over all samples: what a sound calibrator would hardly ever do contradicts the promise."""
    held = promise.held[promise.held >= 0]
    check = _coverage("coverage", held, promise=promise, rules=rules, level=level)
    if promise.quantile is None or not len(held):
        return check
    rank, n = promise.quantile
    low, high = beta_binomial_limits(len(held), a=rank, b=n + 1 - rank, level=level)
    told = f"{int(held.sum())} of {len(held)} sets hold it, and of this calibration set {low} to {high} are expected"
    verdict = "fail" if held.sum() < low else check.verdict
    return check.model_copy(update={"verdict": verdict, "reason": f"{check.reason}; {told}"})


def _coverage(name: str, held: Ints, *, promise: Promise, rules: AuditRules, level: float) -> AuditCheck:
    limit, n = max(0.0, round(1 - promise.alpha - rules.coverage_margin, 12)), len(held)
    if n < rules.min_n:
        return unassessed(name, f"not estimable: {n} samples, fewer than {rules.min_n}", rule="at least", limit=limit)
    return limited(name, wilson_interval(int(held.sum()), n, level=level), rule="at least", limit=limit)


def audit_cost(answers: Answers, rules: AuditRules, *, risk: ControlledRisk | None = None) -> AuditComponent:
    """Return whether decisions cost no more than allowed: those given, and those that a calibrator makes."""
    checks = [*_given_cost(answers, rules, shared=1 + (risk is not None)), *_controlled(risk, rules)]
    axes = "rows of the cost matrix are truth, columns what was chosen"
    if checks:
        return component_of("cost", checks, reason=axes)
    known = "the answers are no closed set of options" if not answers.options else "no limit `cost` was set"
    return component_of("cost", (), reason=known)


def _given_cost(answers: Answers, rules: AuditRules, *, shared: int) -> Iterator[AuditCheck]:
    if not answers.options or rules.cost is None or not len(answers.true):
        return
    paid = costs_paid(answers)
    bound = max(float(answers.costs.max()), answers.abstain_cost)
    figure = _mean(paid, bound=bound, level=shared_level(rules, shared))
    check = limited("expected_cost", figure, rule="at most", limit=rules.cost)
    yield estimable(check, of="samples", rules=rules)


def _controlled(risk: ControlledRisk | None, rules: AuditRules) -> Iterator[AuditCheck]:
    if risk is None:
        return
    name, limit = f"{risk.risk}_risk", risk.alpha if rules.cost is None else rules.cost
    level = shared_level(rules, 1 if rules.cost is None else 2)
    if len(risk.costs) < rules.min_n:
        fact = f"the calibrator acts on {len(risk.costs)} samples, fewer than {rules.min_n}"
        yield unassessed(name, fact, rule="at most", limit=limit)
        return
    yield limited(
        name, _mean(risk.costs, bound=risk.bound, level=level), rule="at most", limit=limit,
        note="of the decisions that the calibrator makes",
    )  # fmt: skip


def _mean(paid: Floats, *, bound: float, level: float) -> Interval:
    if not bound:
        return Interval(value=0.0, low=0.0, high=0.0, n=len(paid), level=level, method="no choice costs anything")
    return bounded_mean_interval(paid, bound=bound, level=level)
