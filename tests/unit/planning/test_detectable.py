"""What a design can see is stated for each comparison planned, or said to be unknown."""

import pytest
from scipy import stats

from cruijff_kit.planning.detectable import power_estimates
from cruijff_kit.planning.power import detectable_paired
from cruijff_kit.schema.plan import Estimate
from cruijff_kit.schema.spec import Analysis, Pilot
from tests.fakes.experiment import Size, design_of, plan_of

SIZE = Size(words=200)


def _stated(analysis: Analysis, size: Size = SIZE) -> dict[str, Estimate]:
    spec = design_of(size).model_copy(update={"analysis": analysis})
    named = {"runs": "two runs", "base": "base model", "seeds": "over seeds"}
    found = power_estimates(spec, plan_of(size))
    return {key: each for key, words in named.items() for each in found if words in each.name}


def test_every_comparison_of_the_design_is_stated_with_its_test() -> None:
    stated = _stated(Analysis())
    assert stated["runs"].value == pytest.approx(0.1397, abs=1e-4)
    # Eight fine-tuned runs, each on two tasks, against one base model.
    assert stated["base"].value == detectable_paired(200, alpha=0.05 / 16, power=0.8, discordance=0.5)
    assert "adjusted for 16 comparisons" in stated["base"].source
    assert stated["seeds"].source == "not assessed: `analysis.pilot.seed_sd` is not given"


def test_a_pilot_says_what_pairing_and_seeds_are_worth() -> None:
    stated = _stated(Analysis(pilot=Pilot(discordance=0.1, seed_sd=0.03)))
    assert (stated["base"].value or 1) < (_stated(Analysis())["base"].value or 0)
    assert "pilot discordance 0.1" in stated["base"].source
    # Eight runs in four settings: four degrees of freedom.
    ratio = (stated["seeds"].value or 0) / (2 * 0.03 / 8**0.5)
    assert stats.nct.sf(stats.t.ppf(0.975, 4), 4, ratio) == pytest.approx(0.8, abs=1e-4)


def test_clusters_cost_power_and_are_not_passed_over_in_silence() -> None:
    pilot = Pilot(discordance=0.5, icc=0.3, cluster_size=5)
    clustered, plain = _stated(Analysis(cluster="passage", pilot=pilot)), _stated(Analysis(pilot=pilot))
    # The error grows by the root of 1 + 4 x 0.3, the difference itself holds some of that back.
    assert (clustered["base"].value or 0) == pytest.approx(1.4 * (plain["base"].value or 0), rel=0.05)
    assert "t over clusters of 5, ICC 0.3" in clustered["base"].source
    unknown = _stated(Analysis(cluster="passage"))["base"]
    assert (unknown.value, "`icc`" in unknown.source) == (None, True)


def test_what_is_not_planned_is_not_stated() -> None:
    assert "base" not in _stated(Analysis(comparisons=("lr",)))
    assert "base" in _stated(Analysis(comparisons=("base",)))


def test_one_seed_says_nothing_of_the_spread_between_seeds() -> None:
    stated = _stated(Analysis(pilot=Pilot(seed_sd=0.03)), Size(words=200, seeds=(1,)))
    assert stated["seeds"].value is None
    assert "one seed a combination" in stated["seeds"].source


def test_without_items_nothing_is_assessed() -> None:
    stated = _stated(Analysis(), Size(evaluated=False))
    assert (stated["runs"].value, stated["runs"].source) == (None, "not assessed")
