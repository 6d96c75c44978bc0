"""The linear layers that LoRA adapts: by architecture as data, in an unknown one by looking."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cruijff_kit.errors import SiteError

if TYPE_CHECKING:
    import torch

__all__ = ["TARGETS", "chosen_layers", "decoder_blocks", "short_names", "target_modules"]

_LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_GLM = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
_NEOX = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")

TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llama": _LLAMA,
        "qwen2": _LLAMA,
        "qwen3": _LLAMA,
        "mistral": _LLAMA,
        "gemma": _LLAMA,
        "gemma2": _LLAMA,
        "gemma3_text": _LLAMA,
        "cohere": _LLAMA,
        "granite": _LLAMA,
        "phi": ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"),
        "phi3": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
        "glm": _GLM,
        "glm4": _GLM,
        "chatglm": _NEOX,
        "gpt_neox": _NEOX,
    }
)
"""`model_type` of a `config.json` to the linear layers of one block, by the model's own names."""


def decoder_blocks(body: "torch.nn.Module", layers: int) -> "dict[str, torch.nn.Module]":
    """Return a decoder's blocks by their name in its body, first to last.

    Args:
        body: the decoder without its output layer.
        layers: how many blocks its configuration names.

    Raises:
        SiteError: no list of that many blocks is found.
    """
    from torch.nn import ModuleList

    lists = [(name, part) for name, part in body.named_modules() if isinstance(part, ModuleList)]
    for name, part in lists:
        if len(part) == layers:
            return {f"{name}.{at}": block for at, block in enumerate(part)}
    fact = f"no list of {layers} decoder blocks is found in a `{type(body).__name__}`"
    raise SiteError(fact, hint="name a recipe of yours in `controls.recipe`")


def target_modules(
    model: "torch.nn.Module", blocks: Iterable[str], *, kind: str, asked: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the layers to adapt, as peft finds them: by last names where those are enough.

    Args:
        model: the whole model.
        blocks: names of its decoder's blocks.
        kind: `model_type` of the decoder's configuration.
        asked: names wanted; those of the architecture where None.

    Raises:
        SiteError: a name is none of a linear layer in the blocks.
    """
    within = tuple(f"{name}." for name in blocks)
    everywhere = _linear(model)
    inside = [path for path in everywhere if path.startswith(within)]
    chosen, wanted = list(chosen_layers(inside, kind=kind, asked=asked)), _wanted(inside, kind=kind, asked=asked)
    # A layer of that name outside the blocks is left alone; then only whole names tell them apart.
    return wanted if chosen == [path for path in everywhere if _named(path, wanted)] else tuple(chosen)


def chosen_layers(inside: Sequence[str], *, kind: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return the whole names of the layers to adapt.

    Args:
        inside: names of the linear layers in the decoder's blocks.
        kind: `model_type` of the decoder's configuration.
        asked: names wanted; those of the architecture where None.

    Raises:
        SiteError: a name is none of a linear layer in the blocks.
    """
    wanted = _wanted(inside, kind=kind, asked=asked)
    chosen = [path for path in inside if _named(path, wanted)]
    lacking = [name for name in wanted if not any(_named(path, (name,)) for path in inside)]
    if lacking or not chosen:
        has = ", ".join(f"`{name}`" for name in dict.fromkeys(path.rpartition(".")[2] for path in inside))
        fact = f"`target_modules` names `{lacking[0]}`" if lacking else "nothing can be adapted"
        raise SiteError(
            f"{fact}; the blocks of this `{kind}` model have the linear layers {has or 'none'}",
            hint="name some of these, or leave `target_modules` out for all of them",
        )
    return tuple(chosen)


def short_names(layers: Sequence[str], everywhere: Iterable[str]) -> list[str]:
    """Return names that mean these layers to peft: last names where those mean no other layer.

    Args:
        layers: the layers to adapt, by their whole names.
        everywhere: all layers that a last name could mean.
    """
    last = list(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    meant = {name for name in everywhere if name.rpartition(".")[2] in last}
    return last if meant == set(layers) else list(layers)


def _wanted(inside: Sequence[str], *, kind: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(asked or TARGETS.get(kind) or dict.fromkeys(path.rpartition(".")[2] for path in inside))


def _linear(module: Any) -> list[str]:
    from torch.nn import Linear

    return [path for path, part in module.named_modules() if isinstance(part, Linear)]


def _named(path: str, names: Sequence[str]) -> bool:
    return any(path == name or path.endswith(f".{name}") for name in names)
