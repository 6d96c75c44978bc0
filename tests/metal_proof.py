"""What only a Mac can show: MLX and torch on Apple's GPU, each held against the CPU, and against one another.

python -m tests.metal_proof            on Apple silicon: proves, prints what it measured, ends with 1 where it fails
python -m tests.metal_proof --on cpu   anywhere: tries the proof itself, and proves nothing about Metal
"""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import mlx.core as mx
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cruijff_kit.recipes import mlx_lora, peft_lora
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.lora_dropout import dropout_on
from cruijff_kit.runtime.memory_budget import free_bytes
from cruijff_kit.runtime.mlx_loop import MlxLoop
from cruijff_kit.runtime.mlx_lora import as_tensor
from cruijff_kit.runtime.mlx_model import describe_mlx, load_base
from cruijff_kit.runtime.mlx_resident import MlxResident
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_job import TrainingJob
from tests.training_runs import metric_points, random_base, write_run

__all__ = ["main"]

IDS = torch.randint(262, (2, 30), generator=torch.Generator().manual_seed(0))
LOGITS, LOSSES = 1e-3, 1e-3


class Found(NamedTuple):
    """One thing that was looked at."""

    what: str
    figure: float
    limit: float

    @property
    def holds(self) -> bool:
        return self.figure <= self.limit


class _CutError(Exception):
    """The training is broken off."""


def logits(base: Path, folder: Path, device: str) -> Iterator[Found]:
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(base)(IDS).logits
    found = as_tensor(load_base(base, dtype="fp32", longest=64).model(mx.array(IDS.numpy())))
    yield Found("logits of the base against transformers, largest difference", _apart(found, expected), LOGITS)


def losses(base: Path, folder: Path, device: str) -> Iterator[Found]:
    for name, changes in {
        "LoRA": {},
        "DoRA": {"model": {"variant": "dora"}},
        "4 bits": {"model": {"quantization": "int4"}},
        "blocks computed again": {"enable_activation_checkpointing": True},
        "dropout": {"model": {"lora_dropout": 0.2}},
    }.items():
        curves = {}
        for place in ("cpu", device):
            config = write_run(
                folder / f"{name} {place}", base, device=place, epochs=2, optimizer={"lr": 5e-3}, **changes
            )
            mx.set_default_device(mx.cpu if place == "cpu" else mx.gpu)
            assert mlx_lora.main(["--config", str(config)]) == 0
            curves[place] = [point.loss or 0.0 for point in metric_points(config)]
        # Another processor draws other dropout, so there only the fall is looked at.
        apart = [abs(one - other) / other for one, other in zip(curves[device], curves["cpu"], strict=True)]
        yield Found(
            f"losses of {name} against the CPU, largest share", max(apart), 1.0 if name == "dropout" else LOSSES
        )
        yield Found(f"last loss of {name}, as a share of the first", curves[device][-1] / curves[device][0], 0.98)


def resumed(base: Path, folder: Path, device: str) -> Iterator[Found]:
    dropping = {"model": {"lora_dropout": 0.1}}
    apart = _apart_resumed(folder, base, recipe=mlx_lora, course=MlxLoop, device=device, **dropping)
    yield Found("a resumed training, largest difference of a weight", apart, 0.0)


def answers(base: Path, folder: Path, device: str) -> Iterator[Found]:
    prompts = [tuple(row.tolist()) for row in IDS]
    asked: dict[str, Any] = {"options": [("yes", "no"), ("one of these", "two of those")]}
    ours = MlxResident(str(base), device=device).complete(prompts, Limits(12, 3), **asked)
    theirs = ResidentModel(str(base), device="cpu").complete(prompts, Limits(12, 3), **asked)
    wrong = sum(one.token_ids != other.token_ids for one, other in zip(ours, theirs, strict=True))
    yield Found("answers that are not those of torch", wrong, 0)
    apart = [
        abs(one - other)
        for mine, torchs in zip(ours, theirs, strict=True)
        for one, other in zip(mine.option_logprobs, torchs.option_logprobs, strict=True)
    ]
    yield Found("log-probabilities of options against torch, largest difference", max(apart), LOGITS)
    unlikely = sum(at[0].token_id != token for mine in ours for token, at in zip(mine.token_ids, mine.top, strict=True))
    yield Found("greedy tokens that were not the most likely", unlikely, 0)


def torch_on_mps(base: Path, folder: Path, device: str) -> Iterator[Found]:
    gpu = _torch_device(device)
    for name, changes in {
        "LoRA": {},
        "DoRA": {"model": {"variant": "dora"}},
        "blocks computed again": {"enable_activation_checkpointing": True},
        "packed rows": {"packed": True},
    }.items():
        on_cpu, on_gpu = (_torch_losses(folder / f"{name} {each}", base, each, **changes) for each in ("cpu", gpu))
        apart = [abs(one - other) / other for one, other in zip(on_gpu, on_cpu, strict=True)]
        yield Found(f"losses of torch on MPS by {name} against the CPU, largest share", max(apart), LOSSES)
    half = _torch_losses(folder / "half", base, gpu, dtype="bf16")
    yield Found("last loss of torch on MPS in bf16, as a share of the first", half[-1] / half[0], 0.98)
    prompts = [tuple(row.tolist()) for row in IDS]
    one, other = (ResidentModel(str(base), device=place).complete(prompts, Limits(12, 3)) for place in (gpu, "cpu"))
    wrong = sum(mine.token_ids != theirs.token_ids for mine, theirs in zip(one, other, strict=True))
    yield Found("answers of torch on MPS that are not those of the CPU", wrong, 0)


def draws_on_mps(base: Path, folder: Path, device: str) -> Iterator[Found]:
    # The same where blocks are computed again and where a training resumes, and nothing left behind.
    gpu, dropping = _torch_device(device), {"model": {"lora_dropout": 0.2}}
    plain, again = (
        _torch_losses(folder / f"again {each}", base, gpu, enable_activation_checkpointing=each, **dropping)
        for each in (False, True)
    )
    apart = max(abs(one - other) / other for one, other in zip(again, plain, strict=True))
    yield Found("losses of torch on MPS with dropout, blocks computed again or not, largest share", apart, 1e-4)
    largest = _apart_resumed(folder, base, recipe=peft_lora, course=Loop, device=gpu, **dropping)
    yield Found("a training of torch on MPS that resumed, largest difference of a weight", largest, 0.0)
    place = torch.device(gpu)
    torch.manual_seed(3)
    with dropout_on([], seed=7, device=place):
        torch.rand(9, device=place)
    drawn = torch.rand(9, device=place)
    torch.manual_seed(3)
    moved = _apart(drawn, torch.rand(9, device=place))
    yield Found("draws on MPS that passes with dropout left behind, largest difference", moved, 0.0)


def memory_on_mps(base: Path, folder: Path, device: str) -> Iterator[Found]:
    place = torch.device(_torch_device(device))
    config = write_run(folder, base, device=place.type, epochs=1)
    assert peft_lora.main(["--config", str(config)]) == 0
    told = [point.peak_memory_bytes or 0 for point in metric_points(config)]
    yield Found("steps of torch on MPS whose peak memory is not told, or shrinks", _shrinks(told), 0)
    size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    yield Found("weights of the base, as a share of the peak that is told", size / max(told), 1.0)
    yield Found("whether no memory is told to be free on MPS", float(free_bytes(place) <= 0), 0)


def _shrinks(told: list[int]) -> int:
    return sum(after < before or after == 0 for before, after in pairwise([0, *told]))


def _torch_device(device: str) -> str:
    return "cpu" if device == "cpu" else "mps"


def _torch_losses(folder: Path, base: Path, device: str, **changes: Any) -> list[float]:
    config = write_run(folder, base, device=device, epochs=2, optimizer={"lr": 5e-3}, **changes)
    assert peft_lora.main(["--config", str(config)]) == 0
    return [point.loss or 0.0 for point in metric_points(config)]


def _apart_resumed(folder: Path, base: Path, *, recipe: ModuleType, course: Any, **settings: Any) -> float:
    """Return how far weights of a training that was cut and went on are from those of one that was not."""

    class Cut(course):
        def learn(self, *arguments: Any, **options: Any) -> Any:
            if self.tally.step == 5:
                raise _CutError
            return super().learn(*arguments, **options)

    settings |= {"epochs": 2, "epochs_to_save": [1], "checkpoint_every_n_steps": 2}
    whole, broken = (write_run(folder / name, base, **settings) for name in ("whole", "cut"))
    assert recipe.main(["--config", str(whole)]) == 0
    try:
        TrainingJob(load_train_config(broken), broken, course=Cut).run(recipe.build, resume=True)
    except _CutError:
        assert recipe.main(["--config", str(broken), "--resume"]) == 0
    one, other = (
        load_file(Path(load_train_config(each).output_dir) / "epoch_1" / "adapter_model.safetensors")
        for each in (whole, broken)
    )
    return max(_apart(one[name], other[name]) for name in one)


PROOFS: tuple[Callable[[Path, Path, str], Iterator[Found]], ...] = (
    *(logits, losses, resumed, answers),
    *(torch_on_mps, draws_on_mps, memory_on_mps),
)


def main() -> int:
    """Prove what can be proved here, print every figure, and return 1 where one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.metal_proof", description=__doc__)
    parser.add_argument("--on", choices=("metal", "cpu"), default="metal")
    on = parser.parse_args().on
    if on == "metal" and not mx.metal.is_available():
        sys.stdout.write("this machine has no GPU of Apple, and nothing was proved\n")
        return 1
    device = "auto" if on == "metal" else "cpu"
    mx.set_default_device(mx.gpu if on == "metal" else mx.cpu)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        base = random_base(folder / "base")
        found = [each for proof in PROOFS for each in proof(base, folder / proof.__name__, device)]
    mx.set_default_device(mx.gpu if on == "metal" else mx.cpu)
    lines = [f"{_word(each)}  {each.figure:.3g} of {each.limit:.3g}  {each.what}" for each in found]
    told = f"{describe_mlx()}, MLX {mx.__version__}, peak {mx.get_peak_memory() / 1e6:.1f} MB"
    about = [] if on == "metal" else ["tried on the CPU: this proves nothing about Metal"]
    sys.stdout.write("\n".join([told, *lines, *about]) + "\n")
    return 0 if all(each.holds for each in found) else 1


def _word(found: Found) -> str:
    return "holds" if found.holds else "FAILS"


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


if __name__ == "__main__":
    sys.exit(main())
