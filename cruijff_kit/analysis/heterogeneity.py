"""Heterogeneity: which groups of samples a model treats unlike the rest, and what cannot be told."""

from collections.abc import Iterator, Sequence
from statistics import pstdev

import numpy as np

from cruijff_kit.analysis.group_columns import GroupColumns
from cruijff_kit.analysis.group_figures import TESTED, Measure, RawDifference, measure_groups, reflected
from cruijff_kit.analysis.independent import benjamini_hochberg, homogeneity
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.groups import GroupDifference, GroupMetric, GroupResult, GroupRules, Heterogeneity, Spread

__all__ = ["SMALLEST_RED", "compare_columns", "withheld_groups"]

SMALLEST_RED = 10
"""Rows of red data below which a group is withheld."""


def compare_columns(columns: GroupColumns, *, source: str, column: str, tier: Tier, rules: GroupRules) -> Heterogeneity:
    """Return every metric by group, each group tested against the rest.

    Tests are Fisher's for proportions, DeLong's for AUC and Welch's for
    overconfidence; p-values are adjusted over all of them together. Of red data,
    groups of few rows are withheld, and enough others that no difference from the
    totals gives one away.

    Args:
        columns: one entry a sample, at least one.
        source: what is compared, in words.
        column: name of the group column.
        tier: how freely the data may be shown.
        rules: level, minimum n, bootstrap and correction.
    """
    measures = measure_groups(columns, rules)
    judged = _judged(measures, rules)
    sizes = np.bincount(columns.group, minlength=len(columns.levels)).tolist()
    withheld = withheld_groups(sizes, tier=tier)
    shown = [code for code in range(len(sizes)) if code not in withheld]
    known = [place for place, each in enumerate(measures) if not each.wanting]
    results = tuple(
        GroupResult(
            level=columns.levels[code],
            n=sizes[code],
            metrics=tuple(
                _group_metric(measures[place], code, difference=judged[place][code], tier=tier) for place in known
            ),
        )
        for code in shown
    )
    outliers = [each for place in known for each in judged[place] if each is not None and each.outlier]
    return Heterogeneity(
        source=source,
        column=column,
        tier=tier,
        n=sum(sizes),
        rules=rules,
        overall=tuple(GroupMetric(metric=each.name, figure=each.overall, reason=each.wanting) for each in measures),
        groups=results,
        spreads=tuple(_spread(measures[place], shown, rules=rules) for place in known),
        tests=sum(each is not None for row in judged for each in row),
        found=bool(outliers),
        notes=tuple(_notes(withheld, columns=columns)),
    )


def _group_metric(measure: Measure, code: int, *, difference: GroupDifference | None, tier: Tier) -> GroupMetric:
    figure, reason = measure.figures[code], measure.reasons[code]
    if reason and tier == "red":
        figure, reason = figure.model_copy(update={"n": 0}), "not estimable: too few samples"
    return GroupMetric(metric=measure.name, figure=figure, difference=difference, reason=reason)


def _judged(measures: Sequence[Measure], rules: GroupRules) -> list[list[GroupDifference | None]]:
    """Return the differences with p-values adjusted over every test of every metric."""
    raw = [each for measure in measures for each in measure.differences if each is not None]
    p_values = [each.p_value for each in raw]
    both = zip(holm_adjusted(p_values), benjamini_hochberg(p_values), strict=True)
    return [
        [None if each is None else _difference(each, next(both), rules=rules) for each in measure.differences]
        for measure in measures
    ]


def _difference(raw: RawDifference, adjusted: tuple[float, float], *, rules: GroupRules) -> GroupDifference:
    holm, bh = adjusted
    significant = (holm if rules.correction == "holm" else bh) < rules.alpha
    side = "higher" if (raw.figure.value or 0.0) > 0 else "lower"
    return GroupDifference(
        figure=raw.figure, effect=raw.effect, p_value=raw.p_value, p_holm=holm, p_bh=bh,
        outlier=side if significant else "",
    )  # fmt: skip


def _spread(measure: Measure, shown: Sequence[int], *, rules: GroupRules) -> Spread:
    known = [code for code in shown if measure.figures[code].value is not None]
    values = [measure.figures[code].value or 0.0 for code in known]
    if len(known) < 2:
        gap = reflected(float("nan"), np.empty(0), n=len(known), level=1 - rules.alpha)
        return Spread(metric=measure.name, groups=len(known), gap=gap, sd=None, p_value=None)
    draws = measure.draws[:, known]
    gap = reflected(
        max(values) - min(values), draws.max(axis=1) - draws.min(axis=1), n=len(known), level=1 - rules.alpha
    )
    counts = [measure.counts[code] for code in known] if measure.counts else []
    p_value = homogeneity(counts) if measure.name in TESTED else None
    return Spread(metric=measure.name, groups=len(known), gap=gap, sd=pstdev(values), p_value=p_value)


def withheld_groups(sizes: Sequence[int], *, tier: Tier) -> set[int]:
    """Return the groups that are not shown: of red data those of few rows, and the next smallest.

    So many of the next smallest that those withheld cannot be told apart.
    """
    if tier != "red":
        return set()
    ordered = sorted(range(len(sizes)), key=lambda code: sizes[code])
    few = [code for code in ordered if sizes[code] < SMALLEST_RED]
    hidden = len(few)
    while (
        few and hidden < len(ordered) and (hidden < 2 or sum(sizes[code] for code in ordered[:hidden]) < SMALLEST_RED)
    ):
        hidden += 1
    return set(ordered[:hidden])


def _notes(withheld: set[int], *, columns: GroupColumns) -> Iterator[str]:
    if withheld:
        yield (
            f"{len(withheld)} groups are withheld: groups of fewer than {SMALLEST_RED} rows of red data are not "
            "shown, nor what would give them away"
        )
    if len(columns.levels) == 1:
        yield "there is one group alone, so nothing to compare it with"
