"""What a job says in its own words is kept out of files that are read more widely than its data."""

import json
from pathlib import Path

import pytest

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.withheld import words_for_files
from tests.fakes.designed import DESIGN
from tests.fakes.experiment import Size, make_experiment
from tests.integration.reporting.conftest import world_at
from tests.submitted import Submitted, look, scaffolded_template

QUOTED = "Jane Doe, 12 March"
SAID = f"ValueError: could not convert '{QUOTED}' to float"


@pytest.mark.parametrize("tier", ("green", "yellow", "red"))
def test_the_record_of_a_failed_job_quotes_no_row_of_data_that_is_not_green(tier: Tier, tmp_path: Path) -> None:
    data = {"training": DESIGN["data"]["training"]}
    exp = Submitted(scaffolded_template(tmp_path / "template", data={**data, "tier": tier}), tmp_path / "exp")
    run = max(path.name for path in (exp.world.store.root / "runs").iterdir())
    submit_jobs(exp.plan_id, runs=(run,), reason="try", world=exp.world)
    job = exp.job_id(run)
    exp.scheduler.start(job)
    exp.evaluates(job, state="failed", message=SAID)
    exp.scheduler.finish(job, code=1)
    look(exp)
    render_views(world=exp.world)
    record = (exp.world.store.root / "logs" / "audit.jsonl").read_text(encoding="utf-8")
    views = "".join(path.read_text(encoding="utf-8") for path in (exp.world.store.root / "logs").glob("*.log"))
    assert ("ValueError" in record, "ValueError" in views) == (True, True)
    assert (QUOTED in record, QUOTED in views) == (tier == "green", tier == "green")
    if tier != "green":
        assert f"ValueError, its words are withheld here, as the data is {tier}" in record
    # Whoever asks at the terminal is told all of it.
    assert QUOTED in exp.step(run, Step.TRAIN).reason


@pytest.mark.parametrize("tier", ("green", "red"))
def test_a_report_quotes_no_row_of_data_that_is_not_green(tier: Tier, tmp_path: Path) -> None:
    root = tmp_path / "experiment"
    run = next(run for run in make_experiment(root, Size(words=4, others=1, steps=4)).runs if run.cells)
    (root / RunLayout(run.id).cell_done(run.cells[0].name)).unlink()
    (root / RunLayout(run.id).done("eval")).unlink()
    own = {"state": "failed", "step": 3, "total": 9, "message": SAID, "job_id": "7"}
    moments = {"started": "2026-11-20T09:00:00.000Z", "updated": "2026-11-20T09:01:00.000Z"}
    (root / RunLayout(run.id).status("eval")).write_text(json.dumps(own | moments), encoding="utf-8")
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "TIER").write_text(tier, encoding="utf-8")
    write_report(world=world_at(root))
    told = (root / "summary.md").read_text(encoding="utf-8") + (root / "report" / "index.html").read_text("utf-8")
    assert "failed at 3 of 9" in told
    assert (QUOTED in told) == (tier == "green")


@pytest.mark.parametrize(
    "reason,told",
    (
        (f"its training failed at 3 of 9: {SAID}", "its training failed at 3 of 9: ValueError, its words are withheld"),
        (f"its `.eval` log has status error: {QUOTED}", "its `.eval` log has status error: its words are withheld"),
        ("it was not evaluated", "it was not evaluated"),
        ("its `.eval` log holds no samples", "its `.eval` log holds no samples"),
        ("its `DONE` cannot be read", "its `DONE` cannot be read"),
    ),
)
def test_only_words_of_jobs_are_left_out(reason: str, told: str) -> None:
    found = words_for_files(reason, tier="yellow")
    assert found.startswith(told)
    assert QUOTED not in found
    assert words_for_files(reason, tier="green") == reason
