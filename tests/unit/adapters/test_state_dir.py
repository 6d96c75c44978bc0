"""Where a user's files lie, by the variables that may say so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.state_dir import cache_dir, config_dir, state_dir

PLACES = (
    (state_dir, "CRUIJFF_STATE_DIR", "XDG_STATE_HOME", ".local/state"),
    (cache_dir, "CRUIJFF_CACHE_DIR", "XDG_CACHE_HOME", ".cache"),
)


@pytest.mark.parametrize("place,own,base,fallback", PLACES)
def test_our_own_variable_wins_over_the_general_one_and_that_over_home(
    place: Callable[[], Path], own: str, *, base: str, fallback: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(own, str(tmp_path / "own"))
    monkeypatch.setenv(base, str(tmp_path / "base"))
    assert place() == tmp_path / "own"
    monkeypatch.delenv(own)
    assert place() == tmp_path / "base/cruijff-kit"
    monkeypatch.delenv(base)
    assert place() == tmp_path / "home" / fallback / "cruijff-kit"


def test_a_relative_general_variable_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    assert config_dir() == tmp_path / ".config/cruijff-kit"


def test_our_own_variable_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CRUIJFF_STATE_DIR", "~/state")
    assert state_dir() == tmp_path / "state"


def test_asking_for_a_place_does_not_make_it() -> None:
    assert not state_dir().exists()
