"""Small models of random weights, saved as real directories: bases and adapters for tests."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tests.tokenizer_zoo import LLAMA3, byte_level

__all__ = ["random_adapter", "random_base", "wide_base"]


def random_base(folder: Path, *, template: str | None = LLAMA3, spare_rows: int = 0, seed: int = 0) -> str:
    """Save a Llama of two thin layers over bytes, its vocabulary padded by some rows."""
    tokenizer = byte_level(template=template)
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer) + spare_rows,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        # Wide weights make random answers differ from prompt to prompt.
        "initializer_range": 0.5,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "dtype": "float32",
    }
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def random_adapter(folder: Path, base: str, *, seed: int = 1, dropout: float = 0.0, dora: bool = False) -> str:
    """Save a LoRA adapter whose update is not zero."""
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    torch.manual_seed(seed)
    targets = ["q_proj", "v_proj", "up_proj"]
    lora = LoraConfig(
        r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM",
        lora_dropout=dropout, use_dora=dora,
    )  # fmt: skip
    get_peft_model(model, lora).save_pretrained(str(folder))
    return str(folder)


def wide_base(folder: Path, base: str) -> str:
    """Make a base of the same family as another, its inner layers of another width."""
    wide = AutoConfig.from_pretrained(base, local_files_only=True)
    wide.intermediate_size = 96
    LlamaForCausalLM(wide).save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return str(folder)
