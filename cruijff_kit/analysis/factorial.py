"""Effects of factors on replicated runs, as contrasts between combinations of levels."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import prod, sqrt
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.analysis.distributions import t_quantile, t_two_sided
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.report import CellFigure, Effect, Interval
from cruijff_kit.schema.spec import Factors, Level

__all__ = ["Observation", "cell_figures", "factor_effects"]

_METHOD = "t over seeds, error pooled within combinations"
_MODELS = (
    (True, "; least squares with two-way interactions, since combinations are missing"),
    (False, "; least squares without interactions, since combinations are missing"),
)
_NO_REPLICATES = "one run a combination: the spread between seeds is unknown, so there is no interval"
_NO_SPREAD = "seeds of the same combination gave the same figure: no spread to make an interval from"


class Observation(NamedTuple):
    """One run: its factor levels and its outcome."""

    run: str
    """The run."""
    factors: Mapping[str, Level]
    """Factor levels."""
    value: float
    """Outcome; one run counts once, however many samples it answered."""


class _Contrast(NamedTuple):
    factor: str
    text: str
    weights: tuple[float, ...]
    """One weight per combination of levels, in grid order."""


class _Error(NamedTuple):
    """Spread between runs that differ in nothing but their seed."""

    variance: float
    df: int
    reason: str


class _Estimate(NamedTuple):
    value: float
    leverage: float
    """Variance in units of the error variance."""
    model: str
    """What was assumed where combinations have no result."""


class _Grid(NamedTuple):
    factors: Factors
    cells: tuple[tuple[Level, ...], ...]
    values: tuple[tuple[float, ...], ...]
    """Outcomes of each combination; empty where no run has one."""
    error: _Error


def factor_effects(
    observations: Sequence[Observation], factors: Factors, *, level: float, planned: Sequence[str] = ()
) -> tuple[Effect, ...]:
    """Return main effects and two-way interactions with intervals over seeds.

    A factor of two levels gives one contrast, one of more levels is compared with
    its first level; two factors of two levels each also give an interaction, the
    difference between the differences. Other factors are averaged over with equal
    weights. The outcome's mean is taken as free in every combination; where
    combinations have no result, least squares with main effects and two-way
    interactions, and then with main effects alone, stands in for it. The error is
    the variance within combinations, with runs minus combinations degrees of freedom.
    Source: G. E. P. Box, J. S. Hunter, W. G. Hunter, Statistics for Experimenters,
    2nd ed. (2005), chapter 5.

    Args:
        observations: one per run with an outcome.
        factors: factor name to levels, in the order of the design.
        level: confidence level in (0, 1).
        planned: factors to report and to adjust p-values over; all where empty.
    """
    varied = {name: levels for name, levels in factors.items() if len(levels) > 1}
    if not varied or not observations:
        return ()
    grid = _grid(observations, varied)
    chosen = [each for each in _contrasts(grid) if not planned or set(each.factor.split(" x ")) <= set(planned)]
    effects = [_effect(grid, contrast, level=level) for contrast in chosen]
    tested = [index for index, effect in enumerate(effects) if effect.p_value is not None]
    adjusted = holm_adjusted([effects[index].p_value or 0.0 for index in tested])
    for index, p_value in zip(tested, adjusted, strict=True):
        effects[index] = effects[index].model_copy(update={"p_adjusted": p_value})
    return tuple(effects)


def cell_figures(observations: Sequence[Observation], factors: Factors, *, level: float) -> tuple[CellFigure, ...]:
    """Return the mean outcome of each combination of levels that has a result.

    Args:
        observations: one per run with an outcome.
        factors: factor name to levels, in the order of the design.
        level: confidence level in (0, 1).
    """
    grid = _grid(observations, factors)
    figures = []
    for cell, values in zip(grid.cells, grid.values, strict=True):
        if not values:
            continue
        names = dict(zip(factors, cell, strict=True))
        runs = tuple(item.run for item in observations if _key(item, factors) == _keys(cell))
        half = _half_width(grid.error, 1 / len(values), level=level)
        figure = _interval(fmean(values), half, n=len(values), level=level)
        figures.append(CellFigure(factors=names, runs=runs, figure=figure, reason=grid.error.reason))
    return tuple(figures)


def _grid(observations: Sequence[Observation], factors: Factors) -> _Grid:
    cells = tuple(product(*factors.values()))
    groups: dict[tuple[str, ...], list[float]] = {_keys(cell): [] for cell in cells}
    for item in observations:
        groups.setdefault(_key(item, factors), []).append(item.value)
    values = tuple(tuple(groups[_keys(cell)]) for cell in cells)
    return _Grid(factors, cells, values, _pooled(values))


def _key(item: Observation, factors: Factors) -> tuple[str, ...]:
    return _keys(tuple(item.factors.get(name) for name in factors))


def _keys(cell: Sequence[Level]) -> tuple[str, ...]:
    # By text, since True and 1 are different levels and equal keys.
    return tuple(repr(level) for level in cell)


def _pooled(values: Sequence[Sequence[float]]) -> _Error:
    filled = [each for each in values if each]
    df = sum(len(each) - 1 for each in filled)
    if df == 0:
        return _Error(0.0, 0, _NO_REPLICATES)
    # Equal replicates differ from their mean by rounding alone, which is no spread.
    squares = sum((value - fmean(each)) ** 2 for each in filled if min(each) < max(each) for value in each)
    return _Error(squares / df, df, "" if squares > 0 else _NO_SPREAD)


def _contrasts(grid: _Grid) -> list[_Contrast]:
    main = {name: _main(grid, name) for name in grid.factors}
    found = [contrast for each in main.values() for contrast in each]
    pairs = combinations([each[0] for each in main.values() if len(each) == 1], 2)
    return [*found, *(_interaction(grid, first, second=second) for first, second in pairs)]


def _main(grid: _Grid, name: str) -> list[_Contrast]:
    base, *others = grid.factors[name]
    low = _average(grid, name, level=base)
    return [
        _Contrast(name, f"{other} - {base}", _difference(_average(grid, name, level=other), low)) for other in others
    ]


def _average(grid: _Grid, name: str, *, level: Level) -> tuple[float, ...]:
    """Return equal weights over the combinations with this level, summing to one."""
    column, share = list(grid.factors).index(name), len(grid.factors[name]) / len(grid.cells)
    return tuple(share * (repr(cell[column]) == repr(level)) for cell in grid.cells)


def _difference(left: Sequence[float], right: Sequence[float]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(left, right, strict=True))


def _interaction(grid: _Grid, first: _Contrast, *, second: _Contrast) -> _Contrast:
    low, high = grid.factors[second.factor]
    text = f"({first.text}) at {high} minus at {low}"
    # Signs multiply; each of the four corners is the mean of its combinations.
    corners = prod(len(levels) for levels in grid.factors.values()) / 4
    pairs = zip(first.weights, second.weights, strict=True)
    return _Contrast(
        f"{first.factor} x {second.factor}", text, tuple((1 if a * b > 0 else -1) / corners for a, b in pairs)
    )


def _effect(grid: _Grid, contrast: _Contrast, *, level: float) -> Effect:
    runs = sum(len(values) for values in grid.values)
    estimate = _estimate(grid, contrast.weights)
    if estimate is None:
        figure = Interval(value=None, low=None, high=None, n=runs, level=level, method=_METHOD)
        reason = f"cannot be estimated: no result for {_missing(grid)}"
        return Effect(factor=contrast.factor, contrast=contrast.text, figure=figure, p_value=None, reason=reason)
    half = _half_width(grid.error, estimate.leverage, level=level)
    figure = _interval(estimate.value, half, n=runs, level=level)
    return Effect(
        factor=contrast.factor,
        contrast=contrast.text,
        figure=figure.model_copy(update={"method": _METHOD + estimate.model}),
        p_value=_p_value(grid.error, estimate),
        reason=grid.error.reason,
    )


def _estimate(grid: _Grid, weights: Sequence[float]) -> _Estimate | None:
    """Return a contrast's estimate, under the weakest assumptions that allow one."""
    if all(values for values in grid.values):
        pairs = list(zip(weights, grid.values, strict=True))
        value = sum(weight * fmean(values) for weight, values in pairs)
        return _Estimate(value, sum(weight**2 / len(values) for weight, values in pairs), "")
    for interactions, model in _MODELS:
        found = _least_squares(grid, weights, interactions=interactions)
        if found is not None:
            return _Estimate(*found, model)
    return None


def _least_squares(grid: _Grid, weights: Sequence[float], *, interactions: bool) -> tuple[float, float] | None:
    """Return estimate and leverage under a model of fewer terms; None where it is not estimable."""
    import numpy as np

    regressors = np.asarray([_terms(grid.factors, cell, interactions=interactions) for cell in grid.cells])
    rows = np.repeat(regressors, [len(values) for values in grid.values], axis=0)
    outcomes = np.asarray([value for values in grid.values for value in values])
    contrast = np.asarray(weights) @ regressors
    inverse = np.linalg.pinv(rows.T @ rows)
    # Estimable only if the contrast lies in the space that the runs span; and not
    # when the model has no term for it, as with an interaction in a main-effects model.
    spanned = np.allclose(inverse @ (rows.T @ rows) @ contrast, contrast, atol=1e-8)
    if not spanned or np.allclose(contrast, 0.0):
        return None
    return float(contrast @ inverse @ rows.T @ outcomes), float(contrast @ inverse @ contrast)


def _terms(factors: Factors, cell: Sequence[Level], *, interactions: bool) -> list[float]:
    """Return the regressors of one combination: intercept, main effects, perhaps two-way products."""
    blocks = [_coded(levels, level) for levels, level in zip(factors.values(), cell, strict=True)]
    main = [1.0, *(term for block in blocks for term in block)]
    pairs = combinations(blocks, 2) if interactions else ()
    return [*main, *(left * right for first, second in pairs for left in first for right in second)]


def _coded(levels: Sequence[Level], level: Level) -> list[float]:
    """Return deviation coding: terms of a factor sum to zero over its levels."""
    first, *others = [float(repr(each) == repr(level)) for each in levels]
    return [other - first for other in others]


def _missing(grid: _Grid) -> str:
    empty = [cell for cell, values in zip(grid.cells, grid.values, strict=True) if not values]
    shown = [", ".join(f"{n}={v}" for n, v in zip(grid.factors, cell, strict=True)) for cell in empty[:3]]
    more = f" and {len(empty) - 3} more combinations" if len(empty) > 3 else ""
    return "; ".join(shown) + more


def _half_width(error: _Error, leverage: float, *, level: float) -> float | None:
    return None if error.reason else t_quantile(level, error.df) * sqrt(error.variance * leverage)


def _p_value(error: _Error, estimate: _Estimate) -> float | None:
    if error.reason:
        return None
    return t_two_sided(estimate.value / sqrt(error.variance * estimate.leverage), error.df)


def _interval(value: float, half: float | None, *, n: int, level: float) -> Interval:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Interval(value=value, low=low, high=high, n=n, level=level, method=_METHOD)
