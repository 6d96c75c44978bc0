"""Settings: what was set wins because it was set, and every value names its source."""

import pytest

from cruijff_kit.planning.settings import base_settings, override, site_settings, typed_level, with_derived
from cruijff_kit.schema.plan import Resolved
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.spec import Controls, Resources
from tests.fakes.designed import design


def test_a_value_equal_to_the_default_still_counts_as_set() -> None:
    default = Controls().batch_size
    settings = base_settings(Controls(batch_size=default))
    assert settings["batch_size"] == Resolved(value=default, source="design")
    assert settings["lr"].source == "default"


def test_every_control_but_the_seeds_is_a_setting() -> None:
    assert set(base_settings(Controls())) == set(Controls.model_fields) - {"seeds"}


def test_alpha_is_twice_the_rank_and_says_that_it_was_derived() -> None:
    settings = with_derived({**base_settings(Controls()), **override({"lora_rank": 6}, "factor")})
    assert settings["lora_alpha"] == Resolved(value=12.0, source="derived")


def test_an_alpha_that_was_set_is_kept() -> None:
    settings = with_derived({**base_settings(Controls(lora_alpha=3.0)), **override({"lora_rank": 6}, "factor")})
    assert settings["lora_alpha"] == Resolved(value=3.0, source="design")


def test_the_validation_batch_follows_the_training_batch() -> None:
    settings = with_derived(base_settings(Controls(batch_size=7)))
    assert settings["batch_size_val"] == Resolved(value=7, source="derived")


@pytest.mark.parametrize("written,typed", (("3e-4", 3e-4), (1, 1.0), (0.5, 0.5)))
def test_a_level_takes_the_type_of_its_control(written: str | float, typed: float) -> None:
    value, problems = typed_level("lr", written, path="factors.lr[0]")
    assert (value, type(value), problems) == (typed, float, [])


def test_a_level_that_does_not_fit_is_a_problem_with_its_place() -> None:
    _, problems = typed_level("lora_rank", -4, path="factors.lora_rank[1]")
    assert [(each.path, "`-4`" in each.message) for each in problems] == [("factors.lora_rank[1]", True)]


def test_the_site_fills_in_what_the_design_leaves_open() -> None:
    site = Site(partition="gpu", account="lab", output_dir_base="/scratch")
    asked = site_settings(design(resources={"account": "mine"}), site)
    assert asked["partition"] == Resolved(value="gpu", source="site")
    assert asked["account"] == Resolved(value="mine", source="design")
    assert asked["output_dir_base"] == Resolved(value="/scratch", source="site")
    assert asked["time"] == Resolved(value=Resources().time, source="default")
