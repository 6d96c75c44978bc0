"""One small random model of every family, saved as a directory: what a backend for any model must get right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM as Auto
from transformers import (
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    Glm4Config,
    GlmConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    OlmoConfig,
    Phi3Config,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

__all__ = ["CAPPED", "FAMILIES", "save_family"]

VOCABULARY = 262
_HEADS: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "max_position_embeddings": 128,
    # Wide enough that a forgotten cap, scale or bias shows.
    "initializer_range": 0.2,
}
_WINDOW: dict[str, Any] = {"sliding_window": 6}
_MIXED: dict[str, Any] = {**_WINDOW, "layer_types": ["sliding_attention", "full_attention"], "head_dim": 8}

FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**_SHAPE, **_HEADS),
    "qwen2": lambda: Qwen2Config(**_SHAPE, **_HEADS),
    "qwen3": lambda: Qwen3Config(**_SHAPE, **_HEADS, head_dim=16, tie_word_embeddings=True),
    "mistral": lambda: MistralConfig(**_SHAPE, **_HEADS, **_WINDOW),
    "gemma": lambda: GemmaConfig(**_SHAPE, **_HEADS, head_dim=8),
    "gemma2": lambda: Gemma2Config(
        **_SHAPE, **_HEADS, **_MIXED, attn_logit_softcapping=2.0, final_logit_softcapping=3.0, query_pre_attn_scalar=8
    ),
    "gemma3_text": lambda: Gemma3TextConfig(**_SHAPE, **_HEADS, **_MIXED, query_pre_attn_scalar=16),
    "phi": lambda: PhiConfig(**_SHAPE, **_HEADS, partial_rotary_factor=0.5),
    "phi3": lambda: Phi3Config(**_SHAPE, **_HEADS, **_WINDOW),
    "glm": lambda: GlmConfig(**_SHAPE, **_HEADS, head_dim=8),
    "glm4": lambda: Glm4Config(**_SHAPE, **_HEADS, head_dim=8),
    "gpt_neox": lambda: GPTNeoXConfig(**_SHAPE, num_attention_heads=4),
    "granite": lambda: GraniteConfig(
        **_SHAPE, **_HEADS, logits_scaling=4.0, residual_multiplier=0.5, embedding_multiplier=3.0
    ),
    "cohere": lambda: CohereConfig(**_SHAPE, **_HEADS, logit_scale=0.25),
    # In no table: its layers are found by looking.
    "olmo": lambda: OlmoConfig(**_SHAPE, **_HEADS),
}
"""`model_type` to a configuration with the family's own parts switched on."""

CAPPED = "gemma2"
"""The family whose attention caps its scores."""


def save_family(folder: Path, kind: str) -> Path:
    """Save a random model of a family, biases and norms random too."""
    torch.manual_seed(0)
    model: Any = Auto.from_config(FAMILIES[kind](), dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder
