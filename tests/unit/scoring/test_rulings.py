"""Verdicts: what is to be done, when to abstain, and that nothing is promised that was not calibrated."""

import math
from hashlib import sha256
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.rendering.calibrator_text import calibrator_text
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.verdict import Chances, DecisionSettings, Verdict
from cruijff_kit.scoring.calibrators import decide_rows
from cruijff_kit.scoring.conformal import CONFORMAL_METHODS, ConformalPredictor, conformity_scores
from cruijff_kit.scoring.risk_control import RiskControlledPredictor
from cruijff_kit.scoring.temperature import option_probabilities
from cruijff_kit.scoring.verdicts import decide_chances, decision_rule, spread_of, weigh
from cruijff_kit.workflow.calibrate import fit_calibrator
from tests.drawn import drawn_answers
from tests.optioned_run import OPTIONS, optioned_answers

RUN = "rank4-0123abcd"
RISKS = ("NO", "LOW", "MIDDLE", "HIGH")
HARM = {
    true: {chosen: weight for chosen in RISKS if chosen != true}
    for true, weight in zip(RISKS, (0.1, 1.0, 5.0, 10.0), strict=True)
}


def chances(*shares: float, options: tuple[str, ...] = OPTIONS, **more: object) -> Chances:
    logs = tuple(math.log(share) if share else -1e4 for share in shares)
    return Chances.model_validate({"options": options, "logprobs": logs, "uniform": 0.3, **more})


def asked(**changes: object) -> DecisionSettings:
    return DecisionSettings.model_validate(changes)


def fitted(n: int = 300, **changes: object) -> Calibrator:
    records = tuple(optioned_answers(RUN, split="calibration", n=n))
    return fit_calibrator(records, settings=CalibrationSettings.model_validate(changes))


def verdict(*shares: float, calibrator: Calibrator | None = None, **changes: object) -> Verdict:
    return decide_chances(chances(*shares), calibrator=calibrator, asked=asked(**changes))


def test_a_confident_harmful_label_is_acted_on_and_never_a_reason_to_abstain() -> None:
    sure = decide_chances(
        chances(0.002, 0.003, 0.005, 0.99, options=RISKS), calibrator=None, asked=asked(costs=HARM, abstain_cost=0.5)
    )
    assert (sure.verdict, sure.action) == ("PROCEED", "HIGH")
    torn = decide_chances(
        chances(0.1, 0.2, 0.3, 0.4, options=RISKS), calibrator=None, asked=asked(costs=HARM, abstain_cost=0.5)
    )
    assert (torn.verdict, torn.action, torn.cheapest) == ("ABSTAIN", None, "HIGH")
    assert torn.reason == "`HIGH`, the cheapest action, is expected to cost 1.71, more than what abstaining costs, 0.5"


def test_the_costs_change_what_is_done_and_say_so() -> None:
    costs = {"no": {"yes": 1, "unsure": 1}, "yes": {"no": 9, "unsure": 1}, "unsure": {"no": 1, "yes": 1}}
    plain, weighed = verdict(0.6, 0.3, 0.1), verdict(0.6, 0.3, 0.1, costs=costs)
    assert (plain.verdict, plain.action, plain.likeliest) == ("PROCEED", "no", "no")
    assert (weighed.verdict, weighed.action, weighed.likeliest) == ("ADJUST", "yes", "no")
    # Rows of the costs are truth: choosing `no` costs 9 where `yes` is true.
    assert [each.expected_cost for each in weighed.expected_costs] == pytest.approx([0.3 * 9 + 0.1, 0.6 + 0.1, 0.9])
    assert "`no`, the most probable option, would cost 2.8" in weighed.reason


def test_equal_options_are_no_adjustment() -> None:
    tied = verdict(
        0.4,
        0.4,
        0.2,
        costs={"no": {"yes": 1, "unsure": 1}, "yes": {"no": 2, "unsure": 2}, "unsure": {"no": 1, "yes": 1}},
    )
    assert (tied.verdict, tied.action, tied.likeliest) == ("PROCEED", "yes", "yes")


def test_without_a_calibrator_nothing_is_promised_and_no_error_rate_can_be_asked_for() -> None:
    for costs, abstain in product((None, {}), (None, 0.2)):
        found = verdict(0.5, 0.3, 0.2, costs=costs, abstain_cost=abstain)
        assert found.promises == ()
        assert found.prediction_set is None
        assert found.notes == ("no guarantee: there is no calibrator for these probabilities",)
    with pytest.raises(SpecError) as caught:
        verdict(0.5, 0.3, 0.2, alpha=0.1, risk_level=0.2)
    assert [each.path for each in caught.value.problems] == ["alpha", "risk_level"]


def test_measures_of_spread_are_those_computed_by_hand() -> None:
    found = spread_of(np.array([0.5, 0.25, 0.25]))
    assert found.entropy == pytest.approx(1.5 * math.log(2))
    assert found.normalised_entropy == pytest.approx(1.5 * math.log(2) / math.log(3))
    assert (found.margin, found.effective_options, found.gini) == pytest.approx((0.25, 8 / 3, 0.625))
    sure, even = spread_of(np.array([1.0, 0.0])), spread_of(np.array([0.5, 0.5]))
    assert (sure.entropy, sure.margin, sure.effective_options, sure.gini) == (0.0, 1.0, 1.0, 0.0)
    assert (even.normalised_entropy, even.margin, even.effective_options, even.gini) == (1.0, 0.0, 2.0, 0.5)


def test_a_set_comes_with_its_guarantee_in_words() -> None:
    found = verdict(0.9, 0.06, 0.04, calibrator=fitted())
    assert found.prediction_set == ("no",)
    (promise,) = found.promises
    assert (promise.of, promise.n, promise.alpha, promise.delta, promise.risk) == ("set", 300, 0.1, None, None)
    assert promise.words == (
        "over calibration sets and samples, at least 90 % of sets hold the right option (n = 300 calibration samples, "
        "alpha 0.1); it holds for samples drawn as those of split `calibration` were"
    )


@pytest.mark.parametrize(
    "method,kind,words",
    (
        (
            "ltt",
            "selective",
            "with probability 0.9 over calibration sets, the cost per sample acted on is at most 0.25",
        ),
        ("crc", "marginal", "on average over calibration sets, the cost per sample (abstentions cost nothing) is at"),
    ),
)
def test_a_decision_says_which_risk_is_controlled_and_how_surely(method: str, kind: str, words: str) -> None:
    found = verdict(0.98, 0.01, 0.01, calibrator=fitted(method=method, alpha=0.25))
    (promise,) = found.promises
    assert promise.words.startswith(words)
    assert f"({kind} risk, n = 300 calibration samples, alpha 0.25" in promise.words
    assert (promise.risk, promise.delta) == (kind, 0.1 if method == "ltt" else None)
    assert found.verdict == "PROCEED"


def test_a_condition_that_nothing_proves_stands_in_front_of_the_promise() -> None:
    given = chances(0.5, 0.3, 0.2, unproven="run `a` gave these")
    found = decide_chances(given, calibrator=fitted(), asked=asked())
    assert found.promises[0].words.startswith("if run `a` gave these: over calibration sets")


def test_abstaining_on_everything_is_a_result_in_words() -> None:
    found = verdict(0.9, 0.05, 0.05, calibrator=fitted(10, method="ltt"))
    assert (found.verdict, found.action, found.threshold, found.promises) == ("ABSTAIN", None, None, ())
    assert found.reason == "no threshold keeps the risk asked for: abstain on everything"
    assert found.notes[-1].endswith("abstain on everything")


@pytest.mark.parametrize("method", (*CONFORMAL_METHODS, "ltt", "crc"))
def test_another_alpha_is_what_fitting_with_it_would_have_given(method: str) -> None:
    first = fitted(method=method, alpha=0.25)
    read = Calibrator.model_validate_json(calibrator_text(first))
    rule = decision_rule(OPTIONS, calibrator=read, asked=asked(alpha=0.4))
    anew = fitted(method=method, alpha=0.4)
    assert anew in (rule.sets, rule.decisions)
    assert anew != first
    (promise,) = verdict(0.5, 0.3, 0.2, calibrator=read, alpha=0.4).promises
    assert (promise.alpha, promise.recomputed) == (0.4, True)
    assert promise.words.endswith(", and for an alpha and costs fixed before looking at them")


def test_other_costs_are_what_fitting_with_them_would_have_given() -> None:
    costs = {"no": {"yes": 1, "unsure": 1}, "yes": {"no": 4, "unsure": 2}, "unsure": {"no": 1, "yes": 1}}
    first = fitted(method="ltt", alpha=0.3)
    rule = decision_rule(OPTIONS, calibrator=first, asked=asked(costs=costs))
    assert rule.decisions == fitted(method="ltt", alpha=0.3, costs=costs)
    assert rule.decisions != first
    # The same costs written out are no other costs.
    ones = {true: {chosen: 1 for chosen in OPTIONS if chosen != true} for true in OPTIONS}
    assert decision_rule(OPTIONS, calibrator=first, asked=asked(costs=ones)).decisions is first


def test_one_calibrator_gives_sets_and_decisions_each_with_its_own_promise() -> None:
    for own in (fitted(), fitted(method="ltt", alpha=0.25)):
        found = verdict(0.9, 0.06, 0.04, calibrator=own, miss_rate=0.1, risk_level=0.25)
        assert [each.of for each in found.promises] == ["set", "decision"]
        assert [each.method for each in found.promises] == ["lac", "ltt"]
        assert found.prediction_set == ("no",)
        assert found.threshold is not None


def test_a_calibrator_of_the_first_version_keeps_its_own_promise_and_makes_no_other() -> None:
    told = fitted(alpha=0.2).model_dump(mode="json", exclude={"kept"}) | {"schema_version": 1}
    old = Calibrator.model_validate(told)
    assert (old.schema_version, old.kept) == (2, None)
    assert verdict(0.5, 0.3, 0.2, calibrator=old).promises[0].alpha == 0.2
    for changes in ({"alpha": 0.1}, {"risk_level": 0.2, "alpha": 0.1}):
        found = verdict(0.5, 0.3, 0.2, calibrator=old, **changes)
        assert (found.promises, found.prediction_set, found.threshold) == ((), None, None)
        assert "no guarantee of sets at alpha 0.1: the calibrator keeps no scores" in found.notes[0]


def test_scores_are_kept_without_ids_in_an_order_of_their_own_and_files_are_the_same_bytes() -> None:
    records = tuple(optioned_answers(RUN, split="calibration", n=50))
    settings = CalibrationSettings(method="aps", by="site")
    first = fit_calibrator(records, settings=settings)
    mixed = fit_calibrator(records[::-1], settings=settings)
    assert calibrator_text(first) == calibrator_text(mixed)
    assert first.kept is not None
    assert list(first.kept.logprobs) == sorted(first.kept.logprobs)
    assert sorted(set(first.kept.categories)) == ["north", "south"]
    assert "calibration-7" not in calibrator_text(first)


def test_quantiles_of_groups_need_the_group_and_promise_with_its_own_size() -> None:
    own = fitted(by="site")
    known = decide_chances(chances(0.5, 0.3, 0.2, groups={"site": "south"}), calibrator=own, asked=asked())
    assert known.promises[0].n == 100
    nameless = decide_chances(chances(0.5, 0.3, 0.2), calibrator=own, asked=asked())
    assert (nameless.prediction_set, nameless.promises) == (None, ())
    assert "there is a quantile for each `site`" in nameless.notes[0]
    strange = decide_chances(chances(0.5, 0.3, 0.2, groups={"site": "moon"}), calibrator=own, asked=asked())
    assert strange.prediction_set == OPTIONS


def test_a_randomised_set_needs_the_sample_s_number() -> None:
    own = fitted(method="aps")
    assert decide_chances(chances(0.5, 0.3, 0.2), calibrator=own, asked=asked()).prediction_set is not None
    bare = decide_chances(chances(0.5, 0.3, 0.2, uniform=None), calibrator=own, asked=asked())
    assert (bare.prediction_set, bare.promises) == (None, ())


def test_eight_calibration_samples_give_the_full_set() -> None:
    found = verdict(0.98, 0.01, 0.01, calibrator=fitted(8))
    assert found.prediction_set == OPTIONS
    assert "too few calibration samples of 8 samples: alpha 0.1 needs 9, and the set is full" in found.promises[0].words


def test_options_in_another_order_are_the_same_options_and_others_are_refused() -> None:
    own = fitted()
    there = decide_chances(chances(0.5, 0.3, 0.2), calibrator=own, asked=asked())
    turned = chances(0.2, 0.3, 0.5, options=OPTIONS[::-1])
    assert decide_chances(turned, calibrator=own, asked=asked()) == there
    with pytest.raises(ResultError, match="the calibrator knows the options `no`, `yes`, `unsure`; these are `a`, `b`"):
        decide_chances(chances(0.5, 0.5, options=("a", "b")), calibrator=own, asked=asked())


@pytest.mark.parametrize(
    "changes,said",
    (
        ({"alpha": 0.1, "miss_rate": 0.2}, "which are the same for this calibrator"),
        ({"alpha": 1.5}, "for sets it lies between 0 and 1"),
        ({"risk_level": 1.5}, "between 0 and the largest cost, 1"),
        ({"costs": {"no": {"yes": 1}}}, "costs do not fit the options"),
    ),
)
def test_what_cannot_be_asked_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises((ResultError, SpecError), match=said):
        verdict(0.5, 0.3, 0.2, calibrator=fitted(), **changes)


def test_the_page_s_cumulated_sets_cover_too_little_where_calibrated_ones_keep_their_word() -> None:
    covered, cumulated = [], []
    for trial in range(40):
        logits, labels = drawn_answers(1_500, seed=trial)
        rows = option_probabilities(logits, temperature=0.5)
        predictor = ConformalPredictor()
        scores = conformity_scores(probabilities=rows)
        predictor.calibrate(cal_scores=scores[np.arange(500), labels[:500]], alpha=0.1)
        sets, right = predictor.predict(test_scores=scores[500:]), (np.arange(1_000), labels[500:])
        covered.append(sets[right].mean())
        order = np.argsort(-rows[500:], axis=1)
        sums = np.take_along_axis(rows[500:], order, axis=1).cumsum(axis=1)
        kept = np.concatenate([np.ones((1_000, 1), bool), sums[:, :-1] < 0.9], axis=1)
        held = np.zeros_like(kept)
        np.put_along_axis(held, order, kept, axis=1)
        cumulated.append(held[right].mean())
    assert np.mean(covered) > 0.89
    assert np.mean(cumulated) < 0.86


def test_every_call_of_the_seed_works_by_its_names() -> None:
    logits, labels = drawn_answers(400, seed=3, options=3, spread=3.0)
    rows = option_probabilities(logits)
    for method in ("lac", "aps"):
        sets = ConformalPredictor(method=method)
        scores = sets.scores(probabilities=rows, uniforms=np.full(400, 0.5))
        sets.calibrate(cal_scores=scores[np.arange(200), labels[:200]], alpha=0.1)
        assert sets.predict(test_scores=scores[200:]).shape == (200, 3)
    costs = np.array([[0, 1, 1], [4, 0, 1], [1, 1, 0]])
    late, early = RiskControlledPredictor(), RiskControlledPredictor()
    late.calibrate(cal_probs=rows[:200], cal_labels=labels[:200], risk_level=0.5)
    early.calibrate(cal_probs=rows[:200], cal_labels=labels[:200], risk_level=0.5, cost_matrix=costs)
    told = late.predict(test_probs=rows[200:], cost_matrix=costs)
    assert late.threshold == early.threshold
    assert np.array_equal(told.actions, early.predict(test_probs=rows[200:], cost_matrix=costs).actions)
    with pytest.raises(TypeError):
        ConformalPredictor().calibrate(scores[0], 0.1)  # pyright: ignore[reportCallIssue]  # keywords alone are taken
    with pytest.raises(TypeError):
        late.predict(rows)  # pyright: ignore[reportCallIssue]  # keywords alone are taken


LADDER = ("A", "B", "C", "D", "E")
STEPS = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
SCALED = STEPS * np.where(np.subtract.outer(np.arange(5), np.arange(5)) > 0, 4.0, 1.0) / 16
"""Ordinal costs with the largest 1, one direction four times as dear."""
LADDER_COSTS = {
    true: {chosen: float(SCALED[at, to]) for to, chosen in enumerate(LADDER) if to != at}
    for at, true in enumerate(LADDER)
}


def ladder_records(logprobs: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[Prediction, ...]:
    digest = sha256(b"").hexdigest()
    return tuple(
        Prediction(
            sample_id=f"c-{at}", run=RUN, epoch=0, task="ladder", split="calibration", target=LADDER[label],
            options=LADDER, option_logprobs=tuple(map(float, row)), prediction=None, completion="",
            prompt_token_sha256=digest, checkpoint_sha256=digest,
        )
        for at, (row, label) in enumerate(zip(logprobs, labels, strict=True))
    )  # fmt: skip


def test_learn_then_test_with_the_cost_matrix_certifies_acts_and_keeps_its_promise() -> None:
    certified, acting, broken, trials = 0, [], 0, 300
    settings = CalibrationSettings(method="ltt", alpha=0.1, delta=0.1, costs=LADDER_COSTS)
    for trial in range(trials):
        logits, labels = drawn_answers(4_500, seed=trial, spread=1.6)
        # An overconfident model: its log-probabilities are twice what they should be.
        logprobs = 2 * logits
        records = ladder_records(logprobs[:500], labels[:500])
        calibrator = Calibrator.model_validate_json(calibrator_text(fit_calibrator(records, settings=settings)))
        rule = decision_rule(LADDER, calibrator=calibrator, asked=asked())
        assert rule.decisions is not None
        actions = decide_rows(logprobs[500:], calibrator=rule.decisions).actions
        acts = actions >= 0
        certified += rule.decisions.threshold is not None
        acting.append(float(acts.mean()))
        broken += bool(acts.any() and SCALED[labels[500:], actions][acts].mean() > 0.1)
        told = weigh(Chances(options=LADDER, logprobs=tuple(map(float, logprobs[500]))), rule=rule)
        assert told.action == (LADDER[actions[0]] if actions[0] >= 0 else None)
    assert certified >= 0.6 * trials
    assert np.mean(acting) > 0.2
    # Delta of them, plus 3.3 standard errors.
    assert broken <= 47


def test_a_plain_quantile_of_the_realised_risk_controls_nothing() -> None:
    broken = 0
    for trial in range(30):
        logits, labels = drawn_answers(4_500, seed=trial, spread=1.6)
        rows = option_probabilities(2 * logits)
        realised = (rows[:500] * SCALED[labels[:500]]).sum(axis=1)
        limit = np.quantile(realised, 0.9)
        expected = rows[500:] @ SCALED
        acts = expected.min(axis=1) <= limit
        broken += SCALED[labels[500:], expected.argmin(axis=1)][acts].mean() > 0.05
    assert broken == 30
