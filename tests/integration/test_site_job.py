"""`ck site check --job`: one short job tells what a node sees, and nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.environments import DiskEnvironments
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.adapters.site_probe import MachineProbe
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.job import JobReport, JobRequest, JobState
from cruijff_kit.schema.site_facts import FolderFacts, SiteTrait
from cruijff_kit.workflow.site_job import check_nodes
from tests.fakes.designed import world_at
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.site_probe import FakeProbe, FakeSiteFiles
from tests.gated_bench import until
from tests.local_bench import LocalBench, local_bench


def told_world(root: Path, text: str, scheduler: FakeScheduler) -> World:
    """Return a world whose jobs move only as a test says."""
    root.mkdir(exist_ok=True)
    files = FakeSiteFiles(user=text)
    probe = FakeProbe(FolderFacts(path=str(root), exists=True, writable=True, locks=True, free=10**12, skew=0.0))
    world = world_at(root, site=files.read().site)
    return world._replace(
        sites=files, probe=probe, shelf=DiskShelf(), environments=DiskEnvironments(), scheduler=scheduler
    )


class Watched(FakeScheduler):
    """A scheduler whose one job ends, or never does, and that shows the request to its test."""

    def __init__(self, end: JobState | None, *, said: str = "", interrupt: bool = False) -> None:
        super().__init__()
        self._ends, self._said, self._interrupt = end, said, interrupt
        self.cancelled: list[str] = []
        self.script = ""

    def submit(self, request: JobRequest) -> str:
        job_id = super().submit(request)
        self.script = Path(request.script).read_text(encoding="utf-8")
        if self._said:
            (Path(request.chdir) / f"slurm-{job_id}.out").write_text(self._said, encoding="utf-8")
        return job_id

    def reports(self, job_ids: object, *, tags: object = None) -> dict[str, JobReport]:
        if self._interrupt:
            raise KeyboardInterrupt
        state = self._ends or JobState.PENDING
        return {"1": JobReport(job_id="1", state=state, reason="Priority" if self._ends is None else "")}

    def cancel(self, job_ids: object, *, tags: object = None) -> None:
        self.cancelled += list(job_ids)  # type: ignore[call-overload]  # ids, as the port says


def wrong(traits: tuple[SiteTrait, ...]) -> dict[str, str]:
    return {trait.name: f"{trait.found} {trait.hint}" for trait in traits if trait.ok is False}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    with local_bench(tmp_path) as real:
        yield real


def test_a_job_on_the_local_scheduler_tells_of_interpreter_folders_locks_and_clock(
    bench: LocalBench, tmp_path: Path
) -> None:
    root = tmp_path / "with space"
    (tmp_path / "models").mkdir()
    text = f"scratch_dir: {tmp_path}\nmodels_dir: {tmp_path}/models\noutput_dir_base: {tmp_path}/absent\n"
    world = told_world(root, text, FakeScheduler())
    assert isinstance(bench.scheduler, LocalScheduler)
    from cruijff_kit.adapters.clock import SystemClock

    looks: list[str] = []
    world = world._replace(scheduler=bench.scheduler, clock=SystemClock(), probe=MachineProbe())
    report = check_nodes(limit=60, poll=0.05, progress=lambda done, total, label: looks.append(label), world=world)
    traits = {trait.name: trait for trait in report.traits}
    assert wrong(report.traits).keys() == {"node output_dir_base"}
    assert set(traits) >= {
        "job", "node python", "node package", "node torch", "node files", "node lock", "node experiment",
        "node scratch_dir", "node models_dir", "node clock", "node GPUs",
    }  # fmt: skip
    assert str(Path(sys.executable).parent) in traits["node python"].found
    assert looks
    assert list(root.iterdir()) == []


def test_the_job_asks_for_what_the_site_s_jobs_ask_for_by_default(tmp_path: Path) -> None:
    scheduler = Watched(JobState.SUCCEEDED)
    text = (
        "partitions: [{name: gpu, account: paid, gpus: [{type: a100}]}]\npartition: gpu\naccount: lab\nqos: urgent\n"
        "gpu_type: a100\nconstraint: ib\n"
    )
    check_nodes(world=told_world(tmp_path / "x", text, scheduler))
    job = parse_script(scheduler.script)
    assert (job.partition, job.account, job.qos, job.constraint) == ("gpu", "paid", "urgent", "ib")
    assert (job.gpus, job.gpu_type, job.time, job.cpus) == (1, "a100", "00:05:00", 1)


def test_a_job_that_ends_and_tells_nothing_means_that_a_node_does_not_see_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "x"
    found = wrong(check_nodes(world=told_world(root, "", Watched(JobState.FAILED))).traits)
    assert f"a node may not see `{root}`" in found["job"]
    assert "compute nodes mount" in found["job"]
    said = "bash: python: command not found\n"
    found = wrong(check_nodes(world=told_world(root, "", Watched(JobState.FAILED, said=said))).traits)
    assert "command not found" in found["job"]
    assert list(root.iterdir()) == []


def test_a_job_that_does_not_start_is_waited_for_up_to_the_limit_and_cancelled(tmp_path: Path) -> None:
    scheduler = Watched(None)
    world = told_world(tmp_path / "x", "", scheduler)
    found = wrong(check_nodes(limit=90, poll=10, world=world).traits)
    assert "pending (Priority) after" in found["job"]
    assert scheduler.cancelled == ["1"]
    assert world.clock.monotonic() >= 90


def test_an_interrupt_cancels_the_job_and_leaves_nothing(tmp_path: Path) -> None:
    root, scheduler = tmp_path / "x", Watched(None, interrupt=True)
    with pytest.raises(KeyboardInterrupt):
        check_nodes(world=told_world(root, "", scheduler))
    assert scheduler.cancelled == ["1"]
    assert list(root.iterdir()) == []


def test_without_a_directory_there_is_nothing_to_submit_from(tmp_path: Path) -> None:
    world = told_world(tmp_path / "x", "", FakeScheduler())
    (tmp_path / "x").rmdir()
    with pytest.raises(SiteError, match="is not there"):
        check_nodes(world=world)


def test_the_command_tells_of_node_and_machine_in_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "project" / "x"
    root.mkdir(parents=True)
    done = CliRunner().invoke(cli, ["-C", str(root), "site", "check", "--job", "--json"])
    assert done.exit_code == 0, done.output
    names = {trait["name"] for trait in json.loads(done.output)["traits"]}
    assert names >= {"programs", "python", "job", "node lock"}
    assert list(root.iterdir()) == []


def test_ctrl_c_at_a_terminal_cancels_the_job(tmp_path: Path) -> None:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # What jobs activate waits at a gate, so that the job runs until it is cancelled.
    env = tmp_path / "env" / "bin"
    env.mkdir(parents=True)
    text = f'if [ -n "$CRUIJFF_JOB_ID$SLURM_JOB_ID" ]; then read -r word < "{gate}"; fi\n'
    (env / "activate").write_text(text, encoding="utf-8")
    (config / "site.yaml").write_text(f"environment: {{kind: venv, name: '{env.parent}'}}\n", encoding="utf-8")
    root = tmp_path / "project" / "x"
    root.mkdir(parents=True)
    command = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(root), "site", "check", "--job"]
    child = subprocess.Popen(
        command,
        env={**os.environ, "XDG_CONFIG_HOME": str(config.parent)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until(lambda: list(root.glob(".ck-site-*/slurm-*.out")), "the start of the job")
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode != 0
    assert b"Traceback" not in errors, errors
    until(lambda: not _is_read(gate), "the end of the job")
    assert list(root.iterdir()) == []


def _is_read(gate: Path) -> bool:
    """Return whether a process waits at a gate."""
    try:
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
