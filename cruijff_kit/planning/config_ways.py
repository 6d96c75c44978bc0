"""Keys of the predecessor's configuration that become something else: what each is made into, one function a key.

A function is given everything that was said and the key's own value, and returns places of the
design with their values, and in words what became of the key. `RefusedError` refuses the value.
"""

from collections.abc import Callable, Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, get_args

from cruijff_kit.planning.config_told import Made, RefusedError, Told
from cruijff_kit.planning.train_design import total_steps
from cruijff_kit.schema.config_keys import MODEL_BLOCKS
from cruijff_kit.schema.losses import BEST_METRICS, BestMetric

__all__ = ["WAYS"]

_OWN = MappingProxyType({"glm": "model", "qwen": "chatml", "mistral": "llama2", "llama": "llama3"})
"""Families of chat templates to what stands for them where a model has none; GLM's own cannot be stood for."""
_CALLED: Mapping[str, BestMetric] = {"loss": "val_loss", "f1_macro": "f1", "brier_score": "brier"}
_OURS: Mapping[str, BestMetric] = {name: name for name in get_args(BestMetric)}
_METRICS = MappingProxyType({**_OURS, **_CALLED})
"""Metrics by which an adapter may be chosen, without `eval_`."""


def _selected(told: Told, value: str) -> Made:
    if told[f"model_options.{value}.model_id"] is None:
        block, end = "model_options.", ".model_id"
        own = [each for each in told.config.said if each.startswith(block) and each.endswith(end)]
        known = sorted({*MODEL_BLOCKS, *(each.removeprefix(block).removesuffix(end) for each in own)})
        raise RefusedError(f"it names no model; there are {', '.join(f'`{each}`' for each in known)}")
    return Made(f"picks the block `model_options.{value}`")


def _model(told: Told, value: str) -> Made:
    return Made(f"models: {told.inputs.model}")


def _tokenizer(told: Told, value: str) -> Made:
    own = told[f"model_options.{told['selected_model']}.model_id"]
    if value != own:
        raise RefusedError(f"it is another than `model_id`, `{own}`")
    return Made("the model's own tokenizer", aside=True)


def _template(told: Told, value: str) -> Made:
    if value not in _OWN:
        raise RefusedError(f"it is none of {', '.join(f'`{each}`' for each in _OWN)}")
    if told.inputs.templated:
        return Made("controls.template: model, the model's own", {"controls.template": "model"})
    if value == "glm":
        raise RefusedError("the model has no chat template of its own")
    own = _OWN[value]
    return Made(f"controls.template: {own}, since the model has none of its own", {"controls.template": own})


def _compute_dtype(told: Told, value: str) -> Made:
    own = "bfloat16" if told.on("training.bf16") else "float32"
    if value != own:
        raise RefusedError(f"the training's is `{own}`, and a base of 4 bits is computed in that")
    return Made("controls.dtype, the same", aside=True)


def _warmup_steps(told: Told, value: int) -> Made:
    if told["training.scheduler.type"] == "none":
        return Made("nothing: a constant rate does not warm up", {"controls.num_warmup_steps": 0}, aside=True)
    if value < 0:
        raise RefusedError("steps are not counted below 0")
    if value == 0:
        return Made("nothing: `training.warmup_ratio` says", aside=True)
    return Made(f"controls.num_warmup_steps: {value}", {"controls.num_warmup_steps": value})


def _warmup_ratio(told: Told, value: float) -> Made:
    if not 0 <= value <= 1:
        raise RefusedError("")
    steps = told["training.scheduler.warmup_steps"]
    if told["training.scheduler.type"] == "none":
        return Made("nothing: a constant rate does not warm up", aside=True)
    if isinstance(steps, int) and steps > 0:
        return Made(f"nothing: `training.scheduler.warmup_steps`, {steps}, goes before it", aside=True)
    names = ("batch_size", "gradient_accumulation_steps")
    counts = {name: told[f"training.{name}"] for name in names} | {"epochs": told["training.num_epochs"]}
    if not all(isinstance(each, int) and each > 0 for each in counts.values()):
        return Made("controls.num_warmup_steps")
    whole = total_steps({**counts, "training_samples": None, "max_steps_per_epoch": None}, told.inputs.rows)
    warm = ceil(value * whole)
    return Made(f"controls.num_warmup_steps: {warm} of {whole}", {"controls.num_warmup_steps": warm})


def _strategy(told: Told, value: str) -> Made:
    if value == "no" and told.chosen_by:
        raise RefusedError("an adapter is chosen or training stopped by validations, and there would be none")
    if value == "steps":
        return Made("controls.run_val_every_n_steps: as `training.eval_steps` says")
    return Made("controls.run_val_every_n_steps: 0, at the ends of epochs", {"controls.run_val_every_n_steps": 0},
                aside=value == "no")  # fmt: skip


def _best_by(told: Told, value: str) -> Made:
    if not told.chosen_by:
        return Made("nothing: no adapter is chosen and training not stopped by it", aside=True)
    metric = _METRICS.get(value.removeprefix("eval_"))
    if metric is None:
        raise RefusedError(f"there are {', '.join(f'`{each}`' for each in _METRICS)}")
    watched = "" if metric == "val_loss" or told.on("calibration_monitoring.enabled") else ", so the monitor is on"
    return Made(f"controls.metric_for_best_model: {metric}{watched}", {"controls.metric_for_best_model": metric})


def _greater(told: Told, value: bool) -> Made:
    metric = _METRICS.get(told.chosen_by)
    if metric is None:
        return Made("nothing: no adapter is chosen and training not stopped by a metric", aside=True)
    if BEST_METRICS[metric] == value:
        return Made(f"nothing: that is so of `{metric}`", aside=True)
    return Made(f"controls.greater_is_better: {value}", {"controls.greater_is_better": value})


def _stopping(told: Told, value: bool) -> Made:
    if not value:
        return Made("nothing: training goes to its end", aside=True)
    return Made("controls.early_stopping_patience: as `training.early_stopping_patience` says")


def _wandb(told: Told, value: bool) -> Made:
    if not value:
        return Made("nothing: no offline run is kept", aside=True)
    return Made("output.wandb_project: runs are kept offline, and sent by `ck wandb sync` alone")


def _notes(told: Told, value: str | None) -> Made:
    if not value or "training.logging.notes" not in told.config.said:
        return Made("nothing: the design has a question", aside=True)
    return Made("question", {"question": value.strip()}) if value.strip() else Made("nothing", aside=True)


WAYS: Mapping[str, Callable[[Told, Any], Made]] = MappingProxyType(
    {
        "selected_model": _selected,
        "model_options.<m>.model_id": _model,
        "model_options.<m>.tokenizer_id": _tokenizer,
        "model_options.<m>.chat_template": _template,
        "lora.quantization.compute_dtype": _compute_dtype,
        "training.warmup_ratio": _warmup_ratio,
        "training.eval_strategy": _strategy,
        "training.metric_for_best_model": _best_by,
        "training.greater_is_better": _greater,
        "training.early_stopping": _stopping,
        "training.scheduler.warmup_steps": _warmup_steps,
        "training.logging.wandb": _wandb,
        "training.logging.notes": _notes,
    }
)
"""Keys of model and training that are made into something, each with what makes it."""
