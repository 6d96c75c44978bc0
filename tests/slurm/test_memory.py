"""A training that needs more memory than it asked for, on a real Slurm that limits it by looking and by cgroups."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.file_lock import hold_lock
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import RunError
from tests.random_model import random_base
from tests.slurm.cluster import running_cluster
from tests.slurm.settings import Setup

CGROUPS = Path("/sys/fs/cgroup/memory")
# Where the machine lets nobody make a cgroup, the words that Slurm says then are read in tests of the policy alone.
WAYS = {"watched": False, **({"confined": True} if os.access(CGROUPS, os.W_OK) else {})}
SAID = {"watched": "exceeded memory limit", "confined": "oom-kill"}
RECIPE = Path(__file__).parent / "hungry_recipe.py"
DESIGN = """\
name: hungry
question: Does it fit?
created: "2026-01-02"
tools: {{preparation: peft, evaluation: none}}
models: [{{name: base, path: {model}}}]
data:
  tier: green
  training: {{generator: bit_sequences, arguments: {{bit_length: 8, N: 40, val_size: 10, test_size: 10, seed: 1}}}}
design: list
runs: [{{name: tuned}}]
controls: {{recipe: {recipe}, seeds: [1], batch_size: 4, max_seq_len: 64}}
resources: {{mem: 300M}}
"""


class Desk:
    """An experiment, and a person who types commands."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ck(self, *words: str, code: int = 0) -> str:
        """Type a command that ends with a code."""
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words])
        assert getattr(done.exception, "exit_code", done.exit_code) == code, f"ck {' '.join(words)}: {done.output}"
        return done.output

    def step(self, *, code: int) -> dict[str, Any]:
        """Return where the training stands, once nothing moves any more and the watch has ended with a code."""
        self.ck("watch", "--poll", "0.1", code=code)
        (step,) = json.loads(self.ck("status", "--json"))["steps"]
        return step

    def config(self) -> list[str]:
        """Return the lines that say how the effective batch is taken."""
        (path,) = self.root.glob("runs/*/finetune.yaml")
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith(("batch_size:", "gradient_accumulation_steps:"))]


@contextlib.contextmanager
def limiting(way: str) -> Iterator[dict[str, str]]:
    """Yield what names a cluster that limits memory; of those with cgroups one at a time, as they share their names."""
    setup = Setup(nodes=1, gpus=0, cgroup=WAYS[way])
    with hold_lock(Path(tempfile.gettempdir()) / "ck-cgroups.lock", name="cgroups", wait=120):
        with running_cluster(setup) as cluster:
            yield cluster.environment
        for group in CGROUPS.parent.glob("*/slurm_n1"):
            for path, _, _ in os.walk(group, topdown=False):
                Path(path).rmdir()


@pytest.mark.parametrize("way", WAYS)
def test_too_little_memory_is_told_and_smaller_passes_are_made_once_somebody_approves(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    (config / "site.yaml").write_text("allow_unattended: true\nscheduler: slurm\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    desk = Desk(tmp_path / "hungry")
    desk.root.mkdir()
    design = tmp_path / "design.yaml"
    design.write_text(DESIGN.format(model=random_base(tmp_path / "base"), recipe=RECIPE), encoding="utf-8")
    with limiting(way) as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        desk.ck("design", "write", str(design), "--reason", "shown here")
        desk.ck("scaffold")
        desk.ck("submit", "--yes", "--reason", "to see whether it fits")
        failed = desk.step(code=RunError.exit_code)
        (attempt,) = failed["attempts"]
        assert (failed["phase"], attempt["verdict"]) == ("failed", "out_of_memory")
        assert SAID[way] in "\n".join(attempt["log"])
        assert attempt["decision"]["reaction"] == "propose"
        assert attempt["decision"]["proposal"] == {"batch_size": 2, "gradient_accumulation_steps": 2}
        assert "the effective batch stays 4" in failed["reason"]
        assert "the effective batch stays 4" in desk.ck("estimate", failed["run_id"])
        # Nothing changes before somebody says so, however often one looks.
        desk.ck("submit", "--yes", "--reason", "once more")
        assert desk.step(code=RunError.exit_code) == failed
        assert desk.config() == ["batch_size: 4", "gradient_accumulation_steps: 1"]
        desk.ck("retry", failed["run_id"], "--apply-proposal", "--yes", "--reason", "half the rows")
        done = desk.step(code=0)
    assert (done["phase"], done["run_id"]) == ("completed", failed["run_id"]), done
    assert [each["verdict"] for each in done["attempts"]] == ["out_of_memory", "succeeded"]
    assert desk.config() == ["batch_size: 2", "gradient_accumulation_steps: 2"]
