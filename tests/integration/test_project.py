"""`ck init` and `ck info`: a project that works at once, and a machine told without a network."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.ft import main as ft
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError
from tests.fakes.designed import design, put_design


def ck(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project), *arguments])


def test_a_new_project_has_its_places_and_a_configuration_that_validates(tmp_path: Path) -> None:
    assert ck(tmp_path, "init").exit_code == 0
    for name in ("data", "models", "profiles", "configs"):
        assert (tmp_path / name).is_dir()
    found = ck(tmp_path, "train", "validate", "configs/train.yml", "--json")
    assert found.exit_code == 0
    review = json.loads(found.output)
    assert review["splits"]["train"] == 800
    assert review["values"]["epochs"] == {"value": 3, "source": "file configs/train.yml"}
    assert str(tmp_path / "models") in ck(tmp_path, "info").output


def test_whatever_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "train.yml").write_text("model: mine\n", encoding="utf-8")
    (tmp_path / "site.yaml").write_text("models_dir: /somewhere/models\n", encoding="utf-8")
    told = ck(tmp_path, "init").output
    assert "next: ck train validate" in told
    elsewhere = ck(tmp_path, "init", "my own").output
    assert "models go to" in elsewhere
    assert (tmp_path / "my own" / "configs" / "train.yml").is_file()
    assert "next: cd 'my own'" in elsewhere
    assert "configs/train.yml is there already" in told
    assert "/somewhere/models" in told
    assert (tmp_path / "configs" / "train.yml").read_text(encoding="utf-8") == "model: mine\n"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert ck(tmp_path, "init").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_in_an_experiment_the_project_around_it_is_meant(tmp_path: Path) -> None:
    put_design(tmp_path / "parity", design())
    assert ck(tmp_path / "parity", "init").exit_code == 0
    assert (tmp_path / "configs" / "train.yml").is_file()
    assert not (tmp_path / "parity" / "configs").exists()


def test_the_machine_is_told_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("somebody opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    told = json.loads(ck(tmp_path, "info", "--json").output)
    assert told["cpus"] >= 1
    assert told["memory"] > 2**28
    assert told["versions"]["cruijff-kit"]
    assert told["backend"] == "peft"


def test_a_machine_before_a_cluster_is_told_without_asking_the_login_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site.yaml").write_text("scheduler: slurm\nlogin_host: nowhere.invalid\n", encoding="utf-8")
    (tmp_path / "ssh").write_text(f"#!/bin/sh\ntouch {tmp_path / 'asked'}\n", encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert json.loads(ck(tmp_path, "info", "--json").output)["scheduler"] == "slurm"
    assert not (tmp_path / "asked").exists()


def test_ft_is_ck_by_the_original_s_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "A"}\n', encoding="utf-8")
    for words in (["dataset", "validate", str(rows)], ["train", "list-data"], ["info"], ["models", "list"]):
        with pytest.raises(SystemExit) as ended:
            ft(["-C", str(tmp_path), *words])
        assert ended.value.code == 0, words
    assert "capitalization" in capsys.readouterr().out


def test_an_experiment_cannot_be_made_a_project_by_a_verb(tmp_path: Path) -> None:
    from cruijff_kit.workflow.project import make_project
    from tests.fakes.designed import world_at

    put_design(tmp_path, design())
    with pytest.raises(PlanError, match="is an experiment"):
        make_project(world=world_at(tmp_path))
