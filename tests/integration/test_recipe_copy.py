"""A recipe of one's own starts as a copy that trains as the original does."""

import subprocess
import sys
from pathlib import Path

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.recipes.lora_single_device import main
from cruijff_kit.workflow.recipes import copy_recipe
from tests.fakes.designed import world_at
from tests.training_runs import metric_points, random_base, write_run


def test_a_copied_recipe_trains_to_the_same_losses(tmp_path: Path) -> None:
    base = random_base(tmp_path / "base")
    ours, theirs = (write_run(tmp_path / name, base) for name in ("ours", "theirs"))
    copied = copy_recipe("lora_finetune_single_device_val", "mine.py", world=world_at(tmp_path / "theirs"))
    assert main(["--config", str(ours)]) == 0
    command = [sys.executable, str(tmp_path / "theirs" / copied), "--config", str(theirs), "--resume"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    losses = [[point.loss for point in metric_points(config)] for config in (ours, theirs)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


def test_a_copy_never_replaces_a_file(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    assert copy_recipe("lora_single_device", world=world) == "lora_single_device.py"
    (tmp_path / "mine.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(SpecError, match="nothing is replaced"):
        copy_recipe("lora_single_device", "mine.py", world=world)
    assert (tmp_path / "mine.py").read_text(encoding="utf-8") == "a = 1\n"
