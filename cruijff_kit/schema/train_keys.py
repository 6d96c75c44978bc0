"""Keys of `ck train`: what a flag, a profile or a configuration file may say, and where each goes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = ["PROFILES", "TRAIN_KEYS", "TrainKey", "TrainMode"]

TrainMode = Literal["quick", "start"]
"""`quick` takes one look, `start` trains in earnest; they differ in defaults alone."""

_SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


_Kind = Literal["text", "integer", "number", "truth", "words", "epochs"]


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
    kind: _Kind = "text"
    """Form of its value."""
    short: str = ""
    """Its flag of one letter, where it has one."""


def _both(name: str, home: str, *, default: Any, meaning: str, kind: _Kind = "text", short: str = "") -> TrainKey:
    return TrainKey(name, home, default, default, meaning, kind, short)


_DATA = (
    _both(
        "template",
        "controls.template",
        default="alpaca",
        meaning="Prompt template: a name, a text with fields in braces, a file.",
        short="t",
    ),
    _both(
        "format",
        "",
        default="auto",
        meaning="Form that every row must have: `chat`, `instruction`, `prompt`, `text`; any: `auto`.",
    ),
    _both("system_prompt", "controls.system_prompt", default="", meaning="System message; empty for none."),
    _both("max_seq_len", "controls.max_seq_len", default=2048, meaning="Longest row in tokens.", kind="integer"),
    _both(
        "overlong",
        "controls.overlong",
        default="refuse",
        meaning="What happens to longer rows: `refuse` or `truncate`.",
    ),
    _both(
        "val_split",
        "",
        default=0.1,
        meaning="Share of the training rows held out where the data has no split `validation`.",
        kind="number",
    ),
    _both(
        "training_samples",
        "controls.training_samples",
        default=None,
        meaning="Rows to train on, a seeded subset; all where null.",
        kind="integer",
    ),
    _both(
        "train_on_input",
        "controls.train_on_input",
        default=False,
        meaning="Whether prompts are learnt too.",
        kind="truth",
    ),
)

_LORA = (
    _both("lora_rank", "controls.lora_rank", default=8, meaning="Rank of the update.", kind="integer", short="r"),
    _both(
        "lora_alpha",
        "controls.lora_alpha",
        default=None,
        meaning="Scaling numerator; twice the rank where nobody says.",
        kind="number",
        short="a",
    ),
    _both(
        "lora_dropout", "controls.lora_dropout", default=0.0, meaning="Dropout on the update's input.", kind="number"
    ),
    _both("lora_variant", "controls.lora_variant", default="lora", meaning="`lora`, `rslora` or `dora`."),
    _both(
        "target_modules",
        "controls.target_modules",
        default=None,
        meaning="Linear layers adapted; all where null.",
        kind="words",
    ),
    _both(
        "quantization",
        "controls.quantization",
        default="none",
        meaning="How the frozen base is stored: `none` or `nf4`.",
    ),
)

_TRAINING = (
    TrainKey("epochs", "controls.epochs", 3, 1, "Passes over the training rows.", kind="integer", short="e"),
    TrainKey("batch_size", "controls.batch_size", 2, 1, "Rows a forward pass.", kind="integer", short="b"),
    _both(
        "batch_size_val",
        "controls.batch_size_val",
        default=None,
        meaning="Rows a pass in validation; `batch_size` where null.",
        kind="integer",
    ),
    _both(
        "gradient_accumulation_steps",
        "controls.gradient_accumulation_steps",
        default=1,
        meaning="Passes an optimiser step.",
        kind="integer",
    ),
    TrainKey("lr", "controls.lr", 2e-4, 3e-4, "Peak learning rate.", kind="number"),
    _both("lr_scheduler", "controls.lr_scheduler", default="linear", meaning="Shape of the learning rate."),
    _both(
        "num_warmup_steps",
        "controls.num_warmup_steps",
        default=None,
        meaning="Steps of linear rise; 100, and no more than a tenth of all steps, where nobody says.",
        kind="integer",
    ),
    _both("weight_decay", "controls.weight_decay", default=0.01, meaning="Decoupled weight decay.", kind="number"),
    _both(
        "max_grad_norm",
        "controls.max_grad_norm",
        default=1.0,
        meaning="Limit of the gradient's norm; none where null.",
        kind="number",
    ),
    _both(
        "seed",
        "controls.seeds",
        default=42,
        meaning="Seed of all randomness, of the held-out rows too.",
        kind="integer",
    ),
    _both(
        "activation_checkpointing",
        "controls.activation_checkpointing",
        default=False,
        meaning="Whether blocks are computed again.",
        kind="truth",
    ),
    _both(
        "dtype",
        "controls.dtype",
        default=None,
        meaning="`fp32` or `bf16`; `bf16` on a GPU of CUDA, else `fp32`, where nobody says.",
    ),
)

_FILES = (
    _both(
        "log_every_n_steps",
        "controls.log_every_n_steps",
        default=1,
        meaning="Steps between lines of `metrics.jsonl`.",
        kind="integer",
    ),
    _both(
        "run_val_every_n_steps",
        "controls.run_val_every_n_steps",
        default=0,
        meaning="Steps between validations; 0: epoch ends.",
        kind="integer",
    ),
    _both(
        "checkpoint_every_n_steps",
        "controls.checkpoint_every_n_steps",
        default=0,
        meaning="Steps between checkpoints to resume.",
        kind="integer",
    ),
    _both(
        "max_steps_per_epoch",
        "controls.max_steps_per_epoch",
        default=None,
        meaning="Steps after which an epoch ends early.",
        kind="integer",
    ),
    _both(
        "epochs_to_save",
        "controls.epochs_to_save",
        default="all",
        meaning="Epochs whose adapter is kept.",
        kind="epochs",
    ),
    _both(
        "keep_best",
        "controls.keep_best",
        default=True,
        meaning="Whether the adapter of the lowest validation loss is kept too.",
        kind="truth",
    ),
)

_MACHINE = (
    _both(
        "backend",
        "tools.preparation",
        default="auto",
        meaning="What trains: `auto`, `torch`, `mlx`, or `peft` and `torchtune`.",
    ),
    _both(
        "tier",
        "data.tier",
        default=None,
        meaning="How freely rows may be shown; `yellow` for files of yours where nobody says.",
    ),
    _both(
        "evaluate",
        "evaluation.tasks",
        default=None,
        meaning="Whether the split `test` is evaluated, before and after training.",
        kind="truth",
    ),
    _both(
        "cpus",
        "resources.cpus",
        default=None,
        meaning="Threads to compute with; all of this machine's where nobody says.",
        kind="integer",
    ),
    _both(
        "gpus",
        "resources.gpus",
        default=None,
        meaning="GPUs; one where there is any, else none, where nobody says.",
        kind="integer",
    ),
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
