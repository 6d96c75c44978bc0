"""Probabilities held against the true ones: a model that knows them is told so, one that is too sure is not."""

from hashlib import sha256

import numpy as np
import pytest

from cruijff_kit.analysis.known_chances import known_chances
from cruijff_kit.schema.calibration import CalibrationSettings
from cruijff_kit.schema.known_chances import KnownChances
from cruijff_kit.scoring.temperature import option_probabilities
from cruijff_kit.workflow.calibrate import fit_calibrator
from cruijff_kit.workflow.calibrators import uniforms_of
from tests.drawn import drawn_answers
from tests.optioned_run import OPTIONS, optioned_answers

RUN = "rank4-0123abcd"


def judged(*, tempered: bool, n: int = 500, test: str = "test", shifted: float = 0.0) -> KnownChances:
    """Judge an overconfident model, with a temperature or without, or one whose sets are made for another world."""
    fitted = tuple(optioned_answers(RUN, split="calibration", n=n))
    warming = tuple(optioned_answers(RUN, split="validation", n=2000)) if tempered else ()
    calibrator = fit_calibrator(fitted, warming, settings=CalibrationSettings())
    if shifted:
        only = calibrator.thresholds[0]
        lower = only.model_copy(update={"quantile": (only.quantile or 0) - shifted})
        calibrator = calibrator.model_copy(update={"thresholds": (lower,)})
    records = list(optioned_answers(RUN, split=test, n=5000))
    seed = int.from_bytes(sha256(test.encode()).digest()[:4], "big")
    truth = option_probabilities(drawn_answers(5000, seed=seed, options=len(OPTIONS), spread=2.5)[0])
    uniforms = uniforms_of(records, seed=0)
    return known_chances(records, truth, calibrator=calibrator, uniforms=uniforms, most_ece=0.03)


def test_a_model_that_a_temperature_mends_is_found_to_tell_the_truth() -> None:
    found = judged(tempered=True)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.calibrated
    assert found.covered
    assert found.gap < 0.01
    assert 0.1 < found.gap_untempered < found.gap_of_rates
    assert found.ece == pytest.approx(found.ece_of_truth, abs=0.01)
    assert found.ece_untempered > 0.05


def test_a_model_that_is_too_sure_misses_the_limit_and_its_sets_cover_all_the_same() -> None:
    found = judged(tempered=False)
    assert (found.calibrated, found.covered) == (False, True)
    assert (found.ece, found.gap) == (found.ece_untempered, found.gap_untempered)


def test_sets_of_a_quantile_too_small_are_found_out() -> None:
    assert not judged(tempered=True, shifted=0.2).covered


def test_a_calibration_set_too_small_for_a_quantile_has_sets_that_hold_everything() -> None:
    found = judged(tempered=True, n=8)
    assert found.held == 5000
    assert found.expected == (5000, 5000)
    assert found.covered


def test_sound_calibrators_are_found_to_cover_in_ninety_nine_worlds_of_a_hundred() -> None:
    covered = np.mean([judged(tempered=True, test=f"test {at}").covered for at in range(20)])
    assert covered >= 0.9
