"""Adapters from MLX to peft and back: whoever loads them computes the same."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.utils
import pytest
import torch
from click.testing import CliRunner
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cruijff_kit.cli.main import cli
from cruijff_kit.runtime.adapter_merge import merge_adapter
from cruijff_kit.runtime.mlx_lora import as_tensor
from tests.random_model import random_base

IDS = torch.randint(256, (2, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(random_base(tmp_path_factory.mktemp("base") / "base"))


def of_peft(folder: Path, base: Path, **changes: Any) -> Path:
    """Save an adapter of peft whose update, magnitudes included, is not nothing."""
    torch.manual_seed(1)
    settings = {"target_modules": ["q_proj", "v_proj", "up_proj"], "init_lora_weights": False, **changes}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, lora_alpha=6, **settings))
    for name, weight in model.named_parameters():
        if "magnitude" in name:
            weight.data *= 1.3
    model.save_pretrained(str(folder))
    return folder


def of_mlx(folder: Path, base: Path, *, keys: list[str] | None, num_layers: int = -1, kind: str = "lora") -> Path:
    """Save an adapter of mlx-lm as that library does."""
    model, _ = mlx_lm.utils.load_model(base)
    parameters = {"rank": 4, "scale": 1.5, "dropout": 0.0, **({} if keys is None else {"keys": keys})}
    model.freeze()
    mx.random.seed(2)
    linear_to_lora_layers(model, num_layers, parameters, use_dora=kind == "dora")

    weights = {
        name: each + mx.random.normal(each.shape) * 0.1 for name, each in tree_flatten(model.trainable_parameters())
    }
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    told = {"fine_tune_type": kind, "num_layers": num_layers, "lora_parameters": parameters, "model": str(base)}
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def logits_of_peft(base: Path, adapter: Path) -> torch.Tensor:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).eval()
    with torch.no_grad():
        return model(input_ids=IDS).logits


def logits_of_mlx(base: Path, adapter: Path) -> torch.Tensor:
    model, _ = mlx_lm.utils.load_model(base)
    mlx_lm.utils.load_adapters(model, str(adapter))
    model.eval()
    return as_tensor(model(mx.array(IDS.numpy())))


def convert(adapter: Path, output: Path, to: str) -> Path:
    done = CliRunner().invoke(cli, ["adapter", "convert", str(adapter), "--to", to, "--out", str(output)])
    assert done.exit_code == 0, done.output
    return output


@pytest.mark.parametrize(
    "changes",
    (
        {},
        {"use_dora": True},
        {"use_rslora": True},
        {"target_modules": ["model.layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj"]},
    ),
    ids=("lora", "dora", "rslora", "some layers"),
)
def test_mlx_lm_gives_an_adapter_of_peft_its_logits_and_it_comes_back_as_it_was(
    changes: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    adapter = of_peft(tmp_path / "peft", base, **changes)
    expected = logits_of_peft(base, adapter)
    with torch.no_grad():
        assert (expected - AutoModelForCausalLM.from_pretrained(base)(IDS).logits).abs().max() > 0.1
    made = convert(adapter, tmp_path / "mlx", "mlx")
    torch.testing.assert_close(logits_of_mlx(base, made), expected, atol=1e-4, rtol=0)
    back = convert(made, tmp_path / "back", "peft")
    torch.testing.assert_close(logits_of_peft(base, back), expected, atol=1e-4, rtol=0)
    weights, again = (load_file(each / "adapter_model.safetensors") for each in (adapter, back))
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("kind", ("lora", "dora"))
@pytest.mark.parametrize("keys, num_layers", ((["self_attn.q_proj", "mlp.down_proj"], -1), (None, 1)))
def test_peft_gives_an_adapter_of_mlx_lm_its_logits_and_so_does_the_merged_model(
    keys: list[str] | None, num_layers: int, kind: str, base: Path, tmp_path: Path
) -> None:
    adapter = of_mlx(tmp_path / "mlx", base, keys=keys, num_layers=num_layers, kind=kind)
    expected = logits_of_mlx(base, adapter)
    made = convert(adapter, tmp_path / "peft", "peft")
    torch.testing.assert_close(logits_of_peft(base, made), expected, atol=1e-4, rtol=0)
    merge_adapter(made, tmp_path / "merged", base=base)
    with torch.no_grad():
        fused = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()(IDS).logits
    torch.testing.assert_close(fused, expected, atol=1e-4, rtol=0)
    model, _ = mlx_lm.utils.load_model(tmp_path / "merged")
    torch.testing.assert_close(as_tensor(model(mx.array(IDS.numpy()))), expected, atol=1e-4, rtol=0)
    back = convert(made, tmp_path / "back", "mlx")
    torch.testing.assert_close(logits_of_mlx(base, back), expected, atol=1e-4, rtol=0)
