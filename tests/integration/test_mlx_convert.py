"""Models written as mlx-lm reads them and back: held by their logits against transformers' own."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
import torch
from click.testing import CliRunner, Result
from mlx_lm.utils import load
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cruijff_kit.cli.main import cli
from cruijff_kit.runtime.mlx_resident import MlxResident
from tests.random_model import random_adapter
from tests.tokenizer_zoo import byte_level

IDS = tuple(torch.randint(1, 200, (60,), generator=torch.Generator().manual_seed(3)).tolist())


@pytest.fixture(scope="module", params=("tied", "turned"))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small Llama; one has its output tied, one turns positions as Llama 3 does."""
    folder, tokenizer = tmp_path_factory.mktemp("base") / request.param, byte_level()
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "dtype": "float32",
        "tie_word_embeddings": request.param == "tied",
    }  # fmt: skip
    if request.param == "turned":
        shape["rope_parameters"] = {
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }  # fmt: skip
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ck(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", "convert", *arguments])


def converted(model: Path, output: Path, *arguments: str) -> Path:
    done = ck(str(model), "--out", str(output), *arguments)
    assert done.exit_code == 0, done.output
    assert f"is in {output}" in done.output
    return output


def of_transformers(folder: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    with torch.inference_mode():
        return model(torch.tensor([IDS])).logits[0]


def of_mlx_lm(folder: Path) -> torch.Tensor:
    model = load(str(folder))[0]
    return torch.tensor(model(mx.array([IDS]))[0].astype(mx.float32).tolist())


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_model_made_for_mlx_lm_and_back_has_the_logits_it_had(base: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    made = converted(base, tmp_path / "mlx")
    back = converted(made, tmp_path / "hf", "--output-format", "hf")
    expected = of_transformers(base)
    assert expected.std() > 0.1
    assert_close(of_mlx_lm(made), expected)
    assert_close(of_transformers(back), expected)
    assert_close(MlxResident(str(made), device="cpu").logits(IDS), expected)
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    ids = {tuple(AutoTokenizer.from_pretrained(each)("Grüße, 世界")["input_ids"]) for each in (base, made, back)}
    assert len(ids) == 1


@pytest.mark.parametrize("bits", ("4", "8"))
def test_a_model_in_few_bits_is_the_same_to_mlx_lm_to_ours_and_back_in_transformers(
    base: Path, bits: str, tmp_path: Path
) -> None:
    packed = converted(base, tmp_path / "packed", "--bits", bits)
    back = converted(packed, tmp_path / "hf", "--output-format", "hf")
    assert json.loads((packed / "config.json").read_text(encoding="utf-8"))["quantization"]["bits"] == int(bits)
    assert "quantization" not in (back / "config.json").read_text(encoding="utf-8")
    found = of_mlx_lm(packed)
    assert_close(MlxResident(str(packed), device="cpu").logits(IDS), found)
    # Bits that are gone do not come back: what was rounded is what transformers computes with.
    assert_close(of_transformers(back), found)
    error = (found - of_transformers(base)).abs().mean().item()
    assert 1e-4 < error < {"4": 1.0, "8": 0.1}[bits]


def test_what_cannot_be_converted_is_refused_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    packed = converted(base, tmp_path / "packed", "--bits", "4")
    strange = tmp_path / "strange"
    strange.mkdir()
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (strange / "config.json").write_text(json.dumps({**config, "model_type": "gemma"}), encoding="utf-8")
    carries = random_adapter(tmp_path / "adapter", str(base))
    (Path(carries) / "config.json").write_text(json.dumps(config), encoding="utf-8")
    narrow = LlamaConfig.from_pretrained(base)
    narrow.hidden_size, narrow.head_dim, narrow.intermediate_size = 32, 8, 96
    LlamaForCausalLM(narrow).save_pretrained(tmp_path / "thin")
    for words, fact in (
        ((str(tmp_path / "thin"), "--bits", "4"), "has inputs in groups of 64"),
        ((str(packed), "--bits", "8"), "is quantised already"),
        ((str(strange),), "is a `gemma` model"),
        ((carries,), "carries an adapter"),
    ):
        found = ck(*words, "--out", str(tmp_path / "made"))
        assert fact in str(found.exception)
        assert not list(tmp_path.glob("*made*"))
    for place, fact in ((packed, "exists already"), (base / "inside", "own directory")):
        assert fact in str(ck(str(base), "--out", str(place)).exception)
