"""`ck archive` and `ck unarchive`: nothing is lost, nothing comes back changed, and what is archived stays as it is."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.adapters.vault import DiskVault
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, ResultError, SiteError
from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.schema.archive import ArchiveManifest
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import Wanted
from cruijff_kit.schema.roots import Roots
from cruijff_kit.schema.search import Query
from cruijff_kit.workflow.archive import archive_experiment, preview_archive
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.prior_runs import search_prior_runs
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.seal import read_lock
from cruijff_kit.workflow.search import search_experiments
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.unarchive import preview_unarchive, unarchive_experiment
from cruijff_kit.workflow.verify import verify_experiment
from tests.archived import FILES, Project
from tests.fakes.handed_over import leave_attempt

pytestmark = pytest.mark.once

WHY = "the paper is out"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.made(tmp_path / "base")


def runs_of(project: Project) -> tuple[str, ...]:
    lock = read_lock(project.world())
    assert lock is not None
    return lock.runs


def said(*words: str) -> tuple[str, BaseException | None]:
    done = CliRunner().invoke(cli, words)
    return done.output, done.exception if not isinstance(done.exception, SystemExit) else None


def test_a_report_is_verified_in_the_archive_too(project: Project) -> None:
    write_report(world=project.world())
    archive_experiment(world=project.world())
    world = project.world()
    kept = world._replace(store=DiskRunStore(project.archive), audit=DiskAuditLog(project.archive, clock=world.clock))
    found = verify_experiment(world=kept)
    assert found.ok, found.differences
    assert [each for each in found.notes if "report" in each] == []
    page = project.archive / "report" / "index.html"
    page.write_bytes(page.read_bytes().replace(b"0 of 2 runs", b"1 of 2 runs", 1))
    assert [each.path for each in verify_experiment(world=kept).differences] == ["report/index.html"]
    page.write_bytes(page.read_bytes().replace(b"1 of 2 runs", b"0 of 2 runs", 1))
    weights = sorted((project.archive / "elsewhere").glob(f"*/{FILES['adapters']}"))
    assert found.adapters == len(weights) == 2
    weights[0].write_bytes(weights[0].read_bytes() + b" ")
    weights[1].unlink()
    told = {each.path: each.words for each in verify_experiment(world=kept).differences}
    run, other = (str(project.scratch / "parity" / each.relative_to(project.archive / "elsewhere")) for each in weights)
    assert told == {run: "the adapter is not the one that its training wrote", other: "the file is missing"}


def test_an_experiment_goes_away_whole_and_comes_back_byte_for_byte(project: Project) -> None:
    before, log = project.standing(), (project.root / "logs/audit.jsonl").read_bytes()
    progress: list[tuple[int, int]] = []
    receipt = archive_experiment(
        reason=WHY, progress=lambda done, total, _: progress.append((done, total)), world=project.world()
    )
    assert not project.root.exists()
    assert not (project.scratch / "parity").exists()
    assert receipt.archive == str(project.archive)
    assert progress[-1] == (receipt.files, receipt.files)

    raw = (project.archive / "archive.json").read_bytes()
    assert receipt.manifest_sha256 == hashlib.sha256(raw).hexdigest()
    assert raw.decode() == canonical_json(json.loads(raw)) + "\n"
    manifest = ArchiveManifest.model_validate_json(raw)
    assert {path.name for path in (project.archive / "elsewhere").iterdir()} == {
        RunLayout(run).output for run in runs_of_archive(manifest)
    }
    for path, entry in manifest.files.items():
        content = (project.archive / path).read_bytes()
        assert hashlib.sha256(content[: entry.bytes]).hexdigest() == entry.sha256, path

    back = unarchive_experiment(reason="a reviewer asks", world=project.world())
    assert (back.files, back.dropped) == (receipt.files, ())
    assert project.standing() == before
    assert (project.root / "logs/audit.jsonl").read_bytes().startswith(log)
    assert not project.archive.exists()
    assert not list(project.archive.parent.iterdir())
    assert verify_audit(world=project.world()).ok
    told = [(each.verb, each.action, each.reason) for each in project.world().audit.records()][-4:]
    assert told == [
        ("archive", Action.ARCHIVE, WHY),
        ("archive", Action.COMPLETE, WHY),
        ("unarchive", Action.UNARCHIVE, "a reviewer asks"),
        ("unarchive", Action.COMPLETE, "a reviewer asks"),
    ]


def runs_of_archive(manifest: ArchiveManifest) -> set[str]:
    return {path.split("/")[1] for path in manifest.files if path.startswith("runs/")}


def test_the_record_holds_while_it_is_archived_and_both_commands_may_be_said_twice(project: Project) -> None:
    first = archive_experiment(world=project.world())
    assert archive_experiment(world=project.world()) == first
    world = project.world()
    record = project.world().vault
    assert record is not None
    log = record.record(str(project.archive))
    assert log.verify().ok
    assert sum(each.verb == "archive" for each in log.records()) == 2
    assert preview_unarchive(world=world).files == first.files
    unarchive_experiment(world=world)
    with pytest.raises(PlanError, match="is not archived here"):
        unarchive_experiment(world=world)


def test_a_dry_run_tells_what_would_move_and_changes_nothing(project: Project) -> None:
    before = project.standing()
    text, error = said("-C", str(project.root), "archive", "--dry-run", "--drop-merged")
    assert error is None
    assert f"to   {project.archive}" in text
    assert "is dropped for good" in text
    assert "unless --drop-caches is said" in text
    told = json.loads(said("-C", str(project.root), "archive", "--dry-run", "--drop-caches", "--json")[0])
    assert {item["kind"] for item in told["dropped"]} == {"checkpoints", "unfinished"}
    assert {"adapters", "merged", "tracking", "records"} <= {item["kind"] for item in told["moved"]}
    assert told["bytes"] == sum(item["bytes"] for item in told["moved"]) > 0
    assert told["dropped_bytes"] == sum(item["bytes"] for item in told["dropped"]) > 0
    assert project.standing() == before
    assert not project.archive.parent.exists()


def test_nothing_is_dropped_where_nobody_can_type_it(project: Project) -> None:
    before = project.standing()
    text, error = said("-C", str(project.root), "archive", "--drop-merged")
    assert "is dropped for good" in text
    assert "no terminal" in str(error)
    assert project.standing() == before


def test_what_somebody_said_to_drop_is_told_and_all_else_comes_back(project: Project) -> None:
    before = project.standing()
    receipt = archive_experiment(drop=("merged", "caches"), reason=WHY, world=project.world())
    assert {item.kind for item in receipt.dropped} == {"merged", "checkpoints", "unfinished"}
    told = preview_unarchive(world=project.world()).dropped
    assert told == receipt.dropped
    back = unarchive_experiment(world=project.world())
    assert back.dropped == receipt.dropped
    after = project.standing()
    gone = {path for path in before if path not in after and before[path][0]}
    dropped = [FILES[kind] for kind in ("merged", "checkpoints", "unfinished")]
    assert gone == {
        str((project.outputs(run) / path).relative_to(project.base)) for run in runs_of(project) for path in dropped
    }
    # `DONE` was told of it, so that what was finished stays so.
    assert {entry.phase.value for entry in read_status(world=project.world()).steps} == {"completed"}


@pytest.mark.parametrize("state", ("waiting", "unknown", "running"))
def test_an_experiment_with_a_job_that_has_not_ended_stays(state: str, project: Project) -> None:
    run, world = runs_of(project)[0], project.world()
    (project.root / RunLayout(run).done("train")).unlink()
    if state == "waiting":
        lock = read_lock(world)
        assert lock is not None
        world.store.write("wanted.json", Wanted(plan_id=lock.plan_id, runs=(run,), reason=WHY).model_dump_json())
    else:
        leave_attempt(project.root, run, job_id="17")
        job = project.root / RunLayout(run).job("train", 1)
        told = json.loads(job.read_text()) | {"verdict": None, "ended": None, "scheduler": "fake"}
        job.write_text(json.dumps(told))
        own = project.root / RunLayout(run).status("train")
        own.write_text(json.dumps(json.loads(own.read_text()) | {"state": "running"}))
    before = project.standing()
    with pytest.raises(PlanError, match="have not ended") as caught:
        archive_experiment(world=world)
    assert run in str(caught.value)
    assert project.standing() == before


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda at: (at / "mine.sh").write_text("echo other\n"), "`mine.sh` was changed"),
    "missing": (lambda at: (at / "mine.sh").unlink(), "`mine.sh` is missing"),
    "added": (lambda at: (at / "later.txt").write_text("x"), "`later.txt` was not there"),
    "led elsewhere": (lambda at: ((at / "latest").unlink(), (at / "latest").symlink_to("logs")), "link `latest`"),
    "record": (lambda at: (at / "logs/audit.jsonl").write_bytes(b"{}\n"), "`logs/audit.jsonl` was changed"),
    "manifest": (
        lambda at: (at / "archive.json").write_text((at / "archive.json").read_text().replace("parity", "purity")),
        "`archive.json`",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_an_archive_that_was_changed_stays_where_it_is_and_the_file_is_named(what: str, project: Project) -> None:
    archive_experiment(world=project.world())
    spoil, told = SPOILED[what]
    spoil(project.archive)
    held = sorted(project.archive.rglob("*"))
    with pytest.raises(ResultError) as caught:
        unarchive_experiment(world=project.world())
    assert told in str(caught.value)
    assert sorted(project.archive.rglob("*")) == held
    assert not project.root.exists()
    with pytest.raises(ResultError):
        preview_unarchive(world=project.world())


def test_nothing_is_written_over(project: Project) -> None:
    project.archive.mkdir(parents=True)
    (project.archive / "other").write_text("kept")
    with pytest.raises(SiteError, match="is there already"):
        archive_experiment(world=project.world())
    other = project.base / "project" / "kept"
    archive_experiment(to=str(other), world=project.world())
    project.root.mkdir()
    with pytest.raises(PlanError, match="is there already"):
        unarchive_experiment(world=project.world())
    project.root.rmdir()
    unarchive_experiment(world=project.world())
    assert (project.archive / "other").read_text() == "kept"


def test_a_file_that_comes_after_the_copy_keeps_the_original(project: Project) -> None:
    world = project.world()

    def late(done: int, total: int, label: str) -> None:
        if (done, label) == (total, "files verified"):
            (project.root / "late.txt").write_text("x")

    with pytest.raises(PlanError, match=r"late\.txt"):
        archive_experiment(progress=late, world=world)
    assert (project.root / "experiment_summary.md").exists()
    (project.root / "late.txt").unlink()
    (project.root / "mine.sh").write_text("echo changed\n")
    with pytest.raises(PlanError, match=r"`mine\.sh` was changed"):
        archive_experiment(world=world)
    assert (project.root / "mine.sh").read_text() == "echo changed\n"


def test_a_move_that_was_given_up_may_go_elsewhere(project: Project) -> None:
    before = project.standing()

    def full(done: int, *_: object) -> None:
        if done == 7:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        archive_experiment(progress=full, world=project.world())
    other = project.base / "disk"
    assert preview_archive(world=project.world()).begun
    archive_experiment(to=str(other), world=project.world())
    assert (other / "parity" / "archive.json").exists()
    assert [path.name for path in project.archive.parent.iterdir()] == ["parity.json"]
    unarchive_experiment(world=project.world())
    assert project.standing() == before


def test_a_move_goes_on_where_the_room_is_enough_for_what_is_left_of_it(project: Project) -> None:
    world = project.world()._replace(vault=Nearly(clock=project.world().clock))
    with pytest.raises(SiteError, match="are free at"):
        preview_archive(world=world)

    def stopped(done: int, total: int, label: str) -> None:
        if (done, label) == (total, "files copied"):
            raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        archive_experiment(progress=stopped, world=project.world())
    assert archive_experiment(world=world).archive == str(project.archive)


class Nearly(DiskVault):
    """A disk that has room for what must stay free, and for a small part of the experiment."""

    def free(self, folder: str) -> int:
        return 50_050_000


def test_an_archive_is_found_by_name_where_the_project_has_forgotten_it(project: Project) -> None:
    before = project.standing()
    archive_experiment(world=project.world())
    (project.archive.parent / "parity.json").unlink()
    with pytest.raises(PlanError, match="--from DIR"):
        unarchive_experiment(world=project.world())
    unarchive_experiment(source=str(project.archive), world=project.world())
    assert project.standing() == before


def test_a_project_that_was_moved_gets_its_experiment_back_where_it_is_now(tmp_path: Path) -> None:
    project = Project.made(tmp_path / "base", scratch=False)
    before = project.standing()
    archive_experiment(world=project.world())
    (tmp_path / "base").rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved")
    assert preview_unarchive(world=moved.world()).origin == str(moved.root)
    unarchive_experiment(world=moved.world())
    assert moved.standing() == before
    assert not project.base.exists()


def test_where_data_may_not_lie_an_archive_is_not_written(tmp_path: Path) -> None:
    project = Project.made(tmp_path / "base", tier="red")
    assistant = Roots(writable=(str(project.base / "project"),), readable=(str(project.base / "project"),))
    freer = project.base / "project" / "data" / "green"
    for to, roots, told in (
        (project.base / "far", None, "the data is red"),
        (project.base / "far", assistant, "outside the directories an assistant may use"),
        (freer, None, "is for green data"),
        (project.root / "inner", None, "lies in the experiment itself"),
        (project.scratch / "parity" / RunLayout(runs_of(project)[0]).output, None, "lies in the experiment itself"),
    ):
        with pytest.raises(PlanError, match=told):
            preview_archive(to=str(to), world=project.world(roots=roots))
    # The site's own directory for checkpoints is as good as the project.
    assert preview_archive(to=str(project.scratch / "old"), world=project.world()).free > 0
    assert preview_archive(world=project.world(roots=assistant)).archive == str(project.archive)


def test_what_is_archived_stays_as_it_is(project: Project) -> None:
    archive_experiment(world=project.world())
    there = project.world()
    vault = there.vault
    assert vault is not None
    text, error = said("-C", str(project.root), "status")
    assert "is archived in `archive/parity`" in f"{text}{error}"
    text, error = said("-C", str(project.archive), "collect")
    assert "stays as it is" in f"{text}{error}"
    event = AuditEvent(actor=there.actor, verb="decide", action=Action.DECIDE_CONFIG, subject="x")
    with pytest.raises(SiteError, match="stays as it is"):
        vault.record(str(project.archive)).append(event)
    text, error = said("-C", str(project.archive), "archive", "--dry-run")
    assert "is an archive already" in f"{text}{error}"
    assert unarchive_experiment(world=project.world()).files


def test_archived_experiments_are_searched_and_told_as_such(project: Project) -> None:
    world = project.world()

    def hits() -> list[tuple[str, bool, str]]:
        page = search_experiments(Query(words="rank"), projects=[str(project.root.parent)], world=world)
        return [(card.experiment, bool(card.archived), card.withheld) for card in page.hits]

    assert hits() == [("parity", False, "")]
    archive_experiment(world=world)
    assert hits() == [("parity", True, "")]
    text, _ = said("-C", str(project.root.parent), "search")
    assert "archived 20" in text
    assert search_prior_runs(["ab" * 32], world=world).experiments == 1
    unarchive_experiment(world=world)
    archive_experiment(to=str(project.base / "disk"), world=world)
    page = search_experiments(projects=[str(project.root.parent)], world=world)
    assert not page.hits
    assert page.notes == (
        f"`parity` is archived in `{project.base}/disk`; `ck search --root {project.base}/disk` looks there",
    )


def test_an_archive_is_shown_no_more_freely_than_the_experiment_was(project: Project) -> None:
    # A mark in the experiment's own folder of data, made after it was sealed.
    (project.root / "data" / "TIER").write_text("red\n")
    archive_experiment(world=project.world())
    (project.archive / "data" / "TIER").unlink()
    page = search_experiments(projects=[str(project.root.parent)], world=project.world())
    assert [(card.tier, card.question) for card in page.hits] == [("red", "")]


def test_a_design_that_never_ran_may_go_away_too(tmp_path: Path) -> None:
    project = Project.made(tmp_path / "base", scratch=False)
    for path in ("plan.json", "design.lock.json"):
        (project.root / path).unlink()
    before = project.standing()
    archive_experiment(world=project.world())
    unarchive_experiment(world=project.world())
    assert project.standing() == before
    (project.root / "experiment_summary.md").unlink()
    with pytest.raises(PlanError, match="is no experiment"):
        archive_experiment(world=project.world())
