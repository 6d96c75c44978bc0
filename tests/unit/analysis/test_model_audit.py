"""The audit of arrays: verdicts by intervals, groups, coverage, cost, swapped terms, rules and repeated answers."""

from collections import Counter

import fairlearn.metrics as fair
import numpy as np
import pytest
from scipy import stats

from cruijff_kit.analysis.audit_answers import audit_consistency, audit_counterfactual
from cruijff_kit.analysis.audit_groups import audit_groups
from cruijff_kit.analysis.audit_parts import Promise, audit_calibration, audit_cost, audit_coverage, largest_gap
from cruijff_kit.analysis.audit_verdicts import component_of, estimable, held, limited, shared_level, whole_verdict
from cruijff_kit.analysis.distributions import beta_binomial_limits
from cruijff_kit.analysis.high_stakes import (
    AdvancedHighStakesAuditor,
    BiasAuditor,
    ProceduralAlignment,
    RELIANCEFactChecker,
)
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import COMPONENTS, AuditCheck, AuditRules
from cruijff_kit.schema.prediction import AnswerPair, Prediction
from tests.planted_bias import planted, sites

QUICK = AuditRules(resamples=500)
N = 6000
BIASED, FAIR = 0.2, 0.0


def interval(value: float | None, low: float | None, high: float | None, n: int = 100) -> Interval:
    return Interval(value=value, low=low, high=high, n=n, level=0.95, method="test")


def verdict_on_groups(seed: int, *, bias: float, n: int = N) -> str:
    without = np.full(n, -1)
    return audit_groups(planted(seed, n, bias=bias), sites(n), held=without, rules=QUICK).component.verdict


def errors(seeds: range) -> tuple[int, int, Counter[str]]:
    """Return how often the biased model does not fail, how often its twin does not pass, and all verdicts."""
    biased = [verdict_on_groups(seed, bias=BIASED) for seed in seeds]
    fair = [verdict_on_groups(seed, bias=FAIR) for seed in seeds]
    wrong = sum(each != "fail" for each in biased), sum(each != "pass" for each in fair)
    return *wrong, Counter([*(f"biased {each}" for each in biased), *(f"fair {each}" for each in fair)])


def answer(said: str, *, at: int = 0, logprobs: tuple[float, ...] = (), error: str | None = None) -> Prediction:
    return Prediction(
        sample_id=f"test-{at}", run="r", epoch=0, task="t", split="test", target="grant", options=("deny", "grant"),
        option_logprobs=logprobs, prediction=said, completion=said, error=error, prompt_token_sha256="0" * 64,
        checkpoint_sha256="0" * 64,
    )  # fmt: skip


def named(checks: tuple[AuditCheck, ...], name: str) -> AuditCheck:
    return next(each for each in checks if each.name == name)


@pytest.mark.parametrize(
    "low,high,rule,expected",
    (
        (0.01, 0.04, "at most", "pass"),
        (0.01, 0.05, "at most", "pass"),
        (0.06, 0.2, "at most", "fail"),
        (0.01, 0.2, "at most", "not_assessed"),
        (0.06, 0.2, "at least", "pass"),
        (0.05, 0.2, "at least", "pass"),
        (0.01, 0.04, "at least", "fail"),
        (0.01, 0.2, "at least", "not_assessed"),
    ),
)
def test_a_verdict_needs_the_whole_interval_on_one_side(low: float, high: float, rule: str, expected: str) -> None:
    check = limited("x", interval(0.03, low, high), rule=rule, limit=0.05)  # pyright: ignore[reportArgumentType] -- the table's own words
    assert check.verdict == expected
    assert (check.needed is not None) == (expected == "not_assessed")


def test_what_is_undecided_tells_how_many_samples_would_do() -> None:
    check = limited("x", interval(0.03, 0.01, 0.07), rule="at most", limit=0.05)
    # The upper half of the interval has to halve, which four times the samples do.
    assert check.needed == 400
    assert "about 400 samples would tell" in check.reason
    assert limited("x", interval(0.05, 0.01, 0.07), rule="at most", limit=0.05).needed is None
    for unknown in (interval(None, None, None, n=0), interval(0.5, None, None)):
        assert limited("x", unknown, rule="at most", limit=0.9).verdict == "not_assessed"


def test_too_few_samples_decide_nothing_whatever_their_interval() -> None:
    few, enough = (
        estimable(limited("x", interval(value, 0.01, high, n=n), rule="at most", limit=0.05), of="pairs", rules=QUICK)
        for value, high, n in ((0.03, 0.2, 29), (0.02, 0.04, 30))
    )
    assert (few.verdict, few.needed, few.reason) == ("not_assessed", None, "not estimable: 29 pairs, fewer than 30")
    assert few.figure is not None
    assert enough.verdict == "pass"


def test_a_part_passes_only_whole_and_nothing_is_averaged() -> None:
    good, bad, open_ = (held(name, truth, reason="") for name, truth in (("a", True), ("b", False), ("c", None)))
    parts = [component_of("cost", checks) for checks in ((good,), (good, open_), (good, open_, bad), ())]
    assert [each.verdict for each in parts] == ["pass", "not_assessed", "fail", "not_assessed"]
    assert whole_verdict(parts[:1]) == "pass"
    assert whole_verdict(parts[:2]) == "not_assessed"
    # Ninety-nine sound parts do not make up for one that fails.
    assert whole_verdict([*parts[:1] * 99, parts[2]]) == "fail"
    assert whole_verdict(()) == "not_assessed"


def test_planted_bias_fails_and_the_debiased_twin_passes() -> None:
    missed, accused, told = errors(range(1000, 1010))
    assert (missed, accused) == (0, 0), told


@pytest.mark.soak
def test_in_a_hundred_seeds_each_bias_and_fairness_are_told_apart() -> None:
    missed, accused, told = errors(range(100))
    assert missed <= 5, told
    assert accused <= 5, told


@pytest.mark.soak
def test_intervals_of_all_gaps_hold_together_as_often_as_they_say() -> None:
    # Groups that differ in nothing have a gap of 0 in every figure; 600 trials, four standard errors.
    trials, wrong = 600, 0
    for seed in range(trials):
        group = np.random.default_rng(10_000 + seed).choice(["a", "b", "c"], 1500, p=[0.2, 0.3, 0.5]).tolist()
        found = audit_groups(planted(seed, 1500, bias=0), {"g": group}, held=np.full(1500, -1), rules=QUICK)
        wrong += any(each.figure is not None and (each.figure.low or 0) > 0 for each in found.component.checks)
    assert wrong / trials <= 0.05 + 4 * (0.05 * 0.95 / trials) ** 0.5


def test_a_small_group_is_never_passed_and_named() -> None:
    answers, n = planted(1, N, bias=FAIR), N
    groups = {"site": ["small" if at < 29 else "north" if at % 2 else "south" for at in range(n)]}
    found = audit_groups(answers, groups, held=np.full(n, -1), rules=QUICK)
    check = named(found.component.checks, "groups of site")
    assert (check.verdict, found.component.verdict) == ("not_assessed", "not_assessed")
    assert "`small`" in check.reason
    assert "fewer than 30" in check.reason
    assert {each.reason for each in found.figures if each.level == "small"} >= {
        "not estimable: 29 samples, fewer than 30"
    }
    # The others are compared all the same, and a bias among them still fails.
    worse = audit_groups(planted(1, n, bias=BIASED), groups, held=np.full(n, -1), rules=QUICK)
    assert worse.component.verdict == "fail"


def test_of_red_data_a_small_group_is_not_named() -> None:
    groups = {"site": ["rare" if at < 5 else "north" if at % 2 else "south" for at in range(N)]}
    found = audit_groups(planted(1, N, bias=FAIR), groups, held=np.full(N, -1), rules=QUICK, tier="red")
    assert "rare" not in found.component.model_dump_json()
    assert "rare" not in {each.level for each in found.figures}


def test_figures_of_a_group_are_those_of_fairlearn() -> None:
    answers = planted(3, 800, bias=0.1)
    found = audit_groups(answers, sites(800), held=np.full(800, -1), rules=QUICK)
    theirs = fair.MetricFrame(
        metrics={
            "selection rate of `grant`": fair.selection_rate,
            "TPR of `grant`": fair.true_positive_rate,
            "FPR of `grant`": fair.false_positive_rate,
        },
        y_true=answers.true,
        y_pred=answers.chosen,
        sensitive_features=sites(800)["site"],
    )
    told = {(each.level, each.metric): each.figure.value for each in found.figures}
    for name, values in theirs.by_group.to_dict().items():
        assert {site: told[site, name] for site in values} == pytest.approx(values)
        # The gap is that difference, but for the bias that resampling takes off.
        gap = named(found.component.checks, f"{name} gap by site").figure
        assert gap is not None
        assert gap.value == pytest.approx(theirs.difference()[name], abs=0.01)


def test_calibration_fails_where_the_model_is_sure_and_wrong() -> None:
    sound = planted(2, N, bias=FAIR)
    assert audit_calibration(sound, AuditRules()).verdict == "pass"
    flat = sound._replace(rows=np.tile([0.02, 0.98], (N, 1)))
    told = audit_calibration(flat, AuditRules())
    assert [each.verdict for each in told.checks] == ["fail", "fail"]
    assert audit_calibration(planted(2, 29, bias=0), AuditRules()).verdict == "not_assessed"


def test_a_gap_of_bins_is_that_of_the_worst_one() -> None:
    sure = np.repeat([0.6, 0.9], 300)
    right = np.concatenate([np.repeat([1.0, 0.0], [180, 120]), np.repeat([1.0, 0.0], [150, 150])])
    found = largest_gap(sure, right, level=0.95)
    assert found.value == pytest.approx(0.4)
    assert (found.low or 0) < 0.4 < (found.high or 0)


def test_limits_of_a_beta_binomial_leave_the_tails_outside() -> None:
    for trials, a, b in ((400, 271, 30), (50, 5, 4), (1, 1, 1)):
        low, high = beta_binomial_limits(trials, a=a, b=b, level=0.95)
        told = stats.betabinom(trials, a, b)
        assert told.cdf(low - 1) <= 0.025 < told.cdf(low)
        assert told.sf(high) <= 0.025 < told.sf(high - 1)


def test_coverage_is_held_against_the_promise_overall_and_by_group() -> None:
    chance = np.random.default_rng(0)
    sound = (chance.random(2000) < 0.9).astype(np.int64)
    groups = {"site": ["north" if at % 4 else "south" for at in range(2000)]}
    kept = audit_coverage(Promise(0.1, sound, (901, 1000)), groups, rules=AuditRules())
    assert [each.verdict for each in kept.checks] == ["pass"] * 3
    assert "are expected" in kept.checks[0].reason
    low = sound.copy()
    low[::4] = chance.random(500) < 0.6
    broken = audit_coverage(Promise(0.1, low, (901, 1000)), groups, rules=AuditRules())
    assert {each.name: each.verdict for each in broken.checks} == {
        "coverage": "fail", "coverage of site `north`": "pass", "coverage of site `south`": "fail",
    }  # fmt: skip
    few = audit_coverage(Promise(0.1, sound[:100], (901, 1000)), {"site": groups["site"][:100]}, rules=AuditRules())
    assert named(few.checks, "coverage of site `south`").verdict == "not_assessed"
    assert audit_coverage(None, groups, rules=AuditRules(), reason="no calibrator").verdict == "not_assessed"


def test_the_cost_matrix_has_truth_in_its_rows() -> None:
    answers = planted(5, 1000, bias=FAIR)
    always_denied = answers._replace(chosen=np.zeros(1000, dtype=np.int64), costs=np.array([[0, 1], [9, 0]]))
    share = float((answers.true == 1).mean())
    (check,) = audit_cost(always_denied, AuditRules(cost=1.0)).checks
    assert check.figure is not None
    assert check.figure.value == pytest.approx(9 * share)
    assert check.verdict == "fail"
    assert audit_cost(answers, AuditRules()).reason == "no limit `cost` was set"


def test_swapped_terms_that_move_answers_fail() -> None:
    sure, unsure = (-0.1, -2.4), (-0.9, -0.5)
    same = [AnswerPair(written=answer("deny", at=at, logprobs=sure), swapped=answer("deny", logprobs=sure))
            for at in range(400)]  # fmt: skip
    assert audit_counterfactual(same, rules=AuditRules()).verdict == "pass"
    moved = [AnswerPair(written=answer("deny", at=at, logprobs=sure), swapped=answer("grant", logprobs=unsure))
             for at in range(100)]  # fmt: skip
    told = audit_counterfactual([*same[:300], *moved], rules=AuditRules())
    assert [each.verdict for each in told.checks] == ["fail", "fail"]
    assert [each.figure.value for each in told.checks if each.figure] == pytest.approx([0.25, 0.25 * 0.5083], abs=1e-3)
    lost = [AnswerPair(written=answer("deny"), swapped=answer("deny", error="out of memory"))]
    assert "1 pairs errored" in audit_counterfactual([*same, *lost], rules=AuditRules()).reason
    assert audit_counterfactual(same[:29], rules=AuditRules()).verdict == "not_assessed"


def test_agreement_of_repeated_answers_is_that_of_pairs() -> None:
    items = [[answer("a"), answer("a"), answer("b")]] * 60
    (check,) = audit_consistency(items, rules=AuditRules()).checks
    assert check.figure is not None
    assert check.figure.value == pytest.approx(1 / 3)
    assert check.verdict == "fail"
    assert audit_consistency([[answer("a")]] * 60, rules=AuditRules()).verdict == "not_assessed"


def test_the_auditor_of_arrays_tells_every_part_and_has_no_score() -> None:
    answers = planted(7, N, bias=FAIR)
    told = AdvancedHighStakesAuditor(QUICK.model_copy(update={"cost": 0.5})).run_comprehensive_audit(
        predictions=["grant" if each else "deny" for each in answers.chosen],
        ground_truth=["grant" if each else "deny" for each in answers.true],
        probabilities=answers.rows,
        metadata={
            "groups": sites(N), "completions": ["granted."] * N, "procedure": "general", "covered": [True] * N,
            "alpha": 0.1, "repeated": [["a", "a", "a"]] * 200,
        },
    )  # fmt: skip
    assert [each.name for each in told.components] == list(COMPONENTS)
    assert {each.name for each in told.components if each.verdict == "pass"} == {
        "calibration", "coverage", "cost", "groups", "procedures", "consistency",
    }  # fmt: skip
    assert (told.verdict, told.not_assessed) == ("not_assessed", ("counterfactual", "provenance"))
    assert not {"score", "overall_score"} & set(type(told).model_fields)


def test_missing_data_never_looks_safe() -> None:
    told = AdvancedHighStakesAuditor().run_comprehensive_audit(
        predictions=["NO_RISK"] * 40, ground_truth=["HIGH_RISK", "NO_RISK"] * 20
    )
    assert told.verdict == "not_assessed"
    assert {each.verdict for each in told.components} == {"not_assessed"}
    # An answer that could not be read is wrong in every group figure, and no option stands in for it.
    found = BiasAuditor(QUICK).audit(
        predictions=[None] * 400, ground_truth=["HIGH_RISK", "NO_RISK"] * 200, groups=sites(400)
    )
    assert {each.figure.value for each in found.figures if each.metric == "accuracy"} == {0.0}


def test_arrays_that_do_not_belong_together_are_refused_all_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        AdvancedHighStakesAuditor().run_comprehensive_audit(
            predictions=["a"] * 3,
            ground_truth=["a", "b"],
            probabilities=np.ones((2, 3)) / 3,
            metadata={"groups": {"site": ["x"]}, "colour": 1, "covered": [True, True]},
        )
    assert {problem.path for problem in refused.value.problems} == {
        "predictions", "probabilities", "metadata.groups.site", "metadata.colour", "metadata.alpha",
    }  # fmt: skip


def test_labels_may_be_numbers_and_everything_an_array() -> None:
    truth = np.array([0, 1] * 40)
    found = AdvancedHighStakesAuditor(QUICK.model_copy(update={"cost": 1.0})).run_comprehensive_audit(
        predictions=np.zeros(80, dtype=np.int64),
        ground_truth=truth,
        probabilities=np.tile([0.6, 0.4], (80, 1)),
        metadata={"options": np.array([0, 1]), "completions": np.array(["no"] * 80), "costs": {0: {1: 3}, 1: {0: 5}}},
    )
    checks = next(each.checks for each in found.components if each.name == "cost")
    figure = named(checks, "expected_cost").figure
    assert figure is not None
    assert figure.value == 2.5
    told = BiasAuditor(QUICK).audit(
        predictions=truth, ground_truth=truth, groups={"site": np.array(["a", "b"] * 40)}, options=np.array([1, 0])
    )
    assert {each.figure.value for each in told.figures if each.metric == "accuracy"} == {1.0}


def test_other_auditors_of_the_earlier_system_measure_answers() -> None:
    rude = ProceduralAlignment("medical").audit(answers=["This will cure you."] * 200)
    assert named(rude.checks, "no-promise-of-cure").verdict == "fail"
    # A prompt about a cure is nobody's answer: rules read what was answered.
    assert ProceduralAlignment("medical").audit(answers=["Please see a physician."] * 200).verdict == "pass"
    assert RELIANCEFactChecker().check(answers=[["yes", "no"]] * 60).verdict == "fail"
    with pytest.raises(SpecError, match="`astrology` is no example"):
        ProceduralAlignment("astrology")


def test_several_checks_share_the_chance_of_being_wrong() -> None:
    assert shared_level(AuditRules(level=0.95), 5) == pytest.approx(0.99)
