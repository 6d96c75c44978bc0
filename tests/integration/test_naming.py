"""Runs that are called by two words: unique, kept when the design grows, and proposed where a name is wanted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.workflow.design import amend_design, check_design, write_design
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import DESIGN, world_at

WORDED: dict[str, Any] = {**DESIGN, "output": {"naming": "words"}}
ID = re.compile(r"[a-z]+_[a-z]+_seed\d-[0-9a-f]{8}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with no design yet."""
    return world_at(tmp_path / "parity")


def ids(world: World, design: dict[str, Any]) -> list[str]:
    return [run.id for run in check_design(dump_yaml(design), world=world).plan.runs]


def ck(world: World, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(world.store.root), "design", "name", *words])


def test_words_begin_the_ids_of_what_factors_make_and_change_no_hash(world: World) -> None:
    plain, worded = ids(world, {**DESIGN}), ids(world, WORDED)
    assert [each[-8:] for each in plain] == [each[-8:] for each in worded]
    *made, base = worded
    assert base == plain[-1]
    assert all(ID.fullmatch(each) for each in made)
    assert len({each.partition("_seed")[0] for each in made}) == 4
    assert [each.partition("_seed")[0] for each in made[::2]] == [each.partition("_seed")[0] for each in made[1::2]]
    assert ids(world, {**DESIGN, "output": {"naming": "factors"}}) == plain


@pytest.mark.parametrize("design", (DESIGN, WORDED))
def test_a_run_tells_how_it_is_named_only_where_the_design_does(world: World, design: dict[str, Any]) -> None:
    # Experiments that were scaffolded before there was such a key are scaffolded again byte for byte.
    write_design(dump_yaml(dict(design)), reason="first", world=world)
    scaffold_runs(world=world)
    told = [path.read_text() for path in sorted((world.store.root / "runs").glob("*/run.yaml"))]
    assert len(told) == 9
    assert {"naming:" in each for each in told} == {design is WORDED}


def test_runs_that_are_there_keep_their_words_when_the_design_grows(world: World) -> None:
    write_design(dump_yaml(WORDED), reason="first", world=world)
    scaffold_runs(world=world)
    before = {path.name for path in (world.store.root / "runs").iterdir()}
    amend_design(seeds=(3,), levels={"lora_rank": [2]}, reason="more", world=world)
    scaffold_runs(world=world)
    after = {path.name for path in (world.store.root / "runs").iterdir()}
    assert before < after
    assert len(after) == 3 * 3 * 2 + 1
    assert "named by two words" in (world.store.root / "experiment_summary.md").read_text()


def test_models_that_are_only_evaluated_have_words_too(world: World) -> None:
    only = {"tools": {"preparation": "none"}, "factors": {"system_prompt": ["", "Be brief."]}, "runs": []}
    found = ids(world, {**WORDED, **only})
    assert all(re.fullmatch(r"[a-z]+_[a-z]+-[0-9a-f]{8}", each) for each in found)
    assert len(found) == len(set(found)) == 2


def test_a_way_of_naming_that_there_is_not_is_told_those_there_are(world: World) -> None:
    with pytest.raises(SpecError, match="naming"):
        check_design(dump_yaml({**DESIGN, "output": {"naming": "animals"}}), world=world)
    with pytest.raises(SpecError, match=r"output\.naming"):
        check_design(dump_yaml({**DESIGN, "naming": "words"}), world=world)


def test_names_are_proposed_until_they_are_taken(world: World) -> None:
    first, second = ck(world, "-n", "2").output.split()
    assert ck(world).output.split() == [first]
    (world.store.root / first).mkdir(parents=True)
    (world.store.root / f"runs/{second}_seed1-0123abcd").mkdir(parents=True)
    third, *others = json.loads(ck(world, "--number", "50", "--json").output)
    assert third not in {first, second}
    assert not {first, second} & set(others)
    assert ck(world, "--seed", "7").output.split() != [third]
    assert isinstance(ck(world, "-n", "0").exception, SpecError)
