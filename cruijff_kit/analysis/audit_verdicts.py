"""Verdicts of an audit: an interval against a limit, checks made a part, parts made a whole.

    pass           the whole interval lies on the right side of the limit
    fail           the whole interval lies on the wrong side
    not_assessed   the limit lies within it, or there is no interval

So a model passes only what its data support, and fails only what they contradict. The
intervals of one part hold together at the audit's level: a part of many checks is no
likelier to fail by chance than one of a single check.
"""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Literal

from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, AuditRules, ComponentName, Verdict

__all__ = ["component_of", "estimable", "held", "limited", "shared_level", "unassessed", "whole_verdict"]

_Rule = Literal["at most", "at least"]
"""How a figure is to stand to its limit."""

_MOST_NEEDED = 100_000_000


def shared_level(rules: AuditRules, checks: int) -> float:
    """Return the level of each of several intervals that hold together (C. E. Bonferroni, 1936)."""
    return 1 - (1 - rules.level) / max(1, checks)


def limited(name: str, figure: Interval, *, rule: _Rule, limit: float, note: str = "") -> AuditCheck:
    """Return a check of a figure against a limit, decided by its interval.

    Args:
        name: what is checked.
        figure: with its interval.
        rule: on which side of the limit it is to lie.
        limit: the limit; lying on it is right.
        note: what else to say of it.
    """
    verdict, words, needed = _judged(figure, rule=rule, limit=limit)
    reason = f"{words}; {note}" if note else words
    return AuditCheck(
        name=name, verdict=verdict, rule=rule, threshold=limit, figure=figure, needed=needed, reason=reason
    )


def unassessed(
    name: str, reason: str, *, rule: _Rule, limit: float | None = None, figure: Interval | None = None
) -> AuditCheck:
    """Return a check of which too little is known."""
    return AuditCheck(name=name, verdict="not_assessed", rule=rule, threshold=limit, figure=figure, reason=reason)


def estimable(check: AuditCheck, *, of: str, rules: AuditRules) -> AuditCheck:
    """Return a check as it is, or not assessed where its figure rests on fewer samples than the rules ask for.

    Args:
        check: of a figure.
        of: what its samples are called.
        rules: the fewest samples.
    """
    n = 0 if check.figure is None else check.figure.n
    if n >= rules.min_n:
        return check
    reason = f"not estimable: {n} {of}, fewer than {rules.min_n}"
    return check.model_copy(update={"verdict": "not_assessed", "needed": None, "reason": reason})


def held(name: str, truth: bool | None, *, reason: str) -> AuditCheck:
    """Return a check of what is true or not; None where that cannot be told."""
    verdict: Verdict = "not_assessed" if truth is None else "pass" if truth else "fail"
    return AuditCheck(name=name, verdict=verdict, rule="holds", reason=reason)


def component_of(name: ComponentName, checks: Iterable[AuditCheck], *, reason: str = "") -> AuditComponent:
    """Return a part with the verdict that its checks make: without any it is not assessed."""
    made = tuple(checks)
    return AuditComponent(name=name, verdict=_over([each.verdict for each in made]), checks=made, reason=reason)


def whole_verdict(components: Sequence[AuditComponent]) -> Verdict:
    """Return the verdict that the parts make, in the same way."""
    return _over([each.verdict for each in components])


def _over(verdicts: Sequence[Verdict]) -> Verdict:
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts and all(each == "pass" for each in verdicts) else "not_assessed"


def _judged(figure: Interval, *, rule: _Rule, limit: float) -> tuple[Verdict, str, int | None]:
    value, low, high = figure.value, figure.low, figure.high
    if value is None:
        return "not_assessed", f"there is no figure of {figure.n} samples", None
    if low is None or high is None:
        return "not_assessed", f"{value:.3f} of {figure.n} samples has no interval: the samples do not vary", None
    told = f"[{low:.3f}, {high:.3f}]"
    right, wrong = (high <= limit, low > limit) if rule == "at most" else (low >= limit, high < limit)
    if right:
        return "pass", f"all of {told} is {rule} {limit:g}", None
    if wrong:
        return "fail", f"none of {told} is {rule} {limit:g}", None
    needed = _needed(figure, value=value, limit=limit)
    more = f"about {needed:,} samples would tell, if the figure stayed" if needed else "the figure lies on the limit"
    return "not_assessed", f"{limit:g} lies within {told}: {more}", needed


def _needed(figure: Interval, *, value: float, limit: float) -> int | None:
    """Return the samples at which the interval's end would reach the limit, its half width falling by the root of n."""
    distance = abs(limit - value)
    end = figure.high if limit > value else figure.low
    if not distance or end is None:
        return None
    samples = figure.n * (abs(end - value) / distance) ** 2
    return max(figure.n + 1, ceil(samples)) if samples < _MOST_NEEDED else None
