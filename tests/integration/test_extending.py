"""Every example of the page on extending runs as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.runtime.train_config import load_train_config
from tests.evaluated_run import ready_run
from tests.training_runs import metric_points, write_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
READS = """
from cruijff_kit.data.formats import read_parts
part = read_parts(b"- {input: amber, output: Amber}\\n- {input: basin, output: Basin}\\n", "words.yaml")["train"]
print(part.rows[1]["output"], part.place(1))
"""


def put(name: str, folder: Path) -> Path:
    (folder / name).write_text(EXAMPLES[name], encoding="utf-8")
    return folder / name


def run(recipe: Path, config: Path) -> dict[str, torch.Tensor]:
    """Train by a recipe's file, and return the adapter it leaves."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(recipe), "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    return load_file(Path(load_train_config(config).output_dir) / "epoch_0" / "adapter_model.safetensors")


def test_the_page_has_an_example_of_each() -> None:
    assert list(EXAMPLES) == ["last_block.py", "sureness.py", "brevity.py", "by_hand.py", "yaml.diff"]


def test_the_recipe_adapts_the_last_block_and_the_metric_is_logged_beside_the_loss(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, custom_metrics=str(put("sureness.py", tmp_path)))
    learnt = run(put("last_block.py", tmp_path), config)
    blocks = {int(found[1]) for name in learnt if (found := re.search(r"layers\.(\d+)\.", name))}
    last = len(AutoModelForCausalLM.from_pretrained(base).model.layers) - 1
    assert blocks == {last}
    assert all(0 < point.custom["sureness"] <= 1 for point in metric_points(config))


def test_the_backend_learns_what_peft_then_reads(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, epochs=2, epochs_to_save=[0, 1], lr_scheduler={"num_warmup_steps": 0})
    run(put("by_hand.py", tmp_path), config)
    losses = [point.loss or 0 for point in metric_points(config)]
    assert losses[-1] < losses[0]
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    ids = torch.arange(1, 20)[None]
    with torch.no_grad():
        before = plain(ids).logits
        tuned = PeftModel.from_pretrained(plain, str(Path(load_train_config(config).output_dir) / "epoch_1"))
        assert not torch.allclose(tuned(ids).logits, before)
    assert all("q_proj" in name for name, _ in tuned.named_parameters() if "lora_" in name)


def test_the_scorer_s_figures_stand_beside_ours(tmp_path: Path) -> None:
    changes = {"name": "brevity", "task": "brevity.py@brevity", "scorers": [], "groups": [], "expected_samples": 4}
    ready = ready_run(tmp_path / "experiment", cells=(changes,))
    put("brevity.py", ready.experiment)
    config, facts = load_eval_config(ready.configs[0]), {"checkpoint_sha256": "ab" * 32}
    log = run_cell(config, ready.configs[0], place=place_of(config), facts=facts, answered=lambda _: None)
    record = InspectLogs().read(log.path)
    assert (record.status, record.samples) == ("success", 4)
    assert record.values["letters"] == tuple(float(len(each.completion)) for each in record.predictions)


def test_the_format_is_read_with_its_lines(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "cruijff_kit", tmp_path / "cruijff_kit", ignore=shutil.ignore_patterns("__pycache__"))
    for path, hunks in re.findall(r"^\+\+\+ b/(\S+)\n((?:(?!--- ).*\n)+)", EXAMPLES["yaml.diff"], re.MULTILINE):
        text = (tmp_path / path).read_text(encoding="utf-8")
        for hunk in hunks.split("@@\n")[1:]:
            before, after = (
                "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in signs)
                for signs in (" -", " +")
            )
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (tmp_path / path).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", READS], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.split() == ["Basin", "words.yaml:2"]
