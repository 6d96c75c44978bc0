"""Answers as columns of numbers, one row a sample: what every figure by group is made of."""

from collections.abc import Sequence
from math import exp
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.analysis.calibrated import AnswerSets
from cruijff_kit.data.answer_table import AnswerTable
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.prediction import Prediction

__all__ = ["Floats", "GroupColumns", "Ints", "encode_levels", "prediction_columns", "table_columns"]

Ints: TypeAlias = NDArray[np.int64]
"""Whole numbers."""
Floats: TypeAlias = NDArray[np.float64]
"""Numbers; not-a-number where nothing is known."""

_UNKNOWN = -1
_MOST_LEVELS = 500


class GroupColumns(NamedTuple):
    """One entry a sample in each column."""

    levels: tuple[str, ...]
    """Values of the group column, in the order of their codes."""
    group: Ints
    """Code of each sample's group."""
    correct: Ints
    """1 where the answer was accepted, else 0: errored and unparsed ones are wrong."""
    answered: Ints
    """1 where there is an answer that could be parsed."""
    abstained: Ints
    """1 where the model declined to answer."""
    positive: Ints
    """1 or 0 as the target is class 1 or class 0; -1 where there are no two classes."""
    chosen: Ints
    """1 or 0 as the answer is class 1 or class 0; -1 where it is neither."""
    covered: Ints
    """1 where the prediction set holds the target, 0 where not; -1 without a set."""
    set_size: Floats
    """Options in the prediction set; not-a-number without one."""
    probability: Floats
    """P(class 1)."""
    confidence: Floats
    """Probability of the answer given."""


def encode_levels(values: Sequence[str], *, column: str) -> tuple[tuple[str, ...], Ints]:
    """Return the distinct values, numbers by size and then words, and each sample's code.

    Raises:
        SpecError: there are more values than a comparison of groups makes sense for.
    """
    levels = tuple(sorted(set(values), key=_rank))
    if len(levels) > _MOST_LEVELS:
        fact = f"column `{column}` has {len(levels):,} values; groups may have at most {_MOST_LEVELS}"
        raise SpecError(fact, hint="name a column of categories, or sort its values into ranges first")
    codes = {level: code for code, level in enumerate(levels)}
    return levels, np.fromiter((codes[value] for value in values), dtype=np.int64, count=len(values))


def prediction_columns(predictions: Sequence[Prediction], by: str, *, sets: AnswerSets | None = None) -> GroupColumns:
    """Return the columns of collected predictions.

    With two options the last one is class 1 and P(class 1) is its share of the two
    options' probability; with more or none, metrics of two classes are not estimable.

    Args:
        predictions: samples that all have the group column.
        by: the group column.
        sets: conformal sets of the same samples, in the same order; None where there are none.

    Raises:
        SpecError: the column has too many values.
    """
    n = len(predictions)
    levels, group = encode_levels([each.groups[by] for each in predictions], column=by)

    def ints(values: Sequence[int | bool]) -> Ints:
        return np.asarray(values, dtype=np.int64)

    return GroupColumns(
        levels=levels,
        group=group,
        correct=ints([each.correct is True for each in predictions]),
        answered=ints([each.parse_ok and each.error is None for each in predictions]),
        abstained=ints([each.abstain for each in predictions]),
        positive=ints([_side(each, each.target) for each in predictions]),
        chosen=ints([_UNKNOWN if each.abstain else _side(each, each.prediction) for each in predictions]),
        covered=np.full(n, _UNKNOWN, dtype=np.int64) if sets is None else sets.held,
        set_size=np.full(n, np.nan) if sets is None else sets.sizes,
        probability=np.asarray([_probability(each) for each in predictions], dtype=np.float64),
        confidence=np.asarray([_confidence(each) for each in predictions], dtype=np.float64),
    )


def table_columns(table: AnswerTable, by: str) -> GroupColumns:
    """Return the columns of a table of answers of two classes.

    Raises:
        SpecError: the group column has too many values.
    """
    levels, group = encode_levels(table.groups, column=by)
    known = np.asarray([_UNKNOWN if each is None else each for each in table.predictions], dtype=np.int64)
    abstained = np.asarray(table.abstained, dtype=np.int64)
    positive = np.asarray(table.targets, dtype=np.int64)
    probability = np.asarray([np.nan if each is None else each for each in table.probabilities], dtype=np.float64)
    chosen = np.where(abstained == 1, _UNKNOWN, known)
    confidence = np.where(chosen == _UNKNOWN, np.nan, np.where(chosen == 1, probability, 1 - probability))
    covered = [_UNKNOWN if each is None else int(each) for each in table.covered]
    return GroupColumns(
        levels=levels,
        group=group,
        correct=(chosen == positive).astype(np.int64),
        answered=(known != _UNKNOWN).astype(np.int64),
        abstained=abstained,
        positive=positive,
        chosen=chosen,
        covered=np.asarray(covered, dtype=np.int64),
        set_size=np.full(len(covered), np.nan),
        probability=probability,
        confidence=confidence,
    )


def _side(each: Prediction, text: str | None) -> int:
    if len(each.options) != 2 or text is None:
        return _UNKNOWN
    return {option.strip(): side for side, option in enumerate(each.options)}.get(text.strip(), _UNKNOWN)


def _probability(each: Prediction) -> float:
    if len(each.options) != 2 or len(each.option_logprobs) != 2:
        return float("nan")
    low, high = each.option_logprobs
    return 1 / (1 + exp(max(-700.0, min(700.0, low - high))))


def _confidence(each: Prediction) -> float:
    known = each.confidence is not None and each.parse_ok and each.error is None and not each.abstain
    return float(each.confidence) if known and each.confidence is not None else float("nan")


def _rank(level: str) -> tuple[float, str]:
    try:
        return float(level), level
    except ValueError:
        return float("inf"), level
