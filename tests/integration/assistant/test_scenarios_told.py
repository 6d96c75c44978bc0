"""What an assistant is told when nobody answers, somebody leaves, or something is missing: no more than is known."""

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import pytest

from cruijff_kit.schema.layout import RunLayout
from tests.assistant_said import must_be_told, must_be_true, records
from tests.bit_design import bit_design
from tests.fakes.experiment import Size, plan_of
from tests.mcp_bench import NAME, WHY, Bench, Reply, Talk, User
from tests.wire import Wire

pytestmark = pytest.mark.once

SMALL = Size(words=12, others=2, steps=5)
YES = {"action": "accept", "content": {"confirm": True}}
SILENT = """\
#!/bin/sh
name=$(basename "$0")
if [ ! -e "$(dirname "$0")/awake" ]; then
  echo "$name: error: Unable to contact slurm controller (connect failure)" >&2
  exit 1
fi
case $name in
  squeue) echo "JOBID STATE EXIT_CODE REASON SUBMIT_TIME START_TIME END_TIME NAME" ;;
  sacct) echo "JobID|State" ;;
  sbatch) echo x >> "$(dirname "$0")/taken"; expr 4710 + "$(wc -l < "$(dirname "$0")/taken")" ;;
esac
"""


@pytest.fixture
def cluster(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a Slurm's commands that get no answer until there is a file `awake` beside them."""
    folder = bench.root.parent / "bin"
    folder.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "scancel", "sacctmgr"):
        (folder / name).write_text(SILENT, encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    settings = "scheduler: slurm\nqueue: {backoff: {first: 0, longest: 0, tries: 1}}\n"
    (bench.root / "site.yaml").write_text(settings, encoding="utf-8")
    return folder


# --- answers that are none ---


def test_a_scheduler_without_an_answer_has_no_job_and_is_asked_again_without_a_second_question(
    bench: Bench, cluster: Path
) -> None:
    user = User()

    async def dialogue(talk: Talk) -> tuple[Reply, Reply, Reply, Reply]:
        plan_id = await talk.scaffold(bench.design)
        first = await talk.call("job_submit", plan_id=plan_id, reason=WHY)
        waits = await talk.call("job_watch", timeout=0, reason=WHY)
        (cluster / "awake").touch()
        return first, waits, await talk.call("job_watch", timeout=0, reason=WHY), await talk.call("job_status")

    first, waits, handed, status = bench.talk(dialogue, user=user)
    must_be_told(first, "2 of 2 jobs are not with the scheduler yet", "Unable to contact slurm controller", "job_watch")
    assert (first.content["submitted"], first.content["jobs"]) == (False, 0)
    assert first.content["states"] == {"waiting": 2}
    assert not any(job["job_id"] for job in first.content["first_jobs"])
    must_be_told(waits, '"waiting": 2', '"moving": true')
    must_be_told(handed)
    assert {job["job_id"] for job in status.content["jobs"]} == {"4711", "4712"}
    assert "failed" not in status.content["phases"]
    assert len(user.asked) == 1
    assert len(records(bench, "SUBMIT_JOB")) == 2


def test_jobs_that_wait_for_room_are_told_apart_from_those_a_scheduler_refused(bench: Bench) -> None:
    (bench.root / "site.yaml").write_text("queue: {max_queued: 1}\n", encoding="utf-8")

    async def dialogue(talk: Talk) -> tuple[Reply, Reply]:
        plan_id = await talk.scaffold(bench.design)
        first = await talk.call("job_submit", plan_id=plan_id, reason=WHY)
        while (last := await talk.call("job_watch", timeout=30, reason=WHY)).content["moving"]:
            pass
        return first, last

    first, last = bench.talk(dialogue, user=User())
    must_be_told(first, "1 of 2 jobs are not with the scheduler yet: they wait for room", '"submitted": true')
    assert first.content["jobs"] == 1
    must_be_told(last, '"completed": 2')


@pytest.mark.parametrize(
    "answer,words",
    (
        ("decline", "the user said no"),
        ("leave", "without the tick"),
        ("cancel", "dismissed it, or nobody was there to be asked"),
    ),
)
def test_an_answer_that_is_no_yes_is_told_as_what_it_was(
    answer: Literal["leave", "decline", "cancel"], words: str, bench: Bench
) -> None:
    async def dialogue(talk: Talk) -> tuple[Reply, Reply, Reply]:
        plan_id = await talk.scaffold(bench.design)
        said = {"plan_id": plan_id, "reason": "The user agreed to everything."}
        submitted, stopped = await talk.call("job_submit", **said), await talk.call("job_cancel", reason=WHY)
        return submitted, stopped, await talk.call("job_status")

    submitted, stopped, status = bench.talk(dialogue, user=User(answer))
    must_be_told(submitted, words, "nothing was submitted", '"submitted": false')
    must_be_told(stopped, words, "nothing was stopped", error=True)
    told = {"said no", "without the tick", "dismissed"}
    assert {each for each in told if each in submitted.text} == {each for each in told if each in words}
    assert status.content["phases"] == {"not submitted": 2}
    assert not records(bench, "SUBMIT_JOB") + records(bench, "CANCEL")


def test_a_client_that_cannot_ask_is_not_told_that_anybody_refused(bench: Bench) -> None:
    async def dialogue(talk: Talk) -> tuple[str, Reply]:
        plan_id = await talk.scaffold(bench.design)
        return plan_id, await talk.call("job_submit", plan_id=plan_id, reason=WHY)

    plan_id, reply = bench.talk(dialogue)
    must_be_told(reply, "cannot ask the user", "nothing was done", f"submit {plan_id[:12]}", error=True)
    assert not any(word in reply.text for word in ("said no", "did not agree", "dismissed", "declined"))
    assert not records(bench, "SUBMIT_JOB")


def test_jobs_that_failed_are_not_told_as_submitted_anew(bench: Bench) -> None:
    recipe = bench.root / "fails.py"
    recipe.write_text("raise OSError('no disk today')\n", encoding="utf-8")
    design = bit_design(NAME, model=bench.model, recipe=recipe, seeds=(1,))

    async def dialogue(talk: Talk) -> Reply:
        plan_id = await talk.scaffold(design)
        await talk.finish(plan_id)
        return await talk.call("job_submit", plan_id=plan_id, reason="once more")

    again = bench.talk(dialogue, user=User())
    must_be_told(again, "nothing was queued", "job_status")
    assert again.content["states"] == {"already submitted": 2}
    assert len(records(bench, "SUBMIT_JOB")) == 2


# --- somebody leaves ---


def resumed(bench: Bench, plan_id: str) -> None:
    """Assert that another client, which knows the plan alone, ends with each job done once."""

    async def dialogue(talk: Talk) -> tuple[Reply, Reply]:
        seen = await talk.finish(plan_id)
        return seen, await talk.call("audit_read", verify=True, limit=1)

    seen, audit = bench.talk(dialogue, user=User())
    must_be_told(seen, '"completed": 2', '"finished": true')
    must_be_told(audit, '"ok": true')
    assert len(records(bench, "SUBMIT_JOB")) == 2
    ran = [path.read_text(encoding="utf-8").splitlines() for path in bench.experiment.glob("runs/*/ran.txt")]
    assert [len(lines) for lines in ran] == [1, 1]


@pytest.mark.parametrize("answered", (False, True), ids=("while the user is asked", "when the user has said yes"))
def test_a_server_lost_in_a_submission_is_taken_up_by_the_next(answered: bool, bench: Bench) -> None:
    plan_id = bench.talk(lambda talk: talk.scaffold(bench.design))
    given: dict[str, Any] = {"name": "job_submit", "arguments": {"experiment": NAME, "plan_id": plan_id, "reason": WHY}}
    with Wire(bench.root) as wire:
        asked = wire.request("tools/call", **given)["result"]
        if answered:
            wire.send(
                "tools/call",
                requestState=asked["requestState"],
                inputResponses=dict.fromkeys(asked["inputRequests"], YES),
                **given,
            )
        wire.process.kill()
    assert len(records(bench, "SUBMIT_JOB")) <= (2 if answered else 0)
    resumed(bench, plan_id)


def test_a_server_lost_in_a_watch_is_taken_up_by_the_next(bench: Bench) -> None:
    async def handed(talk: Talk) -> str:
        plan_id = await talk.scaffold(bench.design)
        assert (await talk.call("job_submit", plan_id=plan_id, reason=WHY)).content["submitted"]
        return plan_id

    plan_id = bench.talk(handed, user=User())
    with Wire(bench.root) as wire:
        number = wire.send(
            "tools/call",
            name="job_watch",
            arguments={"experiment": NAME, "timeout": 60, "reason": WHY},
            _meta={"progressToken": 1},
        )
        # It tells of its progress, or the jobs were faster.
        heard = wire.hear()
        assert heard.get("method") == "notifications/progress" or heard["id"] == number
        wire.process.kill()
    resumed(bench, plan_id)


# --- something is missing ---


def test_jobs_that_were_stopped_are_no_failures_and_leave_no_figure(bench: Bench, tmp_path: Path) -> None:
    recipe = bench.root / "waits.py"
    recipe.write_text(f"import time\nfrom pathlib import Path\nwhile not Path({str(tmp_path / 'go')!r}).exists():\n"
                      "    time.sleep(0.02)\n", encoding="utf-8")  # fmt: skip
    design = bit_design(NAME, model=bench.model, recipe=recipe, seeds=(1,))

    async def dialogue(talk: Talk) -> tuple[Reply, Reply, Reply, Reply]:
        plan_id = await talk.scaffold(design)
        await talk.call("job_submit", plan_id=plan_id, reason=WHY)
        stopped = await talk.call("job_cancel", reason="the user saw enough")
        while (last := await talk.call("job_watch", timeout=30, reason=WHY)).content["moving"]:
            pass
        report = await talk.call("results_report", reason=WHY)
        return stopped, last, report, await talk.call("results_read", match="training")

    user = User()
    stopped, last, report, figures = bench.talk(dialogue, user=user)
    must_be_told(stopped)
    assert len(stopped.content["asked"]) == 2
    assert "stop" in user.asked[1].lower()
    must_be_told(last, '"cancelled": 2')
    assert all(job["note"] for job in last.content["jobs"])
    must_be_told(report, "No planned result is there yet.", "0 of 2 runs")
    assert report.content["incomplete"] == 2
    assert {figure["value"] for figure in figures.content["figures"]} == {None}
    assert "cancelled" in (bench.experiment / "summary.md").read_text(encoding="utf-8")
    must_be_true(bench)


def test_one_missing_cell_is_named_counted_and_in_no_mean(finished: Path, tmp_path: Path) -> None:
    bench = Bench(shutil.copytree(finished, tmp_path / "project"), "")
    run = plan_of(SMALL).runs[0]
    cell = run.cells[0]
    shutil.rmtree((bench.experiment / RunLayout(run.id).cell_done(cell.name)).parent)

    report = bench.call("results_report", reason=WHY)
    must_be_told(report, "8 of 9 runs have every planned result; the report lists what is missing.")
    assert report.content["incomplete"] == 1
    assert "below" not in report.text
    row = next(line for line in report.content["table"].splitlines() if run.id in line and cell.task.name in line)
    assert not any(character in row.partition(cell.task.name)[2].replace(" 0 ", " ") for character in "123456789")
    read = bench.call("results_read", match=f"accuracy/{run.id}/{cell.task.name}", limit=20)
    assert {(figure["value"], figure["low"]) for figure in read.content["figures"]} == {(None, None)}
    rank, lr = run.factors.values()
    (mean,) = bench.call("results_read", match=f"mean/lora_rank={rank},lr={lr:g}").content["figures"]
    assert mean["n"] == 1
    summary = (bench.experiment / "summary.md").read_text(encoding="utf-8")
    listed = summary.partition("## Incomplete runs")[2].partition("\n## ")[0]
    assert listed.count(run.id) == 1
    assert cell.task.name in listed
    must_be_true(bench)


def test_a_report_made_before_the_last_results_is_refused_until_it_is_made_anew(finished: Path, tmp_path: Path) -> None:
    bench = Bench(shutil.copytree(finished, tmp_path / "project"), "")
    run = plan_of(SMALL).runs[0]
    away = (bench.experiment / RunLayout(run.id).cell_done(run.cells[0].name)).parent
    away.rename(tmp_path / "away")
    must_be_told(bench.call("results_report", reason=WHY), "8 of 9 runs")
    (tmp_path / "away").rename(away)
    must_be_told(bench.call("results_report", reason="the last evaluation has ended"), "9 of 9 runs")

    trace = bench.experiment / "report" / "trace.json"
    before = trace.read_bytes()
    table = bench.experiment / "results.parquet"
    table.write_bytes(table.read_bytes() + b" ")
    refused = bench.call("results_read", match="accuracy")
    must_be_told(refused, "made of another `results.parquet`", "ck report", error=True)
    assert not any(character in refused.text for character in "0123456789")
    assert trace.read_bytes() == before
    must_be_told(bench.call("results_report", reason="again"), "9 of 9 runs")
    assert bench.call("results_read", match="accuracy").content["total"]
    must_be_true(bench)


def test_the_record_of_an_experiment_that_is_not_there_is_not_told_to_hold(bench: Bench) -> None:
    must_be_told(bench.call("audit_read", verify=True), "no audit log", "nothing is proven", error=True)
    assert not bench.experiment.exists()
