"""What a design said before the first job stays in its seal, whatever is amended later."""

from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.receipt import ScaffoldReceipt
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at

SMALL: dict[str, Any] = {"factors": {"lora_rank": [4, 16]}, "controls": {"seeds": [1], "batch_size": 4}}


def scaffolded(root: Path) -> tuple[World, ScaffoldReceipt]:
    put_design(root, design(**SMALL))
    world = world_at(root)
    return world, scaffold_runs(world=world)


def submitted(root: Path, run: str) -> None:
    intent = root / RunLayout(run).intent("train", 1)
    intent.parent.mkdir(parents=True)
    intent.write_text("{}", encoding="utf-8")


def lock_of(root: Path) -> DesignLock:
    return DesignLock.model_validate_json((root / ExperimentLayout.lock).read_bytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "parity"


def test_the_seal_keeps_what_was_stated_before_the_first_job(root: Path) -> None:
    world, first = scaffolded(root)
    put_design(root, design(**{**SMALL, "analysis": {"alpha": 0.1}}))
    scaffold_runs(world=world)
    free = lock_of(root)
    assert free.stated is not None
    assert free.stated.spec_sha256 == free.spec_sha256
    submitted(root, first.runs[0])
    more = {"controls": {**SMALL["controls"], "seeds": [1, 2]}, "analysis": {"alpha": 0.2}}
    put_design(root, design(**{**SMALL, **more}))
    scaffold_runs(world=world)
    assert lock_of(root).stated == free.stated
    assert set(free.stated.runs) < set(lock_of(root).runs)


def test_a_seal_of_before_statements_were_kept_tells_of_its_design_and_runs(root: Path) -> None:
    world, first = scaffolded(root)
    old = lock_of(root).model_copy(update={"stated": None})
    (root / ExperimentLayout.lock).write_text(old.model_dump_json(), encoding="utf-8")
    submitted(root, first.runs[0])
    scaffold_runs(world=world)
    stated = lock_of(root).stated
    assert stated is not None
    assert (stated.spec_sha256, stated.runs, stated.analysis_sha256) == (old.spec_sha256, first.runs, None)
