"""What Slurm's commands are called with: a hostile value is refused, or is one argument and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobRequest
from tests.integration.test_hostile_values import HOSTILE, texts_of

HEADS = {
    "squeue": "echo JOBID STATE EXIT_CODE REASON SUBMIT_TIME START_TIME END_TIME NAME",
    "sacct": "echo 'JobID|State'",
    "scancel": ":",
    "sbatch": "echo 17",
}
STUB = '#!/bin/sh\nprintf "%%s\\0" "${0##*/}" "$@" >> "%s"\nprintf "\\n" >> "%s"\ncat > "%s.stdin"\n%s\n'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Put commands that note what they are called with before Slurm's; return a look at what they noted."""
    folder, notes = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for name, answer in HEADS.items():
        (folder / name).write_text(STUB % (notes, notes, notes, answer), encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def called() -> list[list[str]]:
        noted = notes.read_bytes() if notes.exists() else b""
        notes.unlink(missing_ok=True)
        assert not Path(f"{notes}.stdin").exists() or Path(f"{notes}.stdin").read_bytes() == b""
        # An argument may hold a line break; a NUL before one ends a call.
        return [[os.fsdecode(word) for word in call.split(b"\0")] for call in noted.split(b"\0\n") if call]

    return called


TEXTS = sorted(set(texts_of(JobRequest)))


@pytest.mark.parametrize("path", TEXTS, ids=".".join)
def test_a_hostile_value_in_a_request_is_refused_or_is_one_argument_of_sbatch(
    path: tuple[str, ...], tmp_path: Path, calls: Callable[[], list[list[str]]]
) -> None:
    scheduler = SlurmScheduler()
    scheduler.find([])
    plain: dict[str, Any] = {"script": "/job.slurm", "tag": "tag", "name": "name", "chdir": str(tmp_path)}
    accepted, (field, *item) = 0, path
    for number, text in enumerate(text for value in HOSTILE for text in (value, f"{tmp_path}/{value}")):
        try:
            changed = {field: [text] if item else text}
            request = JobRequest.model_validate({**plain, "tag": f"tag{number}", **changed})
            if field == "chdir":
                Path(request.chdir).mkdir(parents=True, exist_ok=True)
            scheduler.submit(request)
        except (ValidationError, SchedulerError, UnicodeEncodeError):
            assert not [call for call in calls() if call[0] == "sbatch"]
            continue
        *asked, called = calls()
        assert {call[0] for call in asked} <= {"squeue", "sacct"}
        assert not [word for call in asked for word in call if text in word]
        assert called == expected(request)
        accepted += 1
    assert bool(accepted) is (field in ("script", "chdir", "comment"))


def expected(request: JobRequest) -> list[str]:
    """Return what `sbatch` has to be called with, word by word."""
    words = [f"--job-name={request.name}:{request.tag}", f"--chdir={request.chdir}"]
    comment = [f"--comment={request.comment}"] if request.comment else []
    mail = ["--mail-type=END,FAIL", f"--mail-user={request.mail}"] if request.mail else []
    return ["sbatch", "--parsable", *words, *comment, *mail, request.script]


def test_a_hostile_number_of_a_job_reaches_no_command(calls: Callable[[], list[list[str]]]) -> None:
    scheduler = SlurmScheduler()
    ids = [*HOSTILE, "1;x", "1 --user=root", "--jobs=1", "1_[2", "٣", "1\n2"]
    assert {report.state.value for report in scheduler.reports(ids).values()} == {"unknown"}
    scheduler.cancel(ids)
    assert scheduler.usage(ids) == {}
    assert calls() == []
    tagged = dict.fromkeys(["7"], "$(touch owned)")
    scheduler.reports(["7"], tags=tagged)
    scheduler.cancel(["7"], tags=tagged)
    assert {call[0] for call in calls()} == {"squeue", "sacct"}
