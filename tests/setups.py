"""Setups for tests: the least `setup_finetune.yaml`, every key changed, and what was written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.rendering.sbatch import JobScript, parse_script
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.receipt import SetupReceipt
from cruijff_kit.workflow.setup_finetune import write_finetune
from tests.fakes.designed import world_at
from tests.fakes.model_hub import model_facts

__all__ = ["BESIDE", "CHANGED", "ROWS", "dry", "minimal", "written"]

OTHER = model_facts("/models/other", sha256="b" * 64)
LLAMA = model_facts("/models/Llama-3.2-1B-Instruct")
ELSEWHERE = model_facts("/elsewhere/tiny")
ROWS: dict[str, Any] = {"train": [{"input": "a", "output": "A", "question": "a?", "answer": "A!"}] * 9}
ROWS |= {"validation": ROWS["train"][:2]}

# Each key with a value that is not its default, as text, so that file and flag may both carry it.
CHANGED = {
    "config_file": "other.yaml",
    "my_wandb_project": "bits",
    "my_wandb_run_name": "parity_run",
    "experiment_name": "bits_2025-10-28",
    "output_dir_base": "/scratch/x",
    "project_dir": "/scratch/parity",
    "input_dir_base": "elsewhere",
    "input_formatting": "raw",
    "dataset_label": "other",
    "dataset_ext": ".txt",
    "dataset_type": "text_completion_dataset",
    "input_key": "question",
    "output_key": "answer",
    "prompt": "Q: {input}",
    "system_prompt": "Be brief.",
    "template": "chatml",
    "template_date": "1 Jan 2026",
    "train_on_input": "yes",
    "max_seq_len": "64",
    "overlong": "truncate",
    "training_samples": "5",
    "batch_size": "3",
    "batch_size_val": "7",
    "epochs": "3",
    "max_steps_per_epoch": "2",
    "gradient_accumulation_steps": "2",
    "lr": "3e-3",
    "lr_scheduler": "get_linear_schedule_with_warmup",
    "num_warmup_steps": "5",
    "weight_decay": "0.5",
    "max_grad_norm": "0.5",
    "packed": "true",
    "seed": "7",
    "dtype": "fp32",
    "activation_checkpointing": "1",
    "compile": "true",
    "strategy": "fsdp",
    "custom_recipe": "tests.e2e.quick_recipe",
    "base_recipe": "llama2/7B_lora_single_device",
    "lora_rank": "8",
    "lora_alpha": "4",
    "lora_dropout": "0.25",
    "lora_variant": "dora",
    "target_modules": "q_proj,v_proj",
    "quantization": "nf4",
    "save_adapter_weights_only": "no",
    "stash_adapter_weights": "true",
    "epochs_to_save": "none",
    "save_last_epoch_only": "true",
    "keep_best": "0",
    "checkpoint_every_n_steps": "3",
    "log_every_n_steps": "1",
    "run_val_every_n_steps": "2",
    "custom_metrics": "label_format",
    "torchtune_model_name": "other",
    "models_dir": "/elsewhere",
    "model_checkpoint": "other",
    "time": "01:00:00",
    "gpus": "4",
    "cpus_per_task": "8",
    "mem": "80G",
    "partition": "gpu",
    "account": "lab",
    "constraint": "a100",
    "qos": "urgent",
    "gpu_type": "h100",
    "nodes": "2",
    "exclusive": "yes",
    "conda_env": "ttenv",
    "venv": "/envs/kit",
    "modules": "anaconda3/2025.6 cuda",
}
# What a value needs beside it.
BESIDE: Mapping[str, Mapping[str, str]] = {
    "save_last_epoch_only": {"epochs": "2"},
    "stash_adapter_weights": {"save_adapter_weights_only": "false"},
    "models_dir": {"model_checkpoint": "tiny"},
}


def minimal(root: Path, **changes: Any) -> World:
    """Write rows and the least file that can be set up; return the world around it."""
    for folder in ("", "elsewhere", "raw"):
        (root / "data" / folder).mkdir(parents=True, exist_ok=True)
        (root / "data" / folder / "bits.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (root / "elsewhere").mkdir(exist_ok=True)
    for name in ("elsewhere/bits.json", "data/other.json", "data/bits.txt", "data/tune_dataset.json"):
        (root / name).write_text(json.dumps({**ROWS, "test": ROWS["train"]}), encoding="utf-8")
    keys = {"input_dir_base": "data", "input_formatting": "", "dataset_label": "bits", "models_dir": "/models"}
    text = dump_yaml({**keys, **changes})
    for name in ("setup_finetune.yaml", "other.yaml"):
        (root / name).write_text(text if name[0] == "s" else text + "seed: 99\n", encoding="utf-8")
    return world_at(root, LLAMA, OTHER, ELSEWHERE, model_facts())


def written(root: Path) -> tuple[TrainConfig, JobScript]:
    config, script = ((root / name).read_text(encoding="utf-8") for name in ("finetune.yaml", "finetune.slurm"))
    return read_config(TrainConfig, config, name="finetune.yaml"), parse_script(script)


def dry(world: World, **flags: str) -> SetupReceipt:
    return write_finetune(flags=flags, dry_run=True, world=world)
