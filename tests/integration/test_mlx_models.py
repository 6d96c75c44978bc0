"""Base models in MLX: the logits that transformers gives, family by family, or a refusal."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
import torch
from transformers import AutoModelForCausalLM

from cruijff_kit.data.mlx_limits import PROVEN
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.mlx_lora import as_tensor
from cruijff_kit.runtime.mlx_model import load_base, output_head
from tests.model_families import VOCABULARY, save_family
from tests.training_runs import random_base


@pytest.mark.parametrize("kind", PROVEN)
def test_every_family_that_is_taken_gives_the_logits_that_transformers_gives(kind: str, tmp_path: Path) -> None:
    folder = save_family(tmp_path / kind, kind)
    length = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("sliding_window") or 30
    ids = torch.randint(1, VOCABULARY, (2, length), generator=torch.Generator().manual_seed(0))
    found = as_tensor(load_base(folder, dtype="fp32", longest=length).model(mx.array(ids.numpy())))
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder).eval()(ids).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_family_that_mlx_computes_otherwise_is_refused_and_so_is_a_row_beyond_a_window(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="`glm` model; MLX is known to compute"):
        load_base(save_family(tmp_path / "glm", "glm"), dtype="fp32", longest=30)
    folder = save_family(tmp_path / "mistral", "mistral")
    with pytest.raises(SiteError, match="sees 6 before it"):
        load_base(folder, dtype="fp32", longest=7)


@pytest.mark.parametrize("tied", (True, False))
def test_the_base_gives_the_logits_that_transformers_gives(tied: bool, tmp_path: Path) -> None:
    folder = random_base(tmp_path / "base")
    if not tied:
        model = AutoModelForCausalLM.from_pretrained(folder)
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
        model.save_pretrained(folder)
    ids = torch.randint(262, (2, 30), generator=torch.Generator().manual_seed(0))
    loaded = load_base(folder, dtype="fp32", longest=64)
    found = as_tensor(loaded.model(mx.array(ids.numpy())))
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert torch.equal(found.argmax(-1), expected.argmax(-1))
    assert output_head(loaded.model) is not None


def test_logits_that_are_more_than_a_product_are_made_by_the_model_itself(base: Path) -> None:
    model = load_base(base, dtype="fp32", longest=64).model
    plain = type(model).__call__

    class Capped(type(model)):
        def __call__(self, inputs: Any, cache: Any = None, input_embeddings: Any = None) -> Any:
            return mx.tanh(plain(self, inputs, cache, input_embeddings))

    model.__class__ = Capped
    assert output_head(model) is None
