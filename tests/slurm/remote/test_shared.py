"""A whole experiment on a cluster that sees the same directories: files are written here, commands run there."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cruijff_kit.adapters.login_host import LoginHost
from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobRequest
from tests.bit_design import bit_design
from tests.gated_bench import until
from tests.random_model import random_base
from tests.slurm.cluster import Cluster
from tests.slurm.remote.bench import login_bench
from tests.slurm.remote.login import Login, running_login
from tests.slurm.test_experiment import RECIPE, Desk


@pytest.fixture
def login(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    with running_login(slurm_cluster.environment) as login:
        monkeypatch.setenv("CRUIJFF_SSH_CONFIG", str(login.config))
        yield login
    slurm_cluster.clear()


@pytest.fixture
def desk(login: Login, slurm_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    site = f"allow_unattended: true\nscheduler: slurm\nlogin_host: {login.name}\n"
    (config / "site.yaml").write_text(site, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    root = tmp_path / "it's shared"
    root.mkdir()
    design = tmp_path / "design.yaml"
    text = bit_design("queued", model=random_base(tmp_path / "base"), recipe=RECIPE, seeds=(1,))
    design.write_text(text, encoding="utf-8")
    desk = Desk(root, slurm_cluster)
    desk.ck("design", "write", str(design), "--reason", "shown here")
    desk.ck("scaffold")
    return desk


def test_an_experiment_is_submitted_watched_cancelled_retried_and_reported_through_a_login_host(
    desk: Desk, login: Login
) -> None:
    assert "SLURM_CONF" not in os.environ
    desk.partitions("down")
    desk.ck("submit", "--yes", "--reason", "to be queued")
    before = desk.steps()
    assert desk.phases() == ["pending"] * 2
    names = desk.cluster.say("squeue", "-h", "-o", "%j").split("\n")
    assert sorted(name.partition(":")[0] for name in names) == sorted(before)
    desk.ck("submit", "--yes", "--reason", "once more")
    assert desk.cluster.say("squeue", "-h", "-o", "%j").split("\n") == names
    victim = min(before)
    desk.ck("cancel", victim, "--yes", "--reason", "not this one")
    login.hang_up()
    assert desk.phases() == ["unknown"] * 2
    assert [reason[:59] for reason in desk.reasons()] == ["Slurm does not answer: `login.test cannot be reached by ssh"]
    login.listen()
    desk.partitions("up")
    desk.ck("watch", "--poll", "0.2")
    assert desk.phases() == ["cancelled", "completed"]
    desk.ck("retry", victim, "--yes", "--reason", "this one after all")
    desk.ck("watch", "--poll", "0.2")
    after = desk.steps()
    assert desk.phases() == ["completed"] * 2
    for run_id, step in after.items():
        trace = (desk.root / "runs" / run_id / "ran.txt").read_text(encoding="utf-8")
        assert trace == f"{step['attempts'][-1]['job_id']}\n"
    assert "Best setting" in desk.ck("report")


def test_a_connection_that_is_cut_while_jobs_are_submitted_has_none_queued_twice_or_lost(
    login: Login, slurm_cluster: Cluster, tmp_path: Path
) -> None:
    slurm_cluster.say("scontrol", "update", "partitionname=debug", "state=down")
    with login_bench(slurm_cluster, tmp_path, login=login) as bench:
        broken = 0
        for count in range(6):
            requests = [bench.request(f"cut-{count}-{number}", body="exit 0") for number in range(3)]
            lines = len(login.lines()) if count else 0
            with ThreadPoolExecutor(1) as pool:
                going = pool.submit(submit_all, bench.another(), requests)
                # Each round is cut a command later, from the first look at the queue to the last job.
                until(lambda going=going, goal=lines + 1 + count: going.done() or said(login) > goal, "commands")
                login.hang_up()
                broken += going.exception() is not None
            login.listen()
            ids = submit_all(bench.another(), requests)
            assert submit_all(bench.another(), requests) == ids
            assert len(set(ids)) == 3
        assert broken
        bench.assert_no_duplicates()
        names = slurm_cluster.say("squeue", "-h", "-o", "%j").split("\n")
        assert len([name for name in names if ":cut-" in name]) == 18
    slurm_cluster.say("scontrol", "update", "partitionname=debug", "state=up")


def submit_all(scheduler: SlurmScheduler, requests: Sequence[JobRequest]) -> list[str]:
    return [scheduler.submit(request) for request in requests]


def said(login: Login) -> int:
    return len(login.lines())


def test_a_job_whose_directory_is_not_seen_there_is_refused_and_not_run_elsewhere(
    login: Login, slurm_cluster: Cluster, tmp_path: Path
) -> None:
    scheduler = SlurmScheduler(LoginHost(login.name))
    request = JobRequest(script="/x", tag="nowhere", name="nowhere", chdir=str(tmp_path / "no"))
    with pytest.raises(SchedulerError, match=r"no such directory on `login\.test`[\s\S]*`remote\.dir` in site\.yaml"):
        scheduler.submit(request)
    assert "nowhere" not in slurm_cluster.say("squeue", "-h", "-t", "all", "-o", "%j")
