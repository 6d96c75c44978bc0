"""One finished experiment, written once and copied for each test."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.report import write_report
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.experiment import SMALL, Size, design_of, make_experiment, plan_of, seal
from tests.fakes.lora_adapters import FakeAdapters
from tests.fakes.model_hub import FakeHub
from tests.fakes.scheduler import FakeScheduler

ACTOR = Actor(kind="human", name="ada")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished") / "experiment"
    make_experiment(root)
    return root


@pytest.fixture
def root(_finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_finished, tmp_path / "moved here" / "experiment"))


@pytest.fixture
def plan() -> Plan:
    return plan_of(SMALL)


@pytest.fixture
def world(root: Path) -> World:
    return world_at(root)


@pytest.fixture(scope="session")
def reported(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, ReportReceipt]:
    """Return a reported experiment that tests only look at."""
    root = Path(shutil.copytree(_finished, tmp_path_factory.mktemp("reported") / "experiment"))
    world = world_at(root)
    return world, write_report(world=world)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[[Size], World]:
    """Return a maker of experiments of another size, nothing of which has run."""

    def make(size: Size) -> World:
        return world_at(tmp_path / "other", size)

    return make


def world_at(root: Path, size: Size = SMALL) -> World:
    """Open an experiment whose jobs have ended, and seal it with its record's head."""
    clock = FakeClock()
    audit = FakeAuditLog(clock)
    anchor = audit.append(AuditEvent(actor=ACTOR, verb="watch", action=Action.ALL_COMPLETE, subject="experiment"))
    seal(root, design_of(size), plan=plan_of(size), anchor=anchor)
    return World(
        store=DiskRunStore(root),
        audit=audit,
        scheduler=FakeScheduler(),
        clock=clock,
        hub=FakeHub(),
        adapters=FakeAdapters(),
        evaluations=InspectLogs(),
        site=Site(),
        actor=ACTOR,
    )
