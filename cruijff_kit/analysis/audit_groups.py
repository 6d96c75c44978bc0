"""The part of an audit that compares groups of samples: how far they lie apart in each figure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cruijff_kit.analysis.audit_verdicts import component_of, limited, shared_level, unassessed
from cruijff_kit.analysis.group_columns import Ints, encode_levels
from cruijff_kit.analysis.group_figures import reflected
from cruijff_kit.analysis.group_gaps import ECE, GroupGaps, GroupTrials, group_gaps
from cruijff_kit.analysis.heterogeneity import withheld_groups
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.score_intervals import unbounded
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, AuditRules, GroupFigure
from cruijff_kit.scoring.estimates import Estimate
from cruijff_kit.scoring.figures import Answers, confidences

__all__ = ["GroupAudit", "audit_groups"]


class GroupAudit(NamedTuple):
    """What comparing the groups found."""

    component: AuditComponent
    """The verdict."""
    figures: tuple[GroupFigure, ...]
    """Figures by group."""


class _Column(NamedTuple):
    """One group column, compared."""

    name: str
    levels: tuple[str, ...]
    gaps: GroupGaps
    rows: Ints
    hidden: frozenset[int]


def audit_groups(
    answers: Answers, groups: Mapping[str, Sequence[str]], *, held: Ints, rules: AuditRules, tier: Tier = "green"
) -> GroupAudit:
    """Return whether groups lie within the gap allowed, in every figure at once.

    Compared are accuracy, abstention, coverage, calibration error, and for each favourable
    option how often it is chosen: of all (selection rate), of those it is right for (TPR)
    and of the others (FPR). A group of fewer than `min_n` samples of a figure is not
    estimable there, which keeps the part from passing.

    Args:
        answers: the answers.
        groups: group column to the value of each sample.
        held: 1 where a sample's conformal set holds the right option, 0 where not, -1 without a set.
        rules: limits.
        tier: of red data small groups are not shown.
    """
    if not groups:
        return GroupAudit(component_of("groups", (), reason="no group columns: name some as `groups`"), ())
    # Intervals of one column hold together by their bootstrap; those of several columns by a level that is shared.
    shared = rules.model_copy(update={"level": shared_level(rules, len(groups))})
    columns = [
        _compared(answers, column, values=values, held=held, rules=shared, tier=tier)
        for column, values in groups.items()
    ]
    checks = [check for column in columns for check in _checks(column, rules)]
    figures = tuple(figure for column in columns for figure in _figures(column, rules))
    told = "groups may differ in what they were asked; a gap says that they fare differently, not why"
    return GroupAudit(component_of("groups", checks, reason=told), figures)


def _compared(
    answers: Answers, name: str, *, values: Sequence[str], held: Ints, rules: AuditRules, tier: Tier
) -> _Column:
    levels, group = encode_levels(list(values), column=name)
    sizes = np.bincount(group, minlength=len(levels)).tolist()
    trials = _trials(answers, group, groups=len(levels), held=held, favourable=_favourable(answers, rules))
    gaps = group_gaps(trials, min_n=rules.min_n, level=rules.level, resamples=rules.resamples, seed=rules.seed)
    return _Column(name, levels, gaps, np.array(sizes), frozenset(withheld_groups(sizes, tier=tier)))


def _favourable(answers: Answers, rules: AuditRules) -> tuple[int, ...]:
    """Return the options whose choice is compared: those named, the last of two, each of more."""
    unknown = [each for each in rules.favourable if each not in answers.options]
    if unknown:
        known = ", ".join(f"`{each}`" for each in answers.options) or "none"
        raise SpecError(f"`{unknown[0]}` is no option; options are {known}", hint="name options as `favourable`")
    if rules.favourable:
        return tuple(answers.options.index(each) for each in rules.favourable)
    return (1,) if len(answers.options) == 2 else tuple(range(len(answers.options)))


def _trials(answers: Answers, group: Ints, *, groups: int, held: Ints, favourable: tuple[int, ...]) -> GroupTrials:
    every = np.ones(len(group), dtype=bool)
    shares = [("accuracy", answers.chosen == answers.true, every), ("abstention", answers.abstained, every)]
    if (held >= 0).any():
        shares.append(("coverage", held == 1, held >= 0))
    for at in favourable:
        chosen, option = answers.chosen == at, answers.options[at]
        true = answers.true == at
        shares += [
            (f"selection rate of `{option}`", chosen, every),
            (f"TPR of `{option}`", chosen, true),
            (f"FPR of `{option}`", chosen, ~true),
        ]
    sure, right = confidences(answers)
    names, hits, trials = zip(*shares, strict=True)
    return GroupTrials(names, np.column_stack(hits), np.column_stack(trials), sure, right, group, groups)


def _checks(column: _Column, rules: AuditRules) -> Iterator[AuditCheck]:
    small = [at for at, n in enumerate(column.rows.tolist()) if n < rules.min_n]
    if small:
        shown = [at for at in small if at not in column.hidden]
        named = ", ".join(f"`{column.levels[at]}`" for at in shown)
        told = f": {named}" if named and len(shown) == len(small) else ""
        fact = f"not estimable: {len(small)} of {len(column.levels)} groups have fewer than {rules.min_n} samples{told}"
        yield unassessed(f"groups of {column.name}", fact, rule="at most", limit=rules.gap)
    if len(column.levels) == 1:
        fact = "there is one group alone, so nothing to compare it with"
        yield unassessed(f"groups of {column.name}", fact, rule="at most", limit=rules.gap)
        return
    for place in range(len(column.gaps.gaps)):
        sizes = column.gaps.sizes[:, place]
        if sizes.any():
            few = [at for at in np.flatnonzero(sizes < rules.min_n).tolist() if at not in small]
            yield _check(column, place, few=few, rules=rules)


def _check(column: _Column, place: int, *, few: list[int], rules: AuditRules) -> AuditCheck:
    gap = column.gaps.gaps[place]
    name = f"{gap.name} gap by {column.name}"
    wanting = ", ".join(f"`{column.levels[at]}`" for at in few if at not in column.hidden)
    told = f"not estimable in {len(few)} groups{': ' if wanting else ''}{wanting}"
    if gap.figure is None or gap.pair is None:
        fact = f"fewer than two groups have {rules.min_n} samples of it"
        return unassessed(name, fact, rule="at most", limit=rules.gap)
    pair = " and ".join(f"`{column.levels[at]}`" for at in gap.pair)
    note = "" if column.hidden.intersection(gap.pair) else f"furthest apart are {pair}"
    made = limited(name, gap.figure, rule="at most", limit=rules.gap, note=note)
    if few and made.verdict == "pass":
        return made.model_copy(update={"verdict": "not_assessed", "reason": f"{told}; {made.reason}"})
    return made.model_copy(update={"reason": f"{made.reason}; {told}"}) if few else made


def _figures(column: _Column, rules: AuditRules) -> Iterator[GroupFigure]:
    gaps = column.gaps
    for code, level in enumerate(column.levels):
        if code in column.hidden:
            continue
        for place, name in enumerate(gaps.names):
            n = int(gaps.sizes[code, place])
            if not gaps.sizes[:, place].any():
                continue
            short = n < rules.min_n
            figure = (
                unbounded(Estimate(None, n), level=rules.level)
                if short
                else _interval(gaps, code, place=place, rules=rules)
            )
            reason = f"not estimable: {n} samples, fewer than {rules.min_n}" if short else ""
            yield GroupFigure(column=column.name, level=level, metric=name, figure=figure, reason=reason)


def _interval(gaps: GroupGaps, code: int, *, place: int, rules: AuditRules) -> Interval:
    value, n = float(gaps.values[code, place]), int(gaps.sizes[code, place])
    if gaps.names[place] == ECE:
        return reflected(value, gaps.draws[:, code, place], n=n, level=rules.level)
    return wilson_interval(round(value * n), n, level=rules.level)
