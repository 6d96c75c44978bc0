"""What an assistant is told stays within its budget whatever the experiment's size, and can be paged to its end."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.schema.layout import RunLayout
from tests.fakes.experiment import Size, make_experiment
from tests.mcp_bench import Bench, Reply

pytestmark = pytest.mark.once

BUDGET = 2_000
"""Tokens of a concise reply."""
WIDE = 8_000
"""Tokens of a detailed one."""
RUNS = 500


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with an experiment of 500 trained runs, named as the bench names its own, reported."""
    root = tmp_path_factory.mktemp("large")
    plan = make_experiment(root / "bits", Size(steps=5, seeds=tuple(range(1, RUNS // 4 + 1)), evaluated=False))
    assert len([run for run in plan.runs if run.type == "fine-tuned"]) == RUNS
    (log,) = [root / "bits" / RunLayout(plan.runs[0].id).folder / "slurm-17.out"]
    log.write_text("".join(f"[2026-11-27 10:00:{n % 60:02d}] step {n} {'x' * 400}\n" for n in range(2_000)))
    return root


@pytest.fixture(scope="module")
def reply(large: Path) -> Any:
    """Return a function that makes one call about the large experiment."""
    bench = Bench(large, "")
    assert not bench.call("results_report", reason="to be read").error
    return bench.call


@pytest.mark.parametrize(
    "tool,arguments",
    (
        ("job_status", {}),
        ("job_status", {"limit": 100}),
        ("results_report", {"reason": "again"}),
        ("results_read", {"limit": 100}),
        ("audit_read", {"limit": 100, "verify": True}),
        ("experiment_validate", {}),
        ("experiments_search", {}),
    ),
)
def test_replies_about_five_hundred_runs_stay_within_the_budget(reply: Any, tool: str, arguments: Any) -> None:
    told: Reply = reply(tool, **arguments)
    assert not told.error, told.text
    assert told.tokens <= BUDGET
    detailed: Reply = reply(tool, **arguments, response_format="detailed")
    assert told.tokens <= detailed.tokens <= WIDE


@pytest.mark.parametrize("tool,items", (("job_status", "jobs"), ("results_read", "figures")))
def test_following_the_cursor_shows_everything_once(reply: Any, tool: str, items: str) -> None:
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page: Reply = reply(tool, cursor=cursor, limit=100, response_format="detailed")
        assert not page.error, page.text
        seen += [json.dumps(each, sort_keys=True) for each in page.content[items]]
        cursor = page.content["next_cursor"]
    assert len(seen) == len(set(seen)) >= RUNS


def test_every_tool_that_reads_a_list_tells_how_to_go_on(reply: Any) -> None:
    assert reply("job_status").content["next_cursor"]
    assert reply("results_read").content["next_cursor"]


def test_s31_a_reading_tool_changes_no_byte(large: Path, reply: Any) -> None:
    before = {path: path.read_bytes() for path in large.rglob("*") if path.is_file()}
    reply("job_status")
    reply("results_read", match="training")
    reply("audit_read", verify=True)
    reply("results_read", view="verification")
    reply("experiment_validate")
    reply("experiment_validate", design="name: x")
    reply("logs_tail", run="nobody")
    reply("data_show")
    reply("experiments_search")
    tested = {"job_status", "results_read", "audit_read", "experiment_validate", "logs_tail", "data_show"}
    tested.add("experiments_search")
    assert tested == {name for name, entry in SURFACE.items() if entry.annotations.read_only_hint}
    assert {path: path.read_bytes() for path in large.rglob("*") if path.is_file()} == before
