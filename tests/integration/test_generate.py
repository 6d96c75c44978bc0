"""Generators by hand: the file that a design looks for, every flag, and what is said instead of a traceback."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.generate import generate
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.workflow.consent import allow_data, preview_allow
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.generate import generate_data
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.small_data import SMALL
from tests.tokenizer_zoo import byte_level

ORGANISM = {"rule": "nth", "rule_kwargs": {"x": 2}, "k": 6, "N": 30, "design": "ood", "ood_tests": [{"k": 7, "N": 4}]}
FLAGS = [
    *("--rule", "nth", "--rule_kwargs", '{"x": 2}', "--k", "6", "--N", "30", "--design", "ood"),
    *("--ood_tests", '[{"k": 7, "N": 4}]'),
]
TOLD: dict[str, dict[str, Any]] = {
    "bit_chances": {"letters": "01", "low": 0.1},
    "bit_sequences": {"bit_parity": False, "seed": 3},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with nothing in it."""
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    world = world_at(tmp_path / "parity")._replace(hub=hub)
    world.store.root.mkdir(exist_ok=True)
    return world


def ck(world: World, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(world.store.root), "data", "generate", *words])


def said(caught: Result) -> str:
    assert isinstance(caught.exception, CruijffError), caught.output
    return str(caught.exception)


def files(world: World) -> dict[str, bytes]:
    root = world.store.root
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def designed(generator: str, arguments: dict[str, Any], **changes: Any) -> str:
    training = {"generator": generator, "arguments": arguments}
    small = {"factors": {}, "runs": [], "controls": {"seeds": [1]}, "data": {"training": training, "tier": "green"}}
    return json.dumps({**DESIGN, **small, **changes})


def test_a_design_finds_the_file_that_the_command_made_and_judges_other_kinds_by_name(world: World) -> None:
    result = ck(world, "model_organisms", *FLAGS)
    assert result.exit_code == 0, result.output
    made = files(world)
    (name,) = [each for each in made if not each.endswith(".meta.json")]
    splits = ("test", "validation_ood_0", "test_ood_0")
    tasks = [{"name": split, "task": "rows", "split": split} for split in splits]
    write_design(designed("model_organisms", ORGANISM, evaluation={"tasks": tasks}), reason="first", world=world)
    scaffold_runs(world=world)
    plan = recorded_plan(world=world)[0]
    assert [each.path for each in plan.datasets] == [name]
    assert {key: each for key, each in files(world).items() if key in made} == made
    assert [cell.task.split for run in plan.runs for cell in run.cells] == list(splits)
    assert plan.datasets[0].ceilings["test_ood_0"].bayes_accuracy == 1
    assert ck(world, "model-organisms", *FLAGS).output.splitlines()[0].startswith(f"{name} is there already, unchanged")


def test_rules_and_what_they_are_told_can_be_factors(world: World) -> None:
    levels = ['{"noise_scale": 0}', '{"noise_scale": 4}']
    arguments = {"rule": "weighted_sum_binary", "k": 6, "N": 30}
    factors = {"data.rule_kwargs": levels, "data.format": ["dense", "tab"]}
    review = check_design(designed("model_organisms", arguments, factors=factors), world=world)
    bayes = [each.ceilings["test"].bayes_accuracy for each in review.plan.datasets]
    assert len(review.plan.runs) == len(bayes) == 4
    assert bayes[0] == bayes[1] == 1 > bayes[2] == bayes[3]


@pytest.mark.parametrize("generator", generate.list_commands(click.Context(generate)))
def test_every_argument_of_a_generator_has_a_flag_that_reaches_it(generator: str, world: World) -> None:
    told = {**SMALL[generator], **TOLD.get(generator, {})}
    spelled = {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}
    words = [word for name, value in spelled.items() for word in (f"--{name.replace('_', '-')}", value)]
    result = ck(world, generator, *words, "--dry-run", "--json")
    assert result.exit_code == 0, said(result)
    found = json.loads(result.output)
    assert found == json.loads(generate_data(generator, told, dry_run=True, world=world).model_dump_json())
    flags = ck(world, generator, "--help").output
    assert all(f"--{name}" in flags for name in found["arguments"])
    assert files(world) == {}


def test_the_first_systems_words_for_words_are_understood(world: World) -> None:
    (world.store.root / "words_alpha.txt").write_text(
        "\n".join(f"{a}{b}{c}" for a in "abcdefg" for b in "aeiou" for c in "lmnrst")
    )
    words = ["--word-len", "3", "--num-words", "60", "--train-fraction", "0.7", "--input_file", "words_alpha.txt"]
    result = ck(
        world, "capitalization", *words, "--other_lengths", "[]", "--form", "chat", "--output_dir", "data/green"
    )
    assert result.exit_code == 0, said(result)
    (path,) = (each for each in files(world) if each.startswith("data/green/") and ".meta" not in each)
    splits = json.loads(files(world)[path])
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 42,
        "validation": 9,
        "test": 9,
        "other_lengths": 0,
    }
    question, answer = splits["train"][0]["messages"]
    assert (question["role"], answer["role"]) == ("user", "assistant")
    assert answer["content"] == question["content"].capitalize()
    assert '"path": "data/green/' in result.output


def test_conversations_of_words_are_designed_like_any_other(world: World) -> None:
    arguments = {"num_words": 40, "form": "chat", "other_count": 5}
    tasks = [{"name": split, "task": "capitalization", "split": split} for split in ("test", "other_lengths")]
    controls = {"seeds": [1], "dataset_type": "chat"}
    review = check_design(
        designed("capitalization", arguments, evaluation={"tasks": tasks}, controls=controls), world=world
    )
    assert review.plan.datasets[0].splits == {"train": 32, "validation": 4, "test": 4, "other_lengths": 20}


def test_what_is_made_in_an_experiment_is_on_its_record(world: World) -> None:
    write_design(
        designed("bit_sequences", {"bit_length": 6, "N": 40, "val_size": 8, "test_size": 8}),
        reason="first",
        world=world,
    )
    receipt = generate_data("model_organisms", {"k": 6, "N": 30}, world=world)
    *_, last = world.audit.records()
    assert (last.verb, last.action, last.subject) == ("generate", Action.VERIFY_DATASET, receipt.path)
    assert last.outputs == {receipt.path: receipt.sha256}
    before = len(list(world.audit.records()))
    assert not generate_data("model_organisms", {"k": 6, "N": 30}, world=world).written
    assert len(list(world.audit.records())) == before


@pytest.mark.parametrize(
    "words,told",
    (
        (["model_organisms", "--rule", "min"], "asked of `digits`, `letters`"),
        (["model_organisms", "--rule_kwargs", "{"], "no value of `rule_kwargs`"),
        (["model_organisms", "--k", "many"], "`many` is not a valid `k`"),
        (["model_organisms", "--output", "rows.csv"], "`ck data convert` writes the other formats"),
        (["capitalization", "--input_file", "gone.txt"], "`gone.txt` cannot be read"),
        (["capitalization", "--word-len", "39"], "the list has 0 to give"),
        (["capitalization", "--num-words", "100000"], "100000 words of 5 letters are asked for; the list has 8"),
        (["capitalization", "--num-words", "50", "--train", "9"], "both say how many rows"),
        (["capitalization", "--train-fraction", "0.5"], "`num_words`, which is absent"),
        (["tabular"], "use `ck data from-table`"),
    ),
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(words: list[str], told: str, world: World) -> None:
    assert told in said(ck(world, *words))
    assert files(world) == {}


def test_a_file_of_ones_own_is_not_overwritten_unless_forced(world: World) -> None:
    world.store.write("data/rows.json", "{}")
    assert "--force" in said(ck(world, "model_organisms", "--output", "rows.json"))
    assert files(world) == {"data/rows.json": b"{}"}
    assert ck(world, "model_organisms", "--output", "rows.json", "--force").exit_code == 0
    assert set(files(world)) == {"data/rows.json", "data/rows.meta.json"}


def test_words_of_a_closed_list_are_not_shown(world: World) -> None:
    folder = world.store.root / "data/red"
    folder.mkdir(parents=True)
    (folder / "names.txt").write_text("\n".join(f"{a}{b}{c}" for a in "abcdefg" for b in "aeiou" for c in "lmnrst"))
    words = ["--words", "data/red/names.txt", "--word_length", "3", "--num_words", "60", "--other_lengths", "[]"]
    assert "is red" in said(ck(world, "capitalization", *words, "--output_dir", "rows"))
    result = ck(world, "capitalization", *words, "--output_dir", "data/red")
    assert result.exit_code == 0, said(result)
    assert "── " not in result.output
    assert "no rows shown: the data is red" in result.output


def test_words_that_nothing_calls_green_are_shown_once_a_person_let_them(world: World) -> None:
    words = "\n".join(f"{a}{b}{c}" for a in "abcdefg" for b in "aeiou" for c in "lmnrst")
    world.store.write("names.txt", words)
    flags = ["--words", "names.txt", "--word_length", "3", "--num_words", "60", "--other_lengths", "[]"]
    assert "no rows shown: the data is yellow" in ck(world, "capitalization", *flags).output
    asked = preview_allow(["names.txt"], way="show", world=world)
    allow_data(asked, reason="first names", who="Ada", world=world)
    assert "── train: " in ck(world, "capitalization", *flags).output


@pytest.mark.parametrize("torn", (b"{", b"[]", b'{"sha256": "other"}'))
def test_a_sidecar_that_tells_of_no_such_file_is_written_anew(torn: bytes, world: World) -> None:
    path = generate_data("model_organisms", {"k": 6, "N": 30}, world=world).path
    sidecar = path.replace(".json", ".meta.json")
    whole = files(world)
    world.store.write(sidecar, torn)
    assert generate_data("model_organisms", {"k": 6, "N": 30}, world=world).written
    assert files(world) == whole
