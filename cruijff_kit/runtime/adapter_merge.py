"""A base and an adapter become one model, file by file: no more than one shard is held in memory."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS, adapter_settings, read_record
from cruijff_kit.runtime.files import file_sha256, make_folder, sync_file, sync_folder, write_aside
from cruijff_kit.runtime.model_files import model_config, model_sha256, weight_files, weight_headers

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = [
    "MERGE_RECORD",
    "Update",
    "check_mergeable",
    "check_plain",
    "companions",
    "merge_adapter",
    "new_directory",
    "scale_of",
    "updates_of",
    "write_merged",
]

MERGE_RECORD = "merged_from.json"
"""What a merged model was made of."""

_PREFIX = "base_model.model."
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack")
# Settings of peft that leave an update what it is: W + scale * B A, or DoRA's form of it. Any other has to be off.
_SETTINGS = {
    *("peft_type", "peft_version", "task_type", "auto_mapping", "base_model_name_or_path", "revision"),
    *("r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "bias", "init_lora_weights", "inference_mode"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("megatron_core", "qalora_group_size", "ensure_weight_tying"),
}
_KINDS = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),
}


class Update(NamedTuple):
    """The change of one weight."""

    down: "torch.Tensor"
    """A, shape (rank, inputs)."""
    up: "torch.Tensor"
    """B, shape (outputs, rank)."""
    magnitude: "torch.Tensor | None"
    """DoRA's length of each row, shape (outputs,)."""


def merge_adapter(adapter: Path, output: Path, *, base: Path) -> int:
    """Write a base with an adapter's update in its weights to a new directory; return the weights changed.

    The directory is made aside and renamed, so it is whole or not there. The adapter
    stays as it is.

    Raises:
        SiteError: the output exists or lies in the adapter or the base, or the adapter is
            of a form, or for weights, that cannot be merged on files.
    """
    with new_directory(output, beside={"adapter": adapter, "base model": base}) as aside:
        return write_merged(adapter, aside, base=base)


@contextmanager
def new_directory(output: Path, *, beside: Mapping[str, Path]) -> Iterator[Path]:
    """Yield a place aside that takes the name of a new directory once it is filled.

    Args:
        output: the directory.
        beside: what it is made of, in words, and where that lies.

    Raises:
        SiteError: it exists, or lies in a directory that it is made of.
    """
    if output.exists():
        raise SiteError(f"`{output}` exists already", hint="name a directory that is not there yet")
    for kind, folder in beside.items():
        if output.resolve().is_relative_to(folder.resolve()):
            # Loading merged weights beside an adapter would apply the update a second time.
            raise SiteError(f"`{output}` lies in the {kind}'s own directory", hint="name a directory of its own")
    aside = output.with_name(f".{output.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        yield aside
        aside.rename(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(output.parent)


def write_merged(adapter: Path, folder: Path, *, base: Path) -> int:
    """Write a merged model into a folder, without care for a crash, and return the weights changed.

    Raises:
        SiteError: the adapter is of a form, or for weights, that cannot be merged on files.
    """
    from safetensors.torch import load_file, save_file

    settings = adapter_settings(adapter)
    updates = _updates(adapter, settings)
    check_mergeable(updates, base)
    make_folder(folder)
    scale = scale_of(settings)
    for shard in weight_files(base):
        tensors = load_file(shard)
        for name in tensors.keys() & updates.keys():
            tensors[name] = _merged(tensors[name], updates[name], scale=scale)
        save_file(tensors, folder / shard.name, metadata={"format": "pt"})
        sync_file(folder / shard.name)
    for path in companions(base):
        shutil.copyfile(path, folder / path.name)
    record = read_record(adapter)
    made_of = {
        "base": str(base),
        "base_sha256": record.sha256 if record else model_sha256(base),
        "adapter_sha256": file_sha256(adapter / ADAPTER_WEIGHTS),
    }
    write_aside(folder / MERGE_RECORD, json.dumps(made_of, indent=2) + "\n")
    return len(updates)


def updates_of(weights: "Mapping[str, torch.Tensor] | Mapping[str, np.ndarray]") -> "dict[str, Update]":
    """Return an adapter's updates by the name of the weight they change.

    Args:
        weights: adapter weights under peft's names.

    Raises:
        SiteError: there is something else than LoRA among them.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, tensor in weights.items():
        module, _, part = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
        parts.setdefault(module, {})[part] = tensor
    known = {"lora_A", "lora_B", "lora_magnitude_vector"}
    odd = [module for module, held in parts.items() if not {"lora_A", "lora_B"} <= held.keys() <= known]
    if odd:
        held = ", ".join(f"`{key}`" for key in parts[odd[0]])
        raise SiteError(f"the adapter holds other weights than LoRA's for `{odd[0]}`: {held}")
    return {
        f"{module}.weight": Update(held["lora_A"], held["lora_B"], held.get("lora_magnitude_vector"))
        for module, held in parts.items()
    }


def check_mergeable(updates: "Mapping[str, Update]", base: Path) -> None:
    """Compare updates, by the name of the weight they change, with the files of a base.

    Raises:
        SiteError: a weight is not there, or has another shape.
    """
    if "quantization_config" in model_config(base):
        raise SiteError(f"`{base}` holds quantised weights", hint="merge with the base in 16 or 32 bits")
    headers = weight_headers(base)
    missing = sorted(updates.keys() - headers.keys())
    if missing:
        fact = f"the files of `{base}` have no weight `{missing[0]}`, which the adapter changes"
        raise SiteError(fact, hint="merge with the base that the adapter was trained on")
    for name, update in updates.items():
        wanted = (update.up.shape[0], update.down.shape[1])
        if headers[name].shape != wanted:
            fact = f"`{name}` of `{base}` has shape `{headers[name].shape}`, and the adapter's update `{wanted}`"
            raise SiteError(fact, hint="merge with its own base; transposed layers are not merged on files")


def _updates(adapter: Path, settings: Mapping[str, object]) -> dict[str, Update]:
    """Return an adapter's updates by the name of the weight they change."""
    from safetensors.torch import load_file

    check_plain(settings, adapter)
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        raise SiteError(f"`{adapter}` is no adapter: it lacks `{ADAPTER_WEIGHTS}`")
    return updates_of(load_file(adapter / ADAPTER_WEIGHTS))


def check_plain(settings: Mapping[str, object], adapter: Path) -> None:
    """Refuse settings of peft under which an update is more than W + scale * B A, or DoRA's form of it.

    Raises:
        SiteError: there is such a setting.
    """
    strange = [key for key, value in settings.items() if value and key not in _SETTINGS]
    # Some initialisations change the base, which then lies in no file.
    strange += [key for key, known in _KINDS.items() if key in settings and settings[key] not in known]
    if "fine_tune_type" in settings:
        hint = f"make one of peft of it first: `ck adapter convert {adapter} --to peft --out DIR`"
        raise SiteError(f"`{adapter}` is an adapter of mlx-lm, and peft's are looked for here", hint=hint)
    if strange:
        fact = f"`{adapter}` has `{strange[0]}: {settings[strange[0]]}`, which is not merged on files"
        raise SiteError(fact, hint="load it with peft and call `merge_and_unload()`")


def scale_of(settings: Mapping[str, Any]) -> float:
    """Return what an update is multiplied by: alpha over the rank, or over its root."""
    rank = settings["r"]
    return settings["lora_alpha"] / (sqrt(rank) if settings.get("use_rslora") else rank)


def _merged(weight: "torch.Tensor", update: Update, *, scale: float) -> "torch.Tensor":
    """Return a weight with its update; with a magnitude, DoRA's: each row at that length (Liu et al. 2024)."""
    import torch

    with torch.no_grad():
        whole = weight.float() + scale * (update.up.float() @ update.down.float())
        if update.magnitude is not None:
            whole *= (update.magnitude.float() / torch.linalg.norm(whole, dim=1))[:, None]
        return whole.to(weight.dtype)


def companions(base: Path) -> Iterator[Path]:
    """Yield what makes weights a model: configuration, tokenizer, index, licence."""
    for path in sorted(base.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.suffix not in _WEIGHTS:
            yield path
