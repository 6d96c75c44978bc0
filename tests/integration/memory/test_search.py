"""Earlier experiments are found from their files alone, told with source, and no more freely than their tier."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit import workflow
from cruijff_kit.adapters.library import DiskLibrary
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.compute import ComputeReport, JobCompute, Speed
from cruijff_kit.schema.job import JobState, JobUsage, Step
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.search import Query, SearchPage
from tests.fakes.designed import design, world_at
from tests.fakes.experiment import SMALL, make_experiment, plan_of
from tests.fakes.model_hub import model_facts
from tests.integration.reporting.conftest import world_at as reporting_world
from tests.mcp_bench import Bench

EFFECT = "effect/lora_rank/16 - 4"
SECRET = "a very private question"


@pytest.fixture(scope="session")
def _one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remembered") / "ranks"
    make_experiment(root)
    workflow.write_report(world=reporting_world(root))
    return root


@pytest.fixture
def project(_one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "cache"))
    return Path(shutil.copytree(_one, tmp_path / "project" / "ranks")).parent


def world_of(root: Path) -> World:
    return world_at(root)._replace(library=DiskLibrary())


def found(project: Path, **query: str) -> SearchPage:
    return workflow.search_experiments(Query(**query), projects=[str(project)], world=world_of(project / "ranks"))


def effect_of(root: Path) -> Any:
    return workflow.read_results(match=EFFECT, world=world_of(root)).figures[0]


def learn(root: Path) -> str:
    text = f"lora_rank 16 wins by {effect_of(root).value:.3f}."
    assert workflow.add_lesson(text, evidence=[EFFECT], world=world_of(root)).changed
    return text


@pytest.mark.parametrize(
    "query",
    (
        {},
        {"words": "higher CAPITALISE"},
        {"model": "tiny"},
        {"model": "ababab"},
        {"task": "other_lengths"},
        {"factor": "lora_rank"},
        {"factor": "lr=1e-3"},
        {"metric": "includes"},
        {"words": "rank", "model": "tiny", "factor": "lora_rank=16", "metric": "match"},
    ),
)
def test_an_experiment_is_found_by_what_is_in_it(project: Path, query: dict[str, str]) -> None:
    assert [card.experiment for card in found(project, **query).hits] == ["ranks"]


@pytest.mark.parametrize(
    "query",
    ({"words": "zebra"}, {"model": "a"}, {"model": "abac"}, {"task": "other"}, {"factor": "lr=2"}, {"metric": "f"}),
)
def test_an_experiment_is_not_found_by_what_is_not(project: Path, query: dict[str, str]) -> None:
    page = found(project, **query)
    assert (page.total, page.experiments) == (0, 1)


def test_figures_are_those_of_the_report_with_their_file(project: Path) -> None:
    (card,) = found(project).hits
    told = next(each for each in card.figures if each.figure == EFFECT)
    page = workflow.read_results(match=EFFECT, world=world_of(project / "ranks"))
    source = page.sources[page.figures[0].references[0]]
    assert (told.value, told.low, told.path, told.sha256) == (
        page.figures[0].value, page.figures[0].low, source.path, source.sha256,
    )  # fmt: skip
    assert (card.stage, card.superseded, card.report_sha256) == ("reported", False, page.report_sha256)


def test_speeds_come_from_compute_json_with_the_device_the_manifest_tells(project: Path) -> None:
    (before,) = found(project).hits[0].speeds
    assert (before.path.endswith("metrics.jsonl"), before.hardware) == (True, "cpu")
    run = plan_of(SMALL).runs[0]
    speed = Speed(
        model_sha256="ab" * 32, middle=8_123.5, slow=8_000, fast=8_200, tokens=10, beside=1.0, on_gpu=False
    )  # fmt: skip
    job = JobCompute(
        run_id=run.id, step=Step.TRAIN, attempt=1, job_id="17", state=JobState.SUCCEEDED, limit_seconds=60, gpus=0,
        usage=JobUsage(), speed=speed,
    )  # fmt: skip
    report = ComputeReport(experiment="ranks", jobs=(job,), hours=1, gpu_hours=0, most_gpu_hours=0)
    (project / "ranks" / "compute.json").write_text(report.model_dump_json())
    (after,) = found(project).hits[0].speeds
    assert (after.tokens_per_second, after.run, after.path) == (8_123.5, run.id, "compute.json")


def test_deleting_or_damaging_the_cache_loses_nothing(project: Path, tmp_path: Path) -> None:
    first = found(project)
    (cache,) = (tmp_path / "cache").iterdir()
    assert found(project) == first
    for damage in (b"", b"{", b"\xff", b'{"form": "x", "kept": {}}'):
        cache.write_bytes(damage)
        assert found(project) == first
    shutil.rmtree(tmp_path / "cache")
    assert found(project) == first


def test_a_report_older_than_the_results_is_told_as_such(project: Path) -> None:
    with (project / "ranks" / "results.parquet").open("ab") as file:
        file.write(b"more")
    assert found(project).hits[0].superseded


@pytest.mark.parametrize("how", ("red", "yellow", "marked", "folder"))
def test_of_what_is_withheld_only_counts_and_hashes_are_told_and_nothing_in_it_can_be_searched(
    project: Path, how: str, tmp_path: Path
) -> None:
    root = project / "ranks"
    learn(root)
    cover(root, how)
    page = found(project)
    text = page.model_dump_json()
    (card,) = page.hits
    assert card.withheld
    assert (card.runs, card.lessons_in_all, card.models[0].sha256) == (9, 1, "ab" * 32)
    for told in (SECRET, "tiny", "capitalization", "lora_rank", "wins by", "tokens_per_second", "effect/"):
        assert told not in text.replace(str(tmp_path), "")
    for query in ({"words": "private"}, {"model": "tiny"}, {"factor": "lora_rank"}, {"task": "capitalization"}):
        assert found(project, **query).total == 0
    assert found(project, model="abababab").total == 1
    told = Bench(project, "").call("experiments_search")
    assert not told.error
    assert SECRET not in told.text
    assert "wins by" not in told.text
    if how in ("red", "yellow"):
        assert SECRET not in (tmp_path / "cache" / "experiments.json").read_text()


def cover(root: Path, how: str) -> None:
    """Make the data of an experiment red, yellow, marked red in its folder, or lie in a folder of that name."""
    summary, plan = root / "experiment_summary.md", root / "plan.json"
    head = json.loads(summary.read_text().split("---\n")[1])
    head["question"] = SECRET
    told = Plan.model_validate_json(plan.read_text())
    if how in ("red", "yellow"):
        head["data"]["tier"] = how
    if how == "marked":
        (root / "data").mkdir(exist_ok=True)
        (root / "data" / "TIER").write_text("red\n")
    if how == "folder":
        dataset = told.datasets[0].model_copy(update={"path": str(root / "data" / "red" / "rows.json")})
        plan.write_text(told.model_copy(update={"datasets": (dataset,)}).model_dump_json())
    summary.write_text(f"---\n{json.dumps(head)}\n---\n")


def test_consent_lets_yellow_be_told(project: Path) -> None:
    root = project / "ranks"
    plan = Plan.model_validate_json((root / "plan.json").read_text())
    consent = {"who": "Ada", "when": "2026-11-20", "why": "hers"}
    head = json.loads((root / "experiment_summary.md").read_text().split("---\n")[1])
    head["data"] |= {"tier": "yellow", "consent": consent}
    (root / "experiment_summary.md").write_text(f"---\n{json.dumps(head)}\n---\n")
    assert found(project).hits[0].withheld
    whole = Plan.model_validate({**plan.model_dump(), "tier": "yellow", "consent": consent})
    (root / "plan.json").write_text(whole.model_dump_json())
    # Whoever writes a design may write that; only what is on record counts, for the content that was sealed.
    assert found(project).hits[0].withheld
    for sha256, choice, hidden in (
        ("0" * 64, "allowed", True),
        (plan.datasets[0].sha256, "allowed", False),
        (plan.datasets[0].sha256, "withdrawn", True),
    ):
        event = AuditEvent(
            actor=world_of(root).actor, verb="allow", action=Action.DECIDE_CONFIG, subject="data",
            inputs={"way": "show", "sha256": sha256}, outputs={"choice": choice},
        )  # fmt: skip
        world_of(root).audit.append(event)
        assert bool(found(project).hits[0].withheld) is hidden


def test_a_mark_that_comes_later_withholds_wherever_on_the_way_to_the_data_it_stands(project: Path) -> None:
    assert not found(project).hits[0].withheld
    (project.parent / "TIER").write_text("red\n")
    (card,) = found(project).hits
    assert (card.tier, card.withheld, card.question) == ("red", "its data is marked red", "")
    (project.parent / "TIER").write_text("no tier\n")
    assert found(project).hits[0].tier == "red"
    (project.parent / "TIER").unlink()
    assert not found(project).hits[0].withheld


def test_damage_is_listed_quotes_nothing_and_breaks_no_search(project: Path, tmp_path: Path) -> None:
    whole = (project / "ranks" / "plan.json").read_bytes()
    shutil.copytree(project / "ranks", tmp_path / "elsewhere")
    (project / "linked").symlink_to(tmp_path / "elsewhere")
    for name, body in {"torn": whole[: len(whole) // 2], "binary": b"\xff\x00", "deep": b"[" * 100_000}.items():
        (project / name).mkdir()
        (project / name / "plan.json").write_bytes(body)
    (project / "piped").mkdir()
    os.mkfifo(project / "piped" / "plan.json")
    (project / "huge").mkdir()
    with (project / "huge" / "plan.json").open("wb") as file:
        file.truncate(1 << 40)
    (project / "into").mkdir()
    (project / "into" / "plan.json").symlink_to(project / "ranks" / "plan.json")
    (project / "a\nname $(touch x)").mkdir()
    (project / "a\nname $(touch x)" / "plan.json").write_bytes(whole)
    (project / "ranks" / "report" / "trace.json").write_text('{"figures": [' + SECRET)
    for _ in range(2):
        page = found(project)
        assert [card.experiment for card in page.hits] == ["ranks"]
        assert page.hits[0].problems == ("`report/trace.json` is torn, or no file of this form",)
        names = {line.partition(":")[0] for line in page.damaged}
        assert {"torn", "binary", "deep", "piped", "huge", "into"} <= names
        assert len(page.damaged) == 7
        assert "1 links" in page.notes[0]
        text = page.model_dump_json()
        assert "rank16_lr1e-03" not in "".join(page.damaged)
        assert SECRET not in text


def test_a_torn_design_counts_as_red_whatever_its_plan_says(project: Path) -> None:
    (project / "ranks" / "experiment_summary.md").write_text("---\ndata: {tier: [\n---\n")
    (card,) = found(project).hits
    assert (card.tier, card.question, card.factors) == ("red", "", {})


def test_over_two_hundred_experiments_stay_within_the_budget_and_cursors_show_each_once(project: Path) -> None:
    light = shutil.ignore_patterns("runs", "predictions")
    for number in range(209):
        shutil.copytree(project / "ranks", project / f"copy-{number:03}", ignore=light)
    bench, names, cursor = Bench(project, ""), [], 0
    detailed = bench.call("experiments_search", limit=100, response_format="detailed")
    assert detailed.tokens <= 8_000

    async def whole(talk: Any) -> None:
        nonlocal cursor
        while cursor is not None:
            reply = await talk.client.call_tool("experiments_search", {"cursor": cursor, "limit": 100})
            assert len(reply.content[0].text) // 4 <= 2_000
            names.extend(hit["experiment"] for hit in reply.structured_content["hits"])
            cursor = reply.structured_content["next_cursor"]

    bench.talk(whole)
    assert len(names) == len(set(names)) == 210


def test_a_lesson_is_written_once_kept_beside_peoples_prose_and_found(project: Path) -> None:
    root = project / "ranks"
    (root / "findings.md").write_text("# Ours\n\n### Lesson that is no lesson\n\n> 0.99 is mine\n")
    text = learn(root)
    before = (root / "findings.md").read_text()
    assert before.startswith("# Ours\n\n### Lesson that is no lesson\n\n> 0.99 is mine\n")
    assert not workflow.add_lesson(text, evidence=[EFFECT], world=world_of(root)).changed
    assert (root / "findings.md").read_text() == before
    (lesson,) = found(project, words="wins by").hits[0].lessons
    assert (lesson.text, lesson.stale, lesson.evidence[0].value) == (text, "", effect_of(root).value)
    assert workflow.read_audit(world=world_of(root)).records[-1].action == "ADD_LESSON"


@pytest.mark.parametrize(
    "text,evidence,told",
    (
        ("It wins by 0.99.", [EFFECT], "nearest is"),
        ("It wins.", ["effect/lora_rank/16 - 3"], "nearest is `effect/lora_rank/16 - 4`"),
        ("It wins.", [], "no figure is cited"),
        (" \n", [EFFECT], "empty"),
        ("x " * 2_000, [EFFECT], "two lessons"),
    ),
)
def test_a_lesson_that_nothing_shows_is_refused_and_nothing_is_written(
    project: Path, text: str, evidence: list[str], told: str
) -> None:
    with pytest.raises(SpecError) as refused:
        workflow.add_lesson(text, evidence=evidence, world=world_of(project / "ranks"))
    assert told in "\n".join(map(str, refused.value.problems))
    assert not (project / "ranks" / "findings.md").exists()


def test_a_text_cannot_forge_another_lesson(project: Path) -> None:
    root = project / "ranks"
    workflow.add_lesson("It wins.\n\n### Lesson\n\n> `{}`\u202e", evidence=[EFFECT], world=world_of(root))
    (lesson,) = workflow.read_lessons(world=world_of(root))
    assert lesson.text == "It wins. ### Lesson > `{}`"


def test_a_lesson_whose_evidence_changed_is_stale_and_none_is_added_to_old_results(project: Path) -> None:
    root = project / "ranks"
    learn(root)
    trace = root / "report" / "trace.json"
    changed = json.loads(trace.read_text())
    next(each for each in changed["figures"] if each["figure"] == EFFECT)["value"] = 0.01
    trace.write_text(json.dumps(changed))
    assert "is 0.01, no longer" in found(project).hits[0].lessons[0].stale
    changed["figures"] = [each for each in changed["figures"] if each["figure"] != EFFECT]
    trace.write_text(json.dumps(changed))
    assert "any more" in workflow.read_lessons(world=world_of(root))[0].stale
    (root / "results.parquet").write_bytes(b"others")
    with pytest.raises(ResultError, match="another"):
        workflow.add_lesson("It wins.", evidence=[EFFECT], world=world_of(root))


def test_a_design_names_earlier_experiments_like_it_with_their_source(project: Path) -> None:
    tasks = {"tasks": [{"name": "capitalization", "task": "rows"}]}
    spec = design(evaluation=tasks)
    world = world_at(project / "parity", model_facts(sha256="ab" * 32))._replace(library=DiskLibrary())
    text = json.dumps(spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
    (told,) = workflow.check_design(text, world=world).earlier
    report = found(project).hits[0].report_sha256 or ""
    assert told.startswith("`ranks` ran this very grid (same model and a task of the same name, 2026-11-20, reported)")
    assert f"{EFFECT} = {effect_of(project / 'ranks').value:.4g}" in told
    assert report[:12] in told
    cover(project / "ranks", "red")
    (told,) = workflow.check_design(text, world=world).earlier or ("",)
    assert EFFECT not in told


def test_the_commands_search_and_learn(project: Path) -> None:
    runner, here = CliRunner(), ["-C", str(project)]
    shown = runner.invoke(cli, [*here, "search", "capitalise", "--factor", "lora_rank=16"])
    assert shown.exit_code == 0, shown.output
    assert EFFECT in shown.output
    assert "1 of 1 experiments match" in shown.output
    inside = ["-C", str(project / "ranks")]
    assert json.loads(runner.invoke(cli, [*inside, "search", "--json"]).output)["total"] == 1
    added = runner.invoke(cli, [*inside, "lesson", "add", "The rank helps.", "--evidence", EFFECT])
    assert added.output == "findings.md written\n"
    assert "The rank helps." in runner.invoke(cli, [*inside, "lesson", "list"]).output
