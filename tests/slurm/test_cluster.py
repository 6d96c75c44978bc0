"""The tests' own Slurm ends without a trace, also after whoever started it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.gated_bench import until
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.leftovers import claim, make_root, stop, sweep
from tests.slurm.settings import Setup

HOLDER = """\
import signal
from pathlib import Path
from tests.slurm.cluster import running_cluster
from tests.slurm.settings import Setup

with running_cluster(Setup(nodes=1, gpus=0)) as cluster:
    cluster.sbatch("sleep 1000", folder=cluster.root)
    print(cluster.root, flush=True)
    signal.pause()
"""
ROOT = Path(__file__).parents[2]


def test_a_cluster_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    with running_cluster(Setup(nodes=1, gpus=0)) as cluster:
        job_id = cluster.sbatch("(setsid sleep 1000 & echo $! > child.txt); sleep 1000", folder=tmp_path)
        child = tmp_path / "child.txt"
        until(lambda: child.exists() and child.read_text(encoding="utf-8").strip(), f"job {job_id}")
    assert not cluster.root.exists()
    assert processes_of(cluster.root) == []
    number = int(child.read_text(encoding="utf-8"))
    until(lambda: not lives(number), "the end of what the job left")


def test_a_cluster_whose_owner_was_killed_is_swept_and_one_whose_owner_lives_is_not(slurm: Cluster) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
    assert holder.stdout is not None
    with holder.stdout:
        root = Path(holder.stdout.readline().strip())
        assert root not in sweep()
        assert processes_of(root)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    sweep()
    # Another process that starts a cluster may have been the one to sweep.
    until(lambda: not root.exists(), f"the end of {root}")
    assert processes_of(root) == []
    assert slurm.say("scontrol", "ping")


def test_a_folder_that_nobody_claims_is_left_alone_for_it_may_be_about_to_be_claimed() -> None:
    root = make_root()
    try:
        for text in (None, "", "torn", "[1, 2]"):
            if text is not None:
                (root / "owner.json").write_text(text, encoding="utf-8")
            assert root not in sweep()
        claim(root)
        assert root not in sweep()
        assert root.exists()
    finally:
        stop(root)
    assert not root.exists()


def test_a_cluster_is_started_and_stopped_by_hand_and_nothing_else_can_be(tmp_path: Path) -> None:
    told = by_hand("start", "--nodes", "1").stdout.split("\n")
    conf, root = told[0].partition("=")[2], told[1].rpartition(" ")[2]
    try:
        assert Path(conf).is_file()
        assert Path(root) not in sweep()
        surroundings = {**os.environ, "SLURM_CONF": conf}
        ping = subprocess.run(["scontrol", "ping"], env=surroundings, capture_output=True, check=True)
        assert b"UP" in ping.stdout
    finally:
        assert by_hand("stop", root).returncode == 0
    assert not Path(root).exists()
    refused = by_hand("stop", str(tmp_path))
    assert (refused.returncode, tmp_path.exists()) == (1, True)
    assert "no cluster's folder" in refused.stderr


def by_hand(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.slurm.cluster", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def processes_of(root: Path) -> list[str]:
    listing = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, encoding="utf-8", check=True).stdout
    return [line for line in listing.splitlines() if str(root) in line and not line.startswith("Z")]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
