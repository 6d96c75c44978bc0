"""Kill -9 at random moments of a search; the same call goes on, and the record is the uninterrupted one's."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.optuna_sampler import OptunaSampler
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.attempts import read_attempts
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.sweep import approve_sweep, preview_sweep
from tests.e2e.search_child import live_world
from tests.fakes.designed import world_at
from tests.fakes.scheduler import FakeScheduler
from tests.gated_bench import until
from tests.searched import Searched, search_text

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LONGEST = 240.0
"""Seconds after which a search that hangs is a failure."""


def design(trials: int, at_once: int) -> str:
    space = {"lr": {"low": 1e-5, "high": 1e-3, "log": True}, "lora_rank": {"low": 4, "high": 64, "step": 4}}
    search = {"kind": "search", "trials": trials, "at_once": at_once, "fresh_seeds": 5, "space": space}
    controls = {"seeds": [1], "batch_size": 4, "recipe": str(HERE / "scored_recipe.py")}
    return search_text(search, controls=controls)


def uninterrupted(folder: Path, text: str) -> Searched:
    """Return the same search run in this process, by jobs that end at once."""
    scheduler = FakeScheduler()
    world = world_at(folder / "parity")._replace(proposer=OptunaSampler(), scheduler=scheduler)
    agree(world, text)
    bench = Searched(folder / "parity", world, scheduler)
    assert bench.end().finished
    return bench


def agree(world: Any, text: str) -> None:
    write_design(text, reason="kill test", world=world)
    approve_sweep(preview_sweep(world=world).scope, reason="kill test", world=world)


def go_on(root: Path, queue: Path, *, kill_after: float | None) -> bool:
    """Run the search in a process of its own, killed so long after its first record where told to; did it end?"""
    log = root / ExperimentLayout.audit
    begun = log.stat().st_size
    command = [sys.executable, "-m", "tests.e2e.search_child", str(root), str(queue)]
    child = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if kill_after is not None:
        until(lambda: child.poll() is not None or log.stat().st_size > begun, "a step of the search")
    try:
        output, _ = child.communicate(timeout=LONGEST if kill_after is None else kill_after)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        assert kill_after is not None, f"the search hung:\n{output}"
        return False
    assert child.returncode == 0, f"the search said:\n{output}"
    return True


def killed_often(folder: Path, text: str, *, moments: random.Random, kills: int) -> tuple[Path, int]:
    """Run a search that is killed at random moments, up to so many times, and then left alone to its end."""
    root, queue = folder / "parity", folder / "queue"
    agree(live_world(root, queue), text)
    for done in range(kills):
        if go_on(root, queue, kill_after=moments.uniform(0.0, 0.25)):
            return root, done
    assert go_on(root, queue, kill_after=None)
    return root, kills


def the_record_is_whole(root: Path, reference: Searched) -> None:
    """Assert that no trial was lost or doubled and that the record is the uninterrupted one's."""
    world = world_at(root)
    design, expected = read_design(world), read_design(reference.world)
    assert design.runs == expected.runs
    record = (root / ExperimentLayout.search).read_bytes()
    assert record == (reference.root / ExperimentLayout.search).read_bytes()
    plan = json.loads((root / ExperimentLayout.plan).read_text(encoding="utf-8"))
    for run in plan["runs"]:
        folder = root / "runs" / run["id"]
        assert len((folder / "ran.txt").read_text(encoding="utf-8").splitlines()) == 1, f"{folder} was run twice"
    records = [(each.verb, each.action.value, each.subject) for each in world.audit.records()]
    for name in [run.name for run in design.runs]:
        assert records.count(("sweep", "DECIDE_CONFIG", name)) == 1
        assert records.count(("sweep", "COLLECT_RESULTS", name)) == 1
    attempts = read_attempts(world.store)
    assert [len(each) for each in attempts.values()] == [1] * len(plan["runs"])
    assert len({each[0].job_id for each in attempts.values()}) == len(plan["runs"])
    assert world.audit.verify().ok


def test_a_search_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    text = design(trials=6, at_once=3)
    reference = uninterrupted(tmp_path / "reference", text)
    root, kills = killed_often(tmp_path, text, moments=random.Random(5), kills=6)
    assert kills > 1
    the_record_is_whole(root, reference)


@pytest.mark.soak
def test_forty_trials_survive_a_hundred_kills(tmp_path: Path) -> None:
    text = design(trials=40, at_once=4)
    reference = uninterrupted(tmp_path / "reference", text)
    moments, kills = random.Random(40), 0
    while kills < 100:
        folder = tmp_path / f"search{kills}"
        root, done = killed_often(folder, text, moments=moments, kills=100 - kills)
        kills += done
        the_record_is_whole(root, reference)
