"""What a real Slurm refuses, what it takes and we do not, and what is said of it."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from cruijff_kit.errors import SchedulerError, SiteError
from cruijff_kit.schema.job import JobRequest, JobState
from tests.slurm.bench import SlurmBench


class Fault(NamedTuple):
    """A script that Slurm does not take."""

    name: str
    script: bytes
    said: str
    hint: str


def with_line(line: str) -> bytes:
    return f"#!/bin/sh\n#SBATCH {line}\ntrue\n".encode()


FAULTS = (
    Fault("partition", with_line("--partition=nowhere"), "invalid partition", "sinfo"),
    Fault("time", with_line("--time=9-00:00:00"), "time limit is invalid", "resources.time"),
    Fault("time-in-words", with_line("--time=banana"), "Invalid --time", "scaffold"),
    Fault("option", with_line("--bogus=1"), "unrecognized option", "scaffold"),
    Fault("gpus", with_line("--gres=gpu:64"), "not available", "resources"),
    Fault("gpu-type", with_line("--gres=gpu:abacus:1"), "generic resource|not available", "resources"),
    Fault("resource", with_line("--gres=tpu:1"), "generic resource", "resources.gpus"),
    Fault("cpus", with_line("--cpus-per-task=99"), "processors", "resources"),
    Fault("memory", with_line("--mem=9000G"), "not available|[Mm]emory", "resources"),
    Fault("nodes", with_line("--nodes=9"), "[Nn]ode", "resources"),
    Fault("constraint", with_line("--constraint=quantum"), "feature", "constraint"),
    Fault("shebang", b"true\n", "does not look like a batch script", "scaffold"),
    Fault("line-breaks", b"#!/bin/sh\r\ntrue\r\n", "DOS line breaks", "scaffold"),
    Fault("nothing", b"", "empty", "scaffold"),
    Fault("array", with_line("--array=0-99999"), "job array", "fewer runs"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[each.name for each in FAULTS])
def test_a_job_that_slurm_refuses_is_told_with_its_words_and_a_remedy_and_is_not_queued(
    bench: SlurmBench, fault: Fault
) -> None:
    request = bench.request(f"refused-{fault.name}", body="true")
    Path(request.script).write_bytes(fault.script)
    with pytest.raises(SchedulerError, match=f"(?i){fault.said}") as refusal:
        bench.scheduler.submit(request)
    assert f"refused-{fault.name}" in str(refusal.value)
    assert fault.hint in refusal.value.hint
    assert refusal.value.stderr
    assert not refusal.value.transient
    assert bench.another().find([request.tag]) == {}


def test_a_mended_script_is_taken_under_the_tag_that_was_refused(bench: SlurmBench) -> None:
    request = bench.request("mended", body="true", head="#SBATCH --partition=nowhere\n")
    with pytest.raises(SchedulerError):
        bench.scheduler.submit(request)
    Path(request.script).write_bytes(with_line("--partition=low"))
    assert bench.ended(bench.scheduler.submit(request))[0].state is JobState.SUCCEEDED


def test_a_folder_or_a_script_that_is_not_there_is_refused_before_slurm_runs_it_elsewhere(bench: SlurmBench) -> None:
    request = bench.request("nowhere", body="true")
    with pytest.raises(SchedulerError, match="no such directory"):
        bench.scheduler.submit(request.model_copy(update={"chdir": f"{bench.folder}/none"}))
    with pytest.raises(SchedulerError, match=r"(?i)unable to open"):
        bench.scheduler.submit(request.model_copy(update={"script": f"{bench.folder}/none.slurm"}))
    assert bench.another().find(["nowhere"]) == {}


def test_a_machine_without_slurm_is_told_so_and_reads_as_unknown(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = bench.request("homeless", body="true")
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(bench.folder))
        with pytest.raises(SiteError, match="squeue is not on the PATH") as refusal:
            bench.another().submit(request)
        report = bench.another().reports(["7"])["7"]
    assert "scheduler: local" in refusal.value.hint
    assert report.state is JobState.UNKNOWN
    assert "not on the PATH" in report.reason


def test_a_job_gets_none_of_its_submitters_secrets_nor_orders_hidden_in_the_environment(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hunter2")
    for name, value in {"SBATCH_PARTITION": "nowhere", "SLURM_JOB_ID": "1", "SQUEUE_FORMAT": "%i"}.items():
        monkeypatch.setenv(name, value)
    job_id = bench.submit("clean", body="env > env.txt")
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    assert "hunter2" not in bench.text("env.txt")
    assert f"SLURM_JOB_ID={job_id}\n" in bench.text("env.txt")


def test_a_mail_is_asked_of_slurm_for_the_end_of_one_job_and_no_address_is_an_option(bench: SlurmBench) -> None:
    job_id = bench.scheduler.submit(bench.request("mailed", body="true").model_copy(update={"mail": "ada@lab"}))
    shown = bench.cluster.say("scontrol", "show", "job", job_id)
    assert "MailUser=ada@lab" in shown
    assert re.search(r"MailType=(?:END,FAIL|FAIL,END)", shown)
    silent = bench.submit("not-mailed", body="true")
    assert "MailUser=ada" not in bench.cluster.say("scontrol", "show", "job", silent)
    bench.ended(job_id, silent)
    for address in ("-x", "a b", "ada;touch owned", "$(touch owned)", "ada\n--wrap=x"):
        with pytest.raises(ValidationError):
            JobRequest(script="/x", tag="x", name="x", chdir="/", mail=address)


def test_a_folder_that_careless_shells_trip_over_is_no_danger(bench: SlurmBench, hostile_path: Path) -> None:
    tag = f"hostile-{sum(hostile_path.name.encode())}"
    script = hostile_path / "job.slurm"
    script.write_text("#!/bin/sh\npwd > where.txt\n", encoding="utf-8")
    request = bench.request(tag, body="true").model_copy(update={"script": str(script), "chdir": str(hostile_path)})
    hostile = request.model_copy(update={"comment": "$(touch owned) `touch owned`; --partition=nowhere"})
    assert bench.ended(bench.scheduler.submit(hostile))[0].state is JobState.SUCCEEDED
    assert (hostile_path / "where.txt").read_text(encoding="utf-8") == f"{hostile_path}\n"
    assert not list(bench.folder.rglob("owned"))
