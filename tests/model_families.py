"""One small random model of every family, saved as a directory: what a backend for any model must get right."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

__all__ = ["CAPPED", "FAMILIES", "SEEING", "VOCABULARY", "save_family"]

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

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": dict(**_SHAPE, **_HEADS),
    "qwen2": dict(**_SHAPE, **_HEADS),
    "qwen3": dict(**_SHAPE, **_HEADS, head_dim=16, tie_word_embeddings=True),
    "mistral": dict(**_SHAPE, **_HEADS, **_WINDOW),
    "gemma": dict(**_SHAPE, **_HEADS, head_dim=8),
    "gemma2": dict(
        **_SHAPE, **_HEADS, **_MIXED, attn_logit_softcapping=2.0, final_logit_softcapping=3.0, query_pre_attn_scalar=8
    ),
    "gemma3_text": dict(**_SHAPE, **_HEADS, **_MIXED, query_pre_attn_scalar=16),
    "phi": dict(**_SHAPE, **_HEADS, partial_rotary_factor=0.5),
    "phi3": dict(**_SHAPE, **_HEADS, **_WINDOW),
    "glm": dict(**_SHAPE, **_HEADS, head_dim=8),
    "glm4": dict(**_SHAPE, **_HEADS, head_dim=8),
    "gpt_neox": dict(**_SHAPE, num_attention_heads=4),
    "granite": dict(**_SHAPE, **_HEADS, logits_scaling=4.0, residual_multiplier=0.5, embedding_multiplier=3.0),
    "cohere": dict(**_SHAPE, **_HEADS, logit_scale=0.25),
    "smollm3": dict(**_SHAPE, **_HEADS),
    # In no table: its layers are found by looking.
    "olmo": dict(**_SHAPE, **_HEADS),
}
"""`model_type` to a configuration with the family's own parts switched on."""

SEEING: dict[str, Any] = {
    "text_config": FAMILIES["gemma3_text"],
    "vision_config": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    },
    "mm_tokens_per_image": 4,
    "image_token_index": 250,
    "boi_token_index": 251,
    "eoi_token_index": 252,
}
"""A `gemma3`, which reads images too, with as many blocks for them as for text, their layers named alike."""

CAPPED = "gemma2"
"""The family whose attention caps its scores."""


def save_family(folder: Path, kind: str) -> Path:
    """Save a random model of a family, biases and norms random too."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{"gemma3": SEEING, **FAMILIES}[kind])
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder
