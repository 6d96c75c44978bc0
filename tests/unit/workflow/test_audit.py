"""The record as verbs and readers use it."""

from pathlib import Path

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, Actor, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.audit import read_audit, recording, render_views, verify_audit
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.eval_logs import FakeEvalLogs
from tests.fakes.lora_adapters import FakeAdapters
from tests.fakes.model_hub import FakeHub
from tests.fakes.run_store import FakeRunStore
from tests.fakes.scheduler import FakeScheduler

ACTOR = Actor(kind="human", name="ada")


@pytest.fixture
def world() -> World:
    clock = FakeClock()
    return World(
        store=FakeRunStore(),
        audit=FakeAuditLog(clock),
        scheduler=FakeScheduler(),
        clock=clock,
        hub=FakeHub(),
        adapters=FakeAdapters(),
        evaluations=FakeEvalLogs(),
        site=Site(),
        actor=ACTOR,
    )


def record(world: World, *verbs: str) -> None:
    told = [AuditEvent(actor=ACTOR, verb=verb, action=Action.COMPLETE, subject=verb) for verb in verbs]
    world.audit.append(*told)


def seal(world: World, **changes: object) -> None:
    head = world.audit.head()
    assert head is not None
    told = {"plan_id": "a" * 64, "spec_sha256": "b" * 64, "runs": (), "files": {}, "inputs": {}}
    lock = DesignLock.model_validate({**told, "anchor_seq": head.seq, "anchor_sha256": head.sha256, **changes})
    world.store.write(ExperimentLayout.lock, lock.model_dump_json())


def test_a_block_is_recorded_with_what_it_tells_and_how_long_it_took(world: World) -> None:
    with recording(world, verb="design", action=Action.CREATE_SUMMARY, subject="demo", reason="first try") as entry:
        world.clock.sleep(1.5)
        entry.inputs["design"] = "ab"
        entry.outputs["summary"] = "cd"
    (told,) = world.audit.records()
    assert (told.verb, told.action, told.subject, told.reason) == ("design", Action.CREATE_SUMMARY, "demo", "first try")
    assert (told.inputs, told.outputs) == ({"design": "ab"}, {"summary": "cd"})
    assert (told.result, told.duration_ms, told.actor) == (Outcome.SUCCESS, 1500, ACTOR)


def test_a_block_may_end_with_a_warning(world: World) -> None:
    with recording(world, verb="design", action=Action.CHECK_DISK, subject="demo") as entry:
        entry.result = Outcome.WARNING
    assert next(world.audit.records()).result is Outcome.WARNING


def test_a_block_that_raises_is_recorded_as_an_error_and_raises_still(world: World) -> None:
    with pytest.raises(SpecError, match="no such model"):
        _fail(SpecError("no such model", hint="make one"), world)
    (told,) = world.audit.records()
    assert (told.action, told.result) == (Action.ERROR, Outcome.FAILURE)
    assert told.inputs == {"attempted": "VERIFY_MODEL", "model": "tiny"}
    assert told.error == "no such model\n\nhint: make one"


def test_a_block_that_is_interrupted_is_recorded_by_the_interruption(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fail(KeyboardInterrupt(), world)
    assert next(world.audit.records()).error == "KeyboardInterrupt"


def test_pages_of_the_record_join_without_gap_or_overlap(world: World) -> None:
    record(world, *(f"verb-{number}" for number in range(7)))
    seen, after = [], -1
    while after is not None:
        page = read_audit(after=after, limit=3, world=world)
        seen += [entry.seq for entry in page.records]
        after = page.next_after
        assert page.total == 7
    assert seen == list(range(7))


def test_an_empty_record_is_one_empty_page(world: World) -> None:
    page = read_audit(world=world)
    assert (page.records, page.next_after, page.total) == ((), None, 0)


def test_a_page_is_never_boundless(world: World) -> None:
    record(world, *["design"] * 1_200)
    page = read_audit(limit=10**9, world=world)
    assert (len(page.records), page.next_after) == (1_000, 999)
    assert len(read_audit(limit=0, world=world).records) == 1


def test_a_record_is_verified_against_the_sealed_design(world: World) -> None:
    record(world, "design", "scaffold")
    seal(world)
    record(world, "submit")
    assert verify_audit(world=world).ok
    seal(world, anchor_seq=1)
    assert (verify_audit(world=world).ok, verify_audit(world=world).line) == (False, 2)


def test_a_seal_that_cannot_be_read_is_a_problem(world: World) -> None:
    record(world, "design")
    world.store.write(ExperimentLayout.lock, "{")
    verdict = verify_audit(world=world)
    assert not verdict.ok
    assert "`design.lock.json` cannot be read" in (verdict.problem or "")


def test_views_are_written_for_the_verbs_that_acted(world: World) -> None:
    record(world, "design", "submit", "watch")
    render_views(world=world)
    assert world.store.glob("logs") == ["logs/design-experiment.log", "logs/run-experiment.log"]
    assert (world.store.read_text("logs/run-experiment.log") or "").count("COMPLETE: ") == 2


def test_views_that_tell_all_already_are_left_alone(world: World, tmp_path: Path) -> None:
    from cruijff_kit.adapters.run_store import DiskRunStore

    on_disk = world._replace(store=DiskRunStore(tmp_path))
    record(on_disk, "design", "submit")
    render_views(world=on_disk)
    before = (tmp_path / "logs/design-experiment.log").stat().st_ino
    record(on_disk, "submit")
    render_views(world=on_disk)
    assert (tmp_path / "logs/design-experiment.log").stat().st_ino == before
    assert "submit" not in (tmp_path / "logs/design-experiment.log").read_text(encoding="utf-8")


def _fail(error: BaseException, world: World) -> None:
    with recording(world, verb="design", action=Action.VERIFY_MODEL, subject="demo") as entry:
        entry.inputs["model"] = "tiny"
        raise error
