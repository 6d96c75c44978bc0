"""A file system that machines share: what a node wrote last is seen a while after the scheduler has told its end."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.policy import Ending, Policy, Reaction
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.fakes.clock import FakeClock
from tests.submitted import Submitted, scaffolded_template


class LateStore(DiskRunStore):
    """Files of an experiment, of which those that end so are not seen here yet."""

    late: tuple[str, ...] = ()

    def read(self, path: str) -> bytes | None:
        """Return what is seen of a file."""
        return None if path.endswith(self.late) else super().read(path)

    def tail(self, path: str, lines: int) -> list[str]:
        """Return what is seen of its end."""
        return [] if path.endswith(self.late) else super().tail(path, lines)

    def shared(self) -> bool:
        """Return that other machines write here too."""
        return True


@pytest.fixture
def exp(tmp_path: Path) -> Submitted:
    """Return an experiment on such a file system, submitted; nothing that jobs write is seen."""
    template = scaffolded_template(tmp_path / "template" / "parity", resources={"gpus": 1})
    made = Submitted(template, tmp_path / "parity")
    store = LateStore(made.world.store.root)
    store.late = ("DONE", "status.json", ".out")
    # The scheduler's clock begins there.
    made.clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    made.world = made.world._replace(store=store, clock=made.clock)
    submit_jobs(made.plan_id, world=made.world)
    return made


def look(exp: Submitted) -> str:
    """Let a watch look once, and return the first run."""
    next(watch_jobs(world=exp.world))
    return read_status(world=exp.world).steps[0].run_id


def seen(exp: Submitted) -> None:
    """Let everything be seen."""
    assert isinstance(exp.world.store, LateStore)
    exp.world.store.late = ("no file ends so",)


def test_a_success_whose_marker_is_late_is_no_failure(exp: Submitted) -> None:
    run = look(exp)
    exp.scheduler.start(exp.job_id(run))
    exp.succeed(exp.job_id(run))
    look(exp)
    exp.later(seconds=30)
    look(exp)
    entry = exp.step(run)
    assert (entry.phase, entry.attempts[-1].verdict) == (Phase.RUNNING, None)
    assert entry.reason == "its job has ended; what it wrote last is not seen here yet"
    assert exp.records(Action.STATE_CHANGE) == []
    seen(exp)
    look(exp)
    assert exp.step(run).phase is Phase.COMPLETED
    assert exp.records(Action.APPLY_POLICY) == []


def test_a_failure_is_decided_on_once_its_last_words_are_seen(exp: Submitted) -> None:
    run = look(exp)
    exp.scheduler.start(exp.job_id(run))
    exp.saves(exp.job_id(run), 3, state="failed", message="CUDA out of memory. Tried to allocate 2 GiB")
    exp.scheduler.finish(exp.job_id(run), 1)
    look(exp)
    assert exp.step(run).phase is Phase.RUNNING
    seen(exp)
    look(exp)
    decision = exp.last(run).decision
    assert decision is not None
    assert (decision.rule, decision.reaction) == (Ending.OUT_OF_MEMORY, Reaction.PROPOSE)


def test_a_job_that_left_no_word_is_judged_in_the_end_and_its_evaluation_not_before(exp: Submitted) -> None:
    run = look(exp)
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.finish(exp.job_id(run), 0)
    look(exp)
    assert exp.step(run, Step.EVAL).phase is Phase.PENDING
    exp.later(seconds=120)
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert "`DONE` is missing" in exp.step(run).reason


def test_a_site_says_how_long_files_may_take(exp: Submitted) -> None:
    exp.site = Site(policy=Policy(seen_within=0))
    run = look(exp)
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.finish(exp.job_id(run), 1)
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
