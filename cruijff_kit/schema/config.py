"""Job configurations: `finetune.yaml` and `eval.yaml`, as the jobs read them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from cruijff_kit.schema.backend import Device, Library
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.evaluation import Generation
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.schema.spec import LoraVariant, Quantization, Schedule, Strategy

__all__ = [
    "TRAIN_PLACES",
    "BaseModelConfig",
    "DatasetConfig",
    "EvalConfig",
    "LoraConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "TrainConfig",
]


class BaseModelConfig(Noun):
    """The base model a job loads."""

    name: Name
    """Name in the design."""
    path: str
    """Absolute directory; behind an API that of a local copy, empty where there is none."""
    sha256: Sha256
    """Content hash the directory must have; behind an API the hash of its provider and name."""
    api: str | None = None
    """Provider and model of inspect-ai; None for a model that the job loads itself."""
    base_url: str | None = None
    """Address of the server; the provider's own where None."""


class DatasetConfig(Noun):
    """Rows and how they become tokens; the same block trains and evaluates."""

    path: str
    """Absolute file or folder, in any format that a design may name."""
    sha256: Sha256
    """Hash the file or folder must have."""
    columns: tuple[tuple[str, str], ...] = ()
    """Columns renamed as rows are read: name used here, name in the file."""
    input_key: str = "input"
    """Column of the question."""
    output_key: str = "output"
    """Column of the answer."""
    dataset_type: DatasetType
    """Question and answer in a chat template or as plain text, whole conversations, or what each row says."""
    prompt: str
    """Template of the user's turn."""
    system_prompt: str
    """System message; empty means none."""
    template: str = "model"
    """How conversations are written: a template's name or text; `model` is the model's own."""
    template_date: str
    """Date for chat templates that print one."""
    train_on_input: bool = False
    """Whether prompt tokens are supervised."""
    max_seq_len: int
    """Longest row in tokens."""
    overlong: Literal["refuse", "truncate"] = "refuse"
    """What happens to longer rows."""


class LoraConfig(Noun):
    """The LoRA update, under torchtune's key names."""

    lora_rank: int
    """Rank."""
    lora_alpha: float
    """Scaling numerator."""
    lora_dropout: float
    """Dropout on the LoRA input."""
    target_modules: tuple[str, ...] | None = None
    """Linear layers adapted, by the model's own names; all those of every block where None."""
    variant: LoraVariant = "lora"
    """Form of the update."""
    quantization: Quantization = "none"
    """How the frozen base is stored."""


class OptimizerConfig(Noun):
    """AdamW."""

    lr: float
    """Peak learning rate."""
    weight_decay: float
    """Decoupled weight decay."""


class ScheduleConfig(Noun):
    """Learning rate over optimiser steps."""

    name: Schedule
    """Shape."""
    num_warmup_steps: int
    """Steps of linear rise."""


class TrainConfig(LossControls):
    """`finetune.yaml`: everything a training recipe reads."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    run_id: RunId
    """The run."""
    run_dir: str
    """Absolute run directory: metrics, status and DONE go here."""
    output_dir: str
    """Absolute `ck-out-<run>` directory: adapters go to `epoch_<n>` in it."""
    base_model: BaseModelConfig
    """Base model."""
    dataset: DatasetConfig
    """Rows and tokens."""
    split: str = "train"
    """Training split."""
    split_val: str | None = "validation"
    """Validation split; None where the data has none."""
    training_samples: int | None = None
    """Seeded shuffled subset of the training split; all where None."""
    model: LoraConfig
    """LoRA."""
    optimizer: OptimizerConfig
    """Optimiser."""
    lr_scheduler: ScheduleConfig
    """Schedule."""
    epochs: int
    """Passes over the data."""
    max_steps_per_epoch: int | None
    """Optimiser steps after which an epoch ends."""
    batch_size: int
    """Rows per forward pass."""
    batch_size_val: int
    """Rows per forward pass in validation."""
    gradient_accumulation_steps: int
    """Forward passes per optimiser step."""
    clip_grad_norm: float | None
    """Gradient norm limit."""
    dtype: Literal["fp32", "bf16"]
    """Arithmetic."""
    device: Device = "auto"
    """Where to train."""
    seed: int
    """Seed of initialisation, shuffling, dropout and subsetting."""
    log_every_n_steps: int
    """Steps between metrics lines."""
    run_val_every_n_steps: int
    """Steps between validation passes; 0 means at epoch ends only."""
    epochs_to_save: tuple[int, ...]
    """Epochs whose adapter is written."""
    keep_best: bool = True
    """Whether the adapter of the best validation, by `metric_for_best_model`, is kept too."""
    save_adapter_weights_only: bool = True
    """Whether no merged model is written."""
    stash_adapter_weights: bool = False
    """Whether a merged model takes the epoch's folder and its adapter lies below it."""
    checkpoint_every_n_steps: int = 0
    """Steps between checkpoints to resume from; 0 means every ten minutes and at epoch ends."""
    packed: bool = False
    """Whether the rows of a pass are laid end to end instead of padded."""
    enable_activation_checkpointing: bool = False
    """Whether blocks are computed again for the backward pass."""
    compile: bool = False
    """Whether blocks are compiled."""
    strategy: Strategy = "ddp"
    """What several processes share."""
    custom_metrics: str | None = None
    """Metrics beside the loss: a name of ours, or a Python file."""
    wandb_project: str | None = None
    """Weights & Biases project that an offline run is kept for; none is kept where None."""
    wandb_run_name: str | None = None
    """Name of that run; the run's own id where None."""


TRAIN_PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dataset_type": ("dataset", "dataset_type"),
        "prompt": ("dataset", "prompt"),
        "system_prompt": ("dataset", "system_prompt"),
        "template": ("dataset", "template"),
        "template_date": ("dataset", "template_date"),
        "train_on_input": ("dataset", "train_on_input"),
        "max_seq_len": ("dataset", "max_seq_len"),
        "overlong": ("dataset", "overlong"),
        "training_samples": ("training_samples",),
        "lora_rank": ("model", "lora_rank"),
        "lora_alpha": ("model", "lora_alpha"),
        "lora_dropout": ("model", "lora_dropout"),
        "lora_variant": ("model", "variant"),
        "target_modules": ("model", "target_modules"),
        "quantization": ("model", "quantization"),
        "lr": ("optimizer", "lr"),
        "weight_decay": ("optimizer", "weight_decay"),
        "lr_scheduler": ("lr_scheduler", "name"),
        "num_warmup_steps": ("lr_scheduler", "num_warmup_steps"),
        "max_grad_norm": ("clip_grad_norm",),
        "epochs": ("epochs",),
        "epochs_to_save": ("epochs_to_save",),
        "max_steps_per_epoch": ("max_steps_per_epoch",),
        "batch_size": ("batch_size",),
        "batch_size_val": ("batch_size_val",),
        "gradient_accumulation_steps": ("gradient_accumulation_steps",),
        "dtype": ("dtype",),
        "log_every_n_steps": ("log_every_n_steps",),
        "run_val_every_n_steps": ("run_val_every_n_steps",),
        "keep_best": ("keep_best",),
        "save_adapter_weights_only": ("save_adapter_weights_only",),
        "stash_adapter_weights": ("stash_adapter_weights",),
        "checkpoint_every_n_steps": ("checkpoint_every_n_steps",),
        "packed": ("packed",),
        "activation_checkpointing": ("enable_activation_checkpointing",),
        "compile": ("compile",),
        "strategy": ("strategy",),
        "custom_metrics": ("custom_metrics",),
        **{name: (name,) for name in LossControls.model_fields},
    }
)
"""Control of the design to its place in `finetune.yaml`."""


class EvalConfig(Noun):
    """`eval.yaml`: one cell of the evaluation matrix."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    run_id: RunId
    """The run."""
    cell_dir: str
    """Absolute directory of the cell; logs go to `logs/` in it."""
    name: Name
    """Evaluation name."""
    task: str
    """Task of this package, `file.py@task`, or `package/task` of another package."""
    epoch: int | None = None
    """Epoch from 0; None for a base model."""
    base_model: BaseModelConfig
    """Base model."""
    adapter: str | None = None
    """Absolute adapter directory; None for a base model."""
    adapter_sha256: Sha256 | None = None
    """Hash that the adapter's weights must have; where None its training's marker vouches for them."""
    alone: bool = False
    """Whether the cell stands by itself below the directory it was set up in, and in no experiment."""
    dataset: DatasetConfig
    """Rows and tokens, as in training."""
    split: str
    """Split evaluated."""
    samples: int | None = None
    """Seeded shuffled subset; all where None."""
    expected_samples: int = Field(ge=1)
    """Samples the finished log must hold; a task that brings its own data set is held to that instead."""
    scorers: tuple[str, ...]
    """Scorers, the first one primary; none where the task's own are kept."""
    rules: ScoringRules = ScoringRules()
    """What the scorers are told."""
    groups: tuple[str, ...] = ()
    """Columns copied into the predictions as groups."""
    generation: Generation
    """Generation settings."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic."""
    backend: Library = "torch"
    """Library that computes the answers of a model that is loaded here."""
    device: Device = Field(default="auto", exclude_if=lambda value: value == "auto")
    """Where it computes; on a cluster the job is given what it may use."""
    seed: int
    """Seed of the subset."""
