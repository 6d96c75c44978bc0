"""A comparison of groups as JSON in the first system's fields, and as a plain text table."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cruijff_kit.rendering.numbers import NONE, between, estimate, p_text, percent, signed
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.groups import GroupMetric, GroupResult, Heterogeneity
from cruijff_kit.schema.report import Interval

__all__ = ["group_json", "group_table"]

_WIDTH = 64
_SHOWN = ("accuracy", "auc", "ece", "overconfidence", "abstention", "coverage", "set_size")


def group_json(found: Heterogeneity) -> str:
    """Return the comparison as JSON: summary, analysis, identified groups and group metrics.

    The first system's fields keep their names; an outlier is a group whose test against
    the rest is significant after adjustment, not one a fixed distance from the mean.
    """
    accuracy, auc = _outliers(found, "accuracy"), _outliers(found, "auc")
    spreads = {each.metric: each for each in found.spreads}
    value = {
        "schema_version": found.schema_version,
        "summary": {
            "total_samples": found.n,
            "num_groups": len(found.groups),
            "heterogeneity_found": found.found,
            "source": found.source,
            "group_column": found.column,
            "tier": found.tier,
            "tests": found.tests,
            "rules": found.rules.model_dump(mode="json"),
            "notes": list(found.notes),
        },
        "heterogeneity_analysis": {
            "accuracy_p_value": spreads["accuracy"].p_value if "accuracy" in spreads else None,
            "auc_std": spreads["auc"].sd if "auc" in spreads else None,
            "auc_range": spreads["auc"].gap.value if "auc" in spreads else None,
            "n_accuracy_outliers": len(accuracy),
            "n_auc_outliers": len(auc),
            "n_outlying_in_both": len(set(accuracy) & set(auc)),
            "spread": {name: each.model_dump(mode="json", exclude={"metric"}) for name, each in spreads.items()},
        },
        "identified_groups": {
            "accuracy_outliers": accuracy,
            "auc_outliers": auc,
            "outlying_in_both": [level for level in accuracy if level in auc],
            "by_metric": {name: _sides(found, name) for name in spreads if _sides(found, name)},
        },
        "overall": {each.metric: _metric(each) for each in found.overall},
        "group_metrics": {group.level: _group(group) for group in found.groups},
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def group_table(found: Heterogeneity) -> str:
    """Return the comparison as text: a table of figures, a table of differences, and how to read them."""
    shown = [each.metric for each in found.spreads]
    names = [each for each in _SHOWN if each in shown]
    overall = {each.metric: each for each in found.overall}
    figures = [("all", f"{found.n:,}", *(estimate(overall[name].figure) for name in names))]
    for group in found.groups:
        known = {each.metric: each for each in group.metrics}
        figures.append((_short(group.level), f"{group.n:,}", *(estimate(known[name].figure) for name in names)))
    blocks = [f"{_short(found.source)}, by {_short(found.column)}", _aligned([("group", "n", *names), *figures])]
    differences = list(_differences(found))
    if differences:
        head = ("group", "metric", "minus the rest", "interval", "effect", "p", "Holm", "BH", "outlier")
        blocks.append(_aligned([head, *differences]))
    return "\n\n".join([*blocks, "\n".join(_reading(found))]) + "\n"


def _outliers(found: Heterogeneity, metric: str) -> list[str]:
    return list(_sides(found, metric))


def _sides(found: Heterogeneity, metric: str) -> dict[str, str]:
    return {
        group.level: each.difference.outlier
        for group in found.groups
        for each in group.metrics
        if each.metric == metric and each.difference is not None and each.difference.outlier
    }


def _group(group: GroupResult) -> dict[str, Any]:
    """Return bare values under the first system's names, and everything else below `figures`."""
    values = {each.metric: each.figure.value for each in group.metrics}
    return {"n": group.n, **values, "figures": {each.metric: _metric(each) for each in group.metrics}}


def _metric(each: GroupMetric) -> dict[str, Any]:
    return {**_interval(each.figure), **_difference(each), **({"reason": each.reason} if each.reason else {})}


def _difference(each: GroupMetric) -> Mapping[str, Any]:
    if each.difference is None:
        return {}
    return {"difference": each.difference.model_dump(mode="json")}


def _interval(figure: Interval) -> dict[str, Any]:
    return figure.model_dump(mode="json", exclude={"level"})


def _differences(found: Heterogeneity) -> Iterator[tuple[str, ...]]:
    for group in found.groups:
        for each in group.metrics:
            gap = each.difference
            if gap is not None:
                yield (
                    _short(group.level), each.metric, signed(gap.figure.value), between(gap.figure, sign=True),
                    f"{gap.effect:+.2f}", p_text(gap.p_value), p_text(gap.p_holm), p_text(gap.p_bh), gap.outlier,
                )  # fmt: skip


def _reading(found: Heterogeneity) -> Iterator[str]:
    rules, which = found.rules, {"holm": "Holm", "bh": "Benjamini-Hochberg"}[found.rules.correction]
    count = sum(1 for group in found.groups for each in group.metrics if each.difference and each.difference.outlier)
    standing = f"{count} figures of a group stand out" if count else "no group stands out"
    yield f"{standing}: {found.tests} tests against the rest, {which}-adjusted together, alpha {rules.alpha:g}"
    yield (
        f"intervals of {percent(1 - rules.alpha)}; `{NONE}` is not estimable (fewer than {rules.min_n} samples, or 10 "
        "of a class); errored and unparsed answers count as wrong"
    )
    wanting = dict.fromkeys(each.reason for each in found.overall if each.reason)
    if wanting:
        yield f"not shown: {'; '.join(wanting)}"
    # A promise may name values of a group column, which are data.
    yield from map(clean_line, found.notes)


def _short(text: str) -> str:
    line = clean_line(text)
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
