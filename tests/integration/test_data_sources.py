"""What a data file is made of: never replaced by it, never joined by it, and the same from first row to last."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.workflow.division import split_data
from cruijff_kit.workflow.prepare import prepare_data
from tests.fakes.designed import world_at

ROWS = [{"prompt": str(number), "completion": "b"} for number in range(5000)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    put(tmp_path / "mixed.jsonl", ROWS[:20])
    return world_at(tmp_path)


def put(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("verb", (prepare_data, split_data))
def test_what_is_read_is_never_replaced_nor_joined_by_what_is_written(world: World, verb: Any) -> None:
    put(world.store.root / "data" / "rows.jsonl", ROWS[:20])
    before = {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()}
    for source, target, fact in (
        ("mixed.jsonl", "./mixed.jsonl", "is the source itself"),
        ("data/rows.jsonl", f"{world.store.root}/data/rows.jsonl", "is the source itself"),
        ("data", "data/all.jsonl", "would lie in `data`"),
        (".", "out.json", "would lie in `.`"),
    ):
        with pytest.raises(SpecError, match=fact):
            verb(source, target, force=True, world=world)
    assert {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("verb", (prepare_data, split_data))
def test_nothing_is_left_of_rows_that_changed_while_they_were_read(world: World, verb: Any) -> None:
    def meddle(done: int, total: int, label: str) -> None:
        put(world.store.root / "mixed.aside", ROWS[:20])
        (world.store.root / "mixed.aside").replace(world.store.root / "mixed.jsonl")

    put(world.store.root / "mixed.jsonl", ROWS)
    with pytest.raises(SpecError, match=r"^`mixed.jsonl` changed while it was read"):
        verb("mixed.jsonl", "out.json", progress=meddle, world=world)
    assert not (world.store.root / "out.json").exists()


def test_shares_that_cannot_be_are_told_by_name(world: World) -> None:
    words = ("data", "split", "mixed.jsonl", "--train", "2", "--val", "-1", "--test", "0")
    told = str(CliRunner().invoke(cli, ["-C", str(world.store.root), *words]).exception)
    assert "`train`: input should be less than or equal to 1; `validation`: input" in told
