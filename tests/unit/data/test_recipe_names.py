"""Recipe names: the first system's mean ours, a user's own stay theirs."""

import pytest

from cruijff_kit.data.recipe_names import Recipe, resolve_recipe, training_command, unknown_recipe

SINGLE, SEVERAL = Recipe("lora_single_device", "ours"), Recipe("lora_distributed", "ours")


@pytest.mark.parametrize("prefix", ("", "cruijff_kit.tools.torchtune.custom_recipes.", "custom_recipes."))
@pytest.mark.parametrize("end", ("", "_v1", "_val", "_stable", "_nightly"))
def test_the_first_systems_names_mean_ours(prefix: str, end: str) -> None:
    assert resolve_recipe(f"{prefix}lora_finetune_single_device{end}") == SINGLE
    assert resolve_recipe(f"{prefix}lora_finetune_distributed{end}") == SEVERAL


@pytest.mark.parametrize("name", ("lora_single_device", "lora_distributed", "cruijff_kit.recipes.lora_distributed"))
def test_the_number_of_gpus_decides_between_one_device_and_several(name: str) -> None:
    assert resolve_recipe(name, gpus=0) == resolve_recipe(name, gpus=1) == SINGLE
    assert resolve_recipe(name, gpus=4) == SEVERAL


@pytest.mark.parametrize("gpus", (1, 4))
def test_a_recipe_of_ones_own_is_never_exchanged(gpus: int) -> None:
    assert resolve_recipe("lab.lora_finetune_single_device_v1", gpus=gpus).kind == "module"
    assert resolve_recipe("lora_single_device.py", gpus=gpus) == Recipe("lora_single_device.py", "file")
    assert resolve_recipe("peft_lora", gpus=gpus) == Recipe("peft_lora", "ours")


@pytest.mark.parametrize("name", ("", "lora single", "a..b", "a/b", "-m", "x.py;rm", "1st"))
def test_what_can_be_no_recipe_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown recipe"):
        resolve_recipe(name)


def test_the_nearest_of_our_names_is_the_hint() -> None:
    assert unknown_recipe("lab.lora_singel_device")[1] == "write `lora_single_device`"
    assert "name one" in unknown_recipe("sft")[1]


@pytest.mark.parametrize(
    "recipe,program",
    (
        (SINGLE, ("-m", "cruijff_kit.recipes.lora_single_device")),
        (Recipe("lab.mine", "module"), ("-m", "lab.mine")),
        (Recipe("/x/mine.py", "file"), ("/x/mine.py",)),
    ),
)
def test_every_recipe_is_started_alike(recipe: Recipe, program: tuple[str, ...]) -> None:
    command = training_command(recipe, interpreter="/python", config="/run/finetune.yaml")
    assert command == ("/python", *program, "--config", "/run/finetune.yaml", "--resume")
