"""What a training calls or keeps is looked at while it is designed."""

import hashlib
import sys
from pathlib import Path

import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.schema.site import Environment, Site
from cruijff_kit.workflow.hook_checks import check_hooks
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import sealed_plan
from tests.fakes.designed import design, put_design, world_at

GOOD = "def calculate_custom_metrics(logits, labels, tokenizer, ignore_index):\n    return {}\n"
HOOKED = {"factors": {}, "controls": {"seeds": [1], "custom_metrics": "hook.py"}}


@pytest.mark.parametrize(
    "source,problems",
    (
        (GOOD, 0),
        ("from elsewhere import mine as calculate_custom_metrics\n", 0),
        ("def calculate_metrics():\n    pass\n", 1),
        ("these are words", 1),
        ("\0", 1),
    ),
)
def test_a_file_of_metrics_has_to_define_its_function(source: str, problems: int, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text(source, encoding="utf-8")
    found = check_hooks(design(**HOOKED), world_at(tmp_path))
    assert [problem.path for problem in found] == ["controls.custom_metrics"] * problems
    assert not (tmp_path / "__pycache__").exists()


def test_a_file_of_metrics_is_sealed_and_handed_to_the_job(tmp_path: Path) -> None:
    world, hook = world_at(tmp_path), tmp_path / "hook.py"
    hook.write_text(GOOD, encoding="utf-8")
    put_design(tmp_path, design(**HOOKED))
    (run, _) = scaffold_runs(world=world).runs
    assert f"custom_metrics: {hook}" in (tmp_path / "runs" / run / "finetune.yaml").read_text(encoding="utf-8")
    assert sealed_plan(world=world)[1].inputs[str(hook)] == hashlib.sha256(GOOD.encode()).hexdigest()
    hook.write_text(GOOD + "\n", encoding="utf-8")
    with pytest.raises(PlanError, match="changed since"):
        sealed_plan(world=world)


def test_a_project_needs_the_library_where_jobs_run_in_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    spec, here = design(output={"wandb_project": "words"}), world_at(tmp_path)
    (problem,) = check_hooks(spec, here)
    assert problem.path == "output.wandb_project"
    assert "cruijff-kit[tracking]" in problem.hint
    elsewhere = world_at(tmp_path, site=Site(environment=Environment(kind="conda", name="kit")))
    assert check_hooks(spec, elsewhere) == []
