"""Adapters of mlx-lm made into peft's, and the other way round; neither library is needed for it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.adapter_merge import check_mergeable, check_plain, new_directory, scale_of, updates_of
from cruijff_kit.runtime.adapter_names import layers_of, to_mlx_names, to_peft_names
from cruijff_kit.runtime.base_record import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    BASE_RECORD,
    adapter_settings,
    base_record,
    find_base,
    read_record,
)
from cruijff_kit.runtime.files import make_folder, sync_file, write_aside
from cruijff_kit.runtime.model_files import model_config, model_sha256, weight_headers
from cruijff_kit.runtime.target_modules import short_names
from cruijff_kit.schema.config import BaseModelConfig

if TYPE_CHECKING:
    import torch

__all__ = ["MLX_WEIGHTS", "convert_adapter", "is_of_mlx"]

MLX_WEIGHTS = "adapters.safetensors"
"""File of weights beside an `adapter_config.json` of mlx-lm."""


class _Form(NamedTuple):
    """An adapter as it will be written."""

    weights: "dict[str, torch.Tensor]"
    settings: dict[str, Any]
    file: str
    mark: str


def is_of_mlx(adapter: Path) -> bool:
    """Return whether a directory holds an adapter of mlx-lm."""
    return (adapter / MLX_WEIGHTS).is_file() and not (adapter / ADAPTER_WEIGHTS).is_file()


def convert_adapter(adapter: Path, output: Path, *, to: Literal["mlx", "peft"], base: str | None = None) -> int:
    """Write an adapter in the other library's form to a new directory; return the layers it adapts.

    The directory is made aside and renamed, so it is whole or not there. The adapter
    stays as it is. The base is looked at, so that what fits nothing is refused.

    Args:
        adapter: directory of the adapter.
        output: directory to make.
        to: the form wanted.
        base: base model directory; the one that the adapter names where None.

    Raises:
        SiteError: the output exists, the adapter is not of the other form or none of plain
            LoRA, or its base is not found or another.
    """
    folder = _base_of(adapter, base)
    made = _for_mlx(adapter, folder) if to == "mlx" else _for_peft(adapter, folder)
    with new_directory(output, beside={"adapter": adapter, "base model": folder}) as aside:
        _write(made, aside)
        record = read_record(adapter)
        if base is not None or record is None:
            named = BaseModelConfig(name=_name(folder), path=str(folder), sha256=model_sha256(folder))
            record = base_record(named)
        write_aside(aside / BASE_RECORD, record.model_dump_json(indent=2) + "\n")
    return len({name.rpartition(".lora_")[0] for name in made.weights if ".lora_" in name})


def _for_mlx(adapter: Path, base: Path) -> _Form:
    from safetensors.torch import load_file

    settings = adapter_settings(adapter)
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        hint = "it is one of mlx-lm already" if (adapter / MLX_WEIGHTS).is_file() else "name one that is whole"
        raise SiteError(f"`{adapter}` is no adapter of peft: it lacks `{ADAPTER_WEIGHTS}`", hint=hint)
    check_plain(settings, adapter)
    weights = load_file(adapter / ADAPTER_WEIGHTS)
    _check_fits(weights, base)
    found = to_mlx_names(weights)
    parameters = {
        "rank": settings["r"],
        "scale": scale_of(settings),
        "dropout": settings.get("lora_dropout", 0.0),
        "keys": _keys(layers_of(found), base),
    }
    told = {
        "fine_tune_type": "dora" if settings.get("use_dora") else "lora",
        "model": str(base),
        # All blocks: what is adapted is said by `keys`.
        "num_layers": -1,
        "lora_parameters": parameters,
    }
    return _Form(found, told, MLX_WEIGHTS, "mlx")


def _for_peft(adapter: Path, base: Path) -> _Form:
    from safetensors.torch import load_file

    settings: dict[str, Any] = dict(adapter_settings(adapter))
    if not (adapter / MLX_WEIGHTS).is_file():
        hint = "it is one of peft already" if (adapter / ADAPTER_WEIGHTS).is_file() else "name one that is whole"
        raise SiteError(f"`{adapter}` is no adapter of mlx-lm: it lacks `{MLX_WEIGHTS}`", hint=hint)
    kind, parameters = settings.get("fine_tune_type", "lora"), settings.get("lora_parameters") or {}
    if kind not in {"lora", "dora"}:
        fact = f"`{adapter}` has `fine_tune_type: {kind}`, and peft adapts by LoRA"
        raise SiteError(fact, hint="write its whole model with `mlx_lm.fuse`, and use that as a base")
    lacking = [key for key in ("rank", "scale") if not isinstance(parameters.get(key), int | float)]
    if lacking:
        raise SiteError(f"`{adapter / ADAPTER_CONFIG}` has no number `{lacking[0]}` in `lora_parameters`")
    raw = load_file(adapter / MLX_WEIGHTS)
    found = to_peft_names(raw)
    _check_fits(found, base)
    told = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": parameters["rank"],
        # mlx-lm's scale is alpha over the rank.
        "lora_alpha": parameters["scale"] * parameters["rank"],
        "lora_dropout": parameters.get("dropout", 0.0),
        "target_modules": _targets(layers_of(raw), base),
        "use_dora": kind == "dora",
        "bias": "none",
        "inference_mode": True,
    }
    return _Form(found, told, ADAPTER_WEIGHTS, "pt")


def _check_fits(weights: "Mapping[str, torch.Tensor]", base: Path) -> None:
    """Refuse weights, under peft's names, that change none of the base's; of a quantised one names alone tell."""
    updates = updates_of(weights)
    if "quantization_config" not in model_config(base):
        check_mergeable(updates, base)
        return
    missing = sorted(updates.keys() - weight_headers(base).keys())
    if missing:
        raise SiteError(f"the files of `{base}` have no weight `{missing[0]}`, which the adapter changes")


def _write(made: _Form, folder: Path) -> None:
    from safetensors.torch import save_file

    make_folder(folder)
    save_file(made.weights, folder / made.file, metadata={"format": made.mark})
    sync_file(folder / made.file)
    write_aside(folder / ADAPTER_CONFIG, json.dumps(made.settings, indent=2) + "\n")


def _base_of(adapter: Path, named: str | None) -> Path:
    """Return the directory of the base; mlx-lm calls it `model`."""
    told = adapter_settings(adapter).get("model")
    own = told if isinstance(told, str) and Path(told).is_dir() and is_of_mlx(adapter) else None
    return find_base(adapter, named=named or own)


def _name(base: Path) -> str:
    """Return a name for a base that a design would take."""
    kept = "".join(each if each.isalnum() else "-" for each in base.resolve().name.lower()).strip("-")
    return kept or "base"


def _keys(layers: Sequence[str], base: Path) -> list[str]:
    """Return how mlx-lm is told which layers: by their place in a block where all blocks are alike."""
    inside = _alike(layers, base)
    return list(layers) if inside is None else inside


def _targets(layers: Sequence[str], base: Path) -> list[str]:
    """Return how peft is told which layers: by last names where those mean no other ones."""
    weights = [name.removesuffix(".weight") for name in weight_headers(base) if name.endswith(".weight")]
    return sorted(short_names(layers, weights))


def _alike(layers: Iterable[str], base: Path) -> list[str] | None:
    """Return the places of layers in their blocks; None where not every block has all of them."""
    config = model_config(base)
    count = config.get("text_config", config).get("num_hidden_layers")
    places: dict[str, set[str]] = {}
    for name in layers:
        block, place = _split(name)
        places.setdefault(block, set()).add(place)
    first = next(iter(places.values()), set())
    uniform = all(each == first for each in places.values()) and len(places) == count and "" not in places
    return sorted(first) if uniform else None


def _split(name: str) -> tuple[str, str]:
    """Return a layer's block, and its place in the block; no block where it lies in none."""
    parts = name.split(".")
    at = next((index for index, part in enumerate(parts) if part.isdigit()), None)
    return ("", name) if at is None else (".".join(parts[: at + 1]), ".".join(parts[at + 1 :]))
