"""Recipes found and hashed by name, and torchtune's configurations read as data."""

import hashlib
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.workflow.base_recipes import BASE_PLACES, base_recipe
from cruijff_kit.workflow.recipes import list_recipes, recipe_hash

TOP = "raise SystemExit('a package around a recipe was run')\n"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package on Python's path, that ends whoever imports it."""
    package = tmp_path / "lab_of_ada" / "recipes"
    (package / "whole").mkdir(parents=True)
    for folder in (package.parent, package, package / "whole"):
        (folder / "__init__.py").write_text(TOP, encoding="utf-8")
    (package / "mine.py").write_text(TOP + "# mine\n", encoding="utf-8")
    (package / "whole" / "__main__.py").write_text(TOP + "# whole\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def test_a_module_is_hashed_without_running_a_line_of_it(lab: Path) -> None:
    digest = recipe_hash("lab_of_ada.recipes.mine", root=lab)
    assert digest == hashlib.sha256((lab / "mine.py").read_bytes()).hexdigest()
    assert not [name for name in sys.modules if name.startswith("lab_of_ada")]


def test_a_package_is_hashed_by_the_file_that_python_runs(lab: Path) -> None:
    digest = recipe_hash("lab_of_ada.recipes.whole", root=lab)
    assert digest == hashlib.sha256((lab / "whole" / "__main__.py").read_bytes()).hexdigest()
    with pytest.raises(SpecError, match="no Python file that can be run"):
        recipe_hash("lab_of_ada.recipes", root=lab)


def test_a_file_is_found_from_where_paths_start_and_ours_need_no_hash(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("a = 1\n", encoding="utf-8")
    digest = hashlib.sha256(b"a = 1\n").hexdigest()
    assert recipe_hash("mine.py", root=tmp_path) == recipe_hash(str(tmp_path / "mine.py"), root=Path("/")) == digest
    assert recipe_hash("lora_finetune_distributed_v1", root=tmp_path) is None


@pytest.mark.parametrize("name", ("gone.py", "lab_of_nobody.mine", "lora_singel_device", "a b", "math", "json.gone"))
def test_what_is_not_there_is_refused_with_a_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        recipe_hash(name, root=tmp_path)
    assert f"`{name}`" in str(caught.value)
    assert caught.value.hint


def test_the_list_tells_what_each_recipe_is_for() -> None:
    told = {each.name: each for each in list_recipes()}
    assert told["lora_single_device"].available
    assert all(len(each.purpose) > 20 for each in told.values())


def test_a_base_recipe_gives_the_keys_it_has_and_nothing_else() -> None:
    assert base_recipe("llama3_2/1B_lora_single_device") == {
        "lora_rank": 64,
        "lora_dropout": 0.0,
        "lr": 3e-4,
        "weight_decay": 0.01,
        "batch_size": 4,
        "epochs": 1,
        "gradient_accumulation_steps": 8,
        "num_warmup_steps": 100,
    }


def test_every_configuration_that_torchtune_ships_can_be_read() -> None:
    files = [str(file) for file in distribution("torchtune").files or () if str(file).startswith("recipes/configs/")]
    names = [file.removeprefix("recipes/configs/").removesuffix(".yaml") for file in files if file.endswith(".yaml")]
    found = [base_recipe(name) for name in names]
    assert len(found) > 50
    assert set().union(*found) == set(BASE_PLACES)


def test_without_torchtune_or_under_an_unknown_name_a_base_recipe_is_refused_in_words() -> None:
    with pytest.raises(SpecError, match="not installed") as missing:
        base_recipe("llama3_2/1B_lora_single_device", package="torchtune-that-nobody-has")
    assert "pip install" in missing.value.hint
    with pytest.raises(SpecError, match="unknown base recipe") as unknown:
        base_recipe("llama3_2/1B_lora_singel_device")
    assert unknown.value.hint == "write `llama3_2/1B_lora_single_device`"
