"""Checking a model directory: each part that can be wrong is told by name, and nothing is raised."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.schema.registry import ModelTrait
from tests.training_runs import random_base


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("checked"))


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def traits(base: Path) -> dict[str, ModelTrait]:
    return {trait.name: trait for trait in LocalHub(cache=base.parent / "cache").check(str(base))}


def test_a_whole_model_has_nothing_wrong(base: Path) -> None:
    found = traits(base)
    assert [trait.name for trait in found.values() if trait.ok is False] == []
    assert found["tokenizer"].found == "262 tokens, a chat template"
    assert found["element type"].found == "F32"


def cut_weights(base: Path) -> None:
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])


def lose_tokenizer(base: Path) -> None:
    for path in base.glob("tokenizer*"):
        path.unlink()


def shrink_vocabulary(base: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps({**config, "vocab_size": 100}), encoding="utf-8")


def say_half(base: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config.pop("dtype", None)
    (base / "config.json").write_text(json.dumps({**config, "torch_dtype": "bfloat16"}), encoding="utf-8")


def leave_adapter(base: Path) -> None:
    (base / "adapter_config.json").write_text("{}", encoding="utf-8")


def name_more(base: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "model.safetensors", "lost.weight": "model.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def leave_weights(base: Path) -> None:
    shutil.copy(base / "model.safetensors", base / "consolidated.safetensors")


def break_index(base: Path) -> None:
    (base / "model.safetensors.index.json").write_text("{torn", encoding="utf-8")


def lose_configuration(base: Path) -> None:
    (base / "config.json").unlink()


@pytest.mark.parametrize(
    "harm,part,says",
    (
        (cut_weights, "weights", "1 of 1 files have another size"),
        (lose_tokenizer, "tokenizer", "no file with its vocabulary"),
        (shrink_vocabulary, "tokenizer", "the embedding has 100 rows"),
        (say_half, "element type", "F32"),
        (leave_adapter, "adapter beside", "adapter_config.json"),
        (name_more, "index", "1 of 2 tensors are not where the index says: `lost.weight`"),
        (leave_weights, "index", "missing, and there are 2 files"),
        (break_index, "weights", "is no index of weights"),
        (lose_configuration, "configuration", "has no `config.json`"),
    ),
)
def test_what_is_wrong_is_told_with_its_part_and_a_remedy(
    harm: Callable[[Path], None], part: str, says: str, base: Path
) -> None:
    harm(base)
    trait = traits(base)[part]
    assert trait.ok is False
    assert says in trait.found
    assert trait.hint


def test_weights_that_cannot_be_read_leave_the_other_parts_to_be_told(base: Path) -> None:
    (base / "model.safetensors").write_bytes(b"\xff" * 16)
    found = traits(base)
    assert found["weights"].ok is False
    assert found["tokenizer"].ok is True


def test_facts_tell_the_dimensions_that_memory_depends_on(base: Path) -> None:
    facts = LocalHub(cache=base.parent / "cache").facts(str(base))
    assert (facts.heads, facts.kv_heads, facts.head_dim, facts.mlp_width, facts.tied) == (4, 2, 32, 256, True)
    assert (facts.dtype, facts.repo, facts.revision) == ("F32", None, None)


def test_a_configuration_with_other_names_for_the_same_is_read(base: Path) -> None:
    config = {"n_embd": 8, "n_layer": 3, "vocab_size": 9, "n_positions": 64, "n_head": 2, "n_inner": None}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    facts = LocalHub(cache=base.parent / "cache").facts(str(base))
    assert (facts.hidden_size, facts.layers, facts.max_positions, facts.heads) == (8, 3, 64, 2)
    assert (facts.mlp_width, facts.tied) == (None, False)
