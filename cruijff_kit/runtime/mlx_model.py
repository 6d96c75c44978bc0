"""Base models as MLX computes them: read from a directory in Hugging Face format, weights as they lie there."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import mlx.core as mx
from mlx import nn
from mlx_lm.utils import load_model

from cruijff_kit.data.mlx_limits import PROVEN
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG
from cruijff_kit.runtime.model_files import model_config, weight_headers
from cruijff_kit.runtime.target_modules import chosen_layers

__all__ = [
    "GROUP",
    "Base",
    "describe_mlx",
    "linear_layers",
    "load_base",
    "output_head",
    "read_model",
    "targets_of",
    "unlike_files",
    "use_device",
]

GROUP = 64
"""Weights that share one scale and one bias in 4 bits."""
_BITS = 4


class Base(NamedTuple):
    """A loaded model, nothing of it learning."""

    model: Any
    """Token ids, shape (rows, length), to logits."""
    kind: str
    """`model_type` of the decoder's configuration."""
    blocks: tuple[str, ...]
    """Names of the decoder's blocks, first to last."""


def load_base(folder: Path, *, dtype: Literal["fp32", "bf16"], longest: int, int4: bool = False) -> Base:
    """Return the model of a directory, frozen and ready to evaluate.

    No weight is transposed: both libraries keep a linear layer as (outputs, inputs). A
    directory whose weights lie there in 4 or 8 bits, as mlx-lm writes them, is read as it is.

    Args:
        folder: directory in Hugging Face format, or as mlx-lm converted it.
        dtype: arithmetic of weights and activations.
        longest: tokens of the longest row that it will read.
        int4: whether linear layers of blocks are put into 4 bits.

    Raises:
        SiteError: the directory cannot be loaded, lacks weights, carries an adapter, is of a
            family that MLX computes otherwise, or has nothing that goes into 4 bits.
    """
    model, config = read_model(folder, longest=longest)
    kind = config.get("text_config", config)["model_type"]
    model.set_dtype({"fp32": mx.float32, "bf16": mx.bfloat16}[dtype])
    base = Base(model, kind, _blocks(model))
    if int4:
        _into_four_bits(base, folder)
    model.freeze()
    model.eval()
    mx.eval(model.parameters())
    return base


def read_model(folder: Path, *, longest: int) -> tuple[Any, dict[str, Any]]:
    """Return the model of a directory in the arithmetic of its files, and its configuration as mlx-lm has to read it.

    Raises:
        SiteError: as `load_base` does.
    """
    if (folder / ADAPTER_CONFIG).exists():
        fact = f"the base model directory `{folder}` carries an adapter (`{ADAPTER_CONFIG}`)"
        raise SiteError(fact, hint="keep base models and adapters in directories of their own")
    config = model_config(folder)
    _check_family(config, folder, longest=longest)
    try:
        model, told = load_model(folder, lazy=True, model_config=_rotations(config))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        said = str(err).strip().partition("\n")[0]
        hint = "take torch for it: `--backend torch`, or `tools.preparation: peft` in a design; or download it again"
        raise SiteError(f"MLX cannot load the model directory `{folder}`: {said}", hint=hint) from err
    return model, dict(told)


def describe_mlx() -> str:
    """Return where MLX computes, as recorded: `mlx cpu`, or `mlx gpu Apple M3 Max`."""
    device = mx.default_device()
    if device == mx.cpu:
        return "mlx cpu"
    return f"mlx gpu {mx.device_info().get('device_name', '')}".rstrip()


def use_device(wanted: str) -> None:
    """Compute where `auto` or `cpu` says: `auto` is Apple's GPU where there is one.

    Raises:
        SiteError: a GPU of another make was asked for.
    """
    if wanted not in {"auto", "cpu"}:
        raise SiteError(f"`device: {wanted}` is not for MLX", hint="leave `device: auto`, or set `device: cpu`")
    if wanted == "cpu":
        mx.set_default_device(mx.cpu)


def linear_layers(base: Base) -> dict[str, Any]:
    """Return the linear layers of the blocks by name, in the model's order; quantised ones among them."""
    named = dict(base.model.named_modules())
    inside = tuple(f"{block}." for block in base.blocks)
    # A module's children are told last to first.
    return {
        name: part
        for name, part in reversed(named.items())
        if isinstance(part, nn.Linear | nn.QuantizedLinear) and name.startswith(inside)
    }


def targets_of(base: Base, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return the whole names of the layers to adapt.

    Raises:
        SiteError: a name is none of a linear layer in the blocks.
    """
    return chosen_layers(tuple(linear_layers(base)), kind=base.kind, asked=asked)


def unlike_files(names: Iterable[str], folder: Path) -> list[str]:
    """Return the layers whose weights have another name in the files of a directory than MLX gives them."""
    headers = weight_headers(folder)
    return [name for name in names if f"{name}.weight" not in headers]


def output_head(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return a model's decoder and what makes logits of its hidden states; None where they cannot be told apart.

    Some families scale or cap their logits, or feed the decoder otherwise. So the two are
    tried on a few tokens, and used only where they give what the whole model gives.
    """
    decoder = getattr(model, "model", None)
    embedding = getattr(decoder, "embed_tokens", None)
    head = getattr(model, "lm_head", None) or getattr(embedding, "as_linear", None)
    if decoder is None or head is None:
        return None
    ids = mx.array([[1, 2, 3, 4]])
    try:
        same = bool(mx.allclose(head(decoder(ids)), model(ids), rtol=1e-5, atol=1e-5))
    except (TypeError, ValueError, AttributeError):
        return None
    return (decoder, head) if same else None


def _check_family(config: Mapping[str, Any], folder: Path, *, longest: int) -> None:
    """Refuse a model that MLX is not known to compute as transformers does.

    Raises:
        SiteError: it is of another family, or looks back less far than its texts are long.
    """
    told = config.get("text_config", config)
    kind, window = str(told.get("model_type")), told.get("sliding_window")
    if kind not in PROVEN:
        proven = ", ".join(f"`{each}`" for each in PROVEN)
        fact = f"`{folder}` is a `{kind}` model; MLX is known to compute as transformers does those of {proven}"
        hint = "take torch for it: `--backend torch`, or `tools.preparation: peft` in a design"
        raise SiteError(fact, hint=hint)
    if window is not None and told.get("use_sliding_window", True) and longest > window:
        # Most models of mlx-lm let every token see all that came before it.
        fact = f"each token of this `{kind}` model sees {window} before it, which MLX does not keep to"
        raise SiteError(fact, hint=f"set `max_seq_len: {window}` or less, or use `tools.preparation: peft`")


def _rotations(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries of a configuration that tell rotary positions in the older form, which mlx-lm reads.

    Newer transformers write them all as `rope_parameters`, and most models of mlx-lm do not
    look there: they would load, turn positions by their own default, and say nothing.
    """
    told = {"text_config": {**config["text_config"], **found}} if (found := _older(config.get("text_config"))) else {}
    return {**told, **_older(config)}


def _older(config: Mapping[str, Any] | None) -> dict[str, Any]:
    parameters = (config or {}).get("rope_parameters") or {}
    # Where layers differ, each kind has parameters of its own.
    whole = parameters.get("full_attention", parameters)
    local = parameters.get("sliding_attention") or {}
    scaling = {**whole, "type": whole.get("rope_type")} if whole.get("rope_type", "default") != "default" else None
    named = {
        "rope_theta": whole.get("rope_theta"),
        "rope_scaling": scaling,
        "partial_rotary_factor": whole.get("partial_rotary_factor"),
        "rope_local_base_freq": local.get("rope_theta"),
    }
    said = config or {}
    return {name: value for name, value in named.items() if value is not None and name not in said}


def _blocks(model: Any) -> tuple[str, ...]:
    names = {id(part): name for name, part in model.named_modules()}
    try:
        return tuple(names[id(block)] for block in model.layers)
    except (AttributeError, KeyError, TypeError) as err:
        raise SiteError(f"no decoder blocks are found in `{type(model).__module__}`") from err


def _into_four_bits(base: Base, folder: Path) -> None:
    layers = linear_layers(base)
    plain = {name for name, part in layers.items() if isinstance(part, nn.Linear)}
    fitting = {name for name in plain if layers[name].weight.shape[1] % GROUP == 0}
    if not fitting:
        fact = (
            f"no linear layer of `{folder}` has inputs in groups of {GROUP}"
            if plain
            else f"`{folder}` holds quantised weights already"
        )
        raise SiteError(f"`quantization: int4` has nothing to do: {fact}", hint="leave `quantization: none`")
    nn.quantize(base.model, group_size=GROUP, bits=_BITS, class_predicate=lambda name, _: name in fitting)
