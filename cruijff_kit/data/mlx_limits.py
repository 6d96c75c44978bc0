"""What a training in MLX cannot be asked for, told before anything starts."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["MLX_RECIPE", "PROVEN", "Unlike", "unlike_mlx"]

MLX_RECIPE = "mlx_lora"
"""The recipe of this package that trains in MLX."""

PROVEN: Mapping[str, str] = MappingProxyType(
    {
        "cohere": "CohereForCausalLM",
        "gemma2": "Gemma2ForCausalLM",
        "glm4": "Glm4ForCausalLM",
        "granite": "GraniteForCausalLM",
        "llama": "LlamaForCausalLM",
        "mistral": "MistralForCausalLM",
        "phi": "PhiForCausalLM",
        "phi3": "Phi3ForCausalLM",
        "qwen2": "Qwen2ForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
        "smollm3": "SmolLM3ForCausalLM",
    }
)
"""Families whose logits were held against those of transformers: `model_type` to architecture, as `config.json` says.

Others may load and compute something else.
"""


class Unlike(NamedTuple):
    """A control at a value that MLX has no counterpart of."""

    control: str
    """Its name."""
    fact: str
    """What is not there."""
    hint: str
    """What to write instead."""


def unlike_mlx(settings: Mapping[str, Any]) -> Iterator[Unlike]:
    """Yield what settings ask for that a training in MLX does not have.

    Args:
        settings: controls by name, as a design or a job has them; those that are absent ask for nothing.
    """
    if settings.get("packed"):
        fact = "`packed: true` is not for MLX: its models do not keep rows that lie end to end apart"
        yield Unlike("packed", fact, "leave `packed: false`; rows of like length share a pass, so little is padded")
    if settings.get("compile"):
        fact = "`compile: true` is not for MLX: passes of every length would be compiled anew"
        yield Unlike("compile", fact, "leave `compile: false`")
    if settings.get("strategy", "ddp") != "ddp":
        fact = f"`strategy: {settings['strategy']}` is not for MLX, which trains in one process"
        yield Unlike("strategy", fact, "leave `strategy` out")
    if settings.get("quantization", "none") not in {"none", "int4"}:
        fact = f"`quantization: {settings['quantization']}` is not for MLX"
        yield Unlike("quantization", fact, "write `quantization: int4`, MLX's own form of 4 bits, or leave it out")
    if settings.get("loss", "ce") != "ce":
        fact = f"`loss: {settings['loss']}` is not for MLX, which minimises cross-entropy alone"
        yield Unlike("loss", fact, "leave `loss: ce`, or set `tools.preparation: peft`")
