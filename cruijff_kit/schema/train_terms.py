"""Keys of the original's configuration files: what each becomes here, or why it is refused and what to say instead.

Two forms are read: that of its `TrainingConfig` (sections `model`, `data`, `lora`, `optimization`) and its larger
`train.yml` (`model`, `dataset`, `training`, `lora`, `memory`, `logging`, `evaluation`, `export`, `system`, `advanced`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["PLACES", "TERMS", "Term"]

PLACES = ("model", "data", "validation_data", "output", "profile")
"""Keys that a configuration file may say beside those of `ck train`."""

_SAME: Mapping[Any, Any] = MappingProxyType({})


class Term(NamedTuple):
    """What one key of the original becomes."""

    key: str | None = None
    """Key of ours that takes the value; None where a value can only be what happens anyway."""
    values: Mapping[Any, Any] = _SAME
    """Values by what they are here; as they stand where empty. One that becomes None says nothing."""
    hint: str = ""
    """What to say instead where the key, or another value of it, is refused."""


def _means(key: str, hint: str = "", **values: Any) -> Term:
    """Return a key that takes words: those given, each with what it is here."""
    return Term(key, MappingProxyType(values), hint)


def _only(*values: Any, hint: str) -> Term:
    """Return a key of which these values alone are taken, for they say what happens anyway."""
    return Term(None, MappingProxyType(dict.fromkeys(values)), hint)


def _truth(key: str, *, yes: Any, no: Any) -> Term:
    return Term(key, MappingProxyType({True: yes, False: no}))


_QUANTIZED = "`quantization: nf4` keeps the frozen base in 4 bits; 8 bits are not offered"
_DTYPE = _means(
    "dtype",
    "no recipe computes in 16-bit floats of that kind; write `dtype: bf16` or `dtype: fp32`",
    auto=None,
    float32="fp32",
    fp32="fp32",
    bfloat16="bf16",
    bf16="bf16",
)
_CACHE = _only(None, hint="models lie in `models_dir` of site.yaml, and `ck models pull` brings them there")
_CODE = _only(False, hint="code inside a model directory is never run")
_SCHEDULER = Term("lr_scheduler")
_SAVES = Term("checkpoint_every_n_steps")
_LOOKS = Term("run_val_every_n_steps")
_OFFLOAD = _only(False, hint="weights stay where the training is; `quantization: nf4` makes them smaller")
_EXPORT = "`ck adapter merge` writes a whole model, and other tools convert that"

_MODEL = {
    "name": Term("model"),
    "cache_dir": _CACHE,
    "load_in_4bit": _truth("quantization", yes="nf4", no="none"),
    "torch_dtype": _DTYPE,
    "trust_remote_code": _CODE,
    "quantization": Term("quantization", MappingProxyType({None: "none", "none": "none", "4bit": "nf4"}), _QUANTIZED),
    "device": Term(
        "gpus",
        # Apple's GPU is taken without being given: by MLX, or by torch where that is what trains.
        MappingProxyType({"auto": None, "cpu": 0, "cuda": 1, "mps": None}),
        "devices are `auto`, `cpu`, `cuda` and `mps`",
    ),
    "dtype": _DTYPE,
}
_DATA = {
    "train_file": Term("data"),
    "path": Term("data"),
    "validation_file": Term("validation_data"),
    "validation_path": Term("validation_data"),
    "template": Term("template"),
    "max_length": Term("max_seq_len"),
    "validation_split": Term("val_split"),
    "test_size": Term("val_split"),
    "validate_files": _only(True, False, hint="files are looked at in any case"),
    "padding": _only("longest", hint="the rows of a pass are padded to its longest one"),
    "truncation": _truth("overlong", yes="truncate", no="refuse"),
    "shuffle": _only(True, hint="rows are shuffled by the seed in every epoch"),
    "seed": Term("seed"),
}
_LORA = {
    "r": Term("lora_rank"),
    "alpha": Term("lora_alpha"),
    "dropout": Term("lora_dropout"),
    "target_modules": Term("target_modules"),
    "bias": _only("none", hint="biases stay frozen"),
    "task_type": _only("CAUSAL_LM", hint="only causal language models are trained"),
    "use_rslora": _truth("lora_variant", yes="rslora", no=None),
    "use_dora": _truth("lora_variant", yes="dora", no=None),
}
_TRAINING = {
    "learning_rate": Term("lr"),
    "batch_size": Term("batch_size"),
    "epochs": Term("epochs"),
    "num_epochs": Term("epochs"),
    "warmup_steps": Term("num_warmup_steps"),
    "weight_decay": Term("weight_decay"),
    "gradient_accumulation_steps": Term("gradient_accumulation_steps"),
    "lr_scheduler": _SCHEDULER,
    "lr_scheduler_type": _SCHEDULER,
    "save_steps": _SAVES,
    "eval_steps": _LOOKS,
    "logging_steps": Term("log_every_n_steps"),
    "max_grad_norm": Term("max_grad_norm"),
    "gradient_checkpointing": Term("activation_checkpointing"),
    "method": _means(
        "quantization",
        "all weights are not trained here: `lora`, or `qlora` for a base in 4 bits",
        lora=None,
        qlora="nf4",
    ),
    "save_total_limit": Term(hint="every epoch is kept; `epochs_to_save: last` keeps one, and `ck disk --prune` frees"),
    "load_best_model_at_end": Term("keep_best"),
    "metric_for_best_model": _only("loss", "eval_loss", hint="the best adapter is that of the lowest validation loss"),
    "greater_is_better": _only(False, hint="the best adapter is that of the lowest validation loss"),
    "fp16": _only(False, hint="write `dtype: bf16`"),
    "bf16": _truth("dtype", yes="bf16", no=None),
    "optimizer": _only("adamw", "adamw_torch", hint="AdamW trains"),
    "optim": _only("adamw", "adamw_torch", hint="AdamW trains"),
    "seed": Term("seed"),
}
_MEMORY = {
    "max_memory_gb": Term(
        hint="`ck train validate` says what a training needs; lower `batch_size` where it is too much"
    ),
    "reserved_memory_gb": Term(hint="`ck train validate` counts with four fifths of this machine's memory"),
    "gradient_checkpointing": Term("activation_checkpointing"),
    "cpu_offload": _OFFLOAD,
    "disk_offload": _OFFLOAD,
}
_LOGGING = {
    "level": _only("INFO", hint="every step is on record; `ck --debug` shows tracebacks"),
    "log_dir": Term(hint="metrics, output and the audit log lie in the experiment; `-o` says where that is"),
    "tensorboard": _only(False, hint="losses lie in `metrics.jsonl`, and `ck report` draws them"),
    "wandb": _only(False, hint="grow the run by `ck design from-run` and set `output.wandb_project`"),
}
_EVALUATION = {
    "do_eval": _truth("val_split", yes=None, no=0.0),
    "strategy": _means("run_val_every_n_steps", "`steps` or `epoch`", steps=None, epoch=0),
    "evaluation_strategy": _means("run_val_every_n_steps", "`steps` or `epoch`", steps=None, epoch=0),
    "eval_steps": _LOOKS,
    "batch_size": Term("batch_size_val"),
    "eval_batch_size": Term("batch_size_val"),
}
_EXPORTS = {"format": _only("pytorch", None, hint=_EXPORT), "quantization": _only(None, "none", hint=_EXPORT)}
_SYSTEM = {
    "num_workers": Term(hint="rows are read and tokenised once, before the first step; remove the key"),
    "use_mlx": _truth("backend", yes="auto", no="torch"),
    "fallback_to_pytorch": _only(True, hint="`backend: mlx` fails where there is no MLX"),
    "compile": _only(False, hint="grow the run by `ck design from-run` and set `controls.compile`"),
    "use_mps": _only(True, hint="Apple's GPU is used where there is one; `gpus: 0` trains on the CPU by torch"),
}
_ADVANCED = {
    "resume_from_checkpoint": _only(None, False, hint="`ck train … --resume` goes on from the last checkpoint"),
    "push_to_hub": _only(False, hint="nothing is uploaded; the adapter's directory is printed at the end"),
    "auto_find_batch_size": _only(False, hint="`ck train validate` says which batch fits"),
    "full_determinism": _only(True, False, hint="the same seed gives the same weights in any case"),
    "ddp_timeout": Term(hint="one process trains here; several are a design's `resources.gpus`"),
}

TERMS: Mapping[str, Term] = MappingProxyType(
    {
        "output_dir": Term("output"),
        "seed": Term("seed"),
        **{
            f"{section}.{name}": term
            for section, terms in {
                "model": _MODEL,
                "data": _DATA,
                "dataset": _DATA,
                "lora": _LORA,
                "optimization": _TRAINING,
                "training": _TRAINING,
                "memory": _MEMORY,
                "logging": _LOGGING,
                "evaluation": _EVALUATION,
                "export": _EXPORTS,
                "system": _SYSTEM,
                "advanced": _ADVANCED,
            }.items()
            for name, term in terms.items()
        },
    }
)
"""Every key of both forms by its dotted name."""
