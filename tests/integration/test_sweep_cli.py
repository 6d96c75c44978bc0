"""`ck sweep` as typed: asked once for the whole search, run by real jobs, and shown in plain text."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SiteError
from tests.random_model import random_base
from tests.searched import search_text, searched

RECIPE = Path(__file__).parent.parent / "e2e" / "scored_recipe.py"


def ck(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), *words])


@pytest.fixture
def designed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a search of two poor trials, written by `ck` on a site that allows `--yes`."""
    (tmp_path / "config" / "cruijff-kit").mkdir(parents=True)
    settings = "allow_unattended: true\n"
    (tmp_path / "config" / "cruijff-kit" / "site.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(tmp_path / "state"))
    root, design = tmp_path / "parity", tmp_path / "design.yaml"
    root.mkdir()
    models = [{"name": "tiny", "path": random_base(tmp_path / "base")}]
    controls = {"seeds": [1], "batch_size": 4, "max_seq_len": 128, "recipe": str(RECIPE)}
    search = {"kind": "search", "trials": 2, "space": {"lr": [0.5, 0.9]}}
    design.write_text(search_text(search, models=models, controls=controls), encoding="utf-8")
    written = ck(root, "design", "write", str(design), "--reason", "to find a learning rate")
    assert written.exit_code == 0, written.output
    return root


def test_a_search_is_asked_about_once_run_to_its_end_and_then_shown(designed: Path) -> None:
    refused = ck(designed, "sweep", "next")
    assert isinstance(refused.exception, SiteError)
    assert "Search parity by up to 2 trials, 15 trainings in all" in str(refused.exception)
    assert not (designed / "search.json").exists()
    begun = ck(designed, "sweep", "next", "--yes", "--reason", "it may run")
    assert begun.exit_code == 0, begun.output
    assert begun.output.count("its runs have not all ended") == 3
    # Whoever goes on is not asked again.
    ended = ck(designed, "sweep", "watch", "--poll", "0.1")
    assert ended.exit_code == 0, ended.output
    assert "No win: no trial did better than the default" in ended.output
    assert ck(designed, "sweep", "show").output == ended.output[ended.output.index("trial      ") :]


def test_trials_curve_and_claim_are_shown_in_plain_text_and_as_json(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    bench.end()
    shown = ck(bench.root, "sweep", "show")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0].split() == ["trial", "lr", "lora_rank", "seeds", "val_loss", "note"]
    assert sum(line.startswith("trial-") for line in lines) == 6 + 1
    assert any("|" in line and "*" in line for line in lines)
    assert any(line.startswith("Win: ") for line in lines)
    told = json.loads(ck(bench.root, "sweep", "show", "--json").output)
    assert told["win"]["won"] is True
    assert len(told["incumbents"]) == 7
