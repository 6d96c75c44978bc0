"""Runs: golden ids, what an id depends on, and which designs repeat themselves."""

from typing import Any

import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.planning.grid import cross
from cruijff_kit.planning.runs import Inputs, plan_runs, total_steps
from cruijff_kit.planning.settings import base_settings, override
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import Controls, ExperimentSpec
from tests.fakes.designed import DESIGN, design
from tests.fakes.model_hub import model_facts

FACTS = DatasetFacts(
    key="bits", path="data/bits.json", sha256="b" * 64, bytes=9, splits={"train": 24, "validation": 8, "test": 8}
)


def planned(spec: ExperimentSpec, facts: DatasetFacts = FACTS, model: str = "a" * 64) -> tuple[PlannedRun, ...]:
    points = cross(spec)
    models = {ref.name: model_facts(f"/models/{ref.name}", sha256=model) for ref in spec.models}
    datasets = {point.data: facts for point in points}
    files = {task.dataset: facts for task in spec.evaluation.tasks if task.dataset}
    return plan_runs(spec, points, inputs=Inputs(models, datasets, files, renamed=spec.data.training.columns))


def ids(**changes: Any) -> list[str]:
    return [run.id for run in planned(design(**changes))]


def controls(**changes: Any) -> dict[str, Any]:
    return {"controls": {**DESIGN["controls"], **changes}}


GOLDEN = [
    "rank4_lr3e-4_seed1-65cc77cb",
    "rank4_lr3e-4_seed2-bccb8b01",
    "rank4_lr1e-3_seed1-c9ab5783",
    "rank4_lr1e-3_seed2-7462a668",
    "rank16_lr3e-4_seed1-f1041d56",
    "rank16_lr3e-4_seed2-73147d6c",
    "rank16_lr1e-3_seed1-80dea4ff",
    "rank16_lr1e-3_seed2-f738014e",
    "base-91cdfa67",
]


def test_the_ids_of_a_known_design_never_change() -> None:
    assert ids() == GOLDEN


def test_the_ids_of_varied_generation_never_change_and_passes_with_dropout_are_other_runs() -> None:
    def varied(**generation: int) -> list[str]:
        levels = {f"generation.{name}": [value] for name, value in generation.items()}
        return ids(tools={"preparation": "none"}, factors={"generation.max_tokens": [1, 2], **levels}, runs=[])

    assert varied() == ["generation.max-token1-4a9694f1", "generation.max-token2-f145509b"]
    # What held before there were such passes.
    assert [each.rpartition("-")[2] for each in varied(dropout_passes=0)] == ["4a9694f1", "f145509b"]
    assert "4a9694f1" not in str(varied(dropout_passes=4))


@pytest.mark.parametrize(
    "changes",
    (
        controls(batch_size=2, gradient_accumulation_steps=2),
        controls(batch_size_val=1),
        controls(log_every_n_steps=7, run_val_every_n_steps=3),
        controls(epochs_to_save="last"),
        controls(keep_best=False, save_adapter_weights_only=False, stash_adapter_weights=True),
        controls(packed=True, activation_checkpointing=True, compile=True, strategy="fsdp"),
        controls(checkpoint_every_n_steps=5, custom_metrics="label_format"),
        controls(recipe="lora_single_device"),
        controls(recipe="lora_distributed"),
        {"resources": {"time": "10:00:00", "gpus": 1}},
        {"output": {"output_dir_base": "/scratch"}},
        {"question": "Another one?", "name": "elsewhere"},
        {"evaluation": {"tasks": []}},
    ),
)
def test_what_cannot_change_results_leaves_ids_alone(changes: dict[str, Any]) -> None:
    assert ids(**changes) == GOLDEN


@pytest.mark.parametrize(
    "name,value",
    (
        ("batch_size", 8),
        ("dataset_type", "text_completion"),
        ("dtype", "bf16"),
        ("epochs", 3),
        ("gradient_accumulation_steps", 2),
        ("lora_alpha", 1.0),
        ("lora_dropout", 0.1),
        ("lora_variant", "dora"),
        ("target_modules", ["q_proj"]),
        ("quantization", "nf4"),
        ("lr_scheduler", "linear"),
        ("max_grad_norm", None),
        ("max_seq_len", 100),
        ("max_steps_per_epoch", 2),
        ("num_warmup_steps", 1),
        ("overlong", "truncate"),
        ("prompt", "Q: {input}"),
        ("recipe", "other"),
        ("system_prompt", "Be brief."),
        ("template", "alpaca"),
        ("template_date", "1 Jan 2026"),
        ("train_on_input", True),
        ("training_samples", 12),
        ("weight_decay", 0.5),
    ),
)
def test_every_control_that_can_change_results_changes_the_ids(name: str, value: Any) -> None:
    changed = ids(**controls(**{name: value}))
    assert not set(changed[:-1]) & set(GOLDEN)


def test_renamed_columns_are_part_of_what_a_run_is_where_there_are_any() -> None:
    file = {"training": {"path": "words.json"}, "tier": "green"}
    renamed = {"training": {"path": "words.json", "columns": {"input": "question"}}, "tier": "green"}
    plain, other = ids(data=file), ids(data=renamed)
    assert plain == ids(data={"training": {"path": "elsewhere.json", "format": "json", "columns": {}}})
    assert not set(plain) & set(other)


def test_another_model_or_data_set_gives_other_ids() -> None:
    assert not {run.id for run in planned(design(), model="c" * 64)} & set(GOLDEN)
    other = FACTS.model_copy(update={"sha256": "d" * 64})
    assert not {run.id for run in planned(design(), other)} & set(GOLDEN)


def test_a_run_asked_for_twice_is_refused_and_both_places_are_named() -> None:
    twin = {"name": "again", "parameters": {"lora_rank": 4, "lr": 3e-4}}
    with pytest.raises(PlanError) as caught:
        planned(design(runs=[twin]))
    text = str(caught.value)
    assert "`again_seed1` (runs[0]) is the same as `rank4_lr3e-4_seed1` (factors)" in text
    assert len(caught.value.problems) == 2


def test_an_effective_batch_split_in_two_ways_is_the_same_run() -> None:
    with pytest.raises(PlanError, match="the same as"):
        planned(design(factors={}, runs=[split("a", 4, 1), split("b", 2, 2)]))


def split(name: str, size: int, steps: int) -> dict[str, Any]:
    return {"name": name, "parameters": {"batch_size": size, "gradient_accumulation_steps": steps}}


@pytest.mark.parametrize(
    "rows,changes,steps",
    (
        (24, {}, 12),
        (25, {}, 14),
        (24, {"gradient_accumulation_steps": 4}, 4),
        (24, {"max_steps_per_epoch": 5}, 10),
        (24, {"training_samples": 9}, 6),
        (3, {"training_samples": 9}, 2),
    ),
)
def test_steps_are_counted_up_to_whole_batches_an_epoch(rows: int, changes: dict[str, Any], steps: int) -> None:
    settings = base_settings(Controls(batch_size=4, epochs=2))
    assert total_steps({**settings, **override(changes, "design")}, rows) == steps


def test_a_control_trains_nothing_and_is_evaluated_once() -> None:
    base = planned(design())[-1]
    assert (base.type, base.total_steps, base.epochs_saved) == ("control", 0, ())
    assert [cell.name for cell in base.cells] == ["bits_base"]


def test_the_model_of_a_run_carries_its_hash() -> None:
    assert {run.model.sha256 for run in planned(design())} == {"a" * 64}


@pytest.mark.parametrize(
    "task,words",
    (
        ({"split": "tset"}, "no rows in split `tset`"),
        ({"split": "train"}, "evaluates the training split"),
    ),
)
def test_a_split_that_cannot_be_evaluated_is_refused(task: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        planned(design(evaluation={"tasks": [{"name": "bits", "task": "rows", **task}]}))


def test_another_file_may_be_evaluated_on_any_of_its_splits() -> None:
    task = {"name": "bits", "task": "rows", "split": "train", "dataset": "other.json"}
    assert planned(design(evaluation={"tasks": [task]}))[0].cells[0].task.dataset == "other.json"


def test_data_without_rows_to_train_on_is_refused() -> None:
    with pytest.raises(PlanError, match="no rows in split `train`"):
        planned(design(), FACTS.model_copy(update={"splits": {"test": 8}}))
