"""One short job on a real Slurm tells what its node sees."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from tests.slurm.cluster import Cluster


@pytest.fixture
def root(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    (config / "site.yaml").write_text("scheduler: slurm\npartition: debug\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    root = tmp_path / "with space" / "x"
    root.mkdir(parents=True)
    return root


def test_a_node_is_asked_through_the_queue_and_nothing_is_left(root: Path, slurm: Cluster) -> None:
    done = CliRunner().invoke(cli, ["-C", str(root), "site", "check", "--job"])
    assert done.exit_code == 0, done.output
    for words in ("told on `", "a name taken here is refused there", "node experiment", "reads what was written here"):
        assert words in done.output
    assert list(root.iterdir()) == []


def test_a_job_that_waits_beyond_the_limit_is_cancelled(root: Path, slurm: Cluster) -> None:
    slurm.say("scontrol", "update", "partitionname=debug", "state=down")
    try:
        done = CliRunner().invoke(cli, ["-C", str(root), "site", "check", "--job", "--limit", "0.5"])
    finally:
        slurm.say("scontrol", "update", "partitionname=debug", "state=up")
    assert "pending (" in done.output
    assert "; cancelled" in done.output
    assert slurm.say("squeue", "-h", "-o", "%j") == ""
    assert list(root.iterdir()) == []
