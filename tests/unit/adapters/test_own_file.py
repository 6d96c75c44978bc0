"""Files of the user's own: whole or not there, and nothing else beside them."""

import stat
from pathlib import Path

import pytest

from cruijff_kit.adapters.own_file import write_own
from cruijff_kit.errors import SiteError


@pytest.mark.parametrize("mode", (0o600, 0o644))
def test_a_file_is_written_whole_with_its_folder_and_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "new" / "site.yaml"
    for text in ("scheduler: local\n", "scheduler: slurm\n"):
        write_own(path, text, mode=mode)
        assert path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [each.name for each in path.parent.iterdir()] == ["site.yaml"]


@pytest.mark.parametrize("text", ("scheduler: local\n", "\udc80"))
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path, text: str) -> None:
    (tmp_path / "site.yaml").mkdir()
    with pytest.raises((SiteError, UnicodeEncodeError)):
        write_own(tmp_path / "site.yaml", text)
    assert [each.name for each in tmp_path.iterdir()] == ["site.yaml"]
