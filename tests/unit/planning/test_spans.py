"""Values of ranges: on their steps, whole where wholes are meant, and spread evenly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.planning.spans import grid_levels, latin_points, level_at, tidied
from cruijff_kit.schema.design_kinds import LatinDesign, Level, Space, Span

SPACE: Space = {
    "lr": Span(low=1e-5, high=1e-3, log=True),
    "lora_rank": Span(low=8, high=64, step=8),
    "lora_dropout": Span(low=0, high=1),
    "lr_scheduler": ("cosine", "linear"),
}


def latin(points: int = 8, space: Space = SPACE, seed: int = 0) -> tuple[dict[str, Level], ...]:
    return latin_points(LatinDesign(kind="latin_hypercube", points=points, seed=seed, space=space))


def test_a_grid_goes_from_end_to_end_by_equal_ratios_or_steps() -> None:
    assert grid_levels("lr", Span(low=1e-5, high=1e-3, log=True, points=3)) == (1e-5, 1e-4, 1e-3)
    assert grid_levels("lora_dropout", Span(low=0, high=0.3, step=0.1)) == (0.0, 0.1, 0.2, 0.3)
    assert grid_levels("lora_rank", Span(low=4, high=7, points=9)) == (4, 5, 6, 7)
    assert grid_levels("lr_scheduler", ("linear", "cosine")) == ("linear", "cosine")


def test_a_control_that_is_whole_gets_whole_numbers_and_one_that_is_not_never() -> None:
    assert grid_levels("lora_alpha", Span(low=16, high=48, step=16)) == (16.0, 32.0, 48.0)
    assert all(isinstance(level, float) for level in grid_levels("lora_alpha", Span(low=16, high=48, step=16)))
    assert all(isinstance(level, int) for level in grid_levels("epochs", Span(low=1, high=3, points=3)))
    assert isinstance(level_at("lora_dropout", Span(low=0, high=1), share=0.3), float)
    assert isinstance(level_at("data.N", Span(low=10, high=90), share=0.3), int)


def test_each_of_so_many_equal_parts_of_a_range_holds_one_point() -> None:
    points = latin(16, {"lr": SPACE["lr"], "lora_dropout": SPACE["lora_dropout"]})
    for name, share in (("lr", lambda value: math.log(value / 1e-5) / math.log(100)), ("lora_dropout", float)):
        assert sorted(int(share(float(str(point[name]))) * 16) for point in points) == list(range(16))


def test_levels_are_taken_equally_often() -> None:
    schedules = [point["lr_scheduler"] for point in latin(8)]
    assert (schedules.count("cosine"), schedules.count("linear")) == (4, 4)


def test_the_points_of_a_seed_never_change() -> None:
    # Whoever plans an old design again must find its runs: these points are written down for good.
    assert latin(3, {"lr": SPACE["lr"], "lora_rank": SPACE["lora_rank"]}) == GOLDEN
    assert latin(seed=1) != latin(seed=0)


GOLDEN = (
    {"lr": 4.133e-05, "lora_rank": 8},
    {"lr": 0.0001061, "lora_rank": 24},
    {"lr": 0.0002367, "lora_rank": 64},
)


def test_points_differ_and_a_space_with_too_few_values_is_refused() -> None:
    small: Space = {"lora_rank": Span(low=8, high=32, step=8), "lr_scheduler": ("cosine", "linear")}
    assert len({tuple(point.values()) for point in latin(6, small)}) == 6
    with pytest.raises(ValueError, match="too few values for 9 different points"):
        latin(9, small)
    whole: Space = {"epochs": Span(low=1, high=9)}
    assert len({point["epochs"] for point in latin(9, whole)}) == 9
    with pytest.raises(ValueError, match="too few values for 10 different points"):
        latin(10, whole)


@given(st.floats(0, 1), st.sampled_from(sorted(SPACE)))
def test_a_value_lies_inside_and_tidying_it_again_changes_nothing(share: float, name: str) -> None:
    dimension = SPACE[name]
    value = level_at(name, dimension, share=share)
    if isinstance(dimension, Span):
        assert dimension.low <= float(str(value)) <= dimension.high
        assert tidied(name, dimension, value=value) == value
    else:
        assert value in dimension
