"""Killed at any moment, scaffolding leaves nothing torn, and the same command finishes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import sealed_plan
from tests.architecture.source import ROOT
from tests.fakes.designed import design, put_design, world_at
from tests.integration.test_scaffold import contents

# Counts what the process does to files and dies by its own hand at the n-th of them.
CHILD = """
import os, signal, sys
from pathlib import Path
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import world_at

root, last, seen = Path(sys.argv[1]), int(sys.argv[2]), 0
world = world_at(root)

def count(event, args):
    global seen
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
scaffold_runs(world=world)
print(seen)
"""
SHARES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0)


def run(root: Path, last: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(root), str(last)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how many file operations an undisturbed scaffold takes."""
    root = tmp_path_factory.mktemp("whole") / "parity"
    put_design(root, design())
    done = run(root, 0)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("share", SHARES)
def test_a_killed_scaffold_is_finished_by_the_same_command(share: float, steps: int, tmp_path: Path) -> None:
    root = tmp_path / "parity"
    put_design(root, design())
    died = run(root, max(1, round(steps * share)))
    assert died.returncode == -signal.SIGKILL
    left = contents(root)

    world = world_at(root)
    whole = scaffold_runs(world=world)

    told = ("logs/", ".staging/", ExperimentLayout.lock)
    final = contents(root)
    assert {path: final.get(path) for path in left if not path.startswith(told)} == {
        path: text for path, text in left.items() if not path.startswith(told)
    }
    assert sealed_plan(world=world)[1].plan_id == whole.plan_id
    assert world.audit.verify().ok
    assert {change.kind for change in scaffold_runs(world=world).changes} == {"unchanged"}
