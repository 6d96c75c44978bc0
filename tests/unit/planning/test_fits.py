"""What fits, and what is proposed where a run does not; the effective batch is always kept."""

from typing import Any

import pytest

from cruijff_kit.planning.estimates import Basis, run_memory
from cruijff_kit.planning.fits import batch_splits, memory_bytes, memory_limit, remedies
from cruijff_kit.planning.lengths import RowLengths, row_lengths
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import Resources
from tests.fakes.designed import DESIGN, design
from tests.fakes.model_hub import model_facts
from tests.unit.planning.test_runs import planned


def first(**controls: Any) -> PlannedRun:
    return planned(design(controls={**DESIGN["controls"], "max_seq_len": 512, **controls}))[0]


def basis(gpus: int = 0) -> Basis:
    return Basis({"tiny": model_facts()}, Resources(gpus=gpus))


def test_splits_keep_the_effective_batch_and_need_less_the_smaller_the_pass() -> None:
    splits = batch_splits(first(batch_size=6, gradient_accumulation_steps=2), basis())
    assert [(each.batch_size, each.gradient_accumulation_steps) for each in splits] == [
        (12, 1),
        (6, 2),
        (4, 3),
        (3, 4),
        (2, 6),
        (1, 12),
    ]
    sizes = [each.bytes for each in splits]
    assert sizes == sorted(sizes, reverse=True)


def test_a_limit_says_which_splits_fit() -> None:
    run = first(batch_size=8)
    limit = batch_splits(run, basis())[2].bytes
    assert [each.fits for each in batch_splits(run, basis(), limit=limit)] == [False, False, True, True]


def test_without_a_limit_the_pass_is_halved_first_then_come_the_others_in_order() -> None:
    found = remedies(first(batch_size=8), basis())
    assert [each.kind for each in found] == ["split", "activation_checkpointing", "more_memory"]
    assert found[0].settings == {"batch_size": 4, "gradient_accumulation_steps": 2}
    assert "--apply-split 4" in found[0].command


def test_an_odd_batch_is_split_by_one_of_its_divisors() -> None:
    (split, *_) = remedies(first(batch_size=5, gradient_accumulation_steps=3), basis())
    assert split.settings == {"batch_size": 1, "gradient_accumulation_steps": 15}


def test_one_row_a_pass_is_never_halved() -> None:
    assert remedies(first(batch_size=1), basis())[0].kind == "activation_checkpointing"


def test_the_largest_split_that_fits_is_proposed_alone() -> None:
    run = first(batch_size=8)
    limit = batch_splits(run, basis())[2].bytes
    (only,) = remedies(run, basis(), limit=limit)
    assert only.settings == {"batch_size": 2, "gradient_accumulation_steps": 4}
    assert only.bytes <= limit


def test_a_limit_that_nothing_reaches_ends_in_more_memory() -> None:
    found = remedies(first(batch_size=8), basis(), limit=1000)
    assert found[-1].kind == "more_memory"
    assert found[0].settings["batch_size"] == 1


def test_packing_is_proposed_where_rows_are_ragged() -> None:
    ragged = RowLengths(mean=60.0, deviation=10.0, longest=500, answer=20)
    run = planned(design(controls={**DESIGN["controls"], "batch_size": 8}))[0]
    known = basis()._replace(lengths={run.id: ragged})
    assert "packed" in [each.kind for each in remedies(run, known)]


@pytest.mark.parametrize("host,where", ((True, "of the node"), (False, "of one GPU")))
def test_memory_of_the_node_and_of_the_gpu_are_told_apart(host: bool, where: str) -> None:
    found = remedies(first(batch_size=8), basis(gpus=1), host=host)
    assert where in found[-1].fact
    assert (len(found) == 1) is host


def test_more_tokens_of_a_packed_pass_are_expected_over_more_passes() -> None:
    lengths = row_lengths([(40, 10), (60, 20), (50, 5)], [(90, 70)])
    assert lengths is not None
    assert (lengths.mean, lengths.longest, lengths.answer) == (50.0, 90, 70)
    few, many = (lengths.packed(8, passes=passes) for passes in (1, 1000))
    assert 8 * 50 == few < many <= lengths.padded(8)


@pytest.mark.parametrize(
    "given,expected",
    (
        ({"asked": "10G"}, (10 * 1024**3, "asked for")),
        ({"site": "48G"}, (48 * 1024**3, "`gpu_memory` of the site")),
        ({"registry": "40G"}, (40 * 1024**3, "the registry's GPU for this model")),
    ),
)
def test_whoever_says_so_first_sets_the_limit(given: dict[str, str], expected: tuple[int, str]) -> None:
    empty = {"asked": None, "site": None, "registry": None}
    assert memory_limit(Resources(gpus=1), **{**empty, **given}) == expected


def test_on_the_cpu_a_gpu_is_no_limit_and_the_job_s_memory_is() -> None:
    assert memory_limit(Resources(mem="8G"), asked=None, site="80G", registry="40G") == (8 * 1024**3, "`resources.mem`")
    assert memory_limit(Resources(), asked=None, site="80G", registry="40G") is None


def test_a_size_that_is_none_is_refused() -> None:
    assert memory_bytes("512M") == 512 * 1024**2
    with pytest.raises(ValueError, match="is not a number with K, M, G or T"):
        memory_bytes("many")


def test_the_whole_answer_for_a_large_batch_is_the_same_each_time() -> None:
    run = first(batch_size=64)
    assert batch_splits(run, basis())[0].bytes == run_memory(run, basis()).total
