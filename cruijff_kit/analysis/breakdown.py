"""Accuracy by group of samples, and one model against another on the same samples."""

from collections.abc import Iterable, Mapping, Sequence

from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.paired import mcnemar_exact, paired_difference
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Comparison, GroupFigure

__all__ = ["compare_with_base", "group_figures"]


def group_figures(
    predictions: Iterable[Prediction], groups: Sequence[str] = (), *, level: float
) -> tuple[GroupFigure, ...]:
    """Return accuracy by group column, Wilson intervals, errored samples counted as wrong.

    Args:
        predictions: one run's samples on one task at one epoch, or several of each.
        groups: columns to break down by; every column found where empty.
        level: confidence level in (0, 1).
    """
    counts: dict[tuple[str, str, str, str], list[bool]] = {}
    for each in predictions:
        for column, value in each.groups.items():
            if not groups or column in groups:
                counts.setdefault((each.run, each.task, column, value), []).append(each.correct is True)
    ordered = sorted(counts.items(), key=lambda item: _rank(item[0], _firsts(counts)))
    return tuple(
        GroupFigure(
            run=run, task=task, group=column, level=value, figure=wilson_interval(sum(right), len(right), level=level)
        )
        for (run, task, column, value), right in ordered
    )


def compare_with_base(tuned: Sequence[Prediction], base: Sequence[Prediction], *, level: float) -> Comparison | None:
    """Return the paired comparison of two models on the samples they share.

    Samples are paired by id and target; errored and unparsed ones count as wrong.
    The p-value is not adjusted yet. None where no sample is shared.

    Args:
        tuned: the fine-tuned run's samples of one task at one epoch.
        base: the control run's samples of the same task.
        level: confidence level in (0, 1).
    """
    before = _answers(base)
    pairs = [(before[key], right) for key, right in _answers(tuned).items() if key in before]
    if not pairs:
        return None
    gained = sum(after and not earlier for earlier, after in pairs)
    lost = sum(earlier and not after for earlier, after in pairs)
    p_value = mcnemar_exact(gained, lost)
    return Comparison(
        run=tuned[0].run,
        base=base[0].run,
        task=tuned[0].task,
        difference=paired_difference(gained, lost, n=len(pairs), level=level),
        gained=gained,
        lost=lost,
        p_value=p_value,
        p_adjusted=p_value,
    )


def _answers(predictions: Iterable[Prediction]) -> dict[tuple[str, str], bool]:
    return {(each.sample_id, each.target): each.correct is True for each in predictions}


def _firsts(counts: Mapping[tuple[str, str, str, str], object]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(key[i] for i in (0, 1, 2) for key in counts))}


def _rank(key: tuple[str, str, str, str], places: Mapping[str, int]) -> tuple[int, int, int, float, str]:
    """Return a sort key: runs, tasks and columns as they came, numbers by size."""
    run, task, column, value = key
    try:
        size = float(value)
    except ValueError:
        size = float("inf")
    return places[run], places[task], places[column], size, value
