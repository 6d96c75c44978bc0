"""Estimates: what an experiment will cost, each figure with its source."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cruijff_kit.data.mlx_limits import MLX_RECIPE
from cruijff_kit.data.recipe_names import CALIBRATED
from cruijff_kit.planning.job_share import gpu_seconds
from cruijff_kit.planning.lengths import RowLengths
from cruijff_kit.planning.memory import training_memory
from cruijff_kit.planning.shapes import Shape, shape_of
from cruijff_kit.planning.throughput import Measured, Span, training_span
from cruijff_kit.planning.training_pass import Work, adapter_size
from cruijff_kit.schema.estimate import MemoryParts
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.plan import Estimate, PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import Controls, Resources

__all__ = [
    "Basis",
    "adapter_bytes",
    "disk_span",
    "estimate_costs",
    "price_of",
    "priced",
    "run_memory",
    "run_work",
    "time_figures",
]

_BYTES = {"fp32": 4, "bf16": 2}
_MEMORY = "formula: what the layers keep for the backward pass; parts below"


class Basis(NamedTuple):
    """What estimates of an experiment rest on."""

    models: Mapping[str, ModelFacts]
    """Model name to facts."""
    resources: Resources
    """What each job asks for."""
    lengths: Mapping[str, RowLengths] = {}
    """Run id to the lengths of its rows, where they were measured."""
    measured: Sequence[Measured] = ()
    """Speeds of earlier runs."""
    searched: int = 0
    """Experiments in which earlier runs were looked for."""


def estimate_costs(runs: Sequence[PlannedRun], basis: Basis) -> tuple[Estimate, ...]:
    """Return time, memory, disk and GPU-hours of an experiment.

    Time is `not assessed` without an earlier run of the same model under like settings.
    """
    trained = [run for run in runs if run.type == "fine-tuned"]
    times = time_figures(trained, basis)
    behind = [run for run in runs if run.model.api is not None]
    asked = "not estimated: speed and price are the provider's"
    unknown = (Estimate(name="time and cost of requests to APIs", value=None, unit="", source=asked),) if behind else ()
    if not trained:
        return (*unknown, *_gpu_hours(runs, basis, time=times[1]))
    return (*times, *unknown, _disk(trained, basis), *_memory(trained, basis), *_gpu_hours(runs, basis, time=times[1]))


def price_of(hours: float, price: str | None) -> str:
    """Return what GPU-hours cost, with the currency; empty where the site tells no price."""
    if price is None:
        return ""
    amount, currency = _parts(price)
    return f"{hours * amount:.2f} {currency}"


def priced(estimates: Sequence[Estimate], price: str | None) -> tuple[Estimate, ...]:
    """Return the estimates, each of GPU-hours followed by what they cost; the same where the site tells no price."""
    if price is None:
        return tuple(estimates)
    amount, currency = _parts(price)
    told: list[Estimate] = []
    for each in estimates:
        told.append(each)
        if each.name.startswith("GPU-hours") and each.value is not None:
            changes = {name: getattr(each, name) for name in ("value", "low", "high")}
            costs = {name: None if value is None else value * amount for name, value in changes.items()}
            name = f"cost{each.name.removeprefix('GPU-hours')}"
            source = f"{price} a GPU-hour, as the site says"
            told.append(each.model_copy(update={**costs, "name": name, "unit": currency, "source": source}))
    return tuple(told)


def run_work(run: PlannedRun, basis: Basis, *, batch_size: int | None = None, **changes: Any) -> Work:
    """Return what a pass of a run computes with.

    Args:
        run: the planned run.
        basis: row lengths and resources.
        batch_size: rows of a pass, where others than planned; the effective batch stays.
        changes: further fields of the answer that shall differ.
    """
    setting = {name: _setting(run, name) for name in _NEEDED}
    window = setting["batch_size"] * setting["gradient_accumulation_steps"]
    gpus = basis.resources.processes
    # Processes share the rows of an optimiser step before they are cut into passes.
    rows = min(batch_size or setting["batch_size"], -(-window // max(gpus, 1)))
    lengths = basis.lengths.get(run.id) or RowLengths.limit(setting["max_seq_len"])
    packed = changes.get("packed", setting["packed"])
    accumulation = -(-window // (rows * max(gpus, 1)))
    passes = run.total_steps * accumulation
    tokens = lengths.packed(rows, passes=passes) if packed else lengths.padded(rows)
    work = Work(
        rank=setting["lora_rank"],
        tokens=tokens,
        supervised=min(tokens, rows * (lengths.longest if setting["train_on_input"] else lengths.answer)),
        rows=rows,
        targets=tuple(setting["target_modules"]) if setting["target_modules"] else None,
        dora=setting["lora_variant"] == "dora",
        dropout=setting["lora_dropout"] > 0,
        dtype=setting["dtype"],
        packed=packed,
        checkpointing=setting["activation_checkpointing"],
        accumulation=accumulation,
        quantized=setting["quantization"] != "none",
        gpu=gpus > 0,
        sharded=gpus if gpus > 1 and setting["strategy"] == "fsdp" else 1,
        # A recipe of the user's starts from torchtune's, as `ck recipe copy` gives it.
        lean=setting["recipe"] not in {"peft_lora", CALIBRATED, MLX_RECIPE} and not setting["compile"],
        mlx=setting["recipe"] == MLX_RECIPE,
    )
    return work._replace(**changes)


def run_memory(run: PlannedRun, basis: Basis, **changes: Any) -> MemoryParts:
    """Return the peak memory of a run's training; `changes` as in `run_work`."""
    return _memory_of(shape_of(basis.models[run.model.name]), run_work(run, basis, **changes))


def adapter_bytes(run: PlannedRun, model: ModelFacts) -> int:
    """Return the size of one saved adapter."""
    targets, dora = _setting(run, "target_modules"), _setting(run, "lora_variant") == "dora"
    weights = adapter_size(
        shape_of(model), _setting(run, "lora_rank"), targets=tuple(targets) if targets else None, dora=dora
    )
    return weights * _BYTES[_setting(run, "dtype")]


def disk_span(run: PlannedRun, model: ModelFacts) -> Span:
    """Return the bytes that a run leaves on disk.

    An adapter for each kept epoch and the best one, and the merged model of each epoch
    where asked for; until it ends, also a checkpoint of adapter and moments, and the next one while
    that is written.
    """
    adapter, epochs = adapter_bytes(run, model), len(run.epochs_saved)
    merged = 0 if _setting(run, "save_adapter_weights_only") else model.parameters * _BYTES[_setting(run, "dtype")]
    best = bool(_setting(run, "keep_best"))
    kept = (epochs + best) * adapter + epochs * merged
    return Span(kept, kept - best * adapter, kept + 2 * 3 * adapter)


def time_figures(trained: Sequence[PlannedRun], basis: Basis) -> tuple[Estimate, Estimate]:
    """Return the training time of the longest run and of all."""
    names = ("training time of the longest run", "training time in all")
    gpus = basis.resources.all_gpus
    found = [training_span(run, basis.lengths.get(run.id), gpus=gpus, measured=basis.measured) for run in trained]
    known = [each for each in found if each is not None]
    if not known or len(known) < len(found):
        longest, total = (Estimate(name=name, value=None, unit="h", source="not assessed") for name in names)
        return longest, total
    spans = [span.scaled(1 / 3600) for span, _ in known]
    count = max(number for _, number in known)
    source = f"processed tokens a second of {count} earlier runs of the same model, like settings; queueing left out"
    longest = max(spans, key=lambda span: span.value)
    total = Span(*(sum(column) for column in zip(*spans, strict=True)))
    return longest.stated(names[0], unit="h", source=source), total.stated(names[1], unit="h", source=source)


_NEEDED = (
    "lora_rank",
    "target_modules",
    "lora_variant",
    "lora_dropout",
    "dtype",
    "packed",
    "activation_checkpointing",
    "gradient_accumulation_steps",
    "batch_size",
    "quantization",
    "strategy",
    "max_seq_len",
    "train_on_input",
    "recipe",
    "compile",
)


def _setting(run: PlannedRun, name: str) -> Any:
    """Return a setting; a plan from before it existed has its default."""
    return run.settings[name].value if name in run.settings else Controls.model_fields[name].default


def _parts(price: str) -> tuple[float, str]:
    """Return what a GPU-hour costs, and in which currency."""
    amount, _, currency = price.partition(" ")
    return float(amount), currency


@lru_cache(maxsize=4096)
def _memory_of(shape: Shape, work: Work) -> MemoryParts:
    return training_memory(shape, work)


def _disk(trained: Sequence[PlannedRun], basis: Basis) -> Estimate:
    sizes = [disk_span(run, basis.models[run.model.name]) for run in trained]
    total = Span(*(sum(column) for column in zip(*sizes, strict=True))) if sizes else Span(0.0, 0.0, 0.0)
    kept = sum(len(run.epochs_saved) + bool(_setting(run, "keep_best")) for run in trained)
    source = f"formula: LoRA weights x bytes, {kept} adapters kept; high with every run's checkpoints to resume from"
    if any(not _setting(run, "save_adapter_weights_only") for run in trained):
        source += "; merged models"
    return total.scaled(1e-9).stated("checkpoints on disk", unit="GB", source=source)


def _memory(trained: Sequence[PlannedRun], basis: Basis) -> tuple[Estimate, ...]:
    if not trained:
        return ()
    largest = max(trained, key=lambda run: run_memory(run, basis).total)
    parts = run_memory(largest, basis)
    full = run_memory(largest, basis._replace(lengths={}))
    lengths = basis.lengths.get(largest.id)
    if lengths is None:
        rows = f"rows of {_setting(largest, 'max_seq_len')} tokens, the limit"
    else:
        rows = f"rows of {lengths.longest} tokens, the longest; high at `max_seq_len`"
    device = "of each GPU" if basis.resources.gpus else "of the process"
    return (
        Estimate(
            name="training memory of the largest run",
            value=parts.total / 1e9,
            unit="GB",
            low=parts.tensors / 1e9,
            high=max(full.total, parts.total) / 1e9,
            source=f"{_MEMORY}; {device}; {rows}",
            parts={name: getattr(parts, name) / 1e9 for name in MemoryParts.model_fields},
        ),
    )


def _gpu_hours(runs: Sequence[PlannedRun], basis: Basis, *, time: Estimate) -> tuple[Estimate, ...]:
    resources = basis.resources
    training = sum(run.type == "fine-tuned" for run in runs) * gpu_seconds(resources, Step.TRAIN)
    evaluation = sum(bool(run.cells) and run.model.api is None for run in runs) * gpu_seconds(resources, Step.EVAL)
    hours = (training + evaluation) / 3600
    source = "formula: time limit x GPUs of every job, so never more"
    most = Estimate(name="GPU-hours at most", value=hours, unit="h", low=0.0, high=hours, source=source)
    if time.value is None or not resources.gpus:
        return (most,)
    span = Span(time.value, time.low or 0.0, time.high or time.value).scaled(resources.all_gpus)
    return (span.stated("GPU-hours of training", unit="h", source=f"{time.source}; x GPUs"), most)
