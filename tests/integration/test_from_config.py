"""The predecessor's configuration whole, with its labels and rows: a design of ours that is checked, and trains."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.recipes import peft_lora_calibrated
from cruijff_kit.schema.configured import ConfigureOrder
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.losses import CriticalError
from cruijff_kit.scoring.json_decision import read_decision
from cruijff_kit.workflow import configure_design
from cruijff_kit.workflow.read_design import read_design
from tests.fakes.designed import world_at
from tests.fakes.model_hub import model_facts
from tests.seed_config import SEED_CONFIG, SEED_LABELS
from tests.training_runs import random_base

LABELS = ("HIGH_RISK", "MEDIUM_RISK", "LOW_RISK", "NO_RISK")


def put(folder: Path, *, config: str = SEED_CONFIG, labels: str = SEED_LABELS, rows: int = 80) -> Path:
    """Write configuration, labels and rows, and return where the configuration lies."""
    told = [
        {
            "text": f"storm {at} over the town",
            "label": LABELS[at % 4],
            "metadata": {"source": "mail"},
            "rationale": f"because {at}",
        }
        for at in range(rows)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "labels.yaml").write_text(labels, encoding="utf-8")
    path = folder / "llm_lora.yaml"
    path.write_text(config, encoding="utf-8")
    return path


def changed(**changes: Any) -> str:
    """Return the predecessor's configuration with some keys of its groups replaced, named `group__key`."""
    value = load_yaml(SEED_CONFIG, name="seed").value
    for name, new in changes.items():
        *groups, last = name.split("__")
        inner = value
        for group in groups:
            inner = inner[group]
        inner[last] = new
    return dump_yaml(value)


def made(root: Path, config: Path, **order: Any) -> tuple[Any, World]:
    world = world_at(root / "new", model_facts())._replace(shelf=DiskShelf())
    told = {"data": str(config.parent / "rows.json"), "model": "/models/tiny", "tier": "green", **order}
    return configure_design(str(config), order=ConfigureOrder(**told), reason="moved", world=world), world


def rows_of(world: World) -> dict[str, list[dict[str, Any]]]:
    return json.loads((world.store.root / "data" / "rows.json").read_text(encoding="utf-8"))


def test_the_predecessors_whole_default_configuration_becomes_a_design(tmp_path: Path) -> None:
    found, world = made(tmp_path, put(tmp_path / "configs"))
    spec = read_design(world)
    assert (spec.name, spec.question) == ("new", "Which reports are dangerous?")
    assert (spec.models[0].name, spec.models[0].path) == ("tiny", "/models/tiny")
    controls = spec.controls
    assert (controls.recipe, controls.loss) == ("peft_lora_calibrated", "abstain_seed")
    assert controls.options == LABELS
    assert controls.harm_weights == {"HIGH_RISK": 10, "MEDIUM_RISK": 5, "LOW_RISK": 1, "NO_RISK": 0.1}
    assert controls.critical_errors[0] == CriticalError(true="HIGH_RISK", predicted="NO_RISK", weight=100)
    monitor = controls.calibration_monitor
    assert (monitor.enabled, monitor.adjust_lr, monitor.abstain_below) == (True, True, 0.7)
    assert (monitor.adjustment_threshold, monitor.lr_reduction_factor) == (0.05, 0.8)
    assert (controls.metric_for_best_model, controls.early_stopping_patience, controls.keep_best) == ("f1", 3, True)
    assert (controls.lora_rank, controls.lora_alpha, controls.lora_dropout, controls.lora_variant) == (
        16,
        32,
        0.1,
        "lora",
    )
    assert controls.target_modules == ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
    assert (controls.lr, controls.epochs, controls.batch_size, controls.gradient_accumulation_steps) == (2e-4, 3, 4, 4)
    assert (controls.num_warmup_steps, controls.lr_scheduler, controls.weight_decay) == (100, "cosine", 0.001)
    assert (controls.max_grad_norm, controls.max_seq_len, controls.overlong, controls.packed) == (
        0.3,
        2048,
        "truncate",
        True,
    )
    assert (controls.dtype, controls.activation_checkpointing, controls.quantization) == ("bf16", True, "none")
    assert (controls.run_val_every_n_steps, controls.checkpoint_every_n_steps, controls.log_every_n_steps) == (
        100,
        200,
        10,
    )
    assert controls.prompt == "Report: {text}\nKnown: {metadata}"
    (task,) = spec.evaluation.tasks
    assert (task.task, task.split, task.options) == ("structured", "test", LABELS)
    assert task.costs["HIGH_RISK"] == {"MEDIUM_RISK": 10, "LOW_RISK": 50, "NO_RISK": 100}
    assert found.written
    assert any("no proper scoring rule" in text for text in found.warnings)
    assert any("--epoch best" in text for text in found.next)
    assert any("--threshold 0.7 --cascade-threshold 0.85 --max-abstain-rate 0.15" in text for text in found.next)


def test_rows_are_divided_by_label_and_taught_as_structured_answers_with_the_abstain_examples(tmp_path: Path) -> None:
    config = put(
        tmp_path / "configs",
        config=changed(data__augmentation__enabled=True, advanced_metrics__conformal_prediction__enabled=True),
    )
    found, world = made(tmp_path, config)
    rows = rows_of(world)
    originals = {split: [row for row in each if not row["augmented"]] for split, each in rows.items()}
    counts = {split: len(each) for split, each in originals.items()}
    # One of those to train on is the abstain example.
    assert counts == {"train": 49, "validation": 8, "test": 8, "calibration": 16}
    for split in ("validation", "test", "calibration"):
        assert {row["label"] for row in rows[split]} == set(LABELS), split
    (silent,) = [row for row in rows["train"] if row["label"] is None]
    assert (silent["text"], read_decision(silent["output"]).rationale) == ("zz ?? qq", "no words")
    first = next(row for row in originals["train"] if row["label"])
    assert (read_decision(first["output"]).rationale or "").startswith("because ")
    assert json.loads(first["metadata"]) == {"source": "mail"}
    assert any(row["augmented"] for row in rows["train"])
    spec = read_design(world)
    assert [each.split for each in spec.evaluation.tasks] == ["test", "calibration"]
    run = next(each for each in found.runs if each.startswith("tuned"))
    assert f"ck -C {world.store.root} calibrate {run} --method lac --alpha 0.1" in found.next


def test_warm_up_by_share_counts_the_steps_of_the_rows_that_were_written(tmp_path: Path) -> None:
    config = changed(training__scheduler__warmup_steps=0, training__warmup_ratio=0.25)
    _, world = made(tmp_path, put(tmp_path / "configs", config=config))
    rows = len(rows_of(world)["train"])
    steps = 3 * -(-rows // 16)
    assert read_design(world).controls.num_warmup_steps == -(-steps // 4)


def test_audits_passes_searches_and_tracking_are_written_and_their_commands_told(tmp_path: Path) -> None:
    on = {f"high_stakes__{group}__enabled": True for group in ("uncertainty", "bias_audit", "procedural", "factual")}
    weights = ("uncertainty__fp_penalty_weight", "bias_audit__mitigation_weight", "procedural__compliance_weight",
               "factual__fact_penalty_weight", "factual__reliance_steps")  # fmt: skip
    off = {f"high_stakes__{name}": 0 for name in weights}
    config = changed(**on, **off, training__logging__wandb=True, advanced_metrics__risk_control__enabled=True)
    found, world = made(tmp_path, put(tmp_path / "configs", config=config))
    spec = read_design(world)
    assert spec.evaluation.generation.dropout_passes == 5
    assert spec.output.wandb_project == "llm-finetuning"
    audit = spec.analysis.audit
    assert audit is not None
    assert {"groups", "counterfactual", "procedures", "consistency"} <= set(audit.components)
    assert (audit.terms, audit.procedures) == (("gender", "race", "age", "nationality"), "medical")
    assert (audit.gap, audit.agreement) == (0.1, 0.8)
    told = " ".join(found.next)
    for words in ("audit-model", "--method crc", "wandb sync"):
        assert words in told


def test_a_search_of_the_predecessors_space_is_written(tmp_path: Path) -> None:
    found, world = made(tmp_path, put(tmp_path / "configs"), trials=7)
    design = read_design(world).design
    assert (design.kind, design.preset, design.trials) == ("search", "tune", 7)  # pyright: ignore[reportAttributeAccessIssue] - the kind is asserted
    assert found.next == (f"ck -C {world.store.root} sweep watch",)


def test_an_ensemble_is_runs_of_several_seeds(tmp_path: Path) -> None:
    config = changed(
        high_stakes__uncertainty__enabled=True,
        high_stakes__uncertainty__method="deep_ensemble",
        high_stakes__uncertainty__fp_penalty_weight=0,
    )
    found, world = made(tmp_path, put(tmp_path / "configs", config=config))
    assert read_design(world).controls.seeds == (14, 15, 16, 17, 18)
    assert len([each for each in found.runs if each.startswith("tuned")]) == 5
    assert any("--ensemble" in text for text in found.next)


def test_all_that_is_wrong_in_configuration_labels_and_model_is_told_at_once_and_nothing_written(
    tmp_path: Path,
) -> None:
    config = put(
        tmp_path / "configs",
        config=changed(lora__method="adalora", training__fp16=True).replace("num_epochs", "num_epoch"),
        labels=SEED_LABELS.replace("true: HIGH_RISK, predicted", "from: HIGH_RISK, to"),
    )
    with pytest.raises(SpecError, match="nothing was written") as caught:
        made(tmp_path, config, model="/models/absent")
    told = "\n".join(map(str, caught.value.problems))
    for words in (
        "`adalora` is refused",
        "training.fp16",
        "`num_epochs`",
        "which of them is the truth",
        "--model",
    ):
        assert words in told, words
    lines = config.read_text(encoding="utf-8").splitlines()
    for problem in caught.value.problems:
        name, _, line = problem.place.partition(":")
        if name == config.name:
            assert problem.path.rpartition(".")[2] in lines[int(line) - 1]
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").rglob("*.json*"))


def test_rows_of_unknown_labels_or_of_none_and_models_to_be_pulled_are_told_before_anything_is_written(
    tmp_path: Path,
) -> None:
    config = put(tmp_path / "configs", labels=SEED_LABELS.replace("MEDIUM_RISK", "MIDDLE_RISK"))
    with pytest.raises(SpecError) as caught:
        made(tmp_path, config, model=None)
    told = "\n".join(map(str, caught.value.problems))
    assert "20 of 80 rows have a label that is none of `HIGH_RISK`, `MIDDLE_RISK`" in told
    assert "ck models pull ZHIPU-AI/glm-4-9b-chat" in told
    (config.parent / "labels.yaml").unlink()
    (config.parent / "rows.json").write_text(json.dumps([{"text": "a"}, {"text": "b"}]), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        made(tmp_path, config)
    assert any("no labels to choose between" in each.message for each in caught.value.problems)
    assert not (tmp_path / "new" / "data").exists()


def test_checking_tells_every_key_and_writes_nothing(tmp_path: Path) -> None:
    found, world = made(tmp_path, put(tmp_path / "configs"), check=True)
    assert not found.written
    assert load_yaml(found.design, name="design").value["controls"]["lora_rank"] == 16
    assert not list(world.store.root.rglob("*")) or not (world.store.root / "data").exists()
    assert all(each.outcome for each in found.outcomes)
    adalora = [each for each in found.outcomes if each.key.startswith("lora.adalora.")]
    assert len(adalora) == 5
    assert not any(each.works for each in adalora)


def test_a_directory_that_has_a_design_is_left_alone(tmp_path: Path) -> None:
    config = put(tmp_path / "configs")
    _, world = made(tmp_path, config)
    before = (world.store.root / "experiment_summary.md").read_bytes()
    with pytest.raises(PlanError, match="has a design already"):
        made(tmp_path, config)
    assert (world.store.root / "experiment_summary.md").read_bytes() == before


def test_rows_that_are_divided_already_keep_their_splits_and_need_one_to_calibrate_on(tmp_path: Path) -> None:
    config = put(tmp_path / "configs", config=changed(advanced_metrics__conformal_prediction__enabled=True))
    rows = json.loads((config.parent / "rows.json").read_text(encoding="utf-8"))
    parts = {"train": rows[:60], "val": rows[60:70], "test": rows[70:]}
    (config.parent / "rows.json").write_text(json.dumps(parts), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        made(tmp_path, config)
    assert "has no split `calibration`" in str(caught.value.problems[0])


def test_a_configuration_trains_as_its_design_says_and_macro_f1_is_watched(tmp_path: Path) -> None:
    base = random_base(tmp_path / "base")
    config = changed(
        selected_model="llama-3-8b",
        training__bf16=False,
        training__num_epochs=1,
        training__eval_steps=2,
        training__logging_steps=1,
        training__scheduler__warmup_steps=0,
        training__max_length=1024,
        lora__r=4,
    )
    put(tmp_path / "configs", config=config, rows=40)
    project, at = CliRunner(), str(tmp_path / "new")
    asked = [str(tmp_path / "configs" / "llm_lora.yaml"), at, "--data", str(tmp_path / "configs" / "rows.json")]
    done = project.invoke(cli, ["design", "from-config", *asked, "--model", str(base), "--tier", "green"])
    assert done.exit_code == 0, done.output
    for words in ("training.optim", "set aside: AdamW", "written, 2 runs", "next: ck -C"):
        assert words in done.output, words
    summary = tmp_path / "new" / "experiment_summary.md"
    checked = project.invoke(cli, ["-C", at, "design", "check", str(summary)])
    assert checked.exit_code == 0, checked.output
    scaffolded = project.invoke(cli, ["-C", at, "scaffold"])
    assert scaffolded.exit_code == 0, scaffolded.output
    run = next(path.name for path in (tmp_path / "new" / "runs").iterdir() if path.name.startswith("tuned"))
    folder = tmp_path / "new" / RunLayout(run).folder
    assert peft_lora_calibrated.main(["--config", str(folder / "finetune.yaml")]) == 0
    points = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    validated = [point for point in points if "val_loss" in point]
    assert validated
    assert all(point["f1_low"] <= point["f1"] <= point["f1_high"] for point in validated)
    assert (tmp_path / "new" / "outputs" / RunLayout(run).output / "best" / "adapter_model.safetensors").is_file()


def test_a_design_that_cannot_be_leaves_no_rows_in_the_way_of_the_next_try(tmp_path: Path) -> None:
    config = put(tmp_path / "configs", rows=8)
    with pytest.raises(SpecError, match="nothing was written"):
        made(tmp_path, config)
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []
    (tmp_path / "new" / "data").mkdir(parents=True, exist_ok=True)
    (tmp_path / "new" / "data" / "rows.json").write_text("mine", encoding="utf-8")
    with pytest.raises(SpecError, match=r"`data/rows\.json` is there already"):
        made(tmp_path, config)
    assert [path.name for path in (tmp_path / "new").rglob("*") if path.is_file()] == ["rows.json"]
    made(tmp_path, put(tmp_path / "configs"), force=True)
    assert len(rows_of(world_at(tmp_path / "new"))["train"]) > 8
