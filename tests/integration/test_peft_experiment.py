"""One whole experiment by peft: designed, scaffolded, trained and evaluated by the scripts that lie in its runs."""

from pathlib import Path

from click.testing import CliRunner
from inspect_ai.log import read_eval_log

from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow import scaffold_runs, spot_check_run, write_design
from tests.job_script import run_script

pytest_plugins = ["tests.tiny_base"]

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
controls:
  seeds: [1]
  epochs: 2
  lora_rank: 16
  lr: 0.001
  num_warmup_steps: 20
  packed: true
  epochs_to_save: last
  save_adapter_weights_only: false
  stash_adapter_weights: true
evaluation:
  tasks: [{{name: words, task: rows, samples: 40}}]
"""


def test_a_design_that_asks_for_peft_is_trained_by_it_and_evaluated(tiny_base: Path, tmp_path: Path) -> None:
    root = tmp_path / "capitals"
    world = open_world(root, root=tmp_path, kind="human", name="ada", client=None)
    write_design(DESIGN.format(base=tiny_base), reason="shown here", world=world)
    (run,) = scaffold_runs(world=world).runs
    layout = RunLayout(run)
    assert "-m cruijff_kit.recipes.peft_lora" in (root / layout.train_script).read_text(encoding="utf-8")
    run_script(root / layout.train_script)
    epoch = root / "outputs" / layout.epoch(1)
    assert (epoch / "model.safetensors").is_file()
    assert not (epoch / "adapter_config.json").exists()
    run_script(root / layout.eval_script)
    (log,) = (root / layout.cell_logs("words_epoch_1")).glob("*.eval")
    results = read_eval_log(log, header_only=True).results
    assert results is not None
    assert results.scores[0].metrics["accuracy"].value >= 0.9
    assert sum(sample.match for sample in spot_check_run(run, count=10, world=world).samples) >= 8
    check = CliRunner().invoke(cli, ["adapter", "check", str(epoch / "adapter_weights"), "--prompt", "house House"])
    assert check.exit_code == 0, check.output
    assert "the adapter has an effect" in check.output
