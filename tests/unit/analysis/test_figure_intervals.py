"""Intervals of figures: they hold at small n, keep to what is possible, and are not made from nothing."""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from cruijff_kit.analysis.diagnosis import diagnose_run
from cruijff_kit.analysis.figure_intervals import figure_difference, figure_interval
from cruijff_kit.analysis.findings import find_all
from cruijff_kit.rendering.bottom_line import bottom_line
from cruijff_kit.schema.evaluation import EvalTask, Evaluation
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import CellFigure, Comparison, Finding, Findings
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.schema.spec import Analysis
from cruijff_kit.scoring.records import scorer_answers, scorer_figures
from tests.fakes.experiment import SMALL, design_of, plan_of

RULES = ScoringRules(options=("no", "yes"))


def samples(chances: Sequence[float], outcomes: Sequence[bool]) -> list[Prediction]:
    return [
        Prediction(
            sample_id=str(at), run="r-0123abcd", epoch=0, task="t", split="test", target="yes" if came else "no",
            options=RULES.options, option_logprobs=(log(1 - chance), log(chance)), prediction=None, completion="",
            groups={"site": str(at // 5)}, prompt_token_sha256="1" * 64, checkpoint_sha256="2" * 64,
        )
        for at, (chance, came) in enumerate(zip(chances, outcomes, strict=True))
    ]  # fmt: skip


def drawn(n: int, seed: int) -> list[Prediction]:
    chance = np.random.default_rng(seed)
    chances = chance.beta(2, 2, n)
    return samples(chances.tolist(), (chance.random(n) < chances).tolist())


@pytest.mark.parametrize("name,truth", (("brier_binary", 0.2), ("auc", 27 / 35), ("log_loss", 7 / 12)))
def test_intervals_cover_the_truth_about_as_often_as_they_say(name: str, truth: float) -> None:
    # Outcomes are drawn from Beta(2, 2) chances, for which these figures are known:
    # the Brier score is E p(1 - p), the log loss E H(p), the AUC that Beta(3, 2) exceeds Beta(2, 3).
    trials, held = 200, 0
    for seed in range(trials):
        found = figure_interval(name, scorer_answers(drawn(60, seed), "risk", rules=RULES), level=0.95)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 0.90 <= held / trials <= 0.99


def test_every_figure_lies_in_its_interval_and_that_in_what_is_possible() -> None:
    answers = scorer_answers(drawn(80, 1), "risk", rules=RULES)
    for name in ("auc", "brier_binary", "ece", "mce", "ece_adaptive", "ece_debiased", "ece_event", "aurc", "coverage"):
        found = figure_interval(name, answers, level=0.95)
        limits = [each for each in (found.low, found.value, found.high) if each is not None]
        assert len(limits) == 3, name
        assert limits == sorted(limits)
        assert (limits[0] >= 0, limits[2] <= 1) == (True, True)


def test_without_spread_there_is_no_interval() -> None:
    answers = scorer_answers(samples([0.2] * 6 + [0.8] * 6, [False] * 6 + [True] * 6), "risk", rules=RULES)
    found = figure_interval("f1_macro", answers, level=0.95)
    assert (found.value, found.low, found.method) == (1.0, None, "none")


def test_a_faultless_ranking_has_an_interval_all_the_same() -> None:
    answers = scorer_answers(samples([0.2] * 6 + [0.8] * 6, [False] * 6 + [True] * 6), "risk", rules=RULES)
    found = figure_interval("auc", answers, level=0.95)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.5 < (found.low or 0) < 0.9


def test_a_figure_has_the_interval_that_the_diagnosis_of_the_run_shows() -> None:
    records = drawn(60, 5)
    diagnosis = diagnose_run(records, level=0.95)
    assert diagnosis is not None
    shown = {each.name: each.figure for each in diagnosis.figures}
    answers = scorer_answers(records, "risk", rules=RULES)
    for name in ("auc", "log_loss", "aurc", "ece_debiased", "calibration_slope", "calibration_intercept"):
        assert figure_interval(name, answers, level=0.95) == shown[name]
    assert figure_interval("brier_binary", answers, level=0.95) == shown["brier"]


def test_samples_that_stand_together_are_left_out_together() -> None:
    records = [each for each in drawn(40, 3) for _ in range(5)]
    answers = scorer_answers(records, "risk", rules=RULES)
    naive = figure_interval("brier_binary", answers, level=0.95)
    clusters = [str(at // 5) for at in range(len(records))]
    honest = figure_interval("brier_binary", answers, clusters=clusters, level=0.95)
    assert honest.method == "t over a jackknife, clustered"
    assert (honest.high or 0) - (honest.low or 0) > 1.8 * ((naive.high or 0) - (naive.low or 0))


def test_a_figure_that_is_better_low_is_the_outcome_of_a_report() -> None:
    plan = plan_of(SMALL)
    task = EvalTask(name="capitalization", task="capitalization", scorers=("risk",), options=RULES.options)
    spec = design_of(SMALL).model_copy(
        update={"evaluation": Evaluation(tasks=(task,)), "analysis": Analysis(primary_metric="risk/log_loss")}
    )
    records, rows = [], []
    for number, run in enumerate(plan.runs):
        epoch = run.cells[0].epoch
        own = [each.model_copy(update={"run": run.id, "task": task.name, "epoch": epoch}) for each in drawn(40, number)]
        records += own
        for name, figure in scorer_figures(own, "risk", rules=RULES).items():
            rows.append(
                ResultRow(
                    run=run.id, type=run.type, model=run.model.name, factors=run.factors, seed=run.seed,
                    task=task.name, epoch=epoch, metric=f"risk/{name}", value=figure.value, n=figure.n,
                )
            )  # fmt: skip
    table = ResultTable(experiment=spec.name, rows=tuple(rows), runs=(), predictions=tuple(records))
    found = find_all(spec, plan, table=table)
    assert (found.metric, found.outcome) == ("risk/log_loss", "log loss (risk/log_loss) on capitalization")
    assert found.lower_is_better
    shown = [each.figure for each in found.findings if each.metric == "risk/log_loss"]
    assert {each.method for each in shown} == {"t over samples"}
    least = min((cell for cell in found.cells), key=lambda cell: cell.figure.value or 9)
    assert bottom_line(found, spec)[0].startswith(f"Best setting: lora_rank {least.factors['lora_rank']}")


def test_a_base_model_whose_figure_is_not_estimable_is_said_to_have_none() -> None:
    nothing = Interval(value=None, low=None, high=None, n=0, level=0.95, method="none")
    error = nothing.model_copy(update={"value": 2.0, "n": 60})
    metric = "continuous/mae"
    figures = tuple(
        Finding(run=run, task="sums", epoch=0, metric=metric, figure=figure)
        for run, figure in (("tuned", error), ("base", nothing))
    )
    pair = Comparison(
        run="tuned", base="base", task="sums", difference=error, gained=1, lost=0, bootstrap=error,
        test="exact McNemar test", p_value=1.0, p_adjusted=1.0,
    )  # fmt: skip
    findings = Findings(
        experiment="e", bottom_line=(), losses=(), findings=figures, effects=(), comparisons=(pair,), groups=(),
        task="sums", metric=metric, lower_is_better=True, incomplete=(), complete=1, planned=2, verdict="partial",
    )  # fmt: skip
    said = bottom_line(findings, design_of(SMALL))
    assert "Best run: tuned with 2.000; its base model has no such figure." in said
    alone = "The comparison with the base model shows neither gain nor loss at alpha 0.05 on the same samples"
    assert any(alone in each for each in said)
    cells = tuple(
        CellFigure(
            factors={"lora_rank": rank}, runs=("tuned",), figure=error.model_copy(update={"n": 1, "value": value})
        )
        for rank, value in ((4, 2.0), (8, 3.0), (16, 2.0))
    )
    other = pair.model_copy(update={"run": "also"})
    shown = (*figures, figures[0].model_copy(update={"run": "also"}))
    tied = {"cells": cells, "comparisons": (pair, other), "findings": shown, "outcome": "error"}
    said = bottom_line(findings.model_copy(update=tied), design_of(SMALL))
    assert "Best run: tuned with 2.000, tied with 1 other; its base model has no such figure." in said
    best = (
        "Best setting: lora_rank 4, with a mean error of 2.000 over 1 seed (no interval: one seed), tied with 1 other."
    )
    assert best in said


def test_the_difference_of_a_mean_on_the_same_samples_has_the_interval_of_a_paired_t_test() -> None:
    one, other = drawn(50, 1), drawn(50, 2)
    truth = [each.target for each in one]
    other = [each.model_copy(update={"target": target}) for each, target in zip(other, truth, strict=True)]
    pair = (scorer_answers(one, "risk", rules=RULES), scorer_answers(other, "risk", rules=RULES))
    found = figure_difference("brier_binary", pair, level=0.95)
    came = np.array([target == "yes" for target in truth], dtype=float)
    losses = [(np.exp([each.option_logprobs[1] for each in run]) - came) ** 2 for run in (one, other)]
    wanted: Any = ttest_rel(losses[1], losses[0])
    limits = wanted.confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(losses[1] - losses[0]), *limits))
    assert figure_difference("auc", (pair[0], pair[0]), level=0.95).low is None


def test_the_difference_of_a_ranking_figure_covers_the_truth_about_as_often_as_it_says() -> None:
    # Of two models that know equally much, neither is better: the difference of their AUCs is 0.
    trials, held = 150, 0
    for seed in range(trials):
        chance = np.random.default_rng(seed)
        chances = chance.beta(2, 2, 60)
        came = (chance.random(60) < chances).tolist()
        noisy = [np.clip(chances + chance.normal(0, 0.2, 60), 0.01, 0.99).tolist() for _ in range(2)]
        pair = [scorer_answers(samples(each, came), "risk", rules=RULES) for each in noisy]
        found = figure_difference("auc", (pair[0], pair[1]), level=0.95)
        held += (found.low or 0) <= 0 <= (found.high or 0)
    assert 0.90 <= held / trials <= 0.99
