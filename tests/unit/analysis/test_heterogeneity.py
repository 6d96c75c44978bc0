"""Which groups stand out, which cannot be told, and which are withheld."""

import numpy as np
import pytest

from cruijff_kit.analysis.heterogeneity import SMALLEST_RED, compare_columns
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.groups import GroupMetric, GroupRules, Heterogeneity
from tests.unit.analysis.group_cases import answers_like, draw_answers

QUICK = GroupRules(resamples=100)


def _compared(columns: object, *, tier: Tier = "green", rules: GroupRules = QUICK) -> Heterogeneity:
    return compare_columns(columns, source="made up", column="g", tier=tier, rules=rules)  # type: ignore[arg-type] a fixture's type


def _metric(found: Heterogeneity, level: str, metric: str) -> GroupMetric:
    group = next(each for each in found.groups if each.level == level)
    return next(each for each in group.metrics if each.metric == metric)


@pytest.mark.parametrize("share, n, groups", ((0.5, 600, 6), (0.15, 400, 4), (0.5, 200, 5)))
def test_where_all_groups_are_alike_one_stands_out_no_more_often_than_stated(share: float, n: int, groups: int) -> None:
    rng, trials = np.random.default_rng(int(1000 * share) + n), 150
    rules = GroupRules(resamples=100, min_n=30)
    false = sum(_compared(draw_answers(rng, n=n, groups=groups, share=share), rules=rules).found for _ in range(trials))
    # 5 % of 150, and two and a half standard errors of such a count.
    assert false <= 7.5 + 2.5 * (150 * 0.05 * 0.95) ** 0.5


def test_a_group_that_is_answered_worse_is_found_in_every_way_it_is_worse() -> None:
    rng = np.random.default_rng(3)
    group, probability = rng.integers(0, 4, 4_000), rng.beta(1, 1, 4_000)
    truth = np.where(group == 2, 0.5 + (probability - 0.5) * 0.3, probability)
    found = _compared(answers_like(rng, group=group, probability=probability, truth=truth))
    sides = {name: _metric(found, "g2", name).difference for name in ("accuracy", "auc", "overconfidence")}
    assert {name: each.outlier for name, each in sides.items() if each is not None} == {
        "accuracy": "lower",
        "auc": "lower",
        "overconfidence": "higher",
    }
    assert found.found
    ece = _metric(found, "g2", "ece").figure
    assert (ece.low or 0.0) > 0.1


def test_a_group_of_few_samples_is_not_estimable_and_stays_in_the_list() -> None:
    rng = np.random.default_rng(4)
    group = np.concatenate((np.zeros(200), np.ones(12))).astype(int)
    probability = rng.beta(1, 1, 212)
    found = _compared(answers_like(rng, group=group, probability=probability, truth=probability))
    few = _metric(found, "g1", "accuracy")
    assert few.figure.value is None
    assert few.difference is None
    assert few.reason == "not estimable: 12 samples, fewer than 30"
    assert found.n == 212


def test_auc_needs_samples_of_both_classes() -> None:
    rng = np.random.default_rng(5)
    group, probability = np.repeat([0, 1], (300, 50)), rng.beta(1, 1, 350)
    truth = np.where(group == 1, 1.0, probability)
    found = _compared(answers_like(rng, group=group, probability=probability, truth=truth))
    assert _metric(found, "g1", "auc").reason == (
        "not estimable: 50 samples of class 1 and 0 of class 0, fewer than 10 of one"
    )
    assert _metric(found, "g1", "accuracy").figure.n == 50


def test_what_no_sample_has_is_said_once() -> None:
    columns = draw_answers(np.random.default_rng(6), n=200, groups=2)
    bare = columns._replace(probability=np.full(200, np.nan), confidence=np.full(200, np.nan), covered=np.full(200, -1))
    found = _compared(bare)
    reasons = {each.metric: each.reason for each in found.overall if each.reason}
    assert set(reasons) == {"auc", "ece", "overconfidence", "coverage"}
    assert "auc" not in {each.metric for group in found.groups for each in group.metrics}


@pytest.mark.parametrize(
    "sizes, shown",
    (
        ((100, 80, 60), {"g0", "g1", "g2"}),
        # One small group could be told from the totals, so another goes with it.
        ((100, 80, 60, 4), {"g0", "g1"}),
        ((100, 80, 9, 8), {"g0", "g1"}),
        # Three and four are seven, still few: the next smallest goes too.
        ((100, 80, 3, 4), {"g0"}),
    ),
)
def test_of_red_data_no_small_group_can_be_told_apart(sizes: tuple[int, ...], shown: set[str]) -> None:
    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(len(sizes)), sizes)
    probability = rng.beta(1, 1, len(group))
    found = _compared(answers_like(rng, group=group, probability=probability, truth=probability), tier="red")
    assert {each.level for each in found.groups} == shown
    hidden = found.n - sum(each.n for each in found.groups)
    assert hidden == 0 or hidden >= SMALLEST_RED


def test_of_red_data_no_small_count_is_told_in_a_reason() -> None:
    rng = np.random.default_rng(8)
    group, probability = np.repeat([0, 1], (300, 50)), rng.beta(1, 1, 350)
    truth = np.where(group == 1, np.where(np.arange(350) < 303, 0.0, 1.0), probability)
    found = _compared(answers_like(rng, group=group, probability=probability, truth=truth), tier="red")
    auc = _metric(found, "g1", "auc")
    assert (auc.reason, auc.figure.n) == ("not estimable: too few samples", 0)


def test_the_same_seed_gives_the_same_figures_and_the_correction_decides() -> None:
    columns = draw_answers(np.random.default_rng(9), n=900, groups=5)
    assert _compared(columns) == _compared(columns)
    found = _compared(columns, rules=GroupRules(resamples=100, correction="bh", alpha=0.5))
    gaps = [each.difference for group in found.groups for each in group.metrics if each.difference is not None]
    assert found.tests == len(gaps)
    assert all(bool(gap.outlier) == (gap.p_bh < 0.5) for gap in gaps)


def test_groups_that_are_alike_have_a_gap_that_may_be_nothing() -> None:
    found = _compared(draw_answers(np.random.default_rng(10), n=3_000, groups=5), rules=GroupRules(resamples=1_000))
    gap = next(each.gap for each in found.spreads if each.metric == "accuracy")
    assert gap.low == pytest.approx(0.0, abs=0.02)
    assert (gap.high or 0.0) > (gap.value or 0.0)
