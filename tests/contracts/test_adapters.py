"""What every keeper of adapters does, the fake one as the real one."""

from pathlib import Path

import pytest

from cruijff_kit.adapters.lora_adapters import LocalAdapters
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Adapters
from cruijff_kit.schema.adapter import AdapterLimits
from tests.fakes.lora_adapters import FakeAdapters
from tests.random_model import random_adapter, random_base

Held = tuple[Adapters, str, str]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base = random_base(tmp_path_factory.mktemp("adapters") / "base")
    return base, random_adapter(tmp_path_factory.mktemp("adapters") / "adapter", base)


@pytest.fixture(params=("fake", "real"))
def held(request: pytest.FixtureRequest, folders: tuple[str, str]) -> Held:
    """Return a keeper, an adapter of it, and that one's base."""
    base, adapter = folders
    return (LocalAdapters() if request.param == "real" else FakeAdapters({adapter: base}, effect=1e3)), adapter, base


def test_a_check_honours_its_thresholds_and_names_what_it_compared(held: Held) -> None:
    keeper, adapter, base = held
    for threshold, effect in ((1e-3, True), (1e9, False)):
        limits = AdapterLimits(ppl_threshold=threshold, mse_threshold=1e9)
        found = keeper.check(adapter, base=None, prompt="a few words", limits=limits)
        assert (found.effect, found.limits, found.base, found.adapter) == (effect, limits, base, adapter)


def test_a_port_is_planned_then_written_and_then_there_is_nothing_left_to_do(held: Held) -> None:
    keeper, adapter, base = held
    files = keeper.plan_port(adapter, repo_id="owner/name")
    assert files
    assert all(file.before != file.after for file in files)
    keeper.write_port(files)
    assert keeper.plan_port(adapter, repo_id="owner/name") == ()
    keeper.write_port(keeper.plan_port(adapter, base=base))


def test_a_merge_takes_a_place_once(held: Held, tmp_path: Path) -> None:
    keeper, adapter, base = held
    receipt = keeper.merge(adapter, str(tmp_path / "merged"), base=None)
    assert (receipt.base, receipt.adapter, receipt.output) == (base, adapter, str(tmp_path / "merged"))
    with pytest.raises(SiteError, match="exists already"):
        keeper.merge(adapter, str(tmp_path / "merged"), base=None)


def test_a_conversion_takes_a_place_once_and_leaves_what_it_was_made_of(held: Held, tmp_path: Path) -> None:
    keeper, adapter, _ = held
    receipt = keeper.convert(adapter, str(tmp_path / "made"), to="mlx", base=None)
    assert (receipt.adapter, receipt.form, receipt.output) == (adapter, "mlx", str(tmp_path / "made"))
    assert receipt.layers
    with pytest.raises(SiteError, match="exists already"):
        keeper.convert(adapter, str(tmp_path / "made"), to="mlx", base=None)
    assert keeper.plan_port(adapter, repo_id="owner/name")


def test_a_folder_without_an_adapter_is_a_fault_of_the_site(held: Held, tmp_path: Path) -> None:
    keeper, _, _ = held
    with pytest.raises(SiteError, match="adapter"):
        keeper.plan_port(str(tmp_path), repo_id="owner/name")
    with pytest.raises(SiteError, match="adapter"):
        keeper.merge(str(tmp_path), str(tmp_path / "merged"), base=None)
    with pytest.raises(SiteError, match="adapter"):
        keeper.convert(str(tmp_path), str(tmp_path / "made"), to="mlx", base=None)
