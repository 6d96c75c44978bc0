"""Sending offline runs: what would go, what goes, and what never does."""

from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.errors import PlanError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.sync import sync_wandb
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.tracking import FakeTracking

TRACKED = {"factors": {}, "controls": {"seeds": [1, 2], "epochs": 1}, "output": {"wandb_project": "words"}}


def scaffolded(root: Path, **changes: Any) -> tuple[World, tuple[str, ...]]:
    world = world_at(root)
    put_design(root, design(**{**TRACKED, **changes}))
    runs = scaffold_runs(world=world).runs
    return world, tuple(run for run in runs if not run.startswith("base"))


def place(root: Path, run: str) -> str:
    return f"{root}/outputs/ck-out-{run}/logs/wandb"


def test_a_dry_run_tells_what_would_be_sent_and_leaves_no_trace(tmp_path: Path) -> None:
    world, (first, second) = scaffolded(tmp_path)
    (tmp_path / "runs" / first / "metrics.jsonl").write_text('{"step":1}\n{"step":2}\n', encoding="utf-8")
    tracking, head = FakeTracking({place(tmp_path, first): 900}), world.audit.head()
    receipt = sync_wandb(dry_run=True, tracking=tracking, world=world)
    (run,) = receipt.runs
    assert (run.run_id, run.project, run.bytes, run.points) == (first, "words", 900, 2)
    assert (receipt.without, receipt.sent, tracking.sent) == ((second,), False, [])
    assert world.audit.head() == head


def test_what_is_sent_is_on_record(tmp_path: Path) -> None:
    world, runs = scaffolded(tmp_path)
    tracking = FakeTracking({place(tmp_path, run): 1 for run in runs})
    assert sync_wandb(tracking=tracking, world=world).sent
    assert tracking.sent == [place(tmp_path, run) for run in runs]
    last = list(world.audit.records())[-1]
    assert (last.action, last.inputs) == (Action.SYNC_RUNS, dict.fromkeys(runs, "words"))


def test_a_refusal_is_on_record_too(tmp_path: Path) -> None:
    world, (first, _) = scaffolded(tmp_path)
    with pytest.raises(SiteError):
        sync_wandb(tracking=FakeTracking({place(tmp_path, first): 1}, offline=True), world=world)
    assert list(world.audit.records())[-1].action is Action.ERROR


def test_nothing_made_of_red_data_is_sent(tmp_path: Path) -> None:
    world, (first, _) = scaffolded(tmp_path, data={**DESIGN["data"], "tier": "red"})
    tracking = FakeTracking({place(tmp_path, first): 1})
    with pytest.raises(PlanError, match="red"):
        sync_wandb(tracking=tracking, world=world)
    with pytest.raises(PlanError, match="red"):
        sync_wandb(dry_run=True, tracking=tracking, world=world)
    assert tracking.sent == []


def test_an_experiment_without_a_project_has_nothing_to_send(tmp_path: Path) -> None:
    world, _ = scaffolded(tmp_path, output={})
    receipt = sync_wandb(tracking=FakeTracking({}), world=world)
    assert (receipt.runs, receipt.without, receipt.sent) == ((), (), False)
