"""How far groups of samples lie apart in many figures at once, with intervals that hold together.

Every pair of groups in every figure is a difference. All of them are resampled jointly, and
one critical value, the quantile of the largest studentised deviation, makes all their
intervals: with the chosen probability none of them is wrong. A gap, the largest
difference of a figure, has the largest lower and the largest upper limit of its pairs.
Source: J. P. Romano, M. Wolf, Econometrica 73 (2005), 1237-1282.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.analysis.cell_bootstrap import drawn_counts
from cruijff_kit.analysis.distributions import normal_quantile, normal_two_sided, t_quantile
from cruijff_kit.analysis.group_columns import Floats, Ints
from cruijff_kit.schema.interval import Interval
from cruijff_kit.scoring.calibration_error import place_in_bins

__all__ = ["ECE", "Gap", "GroupGaps", "GroupTrials", "group_gaps"]

ECE = "ece"
"""Figure of the confidences: the calibration error of ten bins of equal width, its bias taken off."""

_BINS = 10
_METHOD = "bootstrap, all pairs at once"
_Bools = NDArray[np.bool_]


class GroupTrials(NamedTuple):
    """One row a sample."""

    names: tuple[str, ...]
    """Figures that are shares."""
    hits: _Bools
    """(n, figures) whether a sample counts towards the numerator."""
    trials: _Bools
    """(n, figures) whether it counts towards the denominator."""
    sure: Floats
    """(n,) confidence in the answer; not a number without one."""
    right: Floats
    """(n,) 1 where that answer is right."""
    group: Ints
    """(n,) code of its group."""
    groups: int
    """How many groups there are."""


class Gap(NamedTuple):
    """How far the groups lie apart in one figure."""

    name: str
    """Which."""
    figure: Interval | None
    """Largest difference between two groups; n is the smaller group of the widest pair; None for fewer than two."""
    pair: tuple[int, int] | None
    """The two groups that lie furthest apart."""


class GroupGaps(NamedTuple):
    """Figures by group, and how far they lie apart."""

    names: tuple[str, ...]
    """The figures, the calibration error last."""
    values: Floats
    """(groups, figures); not a number where nothing is known."""
    sizes: Ints
    """(groups, figures) samples in each denominator."""
    draws: Floats
    """(resamples, groups, figures) bootstrap values."""
    gaps: tuple[Gap, ...]
    """One a figure."""


class _Cells(NamedTuple):
    """Samples of one kind together: what they count towards, and how sure the model was on average."""

    counts: Ints
    hits: Floats
    trials: Floats
    bins: Floats
    excess: Floats


def group_gaps(found: GroupTrials, *, min_n: int, level: float, resamples: int, seed: int) -> GroupGaps:
    """Return every figure by group, and the gaps between groups that have `min_n` samples of it.

    Args:
        found: the samples.
        min_n: fewest samples of a figure at which a group is compared.
        level: probability that all intervals hold.
        resamples: bootstrap resamples.
        seed: fixes them.
    """
    cells = _cells(found)
    values, sizes = _values(cells, cells.counts[None].astype(np.float64))[0], _sizes(cells)
    rng = np.random.default_rng(seed)
    draws = np.concatenate(
        [_values(cells, counts) for counts in drawn_counts(cells.counts, resamples=resamples, rng=rng)]
    )
    pairs = [
        (place, one, other)
        for place in range(len(found.names) + 1)
        for one, other in combinations(np.flatnonzero(sizes[:, place] >= min_n).tolist(), 2)
    ]
    differences = _differences(values, draws, pairs=pairs, spread=_least_spread(found, sizes), level=level)
    least = [int(min(sizes[one, place], sizes[other, place])) for place, one, other in pairs]
    differences = differences._replace(half=differences.half * _widened(least, differences.critical))
    names = (*found.names, ECE)
    gaps = tuple(_gap(names[at], at, pairs=pairs, differences=differences, sizes=sizes) for at in range(len(names)))
    return GroupGaps(names, values, sizes, draws, gaps)


class _Differences(NamedTuple):
    """Every pair of groups in every figure: how far apart, half the interval, and what made it."""

    size: Floats
    half: Floats
    level: float
    critical: float = 0.0


def _differences(
    values: Floats, draws: Floats, *, pairs: list[tuple[int, int, int]], spread: Floats, level: float
) -> _Differences:
    """Return the size of each difference, its bias taken off, and the half width of its interval."""
    if not pairs:
        return _Differences(np.empty(0), np.empty(0), level)
    place, one, other = (np.array(column) for column in zip(*pairs, strict=True))
    found = values[one, place] - values[other, place]
    drawn = draws[:, one, place] - draws[:, other, place]
    middle = np.nanmean(drawn, axis=0)
    # Ten right answers of ten have no spread to resample, and prove little.
    error = np.maximum(np.nanstd(drawn, axis=0), np.hypot(spread[one, place], spread[other, place]))
    largest = np.nan_to_num(np.abs(drawn - middle) / error).max(axis=1)
    critical = max(float(np.quantile(largest, level)), normal_quantile(level))
    return _Differences(np.abs(2 * found - middle), critical * error, level, critical)


def _widened(least: list[int], critical: float) -> Floats:
    """Return how much wider intervals of small groups are, whose spread is uncertain: Student's t over normal."""
    level = 1 - normal_two_sided(critical)
    widths = {n: t_quantile(level, n - 1) / critical for n in set(least)}
    return np.array([widths[n] for n in least])


def _gap(name: str, place: int, *, pairs: list[tuple[int, int, int]], differences: _Differences, sizes: Ints) -> Gap:
    own = [at for at, (figure, _, _) in enumerate(pairs) if figure == place]
    if not own:
        return Gap(name, None, None)
    size, half = differences.size[own], differences.half[own]
    widest = own[int(size.argmax())]
    _, one, other = pairs[widest]
    figure = Interval(
        value=min(1.0, float(size.max())),
        low=max(0.0, float((size - half).max())),
        high=min(1.0, float((size + half).max())),
        n=int(min(sizes[one, place], sizes[other, place])),
        level=differences.level,
        method=_METHOD,
    )
    return Gap(name, figure, (one, other))


def _cells(found: GroupTrials) -> _Cells:
    """Return the kinds of samples there are, how many of each in each group, and what they count towards."""
    known = np.isfinite(found.sure)
    sure = np.where(known, found.sure, 0.0)
    place = np.where(known, place_in_bins(sure, n_bins=_BINS), _BINS)
    bins = np.eye(_BINS + 1)[place][:, :_BINS]
    right = known & (found.right > 0)
    columns = np.column_stack([found.hits, found.trials, bins.astype(bool), right[:, None]])
    packed = np.ascontiguousarray(np.packbits(columns, axis=1))
    _, first, kind = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
    kinds = len(first)
    code = found.group * kinds + kind
    counts = np.bincount(code, minlength=found.groups * kinds).reshape(found.groups, kinds)
    # Confidences of one kind in one group count as their mean: a bin of a calibration error sees no more of them.
    sums = np.bincount(code, right - sure, minlength=found.groups * kinds).reshape(found.groups, kinds)
    excess = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    hits = (found.hits & found.trials)[first].astype(np.float64)
    return _Cells(counts, hits, found.trials[first].astype(np.float64), bins[first], excess)


def _values(cells: _Cells, counts: Floats) -> Floats:
    """Return (…, groups, figures) of counts of shape (…, groups, kinds); 0 / 0 is not a number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (counts @ cells.hits) / (counts @ cells.trials)
        errors = np.abs((counts * cells.excess) @ cells.bins).sum(axis=-1) / (counts @ cells.bins).sum(axis=-1)
    return np.concatenate([shares, errors[..., None]], axis=-1)


def _sizes(cells: _Cells) -> Ints:
    shares, sure = cells.counts @ cells.trials, (cells.counts @ cells.bins).sum(axis=1)
    return np.rint(np.column_stack([shares, sure])).astype(np.int64)


def _least_spread(found: GroupTrials, sizes: Ints) -> Floats:
    """Return the least standard error of each figure, as if two samples more had come out either way.

    Source: A. Agresti, B. Caffo, The American Statistician 54 (2000), 280-288.
    """
    known = np.isfinite(found.sure)
    hits = np.column_stack([found.hits & found.trials, known & (found.right > 0)])
    counted = np.stack([hits[found.group == code].sum(axis=0) for code in range(found.groups)])
    share = (counted + 1) / (sizes + 2)
    return np.sqrt(share * (1 - share) / (sizes + 2))
