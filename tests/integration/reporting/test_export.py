"""`ck export --ro-crate`: what was done and made, as linked data, and nothing that the tier of the data keeps here."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.vault import DiskVault
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, ResultError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.crate import ExportPart
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.schema.roots import Roots
from cruijff_kit.schema.run import Done, JobStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.consent import allow_data, preview_allow
from cruijff_kit.workflow.export import export_crate
from cruijff_kit.workflow.inclusion import check_proof, prove_line
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from tests.archived import Project
from tests.crates import Graph, crate_problems, graph_of, referred
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.designed import design, put_design, world_at

pytestmark = pytest.mark.once

ALL: tuple[ExportPart, ...] = ("adapters", "data", "logs")
LICENCE = "https://creativecommons.org/licenses/by/4.0/"


@pytest.fixture(scope="module")
def source(reported: tuple[World, ReportReceipt]) -> World:
    """Return the world of the shared, reported experiment."""
    return reported[0]._replace(vault=DiskVault(reported[0].clock))


@pytest.fixture(scope="module")
def crate(source: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shared experiment as a crate that tests only look at."""
    place = tmp_path_factory.mktemp("crates") / "crate"
    export_crate(into=str(place), licence=LICENCE, reason="a test", world=source)
    return place


@pytest.fixture(scope="module")
def graph(crate: Path) -> Graph:
    return graph_of(crate)


def actions(graph: Graph, start: str) -> list[dict[str, Any]]:
    return [entity for name, entity in graph.items() if name.startswith(f"#{start}-")]


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_crate_holds_what_it_tells_and_every_link_leads_somewhere(crate: Path) -> None:
    assert crate_problems(crate) == []


def test_every_training_and_evaluation_is_an_action_with_its_times(graph: Graph, source: World) -> None:
    plan, _ = recorded_plan(world=source)
    trained = {f"#train-{run.id}" for run in plan.runs if run.type == "fine-tuned"}
    evaluated = {f"#evaluate-{run.id}-{cell.name}" for run in plan.runs for cell in run.cells}
    assert {each["@id"] for each in actions(graph, "train")} == trained
    assert {each["@id"] for each in actions(graph, "evaluate")} == evaluated
    training = graph[f"#train-{next(run.id for run in plan.runs)}"]
    assert training["startTime"] == "2026-11-20T09:00:00.000+00:00"
    assert training["endTime"] == "2026-11-20T09:00:22.500+00:00"
    assert graph["#report"]["@type"] == "CreateAction"
    assert set(referred(graph["#report"]["result"])) == {"results.parquet", "summary.md", "report/index.html"}


def test_each_run_tells_its_factors_its_seed_and_what_it_read_and_left(graph: Graph, source: World) -> None:
    plan, _ = recorded_plan(world=source)
    for run in plan.runs:
        if run.type != "fine-tuned":
            continue
        action = graph[f"#train-{run.id}"]
        read = [graph[name] for name in referred(action["object"])]
        levels = {each["name"]: each["value"] for each in read if each["@type"] == "PropertyValue"}
        assert levels == {**run.factors, "seed": run.seed}
        hashed = {each["name"]: each["sha256"] for each in read if each["@type"] == "CreativeWork"}
        assert hashed == {"tiny": run.model.sha256, run.dataset: plan.dataset(run.dataset).sha256}
        assert f"runs/{run.id}/metrics.jsonl" in set(referred(action["result"]))


def test_data_answers_adapters_and_the_record_are_told_by_their_hashes_alone(crate: Path, graph: Graph) -> None:
    held = names(crate)
    assert not [path for path in held if path.endswith((".eval", ".safetensors", ".out", "audit.jsonl"))]
    assert not [path for path in held if path.startswith(("data/", "predictions/", "inputs/", "outputs/"))]
    logs = [entity for name, entity in graph.items() if name.startswith("#log-")]
    assert logs
    assert all(len(each["sha256"]) == 64 for each in logs)


def test_a_line_of_the_record_is_proven_by_the_root_in_the_crate(crate: Path, source: World, graph: Graph) -> None:
    anchor = (crate / "audit-root.json").read_text(encoding="utf-8")
    lines = json.loads(anchor)["lines"]
    proof = prove_line(1, lines=lines, world=source).model_dump_json()
    assert check_proof(proof, anchor=anchor).number == 1
    assert graph["#audit-root"]["value"] == f"{lines}:{json.loads(anchor)['root']}"


def test_exporting_is_on_record_with_the_root_of_all_that_came_before(crate: Path, source: World) -> None:
    begun, ended = [each for each in source.audit.records() if each.verb == "export"][:2]
    assert (begun.action, begun.reason, ended.action) == (Action.EXPORT, "a test", Action.COMPLETE)
    lines = int(begun.inputs["audit_root"].partition(":")[0])
    assert lines == begun.seq
    assert check_proof(prove_line(1, lines=lines, world=source).model_dump_json(), root=begun.inputs["audit_root"])
    assert verify_audit(world=source).ok
    assert ended.inputs["audit_root"] == graph_of(crate)["#audit-root"]["value"]


def test_the_terms_are_those_that_were_named(graph: Graph) -> None:
    assert list(referred(graph["./"]["license"])) == [LICENCE]


def test_a_zip_file_holds_the_same_crate(source: World, crate: Path, tmp_path: Path) -> None:
    receipt = export_crate(into=str(tmp_path / "crate.zip"), licence=LICENCE, world=source)
    with ZipFile(tmp_path / "crate.zip") as packed:
        packed.extractall(tmp_path / "unpacked")
    assert crate_problems(tmp_path / "unpacked") == []
    assert names(tmp_path / "unpacked") == names(crate)
    assert len(names(tmp_path / "unpacked")) == receipt.files
    assert {path.name for path in tmp_path.iterdir()} == {"crate.zip", "unpacked"}


def test_nothing_is_overwritten_and_what_a_killed_export_left_is_cleared(source: World, tmp_path: Path) -> None:
    left = tmp_path / ".crate.part" / "runs"
    left.mkdir(parents=True)
    (left / "torn").write_text("half")
    export_crate(into=str(tmp_path / "crate"), world=source)
    assert crate_problems(tmp_path / "crate") == []
    with pytest.raises(SiteError, match="there already"):
        export_crate(into=str(tmp_path / "crate"), world=source)
    assert {path.name for path in tmp_path.iterdir()} == {"crate"}


def test_no_place_in_or_around_the_experiment_is_taken(source: World) -> None:
    for place in (source.store.root / "crate", source.store.root, source.store.root.parent):
        with pytest.raises(SiteError):
            export_crate(into=str(place), world=source)


def test_a_place_called_like_a_file_is_one_or_is_refused(source: World, tmp_path: Path) -> None:
    for name in ("crate.tar", "crate.tar.gz", "crate.TGZ", "crate.7z"):
        with pytest.raises(SpecError, match=name):
            export_crate(into=str(tmp_path / name), world=source)
    assert list(tmp_path.iterdir()) == []
    export_crate(into=str(tmp_path / "crate.ZIP"), world=source)
    assert (tmp_path / "crate.ZIP").is_file()


def test_an_assistant_exports_within_its_roots_alone(source: World, tmp_path: Path) -> None:
    world = source._replace(roots=Roots(writable=(str(source.store.root.parent),), readable=()))
    with pytest.raises(PlanError, match="outside"):
        export_crate(into=str(tmp_path / "crate"), world=world)


def test_a_record_that_does_not_hold_is_not_exported(root: Path, world: World, tmp_path: Path) -> None:
    assert isinstance(world.audit, FakeAuditLog)
    world.audit.lines[0] = world.audit.lines[0].replace(b"watch", b"wotch")
    with pytest.raises(ResultError, match="does not hold"):
        export_crate(into=str(tmp_path / "crate"), world=world._replace(vault=DiskVault(world.clock)))
    assert not (tmp_path / "crate").exists()


def test_a_training_that_failed_is_told_as_failed_without_its_words(root: Path, world: World, tmp_path: Path) -> None:
    plan, _ = recorded_plan(world=world)
    layout = RunLayout(next(run.id for run in plan.runs if run.type == "fine-tuned"))
    (root / layout.done("train")).unlink()
    moment = world.clock.now()
    told = JobStatus(state="failed", message="patient 4711 broke it", started=moment, updated=moment)
    (root / layout.status("train")).write_text(told.model_dump_json(), encoding="utf-8")
    export_crate(into=str(tmp_path / "crate"), world=world._replace(vault=DiskVault(world.clock)))
    action = graph_of(tmp_path / "crate")[f"#train-{layout.run_id}"]
    assert action["actionStatus"].endswith("FailedActionStatus")
    assert crate_problems(tmp_path / "crate") == []
    assert "4711" not in (tmp_path / "crate" / "ro-crate-metadata.json").read_text(encoding="utf-8")


def test_whoever_compared_groups_after_a_report_did_not_report(world: World, tmp_path: Path) -> None:
    write_report(world=world)
    actor = Actor(kind="human", name="grace")
    world.audit.append(AuditEvent(actor=actor, verb="groups", action=Action.GENERATE_SUMMARY, subject="experiment"))
    export_crate(into=str(tmp_path / "crate"), world=world._replace(vault=DiskVault(world.clock)))
    assert graph_of(tmp_path / "crate")["#report"]["agent"] == {"@id": "#person-ada"}


def contents(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def trained(tmp_path: Path, tier: str) -> tuple[Project, World]:
    project = Project.made(tmp_path / "base", tier=tier)
    return project, project.world()


def test_what_is_asked_for_goes_in_and_generated_data_come_described(tmp_path: Path) -> None:
    project, world = trained(tmp_path, "green")
    receipt = export_crate(into=str(tmp_path / "crate"), parts=ALL, world=world)
    held, graph = names(tmp_path / "crate"), graph_of(tmp_path / "crate")
    assert crate_problems(tmp_path / "crate") == []
    plan, lock = recorded_plan(world=world)
    key = plan.datasets[0].key
    assert {f"data/{key}.json", f"data/{key}.meta.json", f"data/{key}.croissant.json", "logs/audit.jsonl"} <= held
    for run in lock.runs:
        folder = f"outputs/{RunLayout(run).epoch(0)}/"
        assert f"{folder}adapter_model.safetensors" in held
        assert graph[folder]["@type"] == "Dataset"
        assert folder in set(referred(graph[f"#train-{run}"]["result"]))
        assert f"data/{key}.json" in set(referred(graph[f"#train-{run}"]["object"]))
    assert not [path for path in held if "merged" in path or "recipe_state" in path]
    assert f"data/{key}.json" in set(referred(graph[f"#generate-{key}"]["result"]))
    assert receipt.parts == ALL
    assert [each for each in receipt.left_out if "data set" in each.lower()] == []
    assert project.root.is_dir()


@pytest.mark.parametrize("part", ALL)
@pytest.mark.parametrize("tier", ("yellow", "red"))
def test_what_was_made_of_data_stays_where_its_tier_keeps_it(tmp_path: Path, tier: str, part: ExportPart) -> None:
    _, world = trained(tmp_path, tier)
    with pytest.raises(PlanError, match=tier):
        export_crate(into=str(tmp_path / "crate"), parts=(part,), world=world)
    assert not (tmp_path / "crate").exists()


def test_yellow_data_go_by_consent_to_that_way_out_and_red_data_by_none(tmp_path: Path) -> None:
    _, world = trained(tmp_path, "yellow")
    allow_data(preview_allow(way="show", world=world), reason="a test", who="ada", world=world)
    with pytest.raises(PlanError, match="yellow"):
        export_crate(into=str(tmp_path / "crate"), parts=("data",), world=world)
    allow_data(preview_allow(way="host", world=world), reason="a test", who="ada", world=world)
    export_crate(into=str(tmp_path / "crate"), parts=("data",), world=world)
    assert [path for path in names(tmp_path / "crate") if path.startswith("data/")]


def with_rows_of(tmp_path: Path, tier: str) -> World:
    """Return a scaffolded experiment on a file of patients beside it."""
    root = tmp_path / "project" / "parity"
    root.mkdir(parents=True)
    rows = [{"input": f"patient {4700 + n}", "output": "ab"[n % 2]} for n in range(16)]
    (root.parent / "rows.json").write_text(json.dumps({"train": rows, "test": rows[:2]}), encoding="utf-8")
    put_design(root, design(data={"training": {"path": "../rows.json"}, "tier": tier}))
    world = world_at(root)
    scaffold_runs(world=world)
    return world._replace(vault=DiskVault(world.clock))


def leave_training(world: World) -> None:
    plan, _ = recorded_plan(world=world)
    done = Done(exit_code=0, artefacts={}, finished=world.clock.now())
    world.store.write(RunLayout(plan.runs[0].id).done("train"), done.model_dump_json())


@pytest.mark.parametrize("tier", ("yellow", "red"))
def test_no_byte_of_closed_data_is_in_a_crate(tmp_path: Path, tier: str) -> None:
    world = with_rows_of(tmp_path, tier)
    leave_training(world)
    export_crate(into=str(tmp_path / "crate"), world=world)
    assert not [content for content in contents(tmp_path / "crate") if b"patient 47" in content]
    assert crate_problems(tmp_path / "crate") == []
    plan, _ = recorded_plan(world=world)
    assert graph_of(tmp_path / "crate")["#data-rows"]["sha256"] == plan.datasets[0].sha256


def test_a_file_of_the_users_goes_in_under_its_key(tmp_path: Path) -> None:
    world = with_rows_of(tmp_path, "green")
    leave_training(world)
    export_crate(into=str(tmp_path / "crate"), parts=("data",), world=world)
    assert (tmp_path / "crate/inputs/rows/rows.json").read_bytes() == (tmp_path / "project/rows.json").read_bytes()
    assert crate_problems(tmp_path / "crate") == []


def test_where_nothing_has_run_there_is_nothing_to_tell(tmp_path: Path) -> None:
    world = with_rows_of(tmp_path, "green")
    with pytest.raises(PlanError, match="nothing has run"):
        export_crate(into=str(tmp_path / "crate"), world=world)
    assert not [each for each in world.audit.records() if each.verb == "export"]


@pytest.mark.parametrize("variable", ("HF_TOKEN", "MY_API_KEY"))
def test_a_script_that_holds_a_secret_is_not_exported(tmp_path: Path, variable: str) -> None:
    put_design(tmp_path / "parity", design())
    site = Site.model_validate({"environment": {"variables": {variable: "s3cr3t-4711-abcdefgh"}}})
    world = world_at(tmp_path / "parity", site=site)
    world = world._replace(vault=DiskVault(world.clock))
    scaffold_runs(world=world)
    with pytest.raises(PlanError, match="secret"):
        export_crate(into=str(tmp_path / "crate"), world=world)
    assert not (tmp_path / "crate").exists()


def test_the_command_writes_a_zip_beside_the_experiment(root: Path, tmp_path: Path) -> None:
    project = Project.made(tmp_path / "base", scratch=False)
    done = CliRunner().invoke(cli, ["-C", str(project.root), "export", "--ro-crate", "--with", "data"])
    assert done.exit_code == 0, done.output
    assert str(project.root.parent / "parity.crate.zip") in done.output
    assert "root of the record" in done.output
    said = [line for line in done.output.splitlines() if line.startswith("left out: ")]
    assert said
    assert all(line.count("told by") <= 1 for line in said)
    with ZipFile(project.root.parent / "parity.crate.zip") as packed:
        assert "ro-crate-metadata.json" in packed.namelist()
    plain = CliRunner().invoke(cli, ["-C", str(project.root), "export"])
    assert isinstance(plain.exception, SpecError)
    shutil.rmtree(project.root)
