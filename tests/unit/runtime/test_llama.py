"""Which models torchtune's Llama builders can stand for."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.llama import llama_arguments

LLAMA_32: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": True,
}


def arguments(folder: Path, **changes: Any) -> dict[str, Any]:
    config = {key: value for key, value in {**LLAMA_32, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return llama_arguments(folder, max_seq_len=99)


def test_all_dimensions_come_from_the_configuration(tmp_path: Path) -> None:
    assert arguments(tmp_path) == {
        "vocab_size": 128256,
        "num_layers": 16,
        "num_heads": 32,
        "num_kv_heads": 8,
        "embed_dim": 2048,
        "max_seq_len": 99,
        "intermediate_dim": 8192,
        "norm_eps": 1e-5,
        "rope_base": 500000,
        "scale_factor": 32.0,
        "tie_word_embeddings": True,
    }


def test_both_ways_of_writing_rotary_settings_are_read(tmp_path: Path) -> None:
    settings = {**LLAMA_32["rope_scaling"], "rope_theta": 500000.0}
    newer = arguments(tmp_path, rope_theta=None, rope_scaling=None, rope_parameters=settings)
    assert newer == arguments(tmp_path)


def test_a_model_without_scaling_gets_the_plain_rotary_embedding(tmp_path: Path) -> None:
    plain = arguments(tmp_path, rope_scaling=None, rope_theta=10000.0, num_key_value_heads=None)
    assert (plain["scale_factor"], plain["rope_base"], plain["num_kv_heads"]) == (1, 10000, 32)


@pytest.mark.parametrize(
    "changes, fact",
    (
        ({"model_type": "qwen2"}, "`model_type` is `qwen2`"),
        ({"head_dim": 128}, "`head_dim` is `128`, and `64` is known"),
        ({"attention_bias": True}, "`attention_bias` is `True`"),
        ({"hidden_act": "gelu"}, "`hidden_act` is `gelu`"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "`rope.rope_type` is `yarn`"),
        ({"rope_scaling": {**LLAMA_32["rope_scaling"], "high_freq_factor": 8.0}}, "`rope.high_freq_factor` is `8.0`"),
        ({"hidden_size": None}, "`config.json` lacks `hidden_size`"),
    ),
)
def test_a_model_that_the_builders_would_get_wrong_is_refused(
    tmp_path: Path, changes: dict[str, Any], fact: str
) -> None:
    with pytest.raises(SiteError, match=fact) as refusal:
        arguments(tmp_path, **changes)
    assert "tools.preparation: peft" in refusal.value.hint
