"""What an assistant is told stays within its budget whatever the experiment's size, and can be paged to its end."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.mcp_server.result_replies import FiguresReply
from cruijff_kit.mcp_server.search_replies import SearchReply
from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.schema.compared import Across, ArmFigure, ComparedExperiment, Contrast, KeyDifference, NotComparable
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.verification import Difference, Origin, Verification
from tests.fakes.experiment import Size, make_experiment
from tests.mcp_bench import NAME, Bench, Reply

pytestmark = pytest.mark.once

BUDGET = 2_000
"""Tokens of a concise reply."""
WIDE = 8_000
"""Tokens of a detailed one."""
RUNS = 500
LONG = "x" * 5_000


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


def pages(make: Any) -> list[Any]:
    """Return every page, each within the budget of a concise reply as the protocol indents it."""
    found, cursor = [], 0
    while cursor is not None:
        page = make(cursor)
        assert len(page.model_dump_json(indent=2)) // 4 <= BUDGET
        found.append(page)
        cursor = page.next_cursor
    return found


def test_a_report_of_which_nothing_holds_is_told_in_pages_that_fit() -> None:
    origins = tuple(Origin(file=f"runs/{LONG}/{n}.eval", sha256="ab" * 32, pointer=LONG) for n in range(50))
    wrong = tuple(
        Difference(
            kind="number", path="summary.md", place=f"line {n}", shown=LONG, made=LONG, words=LONG, origins=origins
        )
        for n in range(300)
    )
    found = Verification(
        experiment=NAME, version="1", files=1, values=1, figures=1, numbers=1, differences=wrong, notes=(LONG,) * 50
    )
    told = pages(lambda cursor: FiguresReply.verified_by(found, match="", cursor=cursor, limit=100, detail="concise"))
    lines = [each.place for page in told for each in page.differences]
    assert lines == [f"summary.md, line {n}" for n in range(300)]
    assert not any(page.verified for page in told)


def test_the_widest_comparison_is_told_in_pages_that_fit() -> None:
    figure = Interval(value=0.5, low=0.4, high=0.6, n=12, level=0.95, method="wilson")
    sources = {f"runs/{LONG[:200]}/{n}.eval": "ab" * 32 for n in range(20)}
    keys = tuple(KeyDifference(key=f"key{n}", first=LONG, second=LONG) for n in range(30))
    arms = tuple(
        ArmFigure(
            experiment=label, arm=f"rank {n}", task="t", metric="match", epoch=1, runs=("r",), values=(0.5,),
            figure=figure, sources=sources,
        )
        for label in "AB"
        for n in range(12)
    )  # fmt: skip
    contrasts = tuple(
        Contrast(
            first=f"A rank {a}", second=f"B rank {b}", task="t", metric="match", difference=figure, over="seeds",
            test="Welch's t-test", p_value=0.01, p_adjusted=1.0, differs=keys, cautions=(LONG,) * 5,
        )
        for a in range(12)
        for b in range(12)
    )  # fmt: skip
    experiments = tuple(
        ComparedExperiment(
            label=label, name=NAME, folder=NAME, plan_id="ab" * 32, runs=20, tier="red", closed=LONG[:200]
        )
        for label in "AB"
    )
    apart = (NotComparable(first="A t", second="B u", metric="match", reasons=(LONG,) * 5),) * 60
    found = Across(
        experiments=experiments,
        figures=arms,
        contrasts=contrasts,
        not_comparable=apart,
        multiplicity="Holm",
        level=0.95,
    )
    told = pages(lambda cursor: SearchReply.compared_by(found, words="", cursor=cursor, limit=100, detail="concise"))
    names = [each.figure for page in told for each in page.compared]
    assert len(names) == len(set(names)) == 168
