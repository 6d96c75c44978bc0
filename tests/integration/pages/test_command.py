"""`ck ui` says in words what it cannot show, before it starts anything."""

import os
import sys
from pathlib import Path

import pytest

from cruijff_kit.cli.main import main
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.serving import ModelChoice


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


@pytest.mark.parametrize(
    "name,choice",
    (("tiny", ModelChoice(model="tiny")), ("tuned", ModelChoice(adapter="tuned"))),
    ids=("base", "adapter"),
)
def test_a_model_is_named_as_in_every_other_command(
    name: str, choice: ModelChoice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "adapter_config.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: became.append(words))
    with pytest.raises(SystemExit):
        main(["ui", "--model", name])
    (words,) = became
    assert Opening.model_validate_json(words[3]).model == choice


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
