"""Data made by one command: shown, written once, found by the scaffold, and held against models of tables."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.made_rows import acs
from cruijff_kit.cli.main import cli
from cruijff_kit.data.acs.tasks import TASKS
from cruijff_kit.errors import CruijffError
from cruijff_kit.ports import World
from cruijff_kit.schema.made_data import TableBaseline
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.made_rows import make_rows
from cruijff_kit.workflow.plan import plan_with_data
from cruijff_kit.workflow.read_design import parse_design
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.person_file import person_csv, zipped
from tests.tokenizer_zoo import byte_level
from tests.twin_table import twin_csv

SIZES = ("--train-size", "150", "--val-size", "20", "--test-size", "40")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a person file, zipped as it is published, and no design yet."""
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    world = world_at(tmp_path / "survey")._replace(hub=hub)
    world.store.write("csv_pca.zip", zipped(psam_p06__csv=person_csv(900), README__pdf=b"%PDF"))
    sidecars = {"torn": "{", "odd": '{"generator": "acs", "arguments": ["csv_pca.zip"]}'}
    for name, sidecar in sidecars.items():
        world.store.write(f"{name}.json", "{}")
        world.store.write(f"{name}.meta.json", sidecar)
    return world


def ck(world: World, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(world.store.root), *words])


def text(caught: Any) -> str:
    assert isinstance(caught.exception, CruijffError), caught.output
    return str(caught.exception)


def made(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (world.store.root / "data").glob("*")}


def design(block: str, **changes: Any) -> str:
    """Return a design with the data that a receipt names, its task and its groups."""
    data = json.loads(block.partition("data: ")[2])
    tasks = [{"name": "asked", "task": "acs", "split": "test", "scorers": ["risk"], "options": ["0", "1"]}]
    small = {"factors": {}, "controls": {"seeds": [1]}, "data": data, "evaluation": {"tasks": tasks}}
    return json.dumps({**DESIGN, **small, "analysis": {"primary_metric": "risk/brier_binary", **changes}})


def test_a_scaffold_finds_the_persons_that_the_command_drew(world: World) -> None:
    done = ck(world, "data", "acs", "csv_pca.zip", "--task", "ACSIncome", *SIZES, "--tier", "green")
    assert done.exit_code == 0, done.output
    files = made(world)
    write_design(design(done.output.strip().splitlines()[-1], groups=["SEX", "RAC1P"]), reason="first", world=world)
    scaffold_runs(world=world)
    (facts,) = recorded_plan(world=world)[0].datasets
    assert facts.splits == {"train": 150, "validation": 20, "test": 40}
    assert {path: made(world)[path] for path in files} == files
    meta = json.loads(files[f"{facts.key}.meta.json"])
    assert meta["inputs"] == {"source": world.store.digest("csv_pca.zip")}
    assert meta["tier"] == "green"
    again = ck(world, "data", "acs", "csv_pca.zip", "--task", "ACSIncome", *SIZES, "--tier", "green")
    assert "is there already, unchanged" in again.output


def test_a_task_of_the_survey_without_probabilities_is_refused(world: World) -> None:
    block = ck(world, "data", "acs", "--stand-in", "--task", "ACSIncome", *SIZES, "--set", "people=900", "--dry-run")
    plain = design(block.output.strip().splitlines()[-1])
    bare = plain.replace('"scorers": ["risk"]', '"scorers": ["match"]').replace("risk/brier_binary", "match")
    with pytest.raises(CruijffError, match="scores how likely each answer is"):
        write_design(bare, reason="first", world=world)


def test_a_dry_run_shows_rows_and_writes_nothing(world: World) -> None:
    shown = ck(
        world, "data", "acs", "csv_pca.zip", "--task", "hours", *SIZES, "--tier", "green", "--dry-run", "-n", "1"
    )
    assert "How many hours a week does this person usually work?" in shown.output
    assert shown.output.count("── ") == 3
    assert not made(world)
    hidden = ck(world, "data", "acs", "csv_pca.zip", "--task", "ACSIncome", *SIZES, "--tier", "red", "--dry-run")
    assert "no rows shown: " in hidden.output
    assert "The age is" not in hidden.output
    assert "`1`" not in hidden.output


@pytest.mark.parametrize(
    "words,fact",
    (
        (("acs", "--task", "age"), "no person file is named"),
        (("acs", "csv_pca.zip", "--stand-in", "--task", "age"), "read from a file or made up, not both"),
        (("acs", "gone.csv", "--task", "age"), "cannot be read"),
        (("generate", "acs"), "`acs` has a command of its own"),
        (("twins", "--set", "pairs"), "has no `=`"),
        (("twins", "--pairs", "20", "--set", "a2=[1"), "is not valid YAML"),
        (("twins", "--dry-run", "-n", "51"), "too many to show"),
        (("stand-in", "persons.txt"), "is no `.csv`"),
        (("baseline", "data/none.json"), "is not there"),
        (("baseline", "csv_pca.zip"), "has no sidecar"),
        (("baseline", "torn.json"), "has no sidecar `.meta.json` that can be read"),
        (("baseline", "odd.json"), "generator `acs` cannot run"),
    ),
)
def test_what_cannot_be_made_is_refused_in_words(words: tuple[str, ...], fact: str, world: World) -> None:
    assert fact in text(ck(world, "data", *words))
    assert not made(world)


def test_the_command_offers_every_task_there_is() -> None:
    (offered,) = [option.type for option in acs.params if option.name == "task"]
    assert tuple(getattr(offered, "choices", ())) == tuple(TASKS)


def test_persons_made_up_are_written_as_a_file_that_is_read_like_any_other(world: World) -> None:
    done = ck(world, "data", "stand-in", "psam_p99.csv", "--people", "700")
    assert "700 persons, none of whom lives" in done.output
    assert "is there already" in text(ck(world, "data", "stand-in", "psam_p99.csv"))
    told = {"task": "ACSMobility", "train": 60, "validation": 10, "test": 10}
    read = make_rows("acs", {**told, "source": "psam_p99.csv"}, world=world)
    plain = make_rows("acs_stand_in", {**told, "people": 700}, world=world)
    assert read.sha256 == plain.sha256
    assert set(read.best) == {"train", "validation", "test"}


def test_twins_are_made_up_or_read_from_a_table(world: World) -> None:
    done = ck(world, "data", "twins", "--pairs", "200", "--traits", "3", "--form", "difference", "--json")
    found = json.loads(done.output)
    assert found["splits"] == {"train": 160, "validation": 20, "test": 20}
    assert 0.5 < found["ceiling"] < 0.7
    world.store.write("twins.csv", twin_csv(100, traits=4))
    read = ck(world, "data", "twins", "twins.csv", "--tier", "green")
    assert "written: 80 train, 10 validation, 10 test" in read.output
    assert "best accuracy" not in read.output


def test_twins_that_were_made_up_are_found_by_a_design_and_not_made_up_again(world: World) -> None:
    arguments = {"pairs": 100, "traits": 2}
    receipt = make_rows("synthetic_twins", arguments, world=world)
    data = {"training": {"generator": "synthetic_twins", "arguments": arguments}, "tier": "green"}
    text = json.dumps({**DESIGN, "factors": {}, "controls": {"seeds": [1]}, "data": data})
    (made,) = check_design(text, world=world).plan.datasets
    assert made.sha256 == receipt.sha256
    # Whole by its own sidecar, and not what would be made: so it was read.
    other = (world.store.read(receipt.path) or b"").replace(b"V1: ", b"V1:  ", 1)
    world.store.write(receipt.path, other)
    told = {**made.model_dump(mode="json"), "sha256": hashlib.sha256(other).hexdigest()}
    world.store.write(f"data/{receipt.key}.meta.json", json.dumps(told))
    (found,) = check_design(text, world=world).plan.datasets
    assert found.sha256 == told["sha256"] != made.sha256
    # Whoever makes a run again believes no file.
    (again,) = plan_with_data(parse_design(text), anew=True, world=world).plan.datasets
    assert again.sha256 == made.sha256


def test_models_of_tables_are_judged_on_the_same_rows(world: World) -> None:
    receipt = make_rows(
        "synthetic_twins", {"pairs": 700, "traits": 6, "a2": 0.9, "c2": 0.0, "form": "difference"}, world=world
    )
    done = ck(world, "data", "baseline", receipt.path)
    assert f"{receipt.path}: 560 rows of train, 70 of test, 6 columns" in done.output
    found = TableBaseline.model_validate_json(ck(world, "data", "baseline", receipt.path, "--json").output)
    figures = {model.name: model.figures for model in found.models}
    assert list(figures) == ["most frequent answer", "logistic regression", "boosted trees", "true chances"]
    assert figures["logistic regression"]["accuracy"] > figures["most frequent answer"]["accuracy"] + 0.1
    for model in found.models:
        assert model.accuracy is not None
        assert (model.accuracy.n, model.accuracy.method) == (found.rows, "wilson")
        assert round(model.accuracy.value or 0, 4) == model.figures["accuracy"]
    assert figures["true chances"]["brier"] < figures["logistic regression"]["brier"]
    assert "no split `calibration`" in text(ck(world, "data", "baseline", receipt.path, "--split", "calibration"))

    number = make_rows(
        "acs", {"task": "income", "source": "csv_pca.zip", "train": 250, "validation": 0, "test": 60}, world=world
    )
    told = TableBaseline.model_validate_json(ck(world, "data", "baseline", number.path, "--json").output)
    assert (told.kind, told.features) == ("number", 10)
    errors = {model.name: model.figures["mae"] for model in told.models}
    assert errors["ridge regression"] < errors["mean"]

    world.store.write("csv_pca.zip", zipped(psam_p06__csv=person_csv(1_000)))
    assert "is not what its sidecar would make now" in text(ck(world, "data", "baseline", number.path))
