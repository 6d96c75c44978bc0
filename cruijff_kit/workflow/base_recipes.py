"""Base recipes: the defaults that a configuration of torchtune brings along."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import SpecError

__all__ = ["BASE_PLACES", "base_recipe"]

BASE_PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lora_rank": ("model", "lora_rank"),
        "lora_dropout": ("model", "lora_dropout"),
        "lr": ("optimizer", "lr"),
        "weight_decay": ("optimizer", "weight_decay"),
        "batch_size": ("batch_size",),
        "epochs": ("epochs",),
        "gradient_accumulation_steps": ("gradient_accumulation_steps",),
        "num_warmup_steps": ("lr_scheduler", "num_warmup_steps"),
        "max_seq_len": ("tokenizer", "max_seq_len"),
    }
)
"""Key to its place in a torchtune configuration; nothing else is taken from there."""

_FOLDER = PurePosixPath("recipes/configs")


def base_recipe(name: str, *, package: str = "torchtune") -> dict[str, Any]:
    """Return what a torchtune configuration says of the keys that a base recipe sets.

    It is read as data from the files that the installed package lists; no code of it runs.

    Args:
        name: the configuration, as torchtune names it: `llama3_2/1B_lora_single_device`.
        package: the distribution that holds it.

    Raises:
        SpecError: torchtune is not installed, or has no configuration of this name.
    """
    try:
        installed = distribution(package)
    except PackageNotFoundError as err:
        hint = "install the extra: pip install 'cruijff-kit[torchtune]', or remove `base_recipe`"
        raise SpecError(f"base recipe `{name}` needs `{package}`, which is not installed", hint=hint) from err
    known = {
        str(file.relative_to(_FOLDER).with_suffix("")): file
        for file in installed.files or ()
        if file.is_relative_to(_FOLDER) and file.suffix == ".yaml"
    }
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"write `{near[0]}`" if near else "name one such as `llama3_2/1B_lora_single_device`"
        fact = f"unknown base recipe `{name}`; `{package}` {installed.version} has {len(known)} configurations"
        raise SpecError(fact, hint=hint)
    settings = load_yaml(known[name].read_text(encoding="utf-8"), name=name).value
    found = {key: _at(settings, place) for key, place in BASE_PLACES.items()}
    return {key: value for key, value in found.items() if value is not None}


def _at(settings: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        settings = settings.get(name) if isinstance(settings, dict) else None
    return settings
