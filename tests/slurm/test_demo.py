"""The whole demo on a real Slurm: training and evaluation as jobs on two virtual nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from tests.slurm.cluster import running_cluster
from tests.slurm.settings import Setup


@pytest.mark.soak
def test_the_demo_trains_and_evaluates_on_two_nodes(tmp_path: Path) -> None:
    with running_cluster(Setup(cpus=1, mem=4000, gpus=0)) as cluster:
        command = (sys.executable, "-m", "cruijff_kit.cli.demo", "--root", str(tmp_path), "--scheduler", "slurm")
        surroundings = {**os.environ, **cluster.environment}
        done = subprocess.run(command, env=surroundings, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "9 of 9 runs have every planned result" in done.stdout
        rows = cluster.say("squeue", "-h", "-t", "all", "-o", "%T %N %j").split("\n")
    assert len(rows) == 17
    assert {row.split()[0] for row in rows} == {"COMPLETED"}
    for kind in ("train", "eval"):
        assert {row.split()[1] for row in rows if f"-{kind}-" in row} == {"n1", "n2"}
    assert load_yaml((tmp_path / "site.yaml").read_text(encoding="utf-8"), name="site").value["scheduler"] == "slurm"
