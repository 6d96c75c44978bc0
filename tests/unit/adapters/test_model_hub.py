"""Model directories as they are found on disk."""

import json
import shutil
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.model_files import model_sha256, weight_headers
from tests.training_runs import random_base


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def hub(tmp_path: Path) -> LocalHub:
    return LocalHub(cache=tmp_path / "cache")


def test_parameters_are_counted_from_the_headers_of_the_weights(hub: LocalHub, base: Path) -> None:
    facts = hub.facts(str(base))
    assert facts.parameters == 329_088
    assert facts.bytes == (base / "model.safetensors").stat().st_size
    assert (facts.hidden_size, facts.vocab_size, facts.max_positions) == (128, 262, 131_072)
    assert weight_headers(base)["model.norm.weight"] == ((128,), "F32")


@pytest.mark.parametrize("name", ("config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"))
def test_the_content_hash_covers_configuration_tokenizer_and_weights(hub: LocalHub, base: Path, name: str) -> None:
    before = hub.facts(str(base)).sha256
    content = bytearray((base / name).read_bytes())
    content[-1] ^= 1 if name == "model.safetensors" else 0
    (base / name).write_bytes(content if name == "model.safetensors" else bytes(content) + b"\n")
    assert hub.facts(str(base)).sha256 != before


def test_a_readme_or_a_model_card_changes_nothing(hub: LocalHub, base: Path) -> None:
    before = hub.facts(str(base)).sha256
    (base / "README.md").write_text("a model", encoding="utf-8")
    assert hub.facts(str(base)).sha256 == before == model_sha256(base)


def test_an_unchanged_file_is_hashed_once(hub: LocalHub, base: Path, tmp_path: Path) -> None:
    first = hub.facts(str(base)).sha256
    (noted,) = (tmp_path / "cache" / "digests").iterdir()
    digests = json.loads(noted.read_text(encoding="utf-8"))
    digests["model.safetensors"]["sha256"] = "0" * 64
    noted.write_text(json.dumps(digests), encoding="utf-8")
    assert LocalHub(cache=tmp_path / "cache").facts(str(base)).sha256 != first


def test_a_damaged_note_of_hashes_only_costs_hashing_again(hub: LocalHub, base: Path, tmp_path: Path) -> None:
    first = hub.facts(str(base))
    (noted,) = (tmp_path / "cache" / "digests").iterdir()
    noted.write_text("{", encoding="utf-8")
    assert hub.facts(str(base)) == first


def test_a_relative_path_starts_at_the_models_directory(base: Path) -> None:
    hub = LocalHub(models_dir=str(base.parent), cache=base.parent / "cache")
    assert hub.facts("model").path == str(base)


def test_the_small_model_goes_by_its_name_once_it_is_made_unless_a_model_here_is_called_so(
    hub: LocalHub, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(SiteError, match="does not exist") as caught:
        hub.facts("tiny")
    assert "`ck models make-tiny` makes a small one" in caught.value.hint
    (made,) = (tmp_path / "cache" / "models" / name for name in (hub._tiny.name,))
    shutil.copytree(base, made)
    assert hub.facts("tiny").path == str(made)
    own = LocalHub(models_dir=str(tmp_path / "own"), cache=tmp_path / "cache")
    shutil.copytree(base, tmp_path / "own" / "tiny")
    assert own.facts("tiny").path == str(tmp_path / "own" / "tiny")


def test_a_directory_without_a_configuration_is_told_with_what_it_holds(hub: LocalHub, base: Path) -> None:
    (base / "config.json").unlink()
    with pytest.raises(SiteError, match=r"has no `config.json`; it holds `chat_template.jinja`"):
        hub.facts(str(base))


@pytest.mark.parametrize("text, fact", (("{", "is not readable JSON"), ("[]", "is not a JSON object")))
def test_an_unreadable_configuration_is_told(hub: LocalHub, base: Path, text: str, fact: str) -> None:
    (base / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(SiteError, match=fact):
        hub.facts(str(base))


def test_a_configuration_that_is_no_language_model_lists_all_it_lacks(hub: LocalHub, base: Path) -> None:
    (base / "config.json").write_text('{"hidden_size": 8, "vocab_size": 9}', encoding="utf-8")
    with pytest.raises(SiteError, match="lacks `num_hidden_layers`, `max_position_embeddings`"):
        hub.facts(str(base))


@pytest.mark.parametrize("content", (b"", b"\x10\0\0\0\0\0\0\0{not json at all", b"\xff" * 16))
def test_weights_without_a_header_are_told(hub: LocalHub, base: Path, content: bytes) -> None:
    (base / "model.safetensors").write_bytes(content)
    with pytest.raises(SiteError, match="no readable safetensors header"):
        hub.facts(str(base))


def test_a_missing_shard_is_told_by_name(hub: LocalHub, base: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(SiteError, match=r"lacks `model-00001-of-00002\.safetensors`"):
        hub.facts(str(base))


def test_the_last_words_of_a_recipe_that_fails_are_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = "import sys\nsys.stderr.write('step 3/9 loss 1.0\\nmissed: repeat\\n')\nsys.exit(1)\n"
    (tmp_path / "numpy.py").write_text(stand_in, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    steps: list[tuple[int, int, str]] = []
    hub = LocalHub(cache=tmp_path / "cache")
    with pytest.raises(SiteError, match="missed: repeat"):
        hub.make_tiny(progress=lambda done, total, label: steps.append((done, total, label)))
    assert steps == [(3, 9, "pretraining the base model")]
    assert not [path for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()]
