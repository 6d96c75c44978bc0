"""A search in memory: its jobs train by a formula, and end when the test says so."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.sweep import SweepView
from cruijff_kit.workflow.attempts import read_attempts
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.sweep import approve_sweep, next_round, preview_sweep
from cruijff_kit.workflow.watch import watch_jobs
from tests.e2e.scored_recipe import loss_of, metrics_of
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.proposer import FakeProposer
from tests.fakes.scheduler import FakeScheduler

__all__ = ["SEARCH", "Searched", "bowl", "search_text", "searched"]

SEARCH: Mapping[str, Any] = {
    "kind": "search",
    "trials": 6,
    "at_once": 3,
    "space": {"lr": {"low": 1e-5, "high": 1e-3, "log": True}, "lora_rank": [4, 8, 16]},
}
"""Six trials, three at once, over learning rate and rank."""


def bowl(run: PlannedRun) -> float:
    """Return the loss of the recipe that real searches of these tests run."""
    return loss_of(run.settings["lr"].value, run.seed)


class Searched(NamedTuple):
    """A search whose jobs a test ends."""

    root: Path
    world: World
    scheduler: FakeScheduler

    def train(self, loss: Callable[[PlannedRun], float | None] = bowl) -> None:
        """End every job that was handed over: well with a loss, badly without one; then let a watch see it."""
        runs = {run.id: run for run in recorded_plan(world=self.world)[0].runs}
        moving = {each.run_id for each in read_status(world=self.world).steps if each.phase is Phase.PENDING}
        for (run_id, _), attempts in read_attempts(self.world.store).items():
            if run_id not in moving:
                continue
            value = loss(runs[run_id])
            if value is not None:
                self._leave(run_id, value)
            self.scheduler.finish(attempts[-1].job_id or "", code=0 if value is not None else 1)
        list(watch_jobs(timeout=0, world=self.world))

    def end(self, loss: Callable[[PlannedRun], float | None] = bowl) -> SweepView:
        """Run all rounds; return the search as it stands in the end."""
        while not (view := next_round(reason="the next", world=self.world)).finished:
            self.train(loss)
        return view

    def _leave(self, run_id: str, loss: float) -> None:
        folder = self.root / "runs" / run_id
        text = metrics_of(loss)
        digest = hashlib.sha256(text.encode()).hexdigest()
        done = {
            "exit_code": 0,
            "artefacts": {f"runs/{run_id}/metrics.jsonl": digest},
            "finished": "2026-11-20T09:00:00.000Z",
        }
        (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
        (folder / "DONE").write_text(json.dumps(done), encoding="utf-8")


def search_text(search: Mapping[str, Any] = SEARCH, **changes: Any) -> str:
    """Return a design that searches by the validation loss alone."""
    plain = {"factors": {}, "runs": [], "tools": {"evaluation": "none"}, "evaluation": {}}
    controls = {"seeds": [1], "batch_size": 4}
    return dump_yaml({**DESIGN, **plain, "controls": controls, "design": dict(search), **changes})


def searched(root: Path, search: Mapping[str, Any] = SEARCH, **changes: Any) -> Searched:
    """Return a search that was designed and agreed to; nothing of it has run."""
    scheduler = FakeScheduler()
    world = world_at(root / "parity")._replace(proposer=FakeProposer(), scheduler=scheduler)
    write_design(search_text(search, **changes), reason="to find a learning rate", world=world)
    approve_sweep(preview_sweep(world=world).scope, reason="it may run", world=world)
    return Searched(root / "parity", world, scheduler)
