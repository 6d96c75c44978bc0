"""The whole way with a real training: run, reproduced by running again, and exported, every figure equal."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.bootstrap import open_local
from cruijff_kit.cli.main import cli
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow import scaffold_runs, submit_jobs, watch_jobs, write_design, write_report
from tests.crates import crate_problems

pytest_plugins = ["tests.tiny_base"]
pytestmark = pytest.mark.soak

DESIGN = """
name: capitals
question: Does peft teach the base to capitalise?
created: 2026-11-20
tools: {{preparation: peft}}
models: [{{name: tiny, path: {base}}}]
data:
  training: {{generator: capitalization, arguments: {{}}}}
  tier: green
design: list
runs: [{{name: tuned}}]
controls: {{seeds: [1], epochs: 1, lora_rank: 4, lr: 0.001, training_samples: 64}}
evaluation:
  tasks: [{{name: words, task: rows, samples: 10}}]
"""


def weights(root: Path, run: str) -> dict[str, str]:
    done = Done.model_validate_json((root / RunLayout(run).done("train")).read_bytes())
    found = {path: sha for path, sha in done.artefacts.items() if path.endswith("adapter_model.safetensors")}
    assert found
    return found


def test_a_training_run_again_gives_equal_figures_and_equal_weights(tiny_base: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "capitals", tmp_path / "again"
    world = open_local(first, root=tmp_path, name="ada")
    write_design(DESIGN.format(base=tiny_base), reason="shown here", world=world)
    receipt = scaffold_runs(world=world)
    submit_jobs(receipt.plan_id, reason="shown here", world=world)
    assert list(watch_jobs(world=world))
    (run,) = receipt.runs
    done = CliRunner().invoke(cli, ["-C", str(first), "reproduce", run, "--into", str(again), "--run"])
    assert done.exit_code == 0, done.output
    assert "figures have to be equal" in done.output
    assert "words/0/" in done.output
    assert "differs" not in done.output
    assert weights(first, run) == weights(again, run)
    write_report(world=world)
    words = [
        "export",
        "--ro-crate",
        "--into",
        str(tmp_path / "crate"),
        *(f"--with={part}" for part in ("data", "logs")),
    ]
    done = CliRunner().invoke(cli, ["-C", str(first), *words, "--with", "adapters"])
    assert done.exit_code == 0, done.output
    assert crate_problems(tmp_path / "crate") == []
