"""What a machine decides of a training: GPUs and arithmetic that nobody named, and what Apple's GPU does not have."""

from collections.abc import Iterator, Mapping

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.train_layers import with_machine
from cruijff_kit.schema.backend import Machine
from cruijff_kit.schema.training import TrainValue

__all__ = ["MPS_NOTE", "beyond_machine", "on_machine"]

MPS_NOTE = (
    "torch trains on Apple's GPU (MPS): where it lacks an operation the training ends and names it, unless "
    "`PYTORCH_ENABLE_MPS_FALLBACK=1` lets the CPU do it; memory is told as of a GPU of CUDA, and was not measured there"
)
"""What whoever trains there should know."""


def on_machine(
    values: Mapping[str, TrainValue], device: str, *, cpus: int, gpus: int, machine: Machine
) -> dict[str, TrainValue]:
    """Return the values with what a machine decides filled in where nobody said it.

    MLX takes the machine's own processor, Apple's GPU too, without being given one. By torch a
    Mac has one GPU, which computes in `fp32` unless another arithmetic is asked for, as MLX does.

    Args:
        values: every key with its value, as its key takes it.
        device: where the backend that was chosen computes.
        cpus: CPUs that this process may use.
        gpus: GPUs of CUDA that the driver tells of.
        machine: what else there is.

    Raises:
        SpecError: torch would train on Apple's GPU, and cannot so; all problems at once.
    """
    there = {"mps": 1, "cuda": gpus}.get(device, 0)
    found = with_machine(values, cpus=cpus, gpus=there, half=device != "mps")
    problems = list(_unlike_mps(found, machine)) if device == "mps" and found["gpus"].value else []
    if problems:
        raise SpecError("the training cannot be set up so", problems=problems)
    return found


def beyond_machine(values: Mapping[str, TrainValue], device: str, *, gpus: int) -> Iterator[Problem]:
    """Yield what a training here asks of GPUs that there are not, which its job would only find out.

    Args:
        values: every key with its value, on this machine.
        device: where the backend that was chosen computes.
        gpus: GPUs of CUDA that the driver tells of.
    """
    asked, bits = values["gpus"], values["quantization"]
    there = {"mps": 1, "cuda": gpus}.get(device, 0)
    if asked.value > there:
        fact = f"`gpus` is `{asked.value}`, and {there or 'none'} can be trained on here by what was chosen"
        yield Problem(fact, "gpus", asked.source, "lower it, or leave it out")
    if bits.value == "nf4" and device == "cpu":
        hint = "write `quantization: none`, or train by MLX: `backend: mlx` with `quantization: int4`"
        yield Problem("`quantization: nf4` needs a GPU of CUDA", "quantization", bits.source, hint)


def _unlike_mps(values: Mapping[str, TrainValue], machine: Machine) -> Iterator[Problem]:
    gpus, bits, dtype = (values[name] for name in ("gpus", "quantization", "dtype"))
    if gpus.value > 1:
        fact = f"`gpus` is `{gpus.value}`, and a Mac has one GPU, which one process trains on"
        yield Problem(fact, "gpus", gpus.source, "write `gpus: 1`, or leave it out")
    if bits.value != "none":
        fact = f"`quantization: {bits.value}` is not to be had by torch on Apple's GPU"
        hint = "write `quantization: none`, or train by MLX: `backend: mlx` with `quantization: int4`"
        yield Problem(fact, "quantization", bits.source, hint)
    if dtype.value == "bf16" and not machine.mps_bf16:
        fact = "`dtype: bf16` on Apple's GPU needs macOS 14"
        yield Problem(fact, "dtype", dtype.source, "write `dtype: fp32`, or leave it out")
