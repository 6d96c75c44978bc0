"""A whole experiment of cheap jobs on a real Slurm, by the commands that people type."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SchedulerError
from tests.bit_design import bit_design
from tests.gated_bench import until
from tests.random_model import random_base
from tests.slurm.cluster import Cluster

RECIPE = Path(__file__).parents[1] / "e2e" / "quick_recipe.py"


class Desk:
    """A project on a cluster, and a person who types commands."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.cluster = root, cluster

    def ck(self, *words: str) -> str:
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words])
        assert done.exit_code == 0, f"ck {' '.join(words)}: {done.output}{done.exception!r}"
        return done.output

    def refused(self, *words: str) -> str:
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words], standalone_mode=False)
        assert isinstance(done.exception, SchedulerError), done.output
        return str(done.exception)

    def names(self, *options: str) -> list[str]:
        """Return the names of the jobs in the queue; those of ended ones too, where asked for them."""
        return sorted(self.cluster.say("squeue", "-h", *options, "-o", "%j").split("\n"))

    def verdicts(self) -> list[str | None]:
        return [attempt["verdict"] for step in self.steps().values() for attempt in step["attempts"]]

    def steps(self) -> dict[str, dict[str, Any]]:
        return {step["run_id"]: step for step in json.loads(self.ck("status", "--json"))["steps"]}

    def phases(self) -> list[str]:
        return sorted(step["phase"] for step in self.steps().values())

    def reasons(self) -> set[str]:
        return {step["report"]["reason"] for step in self.steps().values()}

    def partitions(self, state: str) -> None:
        self.cluster.say("scontrol", "update", "partitionname=debug", f"state={state}")


@pytest.fixture
def desk(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    (config / "site.yaml").write_text("allow_unattended: true\nscheduler: slurm\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    root = tmp_path / "queued"
    root.mkdir()
    model = random_base(tmp_path / "base")
    design = tmp_path / "design.yaml"
    design.write_text(bit_design("queued", model=model, recipe=RECIPE, seeds=(1, 2)), encoding="utf-8")
    desk = Desk(root, slurm)
    desk.ck("design", "write", str(design), "--reason", "shown here")
    desk.ck("scaffold")
    return desk


def test_an_experiment_is_submitted_watched_cancelled_and_retried_on_slurm(desk: Desk) -> None:
    desk.partitions("down")
    desk.ck("submit", "--yes", "--reason", "to be queued")
    before = desk.steps()
    assert desk.phases() == ["pending"] * 4
    victim = min(before)
    names = desk.names()
    assert [name.partition(":")[0] for name in names] == sorted(before)
    desk.ck("submit", "--yes", "--reason", "once more")
    assert desk.names() == names
    desk.ck("cancel", victim, "--yes", "--reason", "not this one")
    desk.partitions("up")
    desk.ck("watch", "--poll", "0.2")
    assert desk.phases() == ["cancelled", "completed", "completed", "completed"]
    desk.ck("retry", victim, "--yes", "--reason", "this one after all")
    desk.ck("watch", "--poll", "0.2")
    after = desk.steps()
    assert desk.phases() == ["completed"] * 4
    assert len(after[victim]["attempts"]) == 2
    for run_id, step in after.items():
        trace = (desk.root / "runs" / run_id / "ran.txt").read_text(encoding="utf-8")
        assert trace == f"{step['attempts'][-1]['job_id']}\n"
        assert step["attempts"][-1]["scheduler"] == "slurm"
    assert desk.ck("logs", victim) is not None


def test_a_job_that_a_dead_controller_lost_is_told_as_unknown_and_the_rest_goes_on(desk: Desk) -> None:
    desk.cluster.keep_state()
    # A controller that starts again takes partitions as its settings say.
    desk.partitions("down")
    desk.ck("submit", "--yes", "--reason", "to be lost")
    desk.cluster.lose_what_followed()
    desk.partitions("up")
    until(lambda: desk.reasons() == {"Slurm holds no such job any more"}, "an answer of the controller")
    assert desk.phases() == ["unknown"] * 4
    assert not list(desk.root.glob("runs/*/ran.txt"))


def test_two_that_submit_at_once_queue_every_job_once(desk: Desk) -> None:
    desk.partitions("down")
    submit = ("-C", str(desk.root), "submit", "--yes", "--reason", "at once")
    command = (sys.executable, "-m", "cruijff_kit.cli.main", *submit)
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    said = [each.communicate()[0].decode() for each in both]
    names = Counter(name.partition(":")[0] for name in desk.names())
    desk.partitions("up")
    assert names == dict.fromkeys(desk.steps(), 1), said
    # The other one found the experiment busy, or everything submitted.
    assert 0 in {each.returncode for each in both}, said
    desk.ck("watch", "--poll", "0.2")
    assert desk.phases() == ["completed"] * 4
    for run_id, step in desk.steps().items():
        assert (desk.root / "runs" / run_id / "ran.txt").read_text() == f"{step['attempts'][-1]['job_id']}\n"


def test_while_the_queue_is_silent_no_command_concludes_or_submits_anything(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.partitions("down")
    desk.ck("submit", "--yes", "--reason", "to be queued")
    before = desk.names("--states=all")
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    squeue.chmod(0o755)
    victim = min(desk.steps())
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
        assert desk.phases() == ["unknown"] * 4
        assert "instead of a list of jobs" in next(iter(desk.reasons()))
        assert "instead of a list of jobs" in desk.refused("cancel", victim, "--yes", "--reason", "not now")
        desk.ck("submit", "--yes", "--reason", "into the silence")
    assert desk.verdicts() == [None] * 4
    assert desk.phases() == ["pending"] * 4
    desk.partitions("up")
    desk.ck("watch", "--poll", "0.2")
    assert desk.phases() == ["completed"] * 4
    assert desk.names("--states=all") == before
