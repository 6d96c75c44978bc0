"""Training runs for tests: a base, rows, a configuration file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import MetricPoint

__all__ = ["capital_rows", "metric_points", "random_base", "write_run"]

WORDS = ("amber", "basin", "cabin", "delta", "eagle", "fable", "giant", "habit", "ideal", "joker", "kneel", "lemon")
WORDS += ("mango", "noble", "ocean", "panda")


def capital_rows(count: int = 16) -> list[dict[str, str]]:
    """Return rows that ask for a word and answer it capitalised."""
    return [{"input": word, "output": word.capitalize()} for word in WORDS[:count]]


def random_base(folder: Path) -> Path:
    """Save an untrained model of the demo's form, for tests that need no skill."""
    from cruijff_kit.recipes.tiny_llama import build_model, build_tokenizer

    tokenizer = build_tokenizer()
    build_model(tokenizer, seed=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_run(folder: Path, base: Path, *, splits: Mapping[str, Sequence[Any]] | None = None, **changes: Any) -> Path:
    """Write a data set and a `finetune.yaml` below an experiment folder and return its path.

    Args:
        folder: experiment directory.
        base: base model directory.
        splits: rows by split; sixteen words and four for validation where absent.
        changes: keys of the configuration that differ, blocks merged key by key.
    """
    data = folder / "data" / "words.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    rows = splits or {"train": capital_rows(), "validation": capital_rows(4)}
    data.write_text(json.dumps(rows), encoding="utf-8")
    run = folder / "runs" / "rank4-0a1b2c3d"
    config = _merged(_defaults(folder, base, data=data, run=run), changes)
    run.mkdir(parents=True, exist_ok=True)
    path = run / "finetune.yaml"
    path.write_text(dump_yaml(TrainConfig.model_validate(config).model_dump(mode="json")), encoding="utf-8")
    return path


def metric_points(config: Path) -> list[MetricPoint]:
    """Return the points a run left beside its configuration."""
    lines = (config.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [MetricPoint.model_validate_json(line) for line in lines]


def _defaults(folder: Path, base: Path, *, data: Path, run: Path) -> dict[str, Any]:
    return {
        "run_id": run.name,
        "run_dir": str(run),
        "output_dir": str(folder / "outputs" / f"ck-out-{run.name}"),
        "base_model": {"name": "tiny", "path": str(base), "sha256": model_sha256(base)},
        "dataset": {
            "path": str(data),
            "sha256": file_sha256(data),
            "dataset_type": "chat_completion",
            "prompt": "{input}",
            "system_prompt": "",
            "template_date": "26 Jul 2024",
            "max_seq_len": 64,
        },
        "model": {"lora_rank": 4, "lora_alpha": 8.0, "lora_dropout": 0.0},
        "optimizer": {"lr": 1e-3, "weight_decay": 0.01},
        "lr_scheduler": {"name": "cosine", "num_warmup_steps": 2},
        "epochs": 1,
        "max_steps_per_epoch": None,
        "batch_size": 4,
        "batch_size_val": 4,
        "gradient_accumulation_steps": 1,
        "clip_grad_norm": 1.0,
        "dtype": "fp32",
        "device": "cpu",
        "seed": 1,
        "log_every_n_steps": 1,
        "run_val_every_n_steps": 0,
        "epochs_to_save": [0],
    }


def _merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    blocks = {key: {**settings.get(key, {}), **value} for key, value in changes.items() if isinstance(value, dict)}
    return {**settings, **changes, **blocks}
