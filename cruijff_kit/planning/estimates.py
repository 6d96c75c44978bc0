"""Estimates: what an experiment will cost, each figure with its source."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.schema.plan import Estimate, PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import Resources

__all__ = ["Measured", "adapter_bytes", "adapter_parameters", "estimate_costs", "training_bytes"]

_BYTES = {"fp32": 4, "bf16": 2}
# AdamW keeps two moments a trained weight, in single precision.
_MOMENTS = 8
# Activations kept for the backward pass of one block, in hidden-sized vectors a token.
_KEPT_PER_BLOCK = 34
# The gradient of the logits stands beside them while the loss is computed.
_LOGIT_COPIES = 2


class Measured(NamedTuple):
    """The speed one earlier run reached."""

    run_id: str
    """The run it was measured on."""
    model_sha256: str
    """Base model it trained."""
    rows: int
    """Training rows seen, over all epochs."""
    seconds: float
    """Wall time of its training."""


class _Range(NamedTuple):
    """A value and the interval it lies in."""

    value: float
    low: float
    high: float


def estimate_costs(
    runs: Sequence[PlannedRun],
    models: Mapping[str, ModelFacts],
    *,
    resources: Resources,
    measured: Sequence[Measured] = (),
) -> tuple[Estimate, ...]:
    """Return time, memory, disk and GPU-hours of an experiment.

    Args:
        runs: every planned run.
        models: model name to facts.
        resources: what each job asks for.
        measured: speeds of earlier runs; time is `not assessed` without one of the same model.
    """
    trained = [run for run in runs if run.type == "fine-tuned"]
    return (
        *_times(trained, measured),
        _disk(trained, models),
        *_memory(trained, models),
        _gpu_hours(runs, resources),
    )


def adapter_parameters(model: ModelFacts, rank: int, *, tied: bool) -> float:
    """Return how many weights a LoRA of this rank adds to every linear layer of every block.

    A linear layer of shape (out, in) gains rank x (in + out). With width h, key-value
    width k and MLP width m, a Llama block holds s = 2hh + 2hk + 3hm weights and its
    seven adapted layers have in + out = 9h + 2k + 3m in all, which is 7h + s / h: the
    widths themselves need not be known.

    Args:
        model: facts of the base model.
        rank: rank of the update.
        tied: whether the output layer shares the embedding's weights.
    """
    width, layers = model.hidden_size, model.layers
    embedding = model.vocab_size * width * (1 if tied else 2)
    block = (model.parameters - embedding - width) / layers - 2 * width
    return rank * layers * (7 * width + max(block, 0.0) / width)


def adapter_bytes(run: PlannedRun, model: ModelFacts) -> tuple[float, float, float]:
    """Return the size of one saved adapter in bytes: best, low, high.

    Low and high differ by whether the model ties its embeddings, which its facts do not say.
    """
    rank, size = run.settings["lora_rank"].value, _BYTES[run.settings["dtype"].value]
    low, high = (size * adapter_parameters(model, rank, tied=tied) for tied in (False, True))
    return high, low, high


def training_bytes(run: PlannedRun, model: ModelFacts) -> tuple[float, float, float]:
    """Return the memory a training step needs in bytes: best, low, high.

    Weights, plus the adapter with gradients and AdamW moments, plus activations and
    logits of a batch. High takes every row at `max_seq_len`, low no activation at
    all, the best value a quarter of the rows' longest length.
    """
    setting = {name: resolved.value for name, resolved in run.settings.items()}
    size = _BYTES[setting["dtype"]]
    trained = adapter_parameters(model, setting["lora_rank"], tied=True)
    fixed = model.parameters * size + trained * (2 * size + _MOMENTS)
    tokens = setting["batch_size"] * min(setting["max_seq_len"], model.max_positions)
    per_token = _KEPT_PER_BLOCK * model.hidden_size * model.layers * size + _LOGIT_COPIES * model.vocab_size * 4
    return fixed + tokens * per_token / 4, fixed, fixed + tokens * per_token


def _times(trained: Sequence[PlannedRun], measured: Sequence[Measured]) -> tuple[Estimate, Estimate]:
    names = ("training time of the longest run", "training time in all")
    spans = [_span(run, measured) for run in trained]
    if not spans or None in spans:
        longest, total = (Estimate(name=name, value=None, unit="h", source="not assessed") for name in names)
        return longest, total
    known = [span for span in spans if span is not None]
    longest = max(known, key=lambda span: span.value)
    total = _Range(*(sum(column) for column in zip(*known, strict=True)))
    used = {each.run_id for each in measured if each.model_sha256 in {run.model.sha256 for run in trained}}
    source = f"measured seconds a row of {len(used)} earlier runs of the same model"
    return _stated(names[0], longest, unit="h", source=source), _stated(names[1], total, unit="h", source=source)


def _span(run: PlannedRun, measured: Sequence[Measured]) -> _Range | None:
    speeds = [each.seconds / each.rows for each in measured if each.model_sha256 == run.model.sha256 and each.rows]
    if not speeds:
        return None
    rows = run.total_steps * run.settings["batch_size"].value * run.settings["gradient_accumulation_steps"].value
    return _Range(*(rows * speed / 3600 for speed in (median(speeds), min(speeds), max(speeds))))


def _disk(trained: Sequence[PlannedRun], models: Mapping[str, ModelFacts]) -> Estimate:
    sizes = [
        tuple(len(run.epochs_saved) * part for part in adapter_bytes(run, models[run.model.name])) for run in trained
    ]
    total = _Range(*(sum(column) / 1e9 for column in zip(*sizes, strict=True))) if sizes else _Range(0.0, 0.0, 0.0)
    kept = sum(len(run.epochs_saved) for run in trained)
    return _stated(
        "checkpoints on disk", total, unit="GB", source=f"formula: LoRA weights x bytes, {kept} adapters kept"
    )


def _memory(trained: Sequence[PlannedRun], models: Mapping[str, ModelFacts]) -> tuple[Estimate, ...]:
    if not trained:
        return ()
    sizes = (_Range(*training_bytes(run, models[run.model.name])) for run in trained)
    largest = max(sizes, key=lambda span: span.high)
    source = "formula: weights + adapter, gradients and AdamW moments + activations of a batch"
    return (_stated("training memory of the largest run", _scaled(largest, 1e9), unit="GB", source=source),)


def _scaled(span: _Range, divisor: float) -> _Range:
    return _Range(span.value / divisor, span.low / divisor, span.high / divisor)


def _gpu_hours(runs: Sequence[PlannedRun], resources: Resources) -> Estimate:
    training = sum(run.type == "fine-tuned" for run in runs) * seconds_of(resources.time)
    evaluation = sum(bool(run.cells) for run in runs) * seconds_of(resources.eval_time)
    # An evaluation computes on one GPU, however many the training shares its work among.
    hours = (training * resources.gpus + evaluation * min(1, resources.gpus)) / 3600
    source = "formula: time limit x GPUs of every job, so never more"
    return Estimate(name="GPU-hours at most", value=hours, unit="h", low=0.0, high=hours, source=source)


def _stated(name: str, span: _Range, *, unit: str, source: str) -> Estimate:
    return Estimate(name=name, value=span.value, unit=unit, low=span.low, high=span.high, source=source)
