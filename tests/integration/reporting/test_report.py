"""The report: complete, traced, repeatable, and a page that needs nothing but itself."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cruijff_kit.ports import World
from cruijff_kit.rendering.settings import settings_of
from cruijff_kit.schema.compute import ComputeReport, JobCompute
from cruijff_kit.schema.job import JobState, JobUsage, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.workflow.recomputed import last_report, recompute
from cruijff_kit.workflow.report import write_report
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.experiment import SMALL, Size, design_of, plan_of, seal, write_training

Reported = tuple[World, ReportReceipt]
VOID = {"meta", "br", "circle", "polyline"}
NUMBER = re.compile(r"(?<![\w.])\d+\.\d{3}(?!\d)")


class Page(HTMLParser):
    """Checks that elements nest, and gathers what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        values = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.targets += [value for name, value in attrs if name in {"href", "src", "srcset", "data"} and value]
        assert not any(name.startswith("on") for name in values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"


def test_a_report_writes_its_files_and_returns_what_to_show(reported: Reported) -> None:
    world, receipt = reported
    assert {path: world.store.digest(path) for path in receipt.files} == receipt.files
    assert {path for path in receipt.files if path.endswith(".png")} == {
        "report/accuracy.png", "report/by_word_length.png", "report/interaction.png", "report/loss.png",
        "report/reliability.png",
    }  # fmt: skip
    assert receipt.incomplete == 0
    assert "rank16_lr1e-03_seed1" in receipt.table
    assert receipt.bottom_line[0].startswith("Best setting: lora_rank 16, lr 0.001")
    assert (world.store.read("report/accuracy.png") or b"").startswith(b"\x89PNG")


def test_the_same_results_give_the_same_bytes_and_no_new_record(world: World) -> None:
    first, head = write_report(world=world), world.audit.head()
    assert write_report(world=world) == first
    assert world.audit.head() == head


def test_no_figure_of_the_bottom_line_is_missing_from_the_tables(reported: Reported) -> None:
    world, receipt = reported
    summary = world.store.read_text("summary.md") or ""
    _, _, below = summary.partition("## Run status")
    numbers = {number for line in receipt.bottom_line for number in NUMBER.findall(line)}
    tables = " ".join(line for line in below.splitlines() if line.startswith("|"))
    assert len(numbers) >= 10
    assert numbers <= set(NUMBER.findall(tables)) | {"0.001"}


def test_the_page_nests_well_and_refers_to_nothing_outside_itself(reported: Reported) -> None:
    world, _ = reported
    text = world.store.read_text("report/index.html") or ""
    page = Page(text)
    assert page.open == []
    assert all(target.startswith("#") for target in page.targets)
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not page.names & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not re.search(r"https?:|url\(|@import", text)


def test_who_holds_a_place_alone_has_one_figure_and_no_span(reported: Reported) -> None:
    world, _ = reported
    _, _, below = (world.store.read_text("summary.md") or "").partition("## Ranking on ")
    rows = [row.split(" | ") for row in re.findall(r"^\| \d.*", below.partition("## ")[0], re.MULTILINE)]
    assert {", " in row[1] for row in rows} == {True, False}
    assert all((" to " in row[2]) == (", " in row[1]) for row in rows)


def test_runs_that_a_design_lists_are_told_apart_by_their_names_in_every_plot(reported: Reported) -> None:
    world, _ = reported
    dossier = recompute(last_report(world), world=world).dossier
    names = ("plain_seed1", "plain_seed2", "softened_seed1", "softened_seed2")
    trained = [run for run in dossier.plan.runs if run.type == "fine-tuned"][: len(names)]
    listed = tuple(
        run.model_copy(update={"id": f"{name}-0123abcd", "factors": {}, "seed": int(name[-1])})
        for run, name in zip(trained, names, strict=True)
    )

    def settings(runs: tuple[PlannedRun, ...]) -> list[tuple[str, int]]:
        plan = dossier.plan.model_copy(update={"runs": runs})
        return [(each.name, len(each.runs)) for each in settings_of(dossier.model_copy(update={"plan": plan}))]

    assert settings(listed) == [("run plain", 2), ("run softened", 2)]
    assert settings(listed[:2]) == [("tiny", 2)]


def test_every_source_shown_leads_to_a_file_with_that_hash(reported: Reported) -> None:
    world, _ = reported
    trace = json.loads(world.store.read_text("report/trace.json") or "")
    references = {each["label"]: each for each in trace["references"]}
    assert all(world.store.digest(each["path"]) == each["sha256"] for each in references.values())
    shown = re.findall(r"\[([a-z\d ]+)\]\(#sources\)", world.store.read_text("summary.md") or "")
    listed = re.findall(r'id="source-(\w+)"', world.store.read_text("report/index.html") or "")
    assert {label for labels in shown for label in labels.split()} <= set(listed)
    assert {label for figure in trace["figures"] for label in figure["references"]} <= set(references)
    assert all(figure["references"] for figure in trace["figures"])


def test_every_kind_of_figure_is_traced(reported: Reported) -> None:
    world, _ = reported
    trace = json.loads(world.store.read_text("report/trace.json") or "")
    kinds = {figure["figure"].split("/")[0] for figure in trace["figures"]}
    assert kinds == {"training", "accuracy", "mean", "effect", "base", "group", "check", "probability"}


def test_missing_evaluations_are_listed_with_their_reasons(world: World, root: Path, plan: Plan) -> None:
    layout, cell = RunLayout(plan.runs[0].id), plan.runs[0].cells[0]
    (root / layout.cell_done(cell.name)).unlink()
    receipt = write_report(world=world)
    assert receipt.incomplete == 1
    assert receipt.bottom_line[-1].startswith("8 of 9 runs have every planned result")
    for path in ("summary.md", "report/index.html"):
        text = world.store.read_text(path) or ""
        assert "it was not evaluated" in text.partition("Incomplete runs")[2]


def test_nothing_having_run_gives_a_report_that_says_so(make_world: Callable[[Size], World]) -> None:
    world = make_world(SMALL)
    receipt = write_report(world=world)
    assert receipt.bottom_line[0] == "No planned result is there yet."
    assert receipt.incomplete == 8 + 18
    assert Page(world.store.read_text("report/index.html") or "").open == []


def test_a_design_without_evaluation_is_judged_by_its_validation_loss(make_world: Callable[[Size], World]) -> None:
    size = Size(evaluated=False)
    world = make_world(size)
    for run in plan_of(size).runs:
        write_training(world.store.root, run)
    receipt = write_report(world=world)
    assert "mean validation loss" in receipt.bottom_line[0]
    assert any("lr 0.001 instead of 0.0003 lowers the loss" in line for line in receipt.bottom_line)
    assert receipt.table.startswith("This design has no evaluation")
    assert receipt.incomplete == 0


def test_one_seed_a_setting_is_reported_without_intervals_and_says_why(make_world: Callable[[Size], World]) -> None:
    size = Size(evaluated=False, seeds=(1,))
    world = make_world(size)
    for run in plan_of(size).runs:
        write_training(world.store.root, run)
    write_report(world=world)
    assert "the spread between seeds is unknown" in (world.store.read_text("summary.md") or "")


@pytest.mark.parametrize(
    "words", ("</style><script>alert(1)</script>", "a | b\n| c", "$x^2$ & <b>", "*[z](http://a.b)*")
)
def test_words_of_the_design_cannot_break_the_report(make_world: Callable[[Size], World], words: str) -> None:
    world = make_world(SMALL)
    design = design_of(SMALL).model_copy(update={"question": words})
    seal(world.store.root, design, plan=plan_of(SMALL).model_copy(update={"spec_sha256": "0" * 64}))
    write_report(world=world)
    text = world.store.read_text("report/index.html") or ""
    page = Page(text)
    assert page.open == []
    assert "script" not in page.names
    assert all(target.startswith("#") for target in page.targets)


def test_a_design_changed_since_it_was_scaffolded_is_noted(make_world: Callable[[Size], World]) -> None:
    world = make_world(SMALL)
    summary = world.store.root / "experiment_summary.md"
    text = summary.read_text(encoding="utf-8")
    summary.write_text(text.replace("teach a small model", "teach a tiny model"), encoding="utf-8")
    write_report(world=world)
    assert "the design was changed since it was scaffolded" in (world.store.read_text("summary.md") or "")


def test_a_reason_is_kept_in_the_record(make_world: Callable[[Size], World]) -> None:
    world = make_world(SMALL)
    write_report(reason="for the group meeting", world=world)
    last = list(world.audit.records())[-1]
    assert (last.action, last.reason) == ("COMPLETE", "for the group meeting")


def test_progress_names_each_run_and_ends_full(make_world: Callable[[Size], World], plan: Plan) -> None:
    world = make_world(SMALL)
    seen: list[tuple[int, int, str]] = []
    write_report(progress=lambda *step: seen.append(step), world=world)
    assert [label for _, _, label in seen][:-1] == [f"reading {run.id}" for run in plan.runs]
    assert seen[-1][:2] == (9, 9)


def test_the_record_is_told_as_it_stood_before_the_report(reported: Reported) -> None:
    world, _ = reported
    summary = world.store.read_text("summary.md") or ""
    assert "The audit log verifies: its hash chain holds" in summary
    assert "Before this report its last line was number 1: ALL_COMPLETE at 2026-11-20T14:23:15.000Z" in summary


def test_a_record_that_does_not_verify_is_the_alarm_of_the_page(make_world: Callable[[Size], World]) -> None:
    world = make_world(SMALL)
    assert isinstance(world.audit, FakeAuditLog)
    world.audit.lines[0] = world.audit.lines[0].replace(b"ada", b"eve")
    write_report(world=world)
    assert "The audit log does NOT verify at line 1" in (world.store.read_text("summary.md") or "")
    page = world.store.read_text("report/index.html") or ""
    assert re.search(r'<p class="alarm"[^>]*>The audit log does NOT verify', page)


def test_what_the_jobs_took_stands_in_the_report_once_it_is_known(make_world: Callable[[Size], World]) -> None:
    world = make_world(SMALL)
    receipt = write_report(world=world)
    before = world.store.read_text(receipt.summary) or ""
    assert "Compute used" not in before
    job = JobCompute(
        run_id=plan_of(SMALL).runs[0].id, step=Step.TRAIN, attempt=1, job_id="17", state=JobState.SUCCEEDED,
        limit_seconds=7200, gpus=2, usage=JobUsage(elapsed_seconds=3600, max_memory_bytes=3 * 1024**3),
    )  # fmt: skip
    report = ComputeReport(experiment="capitalize", jobs=(job,), hours=1.0, gpu_hours=2.0, most_gpu_hours=4.0)
    world.store.write(ExperimentLayout.compute, report.model_dump_json())
    receipt = write_report(world=world)
    after = world.store.read_text(receipt.summary) or ""
    assert "Used 1 h of jobs, 2 GPU-hours; expected at most 4 GPU-hours" in after
    for cell in ("1 h 00 min", "50 %", "3.00 GiB"):
        assert cell in after
        assert cell in (world.store.read_text(receipt.page) or "")
