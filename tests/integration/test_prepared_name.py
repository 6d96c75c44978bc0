"""What `ck data prepare` calls its file where nobody names one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.data import data as data_command
from cruijff_kit.ports import World
from tests.fakes.designed import world_at

ROWS = [{"instruction": f"say {at}", "output": str(at)} for at in range(3)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a file of rows and no design yet."""
    world = world_at(tmp_path / "words")
    world.store.root.mkdir()
    text = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (world.store.root / "mixed.jsonl").write_text(text, encoding="utf-8")
    return world


def ck(world: World, *arguments: str) -> Any:
    return CliRunner().invoke(data_command, list(arguments), obj=str(world.store.root))


@pytest.mark.parametrize(
    "source, target",
    (
        ("mixed.jsonl", "mixed_prepared.jsonl"),
        ("some/one.json", "some/one_prepared.json"),
        ("simple_instructions", "simple_instructions_prepared.jsonl"),
        ("OUTSIDE/far.jsonl", "far_prepared.jsonl"),
        ("../far.jsonl", "far_prepared.jsonl"),
    ),
)
def test_without_a_name_what_is_prepared_lies_beside_its_source_or_in_the_experiment(
    source: str, target: str, world: World
) -> None:
    root = world.store.root
    (root / "some").mkdir()
    (root / "some" / "one.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (root.parent / "far.jsonl").write_text((root / "mixed.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    shown = ck(world, "prepare", source.replace("OUTSIDE", str(root.parent)), "-t", "alpaca")
    assert shown.exit_code == 0, shown.exception
    assert f"{target}: " in shown.output
    assert (root / target).is_file()


def test_what_was_prepared_without_a_name_is_not_replaced_unasked(world: World) -> None:
    assert ck(world, "prepare", "mixed.jsonl").exit_code == 0
    assert "`mixed_prepared.jsonl` is there already" in str(ck(world, "prepare", "mixed.jsonl").exception)
    assert ck(world, "prepare", "mixed.jsonl", "--force").exit_code == 0
