"""The page on model organisms: its table is the code's, its commands and its design are taken as they stand."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.data.generators.organism_rules import RULES
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.organism import RuleKwargs
from cruijff_kit.workflow.design import check_design
from tests.fakes.designed import DESIGN, world_at

PAGE = (Path(__file__).resolve().parents[2] / "docs/model-organisms.md").read_text(encoding="utf-8")
INPUTS = ("bits", "digits", "letters")


def rows(head: str) -> list[list[str]]:
    """Return the cells of a table below a heading, without its first two lines."""
    part = PAGE.partition(head)[2].partition("\n|")[2]
    lines = re.match(r"(?:.*\|\n)+", part)
    assert lines
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in lines.group().splitlines()[2:]]


def test_the_pages_rules_are_asked_of_what_the_code_asks_them_of() -> None:
    told = {
        row[0].strip("`"): tuple(kind for kind, yes in zip(INPUTS, row[1:4], strict=True) if yes == "yes")
        for row in rows("## Rules")
    }
    assert told == {rule: known.inputs for rule, known in RULES.items()}


def test_every_part_of_the_arguments_and_of_the_sidecar_is_on_the_page() -> None:
    assert [name for name in RuleKwargs.model_fields if f"`{name}`" not in PAGE] == []
    assert [row[0].strip("`") for row in rows("## What lies beside")] == list(Ceiling.model_fields)


def test_the_pages_command_makes_what_its_design_judges(tmp_path: Path) -> None:
    world = world_at(tmp_path / "parity")
    world.store.root.mkdir()
    command, told = (
        re.findall(r"```bash\n(.+?)```", PAGE, re.DOTALL)[0],
        re.findall(r"```yaml design\n(.+?)```", PAGE, re.DOTALL)[0],
    )
    result = CliRunner().invoke(cli, ["-C", str(world.store.root), *shlex.split(command.replace("\\\n", ""))[1:]])
    assert result.exit_code == 0, result.output
    design: Any = load_yaml(told, name="page").value
    plan = check_design(dump_yaml({**DESIGN, "factors": {}, "runs": [], **design}), world=world).plan
    assert [cell.task.split for cell in plan.runs[0].cells] == ["test", "test_ood_0", "test_ood_1"]
    assert result.output.startswith(f"{plan.datasets[0].path} written")
    assert plan.datasets[0].ceilings["test"].bayes_accuracy == 1


@pytest.mark.parametrize("word", re.findall(r"^\| `(\w+)` \| (?:all|`split|the same)", PAGE, re.MULTILINE))
def test_the_pages_designs_can_be_made(word: str, tmp_path: Path) -> None:
    others = ["--ood_tests", '[{"k": 9}]'] if word == "ood" else []
    words = ["-C", str(tmp_path), "data", "generate", "model_organisms", "--design", word, *others, "--dry-run"]
    assert CliRunner().invoke(cli, words).exit_code == 0
