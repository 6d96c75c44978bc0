"""Recipe names: ours, the first system's for them, modules and files of a user's own."""

import re
from difflib import get_close_matches
from typing import Literal, NamedTuple

__all__ = ["CALIBRATED", "RECIPES", "Recipe", "resolve_recipe", "training_command", "unknown_recipe"]

RECIPES = {
    "lora_single_device": "LoRA with torchtune's components on one GPU, or on the CPU.",
    "lora_distributed": "The same on several GPUs or processes, weights whole or sharded.",
    "peft_lora": "LoRA with peft, for any causal model that transformers loads.",
    "peft_lora_calibrated": "LoRA with peft for classifiers, their calibration watched while they learn.",
    "mlx_lora": "LoRA in MLX with mlx-lm, on Apple silicon, or on a CPU.",
}
"""Training recipes of this package by module name, and what each is for; the core never imports them."""

CALIBRATED = "peft_lora_calibrated"
"""The recipe whose runs are watched unless their design says otherwise."""

_PACKAGE = "cruijff_kit.recipes"
# The first system renamed its recipes twice; a path of its package, and none of a user's, may stand in front.
_EARLIER = re.compile(
    r"(?:(?:\w+\.)*custom_recipes\.|cruijff_kit\.(?:\w+\.)*)?"
    r"lora_finetune_(single_device|distributed)(?:_(?:v1|val|stable|nightly))?"
)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_BY_DEVICES = ("lora_single_device", "lora_distributed")


class Recipe(NamedTuple):
    """What a recipe's name stands for."""

    name: str
    """Our recipe's name, a module's, or a file's path."""
    kind: Literal["ours", "module", "file"]
    """Which of these it is."""

    @property
    def module(self) -> str:
        """Return the module that Python runs; empty for a file."""
        return {"ours": f"{_PACKAGE}.{self.name}", "module": self.name, "file": ""}[self.kind]


def resolve_recipe(name: str, *, gpus: int | None = None) -> Recipe:
    """Return what a recipe's name stands for.

    The first system's names, with or without the path of its package, stand for ours.
    A torchtune recipe of ours is the one for that many GPUs, so `gpus: 4` alone goes
    from one device to several. Whether a module or file exists is not looked at.

    Args:
        name: as the design or `setup_finetune.yaml` says it.
        gpus: GPUs of the job; None keeps the form that was named.

    Raises:
        ValueError: the text can be no recipe's name.
    """
    if name.endswith(".py"):
        return Recipe(name, "file")
    earlier = _EARLIER.fullmatch(name)
    ours = f"lora_{earlier[1]}" if earlier else name.removeprefix(f"{_PACKAGE}.")
    if ours in _BY_DEVICES and gpus is not None:
        ours = _BY_DEVICES[gpus > 1]
    if ours in RECIPES:
        return Recipe(ours, "ours")
    if not _MODULE.fullmatch(name):
        raise ValueError(unknown_recipe(name)[0])
    return Recipe(name, "module")


def unknown_recipe(name: str) -> tuple[str, str]:
    """Return the fact that a name is no recipe's, and how to mend it."""
    known = ", ".join(f"`{each}`" for each in RECIPES)
    near = get_close_matches(name.rpartition(".")[2], RECIPES, n=1)
    hint = f"write `{near[0]}`" if near else "name one, or give a module or the path of a `.py` file of yours"
    return f"unknown recipe `{name}`; recipes are {known}", hint


def training_command(recipe: Recipe, *, interpreter: str, config: str) -> tuple[str, ...]:
    """Return the words that start a training: every recipe takes `--config FILE --resume`."""
    program = (recipe.name,) if recipe.kind == "file" else ("-m", recipe.module)
    return (interpreter, *program, "--config", config, "--resume")
