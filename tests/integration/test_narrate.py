"""Rows told by a model: each different one once, kept in a file that is an input like the table."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.serving import ModelChoice, ServedModel
from cruijff_kit.workflow.model_choice import choose_model
from cruijff_kit.workflow.narrate import INSTRUCTION, write_texts
from cruijff_kit.workflow.tables import tell_table
from tests.fakes.designed import world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.fakes.serving import FakeServing
from tests.people import SCHEMA, arguments, csv_bytes, people
from tests.tokenizer_zoo import byte_level


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a table, its schema, and a model that says back what it is asked."""
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    world = world_at(tmp_path / "told")._replace(hub=hub, serving=FakeServing())
    world.store.write("people.csv", csv_bytes(people(60)))
    world.store.write("people.schema.yaml", SCHEMA)
    return world


def model(world: World) -> ServedModel:
    return choose_model(ModelChoice(model="/models/tiny", backend="torch"), world=world)


def lines(world: World, path: str = "texts.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world.store.read(path) or b"").splitlines()]


def written(**changes: Any) -> dict[str, Any]:
    return arguments(style="written", texts="texts.jsonl", condition="prose", **changes)


def test_the_data_set_holds_what_the_model_wrote_of_each_row(world: World) -> None:
    found = write_texts(arguments(), "texts.jsonl", served=model(world), instruction="Say: {told}", world=world)
    assert (found.texts, found.new, found.model) == (60, 60, f"tiny@{model(world).base_sha256[:12]}")
    told = tell_table(written(), world=world)
    plain = tell_table(arguments(), world=world)
    assert told.key.startswith("prose_80-10-10_")
    assert told.splits == plain.splits
    data, rows = (json.loads(world.store.read(each.path) or b"") for each in (told, plain))
    for split, some in data.items():
        both = zip(some, rows[split], strict=True)
        assert all(one["input"] == "Say: " + " ".join(two["input"].split()) for one, two in both)
    meta = json.loads(world.store.read(told.path.replace(".json", ".meta.json")) or b"")
    assert meta["inputs"]["texts"] == found.sha256
    assert tell_table(written(), world=world).written is False


def test_texts_that_are_there_are_kept_and_only_others_are_asked_for(world: World) -> None:
    write_texts(arguments(limit=45), "texts.jsonl", served=model(world), world=world)
    kept = lines(world)
    first = {**kept[0], "text": "A person, told by hand."}
    world.store.write("texts.jsonl", "".join(f"{json.dumps(each)}\n" for each in (first, *kept[1:])))
    found = write_texts(arguments(), "texts.jsonl", served=model(world), world=world)
    assert (found.texts, found.new) == (60, 60 - len(kept))
    assert lines(world)[0] == first
    assert write_texts(arguments(), "texts.jsonl", served=model(world), world=world).new == 0


def test_a_data_set_without_the_text_of_a_row_is_refused_and_not_written(world: World) -> None:
    write_texts(arguments(limit=45), "texts.jsonl", served=model(world), world=world)
    with pytest.raises(SpecError, match="lacks the text of a row"):
        tell_table(written(), world=world)
    assert not list(world.store.root.glob("data/*"))
    assert tell_table(written(limit=45), world=world).written


def test_questions_are_written_for_whoever_answers_elsewhere(world: World) -> None:
    found = write_texts(arguments(), "questions.jsonl", served=None, world=world)
    assert (found.texts, found.model) == (60, "")
    asked = lines(world, "questions.jsonl")
    assert all(each["prompt"].startswith(INSTRUCTION.partition("{told}")[0]) for each in asked)
    answers = [{"told_sha256": each["told_sha256"], "text": f"Text {at}.\nMore."} for at, each in enumerate(asked)]
    world.store.write("texts.jsonl", "".join(f"{json.dumps(each)}\n" for each in answers))
    rows = json.loads(world.store.read(tell_table(written(), world=world).path) or b"")
    assert {row["input"] for some in rows.values() for row in some} == {f"Text {at}. More." for at in range(60)}
    with pytest.raises(SpecError, match="is there already"):
        write_texts(arguments(), "questions.jsonl", served=None, world=world)


@pytest.mark.parametrize(
    "changes,path,fact",
    (
        ({"style": "written"}, "texts", "needs what was written"),
        ({"texts": "texts.jsonl"}, "texts", "takes no texts"),
        (
            {"style": "written", "texts": "t.jsonl", "perturbations": ["reorder"]},
            "perturbations",
            "no clauses to change",
        ),
    ),
)
def test_arguments_that_do_not_fit_are_refused(changes: dict[str, Any], path: str, fact: str, world: World) -> None:
    with pytest.raises(SpecError) as refusal:
        tell_table(arguments(**changes), world=world)
    assert [(each.path, fact in each.message) for each in refusal.value.problems] == [(path, True)]


def test_a_file_that_holds_no_texts_is_refused_with_its_lines_and_left_alone(world: World) -> None:
    world.store.write("texts.jsonl", '{"input": "a"}\nno json\n{"told_sha256": "x", "text": " "}\n')
    with pytest.raises(SpecError) as refusal:
        write_texts(arguments(), "texts.jsonl", served=model(world), world=world)
    assert [each.place for each in refusal.value.problems] == [f"texts.jsonl:{at}" for at in (1, 2, 3)]
    assert (world.store.read("texts.jsonl") or b"").startswith(b'{"input": "a"}')
    for target, instruction, fact in (("t.json", "{told}", "no file of lines"), ("t.jsonl", "Say.", r"no `\{told\}`")):
        with pytest.raises(SpecError, match=fact):
            write_texts(arguments(), target, served=None, instruction=instruction, world=world)


@pytest.mark.parametrize("named", ("source", "schema_file"))
def test_a_file_that_is_not_there_is_told_as_it_was_named(named: str, world: World) -> None:
    with pytest.raises(SpecError, match=r"^`gone\.csv` cannot be read"):
        write_texts(arguments(**{named: "gone.csv"}), "t.jsonl", served=None, world=world)


def test_the_command_writes_questions_where_no_model_is_at_hand(world: World) -> None:
    words = ["data", "narrate", "people.csv", "people.schema.yaml", "--target", "income", "--threshold", "5000"]
    root = str(world.store.root)
    done = CliRunner().invoke(cli, ["-C", root, *words, "-o", "q.jsonl", "--questions", "--set", "limit=45"])
    assert done.exit_code == 0, done.output
    assert "45 texts, 45 written now, questions only" in done.output
    failed = CliRunner().invoke(cli, ["-C", root, *words, "-o", "t.jsonl"])
    assert isinstance(failed.exception, CruijffError)
    assert "no one model is named" in str(failed.exception)
