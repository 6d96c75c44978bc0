"""What a plan allows and is worth a second look before any compute is spent."""

from collections.abc import Iterator

from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["plan_warnings"]

_FEW_STEPS = 50
_WARMUPS = 3


def plan_warnings(spec: ExperimentSpec, plan: Plan) -> list[str]:
    """Return warnings in the user's words, each naming the runs it is about."""
    trained = [run for run in plan.runs if run.type == "fine-tuned"]
    return [
        *_unused(spec, plan),
        *_steps(trained),
        *_subsets(trained, plan),
        *_replicates(spec, plan),
        *_machine(spec, trained),
        *_saving(trained),
    ]


def _unused(spec: ExperimentSpec, plan: Plan) -> Iterator[str]:
    used = {run.model.name for run in plan.runs}
    yield from (f"no run uses model `{model.name}`" for model in spec.models if model.name not in used)


def _steps(trained: list[PlannedRun]) -> Iterator[str]:
    short = [run for run in trained if run.total_steps < _FEW_STEPS]
    if short:
        yield f"fewer than {_FEW_STEPS} optimiser steps: {_named(short, [run.total_steps for run in short])}"
    warm = [(run, run.settings["num_warmup_steps"].value) for run in trained]
    hot = [(run, warmup) for run, warmup in warm if run.total_steps < _WARMUPS * warmup]
    if hot:
        steps = sorted({run.total_steps for run, _ in hot})
        warmups = sorted({warmup for _, warmup in hot})
        yield (
            f"warm-up takes more than a third of training in {len(hot)} runs: {_numbers(warmups)} warm-up steps of "
            f"{_numbers(steps)}; lower `num_warmup_steps`"
        )


def _subsets(trained: list[PlannedRun], plan: Plan) -> Iterator[str]:
    for run in trained:
        wanted, rows = run.settings["training_samples"].value, plan.dataset(run.dataset).splits.get("train", 0)
        if wanted is not None and wanted > rows:
            yield f"run `{run.id}` asks for {wanted} training rows and has {rows}"


def _replicates(spec: ExperimentSpec, plan: Plan) -> Iterator[str]:
    if len(spec.controls.seeds) == 1 and any(run.type == "fine-tuned" for run in plan.runs):
        yield "one seed: differences between runs cannot be told from chance; add seeds to `controls.seeds`"
    if spec.tools.evaluation != "none" and not any(run.type == "control" for run in plan.runs):
        yield "no control run: nothing will be compared with the base model; add one with `type: control` to `runs`"


def _machine(spec: ExperimentSpec, trained: list[PlannedRun]) -> Iterator[str]:
    half = [run for run in trained if run.settings["dtype"].value == "bf16"]
    if half and spec.resources.gpus == 0:
        yield "`dtype: bf16` on the CPU is slow and gains nothing; use `fp32`, or ask for a GPU"
    if any(run.settings["quantization"].value != "none" for run in trained):
        if spec.tools.preparation == "torchtune":
            yield "`quantization: nf4` is not for torchtune's recipes; set `tools.preparation: peft`"
        elif spec.resources.gpus == 0:
            yield "`quantization: nf4` needs a GPU, and `resources.gpus` is 0; jobs would be refused on the node"
    if len(trained) and spec.resources.gpus > 1:
        yield f"recipe trains on one device; {spec.resources.gpus - 1} of {spec.resources.gpus} GPUs would idle"


def _saving(trained: list[PlannedRun]) -> Iterator[str]:
    asked = [run.settings for run in trained if run.settings["stash_adapter_weights"].value]
    if any(settings["save_adapter_weights_only"].value for settings in asked):
        yield "`stash_adapter_weights` does nothing without merged models; set `save_adapter_weights_only: false`"


def _named(runs: list[PlannedRun], steps: list[int]) -> str:
    shown = ", ".join(f"`{run.id}` ({step})" for run, step in list(zip(runs, steps, strict=True))[:4])
    return shown if len(runs) <= 4 else f"{shown} and {len(runs) - 4} more"


def _numbers(values: list[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
