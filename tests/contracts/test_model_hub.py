"""What every hub does, the fake one as the real one."""

import shutil
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import ModelHub
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level
from tests.training_runs import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("hub"))


@pytest.fixture(params=("fake", "real"))
def hub_and_path(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> tuple[ModelHub, str]:
    if request.param == "real":
        return LocalHub(cache=tmp_path), str(base)
    facts = model_facts()
    return FakeHub(facts, tokenizers={facts.path: byte_level()}), facts.path


def test_facts_of_a_model_are_the_same_each_time(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    facts = hub.facts(path)
    assert facts == hub.facts(path)
    assert facts.path == path
    assert (facts.architecture, facts.parameters, facts.layers) == ("LlamaForCausalLM", 329_088, 2)
    assert facts.has_chat_template


def test_a_directory_that_is_not_there_is_a_fault_of_the_site(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    for ask in (hub.facts, hub.tokenizer, hub.inference):
        with pytest.raises(SiteError, match="does not exist"):
            ask(f"{path}-gone")


def test_a_library_that_is_not_here_is_a_fault_of_the_site(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    with pytest.raises(SiteError, match="answering in MLX needs `mlx`"):
        hub.inference(path, backend="mlx")
    with pytest.raises(SiteError, match="converting models needs `mlx"):
        hub.convert(path, f"{path}-made", to="mlx")
    with pytest.raises(SiteError, match="does not exist"):
        hub.convert(f"{path}-gone", f"{path}-made", to="mlx")


def test_a_tokenizer_reads_and_writes_text(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    tokenizer = hub.tokenizer(path)
    ids = tokenizer.encode("naïve", add_special_tokens=False)
    assert tokenizer.decode(ids) == "naïve"
    assert tokenizer.chat_template


def test_the_models_here_are_told_with_where_they_came_from(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    if isinstance(hub, LocalHub):
        hub = LocalHub(models_dir=str(Path(path).parent), cache=Path(path).parent / "cache")
    assert hub.present()[path] == {}


def test_checking_tells_what_is_wrong_and_raises_nothing(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    assert all(trait.ok is not False for trait in hub.check(path))
    gone = hub.check(f"{path}-gone")
    assert [trait.ok for trait in gone] == [False]
    assert "does not exist" in gone[0].found


def test_a_model_that_is_removed_is_gone_and_no_other_directory_is_touched(
    hub_and_path: tuple[ModelHub, str], tmp_path: Path
) -> None:
    hub, path = hub_and_path
    if isinstance(hub, LocalHub):
        shutil.copytree(path, tmp_path / "models" / "tiny")
        shutil.copytree(path, tmp_path / "elsewhere")
        hub, path = LocalHub(models_dir=str(tmp_path / "models"), cache=tmp_path), str(tmp_path / "models" / "tiny")
    assert hub.size(path) > 1_000_000
    with pytest.raises(SiteError, match="is no model directory"):
        hub.remove(str(tmp_path / "elsewhere"))
    hub.remove(path)
    assert path not in hub.present()
    with pytest.raises(SiteError, match="is no model directory"):
        hub.remove(path)


def test_a_link_in_the_models_directory_is_not_followed(base: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "linked").symlink_to(base, target_is_directory=True)
    hub = LocalHub(models_dir=str(models), cache=tmp_path)
    for path in ("linked", "..", ".", f"../models/../{base.name}"):
        with pytest.raises(SiteError, match="is no model directory"):
            hub.remove(path)
    assert (base / "config.json").is_file()
