"""Kill -9 at any line while an experiment is put away or brought back: nothing is lost, and a repeat finishes."""

import os
import shutil
from pathlib import Path

import pytest

from cruijff_kit.workflow.archive import archive_experiment
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.unarchive import unarchive_experiment
from tests.archived import Project, Standing
from tests.killed import kill_at, lines_run

pytestmark = pytest.mark.once

WATCHED = ("adapters/vault.py", "adapters/audit_log.py", "workflow/archive", "workflow/moving.py", "workflow/unarchive")
SAMPLE = 5
"""Points at which the everyday test kills, each way; `make soak` takes one line in seven."""
STRIDE = 7


class Trial:
    """An experiment that is moved one way again and again, from the same start."""

    def __init__(self, tmp_path: Path, *, away: bool, drop: bool) -> None:
        self.project = Project.made(tmp_path / "base")
        self.before: Standing = self.project.standing()
        self.away, self.drop = away, drop
        if not away:
            archive_experiment(world=self.project.world())
        self.state, self.kept = Path(os.environ["CRUIJFF_STATE_DIR"]), tmp_path / "kept"
        self.project.keep(self.kept / "base")
        shutil.copytree(self.state, self.kept / "state")

    def move(self) -> None:
        """Do what is killed."""
        if self.away:
            archive_experiment(drop=("caches",) if self.drop else (), reason="why", world=self.project.world())
        else:
            unarchive_experiment(reason="why", world=self.project.world())

    def begin(self) -> None:
        """Have everything as it was before."""
        self.project.restore(self.kept / "base")
        shutil.rmtree(self.state)
        shutil.copytree(self.kept / "state", self.state)

    def killed_at(self, line: int) -> None:
        """Kill the move at a line; assert that every byte is somewhere, and that a repeat ends as if nothing was."""
        self.begin()
        assert kill_at(line, self.move, watched=WATCHED)
        self.must_hold_everything(line)
        self.move()
        if self.away:
            assert not self.project.root.exists(), line
            assert sorted(path.name for path in self.project.archive.parent.iterdir()) == ["parity", "parity.json"]
            unarchive_experiment(world=self.project.world())
        after = self.project.standing()
        lost = {path for path in self.before if path not in after}
        assert {path: each for path, each in after.items() if path in self.before} == {
            path: each for path, each in self.before.items() if path not in lost
        }, line
        assert all(self.drop and ("recipe_state" in path or ".part" in path) for path in lost), (line, lost)
        assert set(after) <= set(self.before), line
        verbs = [each.verb for each in self.project.world().audit.records()]
        assert verbs.count("archive") == verbs.count("unarchive") == 2, (line, verbs)
        assert verify_audit(world=self.project.world()).ok, line

    def must_hold_everything(self, line: int) -> None:
        """Assert that what the experiment held lies in its place or in the archive, every file whole."""
        contents = {each[0] for each in self.before.values() if each[0] and not each[0].startswith("->")}
        base = self.project.base
        places = (base / "project" / "parity", base / "scratch", self.project.archive)
        here = Project(base).standing() if places[0].exists() or places[1].exists() else {}
        found = {each[0] for each in here.values()}
        found |= {
            digest
            for top in places[2:]
            for digest in (Project.digest(path) for path in top.rglob("*") if path.is_file() and not path.is_symlink())
        }
        dropped = {
            each[0] for path, each in self.before.items() if self.drop and ("recipe_state" in path or ".part" in path)
        }
        assert contents - dropped <= found, line


@pytest.mark.parametrize(
    "away,drop",
    (
        pytest.param(True, False, id="put away"),
        pytest.param(True, True, id="put away with less"),
        pytest.param(False, False, id="brought back"),
    ),
)
@pytest.mark.parametrize("extent", ("sample", pytest.param("all", marks=pytest.mark.soak)))
def test_a_move_killed_anywhere_loses_nothing_and_is_finished_by_a_repeat(
    away: bool, drop: bool, extent: str, tmp_path: Path
) -> None:
    trial = Trial(tmp_path, away=away, drop=drop)
    total = lines_run(trial.move, watched=WATCHED)
    step = STRIDE if extent == "all" else max(total // SAMPLE, 1)
    # Lines of a second run may be a few less, as what was done once is remembered.
    for line in range(1, total - SAMPLE, step):
        trial.killed_at(line)


@pytest.mark.parametrize("away", (True, False))
def test_a_move_killed_between_its_last_steps_is_finished(away: bool, tmp_path: Path) -> None:
    trial = Trial(tmp_path, away=away, drop=False)
    total = lines_run(trial.move, watched=WATCHED)
    for line in range(total - 20, total - 160, -67):
        trial.killed_at(line)
