"""Estimates: formulas checked against a real layout, and nothing claimed that is not known."""

from typing import Any

import pytest

from cruijff_kit.planning.estimates import Basis, adapter_bytes, estimate_costs, run_work
from cruijff_kit.planning.lengths import RowLengths
from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.planning.throughput import Measured, Pace, likeness
from cruijff_kit.planning.training_pass import adapter_size
from cruijff_kit.schema.plan import Estimate, PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import Resources
from tests.fakes.designed import DESIGN, design
from tests.fakes.model_hub import model_facts
from tests.unit.planning.test_runs import planned

LENGTHS = RowLengths(mean=30.0, deviation=4.0, longest=40, answer=8)


def llama(*, width: int, narrow: int, inner: int, layers: int, words: int, tied: bool) -> ModelFacts:
    """Return the facts of a Llama whose weights are counted layer by layer."""
    block = 2 * width * width + 2 * width * narrow + 3 * width * inner + 2 * width
    count = words * width * (1 if tied else 2) + layers * block + width
    facts = {"hidden_size": width, "layers": layers, "vocab_size": words, "parameters": count, "tied": tied}
    said = {"heads": width // 16, "kv_heads": narrow // 16, "head_dim": 16, "mlp_width": inner}
    return model_facts().model_copy(update={**facts, **said})


@pytest.mark.parametrize("width,narrow,inner", ((64, 16, 200), (2048, 512, 8192), (96, 96, 100)))
def test_lora_weights_are_counted_layer_by_layer(width: int, narrow: int, inner: int) -> None:
    model = llama(width=width, narrow=narrow, inner=inner, layers=3, words=1000, tied=True)
    shapes = [(width, width), (width, narrow), (width, narrow), (width, width), *[(width, inner)] * 3]
    counted = 8 * 3 * sum(rows + columns for rows, columns in shapes)
    assert adapter_size(shape_of(model), 8) == counted


@pytest.mark.parametrize("tied", (True, False))
def test_facts_that_lack_the_mlp_width_are_completed_from_the_parameter_count(tied: bool) -> None:
    model = llama(width=128, narrow=128, inner=352, layers=3, words=1000, tied=tied)
    bare = model.model_copy(update={"mlp_width": None, "heads": None, "kv_heads": None, "head_dim": None})
    assert shape_of(bare).inner == pytest.approx(352, rel=0.01)


def basis(measured: tuple[Measured, ...] = (), **changes: Any) -> Basis:
    runs = planned(design())
    lengths = {run.id: LENGTHS for run in runs}
    return Basis(
        {"tiny": model_facts()}, **{"resources": Resources(), "lengths": lengths, **changes}, measured=measured
    )


def told(measured: tuple[Measured, ...] = (), **changes: Any) -> dict[str, Estimate]:
    return {each.name: each for each in estimate_costs(planned(design()), basis(measured, **changes))}


def ran(name: str, speed: float, *, model: str = "a" * 64, gpus: int = 0, size: int = 4) -> Measured:
    run = planned(design())[0]
    pace = Pace(speed, speed * 0.9, speed * 1.1)
    return Measured(name, model, pace, likeness(run, gpus=gpus), size, beside=6.0)


def test_time_without_an_earlier_run_is_not_assessed() -> None:
    for name in ("training time of the longest run", "training time in all"):
        assert (told()[name].value, told()[name].source) == (None, "not assessed")


@pytest.mark.parametrize("other", (ran("x", 1.0, model="f" * 64), ran("y", 1.0, gpus=1)))
def test_runs_of_another_model_or_device_say_nothing_about_time(other: Measured) -> None:
    assert told((other,))["training time in all"].value is None


def test_time_is_processed_tokens_over_the_median_speed_plus_what_is_beside() -> None:
    found = told((ran("a", 100.0), ran("b", 200.0), ran("c", 400.0)))["training time of the longest run"]
    tokens = 12 * 4 * LENGTHS.mean
    expected = (tokens / 200 + 6, tokens / 440 + 6, tokens / 90 + 6)
    assert (found.value, found.low, found.high) == pytest.approx([each / 3600 for each in expected])
    assert "3 earlier runs" in found.source


def test_runs_of_the_same_pass_size_are_believed_before_others() -> None:
    found = told((ran("a", 100.0), ran("b", 900.0, size=16)))["training time of the longest run"]
    assert found.value == pytest.approx((12 * 4 * LENGTHS.mean / 100 + 6) / 3600)


def test_time_is_not_assessed_where_the_length_of_rows_is_unknown() -> None:
    assert told((ran("a", 100.0),), lengths={})["training time in all"].value is None


def test_gpu_hours_of_training_are_told_once_time_is() -> None:
    found = told((ran("a", 100.0, gpus=2),), resources=Resources(gpus=2))
    assert found["GPU-hours of training"].value == pytest.approx(2 * (found["training time in all"].value or 0))


def test_disk_counts_every_adapter_that_is_kept_and_checkpoints_only_above() -> None:
    disk = told()["checkpoints on disk"]
    runs = [run for run in planned(design()) if run.type == "fine-tuned"]
    # Two epochs and the best one.
    kept = sum(3 * adapter_bytes(run, model_facts()) for run in runs)
    assert disk.value == pytest.approx(kept / 1e9)
    assert disk.low is not None
    assert disk.high is not None
    assert disk.value is not None
    assert disk.low < disk.value < disk.high
    assert "24 adapters" in disk.source


def test_a_merged_model_of_each_epoch_is_counted_where_asked_for() -> None:
    merged = design(controls={**DESIGN["controls"], "save_adapter_weights_only": False})
    runs = planned(merged)
    costs = {each.name: each for each in estimate_costs(runs, Basis({"tiny": model_facts()}, Resources()))}
    assert (costs["checkpoints on disk"].value or 0) > 16 * model_facts().parameters * 4 / 1e9
    assert "merged" in costs["checkpoints on disk"].source


def test_gpu_hours_are_the_time_limits_of_every_job() -> None:
    hours = told(resources=Resources(time="02:00:00", eval_time="00:30:00", gpus=2))["GPU-hours at most"]
    assert hours.value == pytest.approx(8 * 2 * 2 + 9 * 0.5)


def test_memory_is_the_sum_of_its_parts_and_grows_to_full_length_rows() -> None:
    memory = told()["training memory of the largest run"]
    assert memory.value == pytest.approx(sum(memory.parts.values()))
    assert memory.low is not None
    assert memory.value is not None
    assert memory.high is not None
    assert model_facts().parameters * 4 / 1e9 < memory.low < memory.value < memory.high


def test_several_gpus_share_a_step_before_it_is_cut_into_passes() -> None:
    run = planned(design())[0]
    alone, four = (run_work(run, basis(resources=Resources(gpus=gpus))) for gpus in (1, 4))
    assert (alone.rows, alone.accumulation) == (4, 1)
    assert (four.rows, four.accumulation) == (1, 1)


def test_an_evaluation_alone_needs_no_training_memory() -> None:
    base: tuple[PlannedRun, ...] = planned(design())[-1:]
    names = [estimate.name for estimate in estimate_costs(base, basis())]
    assert "training memory of the largest run" not in names
