"""Diagnoses: the figures are those of `scoring`, the curves those of the figures."""

from collections.abc import Sequence

import numpy as np
import pytest

from cruijff_kit.analysis.diagnosis import diagnose_run
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator
from cruijff_kit.schema.diagnosis import Diagnosis
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.records import record_metrics
from tests.binary_run import binary_answers
from tests.fakes.experiment import SMALL, plan_of
from tests.optioned_run import optioned_answers

RUN = plan_of(SMALL).runs[0]
CELL = RUN.cells[0]


@pytest.fixture
def binary() -> list[Prediction]:
    return list(binary_answers(RUN, CELL, n=400))


def diagnosed(predictions: Sequence[Prediction], calibrator: Calibrator | None = None) -> Diagnosis:
    found = diagnose_run(predictions, calibrator=calibrator, level=0.95)
    assert found is not None
    return found


def values(found: Diagnosis) -> dict[str, float | None]:
    return {each.name: each.figure.value for each in found.figures}


def calibrator(*, temperature_split: str, epoch: int | None = 0) -> Calibrator:
    settings = CalibrationSettings(temperature_split=temperature_split)
    return Calibrator(
        run=RUN.id, epoch=epoch, task="t", settings=settings, options=("no", "yes"), alpha=0.1, delta=None, n=9,
        unscored=0, temperature=2.0, claim="", data_sha256="0" * 64, checkpoint_sha256="0" * 64,
    )  # fmt: skip


def test_every_figure_of_two_options_is_that_of_the_metrics(binary: list[Prediction]) -> None:
    found, metrics = values(diagnosed(binary)), {each.name: each.value for each in record_metrics(binary)}
    same = ("ece", "ece_debiased", "calibration_slope", "calibration_intercept", "aurc", "log_loss", "auc")
    assert {name: found[name] for name in same} == pytest.approx({name: metrics[name] for name in same})
    assert found["brier"] == pytest.approx(metrics["brier_binary"])


def test_every_interval_holds_its_figure(binary: list[Prediction]) -> None:
    held = [each for each in diagnosed(binary).figures if each.figure.low is not None]
    assert [each.name for each in held] == [
        "ece_debiased", "calibration_slope", "calibration_intercept", "aurc", "brier", "log_loss", "auc",
    ]  # fmt: skip
    assert all((each.figure.low or 0) <= (each.figure.value or 0) <= (each.figure.high or 0) for each in held)


def test_the_mass_is_that_of_the_median_sample_before_options_are_made_to_add_up(binary: list[Prediction]) -> None:
    masses = (0.0001, 0.002, 0.9)
    few = [each.model_copy(update={"option_mass": mass}) for each, mass in zip(binary, masses, strict=False)]
    assert diagnosed(few).mass == 0.002


def test_more_options_have_no_roc_and_the_sum_of_squares() -> None:
    answers = list(optioned_answers(RUN.id, split="test", n=300))
    found, metrics = diagnosed(answers), {each.name: each.value for each in record_metrics(answers)}
    assert values(found)["brier"] == pytest.approx(metrics["brier_multiclass"])
    assert found.roc == ()
    assert next(each.reason for each in found.figures if each.name == "auc").startswith("the AUC is one of two options")


def test_the_bins_of_the_diagram_add_up_to_the_calibration_error(binary: list[Prediction]) -> None:
    found = diagnosed(binary)
    gaps = [each.accuracy.n * abs((each.accuracy.value or 0) - each.confidence) for each in found.bins]
    assert sum(gaps) / found.n == pytest.approx(values(found)["ece"])
    assert sum(each.accuracy.n for each in found.bins) == 400
    assert all(each.low < each.confidence <= each.high for each in found.bins)


def test_the_curves_lead_to_the_figures_they_stand_for(binary: list[Prediction]) -> None:
    few = binary[:50]
    found = diagnosed(few)
    x, y = np.array(found.roc).T
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(values(found)["auc"])
    assert found.risk_coverage[-1] == (1.0, pytest.approx(sum(not each.correct for each in few) / 50))
    assert found.risk_coverage[0][0] == 10 / 50
    surest = sorted(few, key=lambda each: -max(each.option_logprobs))[:20]
    assert dict(found.risk_coverage)[0.4] == pytest.approx(sum(not each.correct for each in surest) / 20)


def test_curves_of_many_samples_have_few_points(binary: list[Prediction]) -> None:
    found = diagnosed(binary)
    assert max(len(found.roc), len(found.risk_coverage)) <= 60


def test_a_temperature_of_another_split_is_shown_and_mends_the_overconfidence(binary: list[Prediction]) -> None:
    found = diagnosed(binary, calibrator(temperature_split="validation"))
    assert found.temperature == 2.0
    assert sum(each.accuracy.n for each in found.warmed) == 400
    assert (found.warmed_ece or 1) < 0.6 * (values(found)["ece"] or 0)


@pytest.mark.parametrize("split, epoch", (("", 0), ("test", 0), ("validation", 3)))
def test_no_temperature_is_shown_that_was_fitted_to_these_samples_or_to_another_checkpoint(
    binary: list[Prediction], split: str, epoch: int
) -> None:
    found = diagnosed(binary, calibrator(temperature_split=split, epoch=epoch))
    assert (found.temperature, found.warmed, found.warmed_ece) == (None, (), None)


def test_samples_that_errored_are_counted_beside(binary: list[Prediction]) -> None:
    lost = {"error": "out of memory", "options": (), "option_logprobs": (), "correct": None}
    found = diagnosed([each.model_copy(update=lost) if at < 7 else each for at, each in enumerate(binary)])
    assert (found.n, found.without) == (393, 7)


def test_without_options_the_confidence_of_the_answer_is_judged(binary: list[Prediction]) -> None:
    bare = [each.model_copy(update={"options": (), "option_logprobs": ()}) for each in binary]
    found, metrics = diagnosed(bare), {each.name: each.value for each in record_metrics(bare)}
    assert (found.kind, found.roc) == ("confidence", ())
    assert values(found)["ece"] == pytest.approx(metrics["ece"])
    assert values(found)["brier"] is values(found)["auc"] is None


def test_records_without_any_probability_have_no_diagnosis(binary: list[Prediction]) -> None:
    bare = {"options": (), "option_logprobs": (), "confidence": None}
    assert diagnose_run([each.model_copy(update=bare) for each in binary], level=0.95) is None


@pytest.mark.parametrize(
    "changes, said",
    (
        ({"target": "perhaps"}, "1 predictions of these samples cannot be used together"),
        ({"option_logprobs": (float("nan"), 0.0)}, "is no probability"),
    ),
)
def test_what_a_foreign_task_recorded_wrongly_is_told_and_breaks_nothing(
    binary: list[Prediction], changes: dict[str, object], said: str
) -> None:
    found = diagnosed([binary[0].model_copy(update=changes), *binary[1:]])
    assert said in found.reason
    assert (found.n, found.figures, found.bins) == (0, (), ())


def test_one_class_has_figures_but_no_roc(binary: list[Prediction]) -> None:
    ones = [each for each in binary if each.target == "yes"]
    found = diagnosed(ones)
    assert found.roc == ()
    assert next(each for each in found.figures if each.name == "auc").reason == "all outcomes are the same"
    assert found.bins
