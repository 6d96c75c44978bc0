import sys
from pathlib import Path

import pytest

from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at


@pytest.mark.parametrize("name", ("python", "python3", "python3.11"))
def test_scripts_do_not_depend_on_which_name_of_the_interpreter_ran(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_design(tmp_path / "parity", design())
    world = world_at(tmp_path / "parity")
    scaffold_runs(world=world)
    monkeypatch.setattr(sys, "executable", str(Path(sys.executable).with_name(name)))
    again = scaffold_runs(world=world)
    assert {change.kind for change in again.changes} == {"unchanged"}


def test_another_interpreter_keeps_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/pypy3")
    put_design(tmp_path / "parity", design())
    receipt = scaffold_runs(dry_run=True, world=world_at(tmp_path / "parity"))
    scripts = [change.content for change in receipt.changes if change.path.endswith("finetune.slurm")]
    assert all("exec /opt/python/bin/pypy3 -m" in script for script in scripts)
    assert scripts
