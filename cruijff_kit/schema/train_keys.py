"""Keys of `ck train`: what a flag, a profile or a configuration file may say, and where each goes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = ["PROFILES", "TRAIN_KEYS", "TrainKey", "TrainMode"]

TrainMode = Literal["quick", "start"]
"""`quick` takes one look, `start` trains in earnest; they differ in defaults alone."""

_SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TrainKey(NamedTuple):
    """One key: its name, its defaults, and where it goes."""

    name: str
    """Name in profiles and configuration files; with hyphens on the command line."""
    home: str
    """Where it goes in the design; empty for what the command itself heeds."""
    start: Any
    """Default of `ck train start`."""
    quick: Any
    """Default of `ck train quick`."""
    meaning: str
    """What it does, in a few words."""


def _both(name: str, home: str, default: Any, meaning: str) -> TrainKey:
    return TrainKey(name, home, default, default, meaning)


_DATA = (
    _both("template", "controls.template", "alpaca", "Prompt template: a name, a text with fields in braces, a file."),
    _both("format", "", "auto", "Form that every row must have: `chat`, `instruction`, `prompt`, `text`; any: `auto`."),
    _both("system_prompt", "controls.system_prompt", "", "System message; empty for none."),
    _both("max_seq_len", "controls.max_seq_len", 2048, "Longest row in tokens."),
    _both("overlong", "controls.overlong", "refuse", "What happens to longer rows: `refuse` or `truncate`."),
    _both("val_split", "", 0.1, "Share of the training rows held out where the data has no split `validation`."),
    _both("training_samples", "controls.training_samples", None, "Rows to train on, a seeded subset; all where null."),
    _both("train_on_input", "controls.train_on_input", False, "Whether prompts are learnt too."),
)

_LORA = (
    _both("lora_rank", "controls.lora_rank", 8, "Rank of the update."),
    _both("lora_alpha", "controls.lora_alpha", None, "Scaling numerator; twice the rank where nobody says."),
    _both("lora_dropout", "controls.lora_dropout", 0.0, "Dropout on the update's input."),
    _both("lora_variant", "controls.lora_variant", "lora", "`lora`, `rslora` or `dora`."),
    _both("target_modules", "controls.target_modules", None, "Linear layers adapted; all where null."),
    _both("quantization", "controls.quantization", "none", "How the frozen base is stored: `none` or `nf4`."),
)

_TRAINING = (
    TrainKey("epochs", "controls.epochs", 3, 1, "Passes over the training rows."),
    TrainKey("batch_size", "controls.batch_size", 2, 1, "Rows a forward pass."),
    _both("batch_size_val", "controls.batch_size_val", None, "Rows a pass in validation; `batch_size` where null."),
    _both("gradient_accumulation_steps", "controls.gradient_accumulation_steps", 1, "Passes an optimiser step."),
    TrainKey("lr", "controls.lr", 2e-4, 3e-4, "Peak learning rate."),
    _both("lr_scheduler", "controls.lr_scheduler", "linear", "Shape of the learning rate."),
    _both(
        "num_warmup_steps",
        "controls.num_warmup_steps",
        None,
        "Steps of linear rise; 100, and no more than a tenth of all steps, where nobody says.",
    ),
    _both("weight_decay", "controls.weight_decay", 0.01, "Decoupled weight decay."),
    _both("max_grad_norm", "controls.max_grad_norm", 1.0, "Limit of the gradient's norm; none where null."),
    _both("seed", "controls.seeds", 42, "Seed of all randomness, of the held-out rows too."),
    _both("activation_checkpointing", "controls.activation_checkpointing", False, "Whether blocks are computed again."),
    _both("dtype", "controls.dtype", None, "`fp32` or `bf16`; `bf16` on a GPU, else `fp32`, where nobody says."),
)

_FILES = (
    _both("log_every_n_steps", "controls.log_every_n_steps", 1, "Steps between lines of `metrics.jsonl`."),
    _both("run_val_every_n_steps", "controls.run_val_every_n_steps", 0, "Steps between validations; 0: epoch ends."),
    _both("checkpoint_every_n_steps", "controls.checkpoint_every_n_steps", 0, "Steps between checkpoints to resume."),
    _both("max_steps_per_epoch", "controls.max_steps_per_epoch", None, "Steps after which an epoch ends early."),
    _both("epochs_to_save", "controls.epochs_to_save", "all", "Epochs whose adapter is kept."),
    _both("keep_best", "controls.keep_best", True, "Whether the adapter of the lowest validation loss is kept too."),
)

_MACHINE = (
    _both("backend", "tools.preparation", "auto", "What trains: `auto`, `torch`, `mlx`, or `peft` and `torchtune`."),
    _both("tier", "data.tier", None, "How freely rows may be shown; `yellow` for files of yours where nobody says."),
    _both("evaluate", "evaluation.tasks", None, "Whether the split `test` is evaluated, before and after training."),
    _both("cpus", "resources.cpus", None, "Threads to compute with; all of this machine's where nobody says."),
    _both("gpus", "resources.gpus", None, "GPUs; one where there is any, else none, where nobody says."),
)

TRAIN_KEYS: Mapping[str, TrainKey] = MappingProxyType(
    {key.name: key for key in (*_DATA, *_LORA, *_TRAINING, *_FILES, *_MACHINE)}
)
"""Every key that profiles, files and flags share; model, data and output have their own places."""

PROFILES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "chat": {
            "template": "chatml",
            "max_seq_len": 2048,
            "lora_rank": 8,
            "lora_alpha": 16.0,
            "lora_dropout": 0.1,
            "target_modules": _SEVEN[:4],
            "lr": 2e-4,
            "batch_size": 2,
            "epochs": 3,
            "num_warmup_steps": 100,
            "lr_scheduler": "cosine",
        },
        "instruction": {
            "template": "alpaca",
            "max_seq_len": 2048,
            "lora_rank": 16,
            "lora_alpha": 32.0,
            "lora_dropout": 0.05,
            "target_modules": _SEVEN[:4],
            "lr": 3e-4,
            "batch_size": 4,
            "epochs": 3,
            "num_warmup_steps": 200,
            "lr_scheduler": "linear",
        },
        "code": {
            "template": "alpaca",
            "max_seq_len": 4096,
            "lora_rank": 32,
            "lora_alpha": 64.0,
            "lora_dropout": 0.05,
            "target_modules": _SEVEN,
            "lr": 1e-4,
            "batch_size": 2,
            "epochs": 5,
            "num_warmup_steps": 500,
            "lr_scheduler": "cosine",
            "weight_decay": 0.01,
        },
    }
)
"""Profiles of this package: name to what it says."""
