"""What a machine decides of a training: the GPU that nobody named, and what Apple's does not have by torch."""

from typing import Any

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import SpecError
from cruijff_kit.planning.backends import choose_backend
from cruijff_kit.planning.train_design import DesignParts, design_text
from cruijff_kit.planning.train_layers import TrainLayer, lay_over, with_steps
from cruijff_kit.planning.train_machine import on_machine
from cruijff_kit.schema.backend import Machine
from cruijff_kit.schema.train_keys import TRAIN_KEYS
from cruijff_kit.schema.training import TrainValue

MAC = Machine(apple=True, mlx=False, cuda=False, mps=True, mps_bf16=True, peft=True, torchtune=False)
OLD = MAC.model_copy(update={"mps_bf16": False})
NODE = Machine(apple=False, mlx=False, cuda=True, mps=False, peft=True, torchtune=False)
BARE = NODE.model_copy(update={"cuda": False})


def decided(machine: Machine, backend: str = "auto", **flags: Any) -> dict[str, TrainValue]:
    values = lay_over("quick", TrainLayer("flag", flags))
    chosen = choose_backend(backend, machine, train=True)
    return on_machine(values, chosen.device, cpus=8, gpus=2 * machine.cuda, machine=machine)


@pytest.mark.parametrize(
    "machine, backend, expected",
    (
        (MAC, "auto", (1, "fp32")),
        (MAC.model_copy(update={"mlx": True}), "auto", (0, "fp32")),
        (MAC.model_copy(update={"mlx": True}), "torch", (1, "fp32")),
        (MAC.model_copy(update={"torchtune": True}), "torchtune", (0, "fp32")),
        (NODE, "auto", (1, "bf16")),
        (BARE, "auto", (0, "fp32")),
    ),
)
def test_the_gpu_that_the_backend_computes_on_is_taken_where_nobody_says(
    machine: Machine, backend: str, expected: tuple[int, str]
) -> None:
    found = decided(machine, backend)
    assert (found["gpus"].value, found["dtype"].value) == expected
    assert found["gpus"].source == found["dtype"].source == "derived"


def test_a_design_made_on_a_mac_asks_for_its_gpu() -> None:
    plain = {name: each.value for name, each in with_steps(decided(MAC), steps=10).items()}
    assert plain.keys() == TRAIN_KEYS.keys()
    parts = DesignParts("mine", "ck train quick m d", "2026-01-01", model=("m", "/m"), data="/d", backend="peft")
    design = load_yaml(design_text(parts, {**plain, "tier": "green"}), name="design.yaml").value
    assert (design["resources"]["gpus"], design["controls"]["dtype"]) == (1, "fp32")


def test_bf16_is_taken_on_apple_s_gpu_where_macos_has_it_and_the_cpu_takes_what_the_gpu_does_not() -> None:
    assert decided(MAC, dtype="bf16")["dtype"].source == "flag"
    assert decided(OLD, dtype="bf16", gpus=0)["gpus"].value == 0


def test_all_that_apple_s_gpu_does_not_have_is_told_at_once_with_who_asked() -> None:
    with pytest.raises(SpecError) as caught:
        decided(OLD, gpus=2, quantization="nf4", dtype="bf16")
    problems = caught.value.problems
    assert [(each.path, each.place) for each in problems] == [
        ("gpus", "flag"),
        ("quantization", "flag"),
        ("dtype", "flag"),
    ]
    assert "macOS 14" in problems[2].message
    assert "`backend: mlx` with `quantization: int4`" in problems[1].hint
