"""What a plan allows and is worth a second look before any compute is spent."""

from collections.abc import Iterator, Mapping, Sequence

from cruijff_kit.planning.api_models import api_warnings
from cruijff_kit.planning.estimates import Basis, run_memory
from cruijff_kit.planning.fits import Limit, gigabytes, host_bytes, memory_bytes, remedies
from cruijff_kit.planning.kind_checks import kind_warnings
from cruijff_kit.planning.loss_checks import warned_losses
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["memory_warnings", "plan_warnings"]

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
        *warned_losses(trained),
        *api_warnings(spec, plan.runs),
        *kind_warnings(spec),
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
    if spec.tools.preparation == "none":
        if len(spec.controls.seeds) > 1:
            yield "seeds repeat trainings, and nothing is trained: every run is evaluated once"
        return
    searched = isinstance(spec.design, SearchDesign)
    if len(spec.controls.seeds) == 1 and not searched and any(run.type == "fine-tuned" for run in plan.runs):
        yield "one seed: differences between runs cannot be told from chance; add seeds to `controls.seeds`"
    if spec.tools.evaluation != "none" and not any(run.type == "control" for run in plan.runs):
        yield "no control run: nothing will be compared with the base model; add one with `type: control` to `runs`"


def _machine(spec: ExperimentSpec, trained: list[PlannedRun]) -> Iterator[str]:
    half = any(run.settings["dtype"].value == "bf16" for run in trained)
    # MLX computes on Apple's GPU without being given one.
    if half and spec.resources.gpus == 0 and spec.tools.preparation != "mlx":
        yield "`dtype: bf16` on the CPU is slow and gains nothing; use `fp32`, or ask for a GPU"
    gpus = spec.resources.all_gpus
    sizes = [run.settings["batch_size"].value * run.settings["gradient_accumulation_steps"].value for run in trained]
    small = [(run, size) for run, size in zip(trained, sizes, strict=True) if size < gpus]
    if small:
        named = _named([run for run, _ in small], [size for _, size in small])
        yield f"a step has fewer rows than there are GPUs ({gpus}), so that some would idle: {named}"
    shared = spec.resources.gpus
    if trained and spec.resources.cpus < shared:
        yield f"{shared} processes share {spec.resources.cpus} CPUs; ask for one each with `resources.cpus: {shared}`"
    if any(run.settings["quantization"].value == "nf4" for run in trained):
        if spec.tools.preparation == "torchtune":
            yield "`quantization: nf4` is not for torchtune's recipes; set `tools.preparation: peft`"
        elif spec.resources.gpus == 0:
            yield "`quantization: nf4` needs a GPU, and `resources.gpus` is 0; jobs would be refused on the node"


def _saving(trained: list[PlannedRun]) -> Iterator[str]:
    asked = [run.settings for run in trained if run.settings["stash_adapter_weights"].value]
    if any(settings["save_adapter_weights_only"].value for settings in asked):
        yield "`stash_adapter_weights` does nothing without merged models; set `save_adapter_weights_only: false`"


def memory_warnings(runs: Sequence[PlannedRun], basis: Basis, *, limits: Mapping[str, Limit]) -> list[str]:
    """Return a warning for each limit that training is estimated to exceed.

    Args:
        runs: every planned run.
        basis: what estimates rest on.
        limits: model name to the memory that its training has, where somebody says so.
    """
    told = []
    for limit in dict.fromkeys(limits.values()):
        mine = [run for run in runs if run.type == "fine-tuned" and limits.get(run.model.name) == limit]
        needs = {run.id: run_memory(run, basis).total for run in mine}
        large = [run for run in mine if needs[run.id] > limit.bytes]
        if large:
            worst = max(large, key=lambda run: needs[run.id])
            first = next(iter(remedies(worst, basis, limit=limit.bytes)))
            told.append(
                f"training of {len(large)} runs, such as `{worst.id}`, is estimated to need "
                f"{gigabytes(needs[worst.id])}, and {limit.source} has {gigabytes(limit.bytes)}; {first.fact}"
            )
    return [*told, *_node_memory(runs, basis)]


def _node_memory(runs: Sequence[PlannedRun], basis: Basis) -> Iterator[str]:
    """Yield a warning where jobs on GPUs ask for less memory of the node than loading the model takes."""
    resources = basis.resources
    needs = [host_bytes(run, basis) for run in runs if run.type == "fine-tuned"]
    if resources.gpus and resources.mem and needs and max(needs) > memory_bytes(resources.mem):
        yield (
            f"loading the model is estimated to need {gigabytes(max(needs))} of the node, and `resources.mem` is "
            f"`{resources.mem}`; ask for more"
        )


def _named(runs: list[PlannedRun], steps: list[int]) -> str:
    shown = ", ".join(f"`{run.id}` ({step})" for run, step in list(zip(runs, steps, strict=True))[:4])
    return shown if len(runs) <= 4 else f"{shown} and {len(runs) - 4} more"


def _numbers(values: list[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
