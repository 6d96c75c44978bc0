"""Estimates: formulas checked against a real layout, and nothing claimed that is not known."""

import pytest

from cruijff_kit.planning.estimates import Measured, adapter_parameters, estimate_costs
from cruijff_kit.schema.plan import Estimate, PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import Resources
from tests.fakes.designed import design
from tests.fakes.model_hub import model_facts
from tests.unit.planning.test_runs import planned


def llama(*, width: int, narrow: int, inner: int, layers: int, words: int, tied: bool) -> ModelFacts:
    """Return the facts of a Llama whose weights are counted layer by layer."""
    block = 2 * width * width + 2 * width * narrow + 3 * width * inner + 2 * width
    count = words * width * (1 if tied else 2) + layers * block + width
    facts = {"hidden_size": width, "layers": layers, "vocab_size": words, "parameters": count}
    return model_facts().model_copy(update=facts)


@pytest.mark.parametrize("tied", (True, False))
@pytest.mark.parametrize("width,narrow,inner", ((64, 16, 200), (2048, 512, 8192), (96, 96, 100)))
def test_lora_weights_follow_from_the_parameter_count_alone(width: int, narrow: int, inner: int, tied: bool) -> None:
    model = llama(width=width, narrow=narrow, inner=inner, layers=3, words=1000, tied=tied)
    shapes = [(width, width), (width, narrow), (width, narrow), (width, width), *[(width, inner)] * 3]
    counted = 8 * 3 * sum(rows + columns for rows, columns in shapes)
    assert adapter_parameters(model, 8, tied=tied) == pytest.approx(counted)


def told(measured: tuple[Measured, ...] = (), resources: Resources | None = None) -> dict[str, Estimate]:
    runs = planned(design())
    found = estimate_costs(runs, {"tiny": model_facts()}, resources=resources or Resources(), measured=measured)
    return {estimate.name: estimate for estimate in found}


def test_time_without_an_earlier_run_is_not_assessed() -> None:
    for name in ("training time of the longest run", "training time in all"):
        assert (told()[name].value, told()[name].source) == (None, "not assessed")


def test_time_is_taken_from_earlier_runs_of_the_same_model_only() -> None:
    other = Measured("x", "f" * 64, rows=100, seconds=1e6)
    speeds = tuple(Measured(f"r{each}", "a" * 64, rows=100, seconds=each) for each in (100.0, 200.0, 400.0))
    found = told((other, *speeds))["training time of the longest run"]
    rows = 12 * 4
    assert (found.value, found.low, found.high) == pytest.approx((2 * rows / 3600, rows / 3600, 4 * rows / 3600))
    assert "3 earlier runs" in found.source


def test_disk_counts_every_adapter_that_is_kept() -> None:
    disk = told()["checkpoints on disk"]
    weights = (
        2 * 2 * 2 * (adapter_parameters(model_facts(), 4, tied=True) + adapter_parameters(model_facts(), 16, tied=True))
    )
    assert disk.value == pytest.approx(4 * weights / 1e9)
    assert disk.low is not None
    assert disk.value is not None
    assert disk.low <= disk.value
    assert "16 adapters" in disk.source


def test_gpu_hours_are_the_time_limits_of_every_job() -> None:
    hours = told(resources=Resources(time="02:00:00", eval_time="00:30:00", gpus=2))["GPU-hours at most"]
    assert hours.value == pytest.approx(8 * 2 * 2 + 9 * 0.5)


def test_memory_lies_between_weights_alone_and_full_length_rows() -> None:
    memory = told()["training memory of the largest run"]
    assert memory.low is not None
    assert memory.value is not None
    assert memory.high is not None
    assert model_facts().parameters * 4 / 1e9 < memory.low < memory.value < memory.high


def test_an_evaluation_alone_needs_no_training_memory() -> None:
    base: tuple[PlannedRun, ...] = planned(design())[-1:]
    names = [estimate.name for estimate in estimate_costs(base, {"tiny": model_facts()}, resources=Resources())]
    assert "training memory of the largest run" not in names
