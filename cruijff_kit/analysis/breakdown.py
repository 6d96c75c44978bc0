"""Accuracy by group of samples, and one model against another on the same samples."""

from collections.abc import Iterable, Mapping, Sequence

from cruijff_kit.analysis.clustered import cluster_of, clustered_difference
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.paired import mcnemar_exact, mcnemar_mid_p, paired_bootstrap, paired_difference
from cruijff_kit.analysis.ranking import MOST_RANKED, tied_sets
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Comparison, GroupFigure, TiedSet

__all__ = ["compare_with_base", "group_figures", "rank_runs"]


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
    places = _firsts(counts)
    ordered = sorted(counts.items(), key=lambda item: _rank(item[0], places))
    return tuple(
        GroupFigure(
            run=run, task=task, group=column, level=value, figure=wilson_interval(sum(right), len(right), level=level)
        )
        for (run, task, column, value), right in ordered
    )


def compare_with_base(
    tuned: Sequence[Prediction], base: Sequence[Prediction], *, cluster: str | None = None, level: float
) -> Comparison | None:
    """Return the paired comparison of two models on the samples they share.

    Samples are paired by id and target; errored and unparsed ones count as wrong.
    The p-value is not adjusted yet. None where no sample is shared.

    Args:
        tuned: the fine-tuned run's samples of one task at one epoch.
        base: the control run's samples of the same task.
        cluster: column whose equal values mark samples that are not independent.
        level: confidence level in (0, 1).
    """
    before = _answers(base)
    changes: dict[str, list[int]] = {}
    for each in tuned:
        key = (each.sample_id, each.target)
        if key in before:
            name = str(key) if cluster is None else cluster_of(each, cluster)
            changes.setdefault(name, []).append((each.correct is True) - before[key])
    flat = [change for each in changes.values() for change in each]
    if not flat:
        return None
    gained, lost = flat.count(1), flat.count(-1)
    if cluster is None:
        difference = paired_difference(gained, lost, n=len(flat), level=level)
        test, p_value = "exact McNemar test", mcnemar_exact(gained, lost)
    else:
        test = "t-test over clusters"
        difference, p_value = clustered_difference(changes, level=level)
    return Comparison(
        run=tuned[0].run,
        base=base[0].run,
        task=tuned[0].task,
        difference=difference,
        gained=gained,
        lost=lost,
        bootstrap=paired_bootstrap(list(changes.values()), level=level),
        test=test,
        p_value=p_value,
        mid_p=mcnemar_mid_p(gained, lost) if cluster is None else None,
        p_adjusted=p_value,
    )


def rank_runs(
    samples: Sequence[Sequence[Prediction]], *, cluster: str | None = None, level: float
) -> tuple[TiedSet, ...]:
    """Return runs in tied sets by their answers to the samples that all of them share.

    Args:
        samples: each run's samples of one task at one epoch.
        cluster: column whose equal values mark samples that are not independent.
        level: confidence level in (0, 1); every pair is tested at the rest of it, Holm-adjusted.
    """
    answers = {each[0].run: _answers(each) for each in samples if each}
    if not answers or len(answers) > MOST_RANKED:
        return ()
    shared = [key for key in next(iter(answers.values())) if all(key in each for each in answers.values())]
    first = {(each.sample_id, each.target): each for each in samples[0]}
    names = [str(key) if cluster is None else cluster_of(first[key], cluster) for key in shared]

    def test(left: Sequence[bool], right: Sequence[bool]) -> float:
        if cluster is None:
            pairs = list(zip(left, right, strict=True))
            return mcnemar_exact(pairs.count((False, True)), pairs.count((True, False)))
        changes: dict[str, list[int]] = {}
        for name, one, other in zip(names, left, right, strict=True):
            changes.setdefault(name, []).append(other - one)
        return clustered_difference(changes, level=level)[1]

    verdicts = {run: [each[key] for key in shared] for run, each in answers.items()}
    return tied_sets(verdicts, test=test, alpha=1 - level) if shared else ()


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
