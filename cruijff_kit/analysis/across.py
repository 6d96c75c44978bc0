"""Across experiments: which figures may be subtracted, by how much they differ, and why others may not."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import isclose
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.analysis.arms import PROMPTS, Entry, arms_of, differing
from cruijff_kit.analysis.breakdown import compare_with_base
from cruijff_kit.analysis.clustered import cluster_of, clustered_difference
from cruijff_kit.analysis.figure_intervals import figure_difference
from cruijff_kit.analysis.independent import fisher_exact, proportion_difference, welch_difference
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.analysis.readings import Reading, definition, figure_of, judged_anew, readings_of, verdicts_of
from cruijff_kit.schema.compared import ArmFigure, CompareRules, Contrast, NotComparable, Over
from cruijff_kit.schema.imported import UNKNOWN
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.figure_names import FIGURES, split_metric
from cruijff_kit.scoring.records import scorer_answers

__all__ = ["MOST_CONTRASTS", "Compared", "compare_entries", "pairs_of", "read_entries"]

MOST_CONTRASTS = 400
"""Differences that are told at most; more than that no table shows and no adjustment bears."""

_NOBODY = "which rows {} answered is not known by hash and split"


class Compared(NamedTuple):
    """Everything that was found."""

    figures: tuple[ArmFigure, ...]
    """Every figure asked for."""
    contrasts: tuple[Contrast, ...]
    """Differences between those that are comparable."""
    not_comparable: tuple[NotComparable, ...]
    """The others, and why."""
    multiplicity: str
    """Over how many tests p-values are adjusted, in words."""


class _Told(NamedTuple):
    """A difference with how it was found."""

    interval: Interval
    over: Over
    test: str = ""
    p_value: float | None = None
    cautions: tuple[str, ...] = ()


def read_entries(entries: Sequence[Entry], rules: CompareRules) -> list[list[Reading]]:
    """Return each experiment's readings of what is asked for."""
    return [
        [reading for arm in arms_of(entry) if _wanted(arm.name, [run.id for run in arm.runs], rules=rules)
         for reading in readings_of(arm, rules)]
        for entry in entries
    ]  # fmt: skip


def pairs_of(readings: Sequence[Sequence[Reading]], *, matched: bool) -> list[tuple[Reading, Reading]]:
    """Return readings of different experiments that speak of the same metric, on a task of the same name or rows."""
    return [
        (first, second)
        for one, other in combinations(readings, 2)
        for first in one
        for second in other
        if first.metric == second.metric and _same_place(first, second)
        if not matched or first.arm.runs[0].factors == second.arm.runs[0].factors
    ]


def compare_entries(
    readings: Sequence[Sequence[Reading]], pairs: Sequence[tuple[Reading, Reading]], *, level: float
) -> Compared:
    """Return the figures, the differences with their p-values adjusted over all of them, and what is not compared.

    Args:
        readings: each experiment's, as `read_entries` gives them.
        pairs: those that may be compared, as `pairs_of` gives them.
        level: confidence level in (0, 1).
    """
    found, refused = list[Contrast](), dict[tuple[str, ...], NotComparable]()
    for pair in pairs:
        first, second, anew = _alike_judged(*pair)
        reasons, cautions = _comparable(first, second)
        cautions += anew
        if reasons:
            key = (first.place, second.place, first.metric, *reasons)
            refused[key] = NotComparable(
                first=first.place, second=second.place, metric=first.metric, reasons=tuple(reasons)
            )
            continue
        found.append(_contrast(first, second, cautions=cautions, level=level))
    for lonely in _unpaired(readings, pairs):
        refused[lonely.first, lonely.second, lonely.metric] = lonely
    adjusted = _adjusted(found)
    tests = sum(each.p_value is not None for each in adjusted)
    return Compared(
        figures=tuple(figure_of(reading, level=level) for each in readings for reading in each),
        contrasts=tuple(adjusted),
        not_comparable=tuple(refused.values()),
        multiplicity=_multiplicity(tests, len(adjusted), level=level),
    )


def _alike_judged(first: Reading, second: Reading) -> tuple[Reading, Reading, list[str]]:
    """Return two readings judged alike where one is another system's, and a word on what was judged anew."""
    told = "{} was judged anew by this package's `{}`: its log holds the verdicts of its own scorer"
    one, other = judged_anew(first, second.task), judged_anew(second, first.task)
    if one is not None:
        return one, second, [told.format(first.arm.entry.label, first.metric)]
    if other is not None:
        return first, other, [told.format(second.arm.entry.label, second.metric)]
    return first, second, []


def _wanted(name: str, ids: Sequence[str], *, rules: CompareRules) -> bool:
    return not rules.runs or any(word in text for word in rules.runs for text in (name, *ids))


def _same_place(first: Reading, second: Reading) -> bool:
    one, other = definition(first), definition(second)
    rows = ("task", "data", "split")
    known = UNKNOWN_SHA256 not in (one["data"], other["data"])
    return first.task.name == second.task.name or (known and all(one[key] == other[key] for key in rows))


def _comparable(first: Reading, second: Reading) -> tuple[list[str], list[str]]:
    """Return why two readings may not be compared, and what is to be known where they may."""
    names = first.arm.entry.label, second.arm.entry.label
    one, other = definition(first), definition(second)
    reasons = [
        f"{key}: {_short(one[key])} in {names[0]}, {_short(other[key])} in {names[1]}"
        for key in one
        if key != "data" and one[key] != other[key] and UNKNOWN not in (one[key], other[key])
    ]
    lost = (UNKNOWN_SHA256, UNKNOWN)
    told = zip(names, (one, other), strict=True)
    unknown = [name for name, each in told if each["data"] in lost or each["split"] in lost]
    cautions = []
    if not unknown and one["data"] != other["data"]:
        reasons.append(f"data: {_short(one['data'])} in {names[0]}, {_short(other['data'])} in {names[1]}")
    if unknown and _asked(first) != _asked(second):
        reasons.append(f"data: {_NOBODY.format(' and '.join(unknown))}, and its sample ids and targets are others")
    elif unknown:
        cautions.append(f"{_NOBODY.format(' and '.join(unknown))}; sample ids and targets are the same")
    reasons += [
        f"{each.arm.told} has no result: {each.rows[0].reason if each.rows else 'it was not evaluated'}"
        for each in (first, second)
        if not each.values
    ]
    if first.task.task.partition("@")[0].endswith(".py"):
        cautions.append("the task is a file of your own, and only its name was compared")
    return reasons, cautions


def _asked(reading: Reading) -> set[tuple[str, str]]:
    samples = next(iter(reading.samples.values()), ())
    return {(each.sample_id, each.target) for each in samples}


def _unpaired(
    readings: Sequence[Sequence[Reading]], pairs: Sequence[tuple[Reading, Reading]]
) -> Iterator[NotComparable]:
    """Yield tasks of an experiment that none of another's answers to."""
    paired = {(each.place, other.arm.entry.label) for pair in pairs for each, other in (pair, pair[::-1])}
    labels = [each[0].arm.entry.label for each in readings if each]
    for reading in (reading for each in readings for reading in each):
        for label in labels:
            if label != reading.arm.entry.label and (reading.place, label) not in paired:
                reason = f"{label} has no evaluation by `{reading.metric}` on a task of this name or on these rows"
                yield NotComparable(first=reading.place, second=label, metric=reading.metric, reasons=(reason,))


def _contrast(first: Reading, second: Reading, *, cautions: Sequence[str], level: float) -> Contrast:
    told = _difference(first, second, level=level)
    keys = differing(first.arm, second.arm)
    tasks = dict.fromkeys((first.task.name, second.task.name))
    return Contrast(
        first=first.arm.told,
        second=second.arm.told,
        task=" / ".join(tasks),
        metric=first.metric,
        difference=told.interval,
        over=told.over,
        test=told.test,
        p_value=told.p_value,
        differs=keys,
        cautions=(*_prompt_words(first, second, keys=[each.key for each in keys]), *cautions, *told.cautions),
    )


def _prompt_words(first: Reading, second: Reading, *, keys: Sequence[str]) -> Iterator[str]:
    """Yield what two arms were asked otherwise: by their configuration, and token by token where that can be told."""
    prompts = [key for key in keys if key in PROMPTS]
    if prompts:
        yield f"they were asked otherwise: {', '.join(prompts)} differ"
    answered = [key for key in keys if key.startswith("generation.")]
    if answered:
        yield f"they answered otherwise: {', '.join(answered)} differ"
    models = {each.arm.runs[0].model.sha256 for each in (first, second)}
    if prompts or len(models) > 1 or None in models:
        return
    one, other = (
        {(each.sample_id, each.target): each.prompt_token_sha256 for each in next(iter(reading.samples.values()), ())}
        for reading in (first, second)
    )
    shared = [key for key in one if key in other]
    unlike = sum(one[key] != other[key] for key in shared)
    if unlike:
        yield f"the prompts of {unlike} of {len(shared)} shared samples differ token by token"


def _difference(first: Reading, second: Reading, *, level: float) -> _Told:
    one, other = first.values, second.values
    if len(one) > 1 and len(other) > 1:
        interval, p_value = welch_difference(one, other, level=level)
        if p_value is None:
            return _Told(interval, "nothing", cautions=("seeds agree to the last digit, so there is no spread",))
        return _Told(interval, "seeds", "Welch's t-test over seeds", p_value)
    judged = [{row.run: verdicts_of(each, row.run) for row in each.known} for each in (first, second)]
    if all(samples for each in judged for samples in each.values()):
        found = _on_shared(first, second, judged=[list(each.values()) for each in judged], level=level)
        if found is not None:
            return found
    counts = [(row.successes, row.n) for each in (first, second) for row in each.known]
    if len(counts) == 2 and all(k is not None and n for k, n in counts):
        a, b = ((k or 0, n) for k, n in counts)
        words = ("the samples are not known to be the same ones, so they are compared as two independent sets",)
        cautions = (*words, *_trainings(first, second))
        told = proportion_difference(b, a, level=level)
        return _Told(told, "samples", "Fisher's exact test", fisher_exact(a, b), cautions)
    return _of_figures(first, second, level=level)


def _on_shared(
    first: Reading, second: Reading, *, judged: Sequence[Sequence[tuple[Prediction, ...]]], level: float
) -> _Told | None:
    """Return the difference on samples that every run of both arms answered; None where there are none."""
    column = _cluster(first, second)
    answers = [[{(each.sample_id, each.target): each for each in samples} for samples in runs] for runs in judged]
    every = [keys for runs in answers for keys in runs]
    shared = [key for key in every[0] if all(key in each for each in every)]
    if not shared:
        return None
    cautions = tuple(_trainings(first, second))
    most = max(map(len, every))
    if len(shared) < most:
        cautions = (f"{len(shared)} of {most} samples were answered by all and are compared", *cautions)
    if len(every) == 2 and column is None:
        found = compare_with_base(
            [answers[1][0][key] for key in shared], [answers[0][0][key] for key in shared], level=level
        )
        return None if found is None else _Told(found.difference, "shared samples", found.test, found.p_value, cautions)
    changes: dict[str, list[int]] = {}
    for key in shared:
        name = str(key) if column is None else cluster_of(every[0][key], column)
        changes.setdefault(name, []).extend(
            (b[key].correct is True) - (a[key].correct is True) for a in answers[0] for b in answers[1]
        )
    interval, p_value = clustered_difference(changes, level=level)
    if interval.low is None:
        return _Told(interval, "nothing", cautions=("all samples changed alike, so there is no spread", *cautions))
    test = "t-test over samples" if column is None else "t-test over clusters"
    return _Told(interval.model_copy(update={"n": len(shared)}), "shared samples", test, p_value, cautions)


def _of_figures(first: Reading, second: Reading, *, level: float) -> _Told:
    """Return the difference of what is no share of right answers: paired where one run of each answered the same."""
    value = fmean(second.values) - fmean(first.values)
    bare = Interval(value=value, low=None, high=None, n=0, level=level, method="none")
    scorer, name = split_metric(first.metric)
    samples = [each.samples.get(each.known[0].run, ()) for each in (first, second)]
    keys = [[(each.sample_id, each.target) for each in run] for run in samples]
    measured = name in FIGURES and all(scorer in each.task.scorers for each in (first, second))
    if len(first.values) > 1 or len(second.values) > 1 or not measured or not keys[0] or set(keys[0]) != set(keys[1]):
        why = "an interval needs one run of each on the same samples, or several seeds of each"
        return _Told(bare, "nothing", cautions=(why,))
    ordered = {(each.sample_id, each.target): each for each in samples[1]}
    one, other = samples[0], [ordered[key] for key in keys[0]]
    answers = [scorer_answers(run, scorer, rules=each.task.rules) for run, each in ((one, first), (other, second))]
    column = _cluster(first, second)
    clusters = None if column is None else [cluster_of(each, column) for each in one]
    found = figure_difference(name, (answers[0], answers[1]), clusters=clusters, level=level)
    if found.low is None or found.value is None or not isclose(found.value, value, abs_tol=1e-9):
        return _Told(bare, "nothing", cautions=("there is no spread to make an interval from",))
    words = ("no test: the interval alone says how sure it is", *_trainings(first, second))
    return _Told(found, "shared samples", cautions=words)


def _cluster(first: Reading, second: Reading) -> str | None:
    """Return the column of samples that stand or fall together, where either design names one."""
    return first.arm.entry.spec.analysis.cluster or second.arm.entry.spec.analysis.cluster


def _trainings(first: Reading, second: Reading) -> Iterator[str]:
    """Yield what a difference over samples does not speak of."""
    if any(each.arm.runs[0].type == "fine-tuned" for each in (first, second)):
        yield "over samples, a difference is that of these trainings; other seeds may give another"


def _adjusted(contrasts: Sequence[Contrast]) -> list[Contrast]:
    tested = [each for each in contrasts if each.p_value is not None]
    adjusted = iter(holm_adjusted([each.p_value or 0.0 for each in tested]))
    return [
        each if each.p_value is None else each.model_copy(update={"p_adjusted": next(adjusted)}) for each in contrasts
    ]


def _multiplicity(tests: int, shown: int, *, level: float) -> str:
    if not tests:
        return "nothing was tested"
    others = f", {shown - tests} more are shown without a test" if shown > tests else ""
    many = "one difference was tested" if tests == 1 else f"{tests} differences were tested"
    adjusted = "its p-value needs no adjustment" if tests == 1 else "p-values are Holm-adjusted over all of them"
    return f"{many}{others}; {adjusted}; each interval stands for itself, at {100 * level:g} %"


def _short(text: str) -> str:
    told = text[:12] if len(text) == 64 and text.isalnum() else text
    return f"`{told}`"
