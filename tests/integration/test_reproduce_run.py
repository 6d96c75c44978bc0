"""`ck reproduce --run`: jobs run again in a fresh place, and their figures held against those of the original."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from cruijff_kit.bootstrap import open_local
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow import scaffold_runs, submit_jobs, watch_jobs, write_design
from tests.bit_design import bit_design
from tests.random_model import random_base

pytestmark = pytest.mark.once

RECIPE = """
import json, sys
from datetime import datetime, timezone
from pathlib import Path
import yaml

config = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
folder, told = Path(config["run_dir"]), json.loads(Path(__file__).with_name("told.json").read_text())
now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
loss = {"step": 1, "epoch": 0, "loss": told["loss"], "val_loss": told["loss"]}
(folder / "metrics.jsonl").write_text(json.dumps(loss) + "\\n")
manifest = {
    "run_id": config["run_id"], "git_sha": None, "git_patch_sha256": None, "packages": {"torch": told["torch"]},
    "inputs": {}, "seeds": {}, "host": "node1", "device": "cpu", "threads": 1, "job_ids": [],
    "started": now, "ended": now,
}
(folder / "manifest.json").write_text(json.dumps(manifest))
(folder / "DONE").write_text(json.dumps({"exit_code": 0, "artefacts": {}, "finished": now}))
"""
"""What a recipe of the user's leaves whose result depends on something that no seal holds."""


class Project(NamedTuple):
    """An experiment of one run that has ended, and what the next run of its recipe will tell."""

    base: Path
    run: str

    def tell(self, *, loss: float, torch: str) -> None:
        (self.base / "told.json").write_text(json.dumps({"loss": loss, "torch": torch}), encoding="utf-8")

    def reproduce(self, place: str, *words: str) -> tuple[int, str]:
        asked = ["-C", str(self.base / "first"), "reproduce", self.run, "--into", str(self.base / place), *words]
        done = CliRunner().invoke(cli, asked)
        exit_code = done.exception.exit_code if isinstance(done.exception, ResultError) else done.exit_code
        return exit_code, f"{done.output}{done.exception or ''}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def project(tmp_path: Path, model: str) -> Project:
    (tmp_path / "mine.py").write_text(RECIPE, encoding="utf-8")
    design = bit_design("first", model=model, recipe=tmp_path / "mine.py", seeds=(1,))
    world: World = open_local(tmp_path / "first", root=tmp_path, name="ada")
    write_design(design, reason="a test", world=world)
    receipt = scaffold_runs(world=world)
    made = Project(tmp_path, receipt.runs[0])
    made.tell(loss=1.5, torch="2.13.0")
    submit_jobs(receipt.plan_id, runs=(made.run,), world=world)
    assert list(watch_jobs(poll=0.05, world=world))
    assert (tmp_path / "first" / RunLayout(made.run).done("train")).is_file()
    return made


def test_a_run_is_run_again_and_its_figures_must_be_equal_in_the_same_environment(project: Project) -> None:
    exit_code, text = project.reproduce("again", "--run")
    assert exit_code == 0, text
    assert "figures have to be equal: versions, commit, device and threads are the same" in text
    assert text.count("agrees") == 2
    assert (project.base / "again" / RunLayout(project.run).done("train")).is_file()
    before = (project.base / "again" / RunLayout(project.run).manifest).read_bytes()
    # What was run there already is not run again.
    assert project.reproduce("again", "--run")[0] == 0
    assert (project.base / "again" / RunLayout(project.run).manifest).read_bytes() == before
    project.tell(loss=1.5000001, torch="2.13.0")
    exit_code, text = project.reproduce("other", "--run")
    assert exit_code == ResultError.exit_code
    assert "`training/0/train_loss` differs" in text


def test_another_version_allows_a_tolerance_which_is_stated_with_its_reason(project: Project) -> None:
    project.tell(loss=1.52, torch="2.14.0")
    exit_code, text = project.reproduce("near", "--run")
    assert exit_code == 0, text
    assert "figures have to be within 0.02: the environment differs: torch" in text
    exit_code, text = project.reproduce("near", "--run", "--tolerance", "0.001")
    assert exit_code == ResultError.exit_code
    assert "within 0.001: as asked for" in text
