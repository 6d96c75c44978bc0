"""`ck ui` says in words what it cannot show, before it starts anything."""

import sys
from pathlib import Path

import pytest

from cruijff_kit.cli.main import main


@pytest.mark.parametrize(
    "words,told",
    (
        (["--demo", "--metrics", "x.jsonl"], "each show something else"),
        (["--metrics", "nowhere.jsonl"], "`nowhere.jsonl` is no file"),
    ),
)
def test_what_cannot_be_shown_is_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(tmp_path), "ui", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_directory_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["-C", str(tmp_path / "nowhere"), "ui"])
    assert "is no directory" in capsys.readouterr().err


@pytest.mark.parametrize("library", ("streamlit", "plotly"))
def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    library: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(tmp_path), "ui"])
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert f"pages need `{library}`, which is not installed" in said
    assert "pip install 'cruijff-kit[ui]'" in said
