"""Tables from the command line to a scaffolded experiment: one file, found or made; shown as far as its tier allows."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.table import TableSource
from cruijff_kit.workflow import tables
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from cruijff_kit.workflow.tables import draft_table_schema, tell_table
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.people import SCHEMA, arguments, csv_bytes, people
from tests.table_files import ENDINGS, write_table
from tests.tokenizer_zoo import byte_level

KINDS = ["synonym", "shorthand", "reorder", "clause_addition"]
HERE = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a table and its schema, and no design yet."""
    world = world_at(tmp_path / "parity")._replace(
        hub=FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    )
    world.store.write("people.csv", csv_bytes(people()))
    world.store.write("people.schema.yaml", SCHEMA)
    return world


def ck(world: World, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(world.store.root), *words])


def text(caught: Any) -> str:
    assert isinstance(caught.exception, CruijffError), caught.output
    return str(caught.exception)


def designed(**changes: Any) -> str:
    training = {"generator": "tabular", "arguments": arguments(**changes)}
    small = {"factors": {}, "controls": {"seeds": [1]}, "data": {"training": training, "tier": "green"}}
    return json.dumps({**DESIGN, **small})


def files(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (world.store.root / "data").glob("*")}


def test_the_scaffold_finds_the_file_that_the_command_made_and_makes_it_where_it_is_gone(world: World) -> None:
    receipt = tell_table(arguments(perturbations=KINDS, copies=2), world=world)
    assert receipt.written
    made = files(world)
    assert set(made) == {f"{receipt.key}.json", f"{receipt.key}.meta.json"}
    write_design(designed(perturbations=KINDS, copies=2), reason="first", world=world)
    scaffold_runs(world=world)
    (facts,) = recorded_plan(world=world)[0].datasets
    assert (facts.key, facts.sha256) == (receipt.key, receipt.sha256)
    assert files(world) == made
    for name in made:
        (world.store.root / "data" / name).unlink()
    scaffold_runs(world=world)
    assert files(world) == made


def test_a_file_that_somebody_changed_is_made_again(world: World) -> None:
    receipt = tell_table(arguments(), world=world)
    made = files(world)
    (world.store.root / receipt.path).write_bytes(made[f"{receipt.key}.json"].replace(b"years", b"weeks"))
    assert tell_table(arguments(), world=world).written
    assert files(world) == made
    assert not tell_table(arguments(), world=world).written


@pytest.mark.parametrize("torn", (b"{", b"[]"))
def test_a_sidecar_that_cannot_be_read_is_made_again(torn: bytes, world: World) -> None:
    (world.store.root / "TIER").write_text("green")
    receipt = tell_table(arguments(), world=world)
    made = files(world)
    assert json.loads(made[f"{receipt.key}.meta.json"])["tier"] == "green"
    world.store.write(f"data/{receipt.key}.meta.json", torn)
    assert tell_table(arguments(), world=world).written
    assert files(world) == made
    world.store.write(f"data/{receipt.key}.meta.json", torn)
    review = check_design(designed(), world=world)
    assert review.plan.datasets[0].sha256 == receipt.sha256


@pytest.mark.parametrize(
    "change", ("people.csv", "people.schema.yaml"), ids=("the table", "the schema")
)  # fmt: skip
def test_other_contents_make_another_file_and_leave_the_first(change: str, world: World) -> None:
    first = tell_table(arguments(), world=world)
    content = world.store.read(change) or b""
    world.store.write(change, content.replace(b"Town 1,", b"Town X,").replace(b"unit: years", b"unit: winters"))
    second = tell_table(arguments(), world=world)
    assert first.key != second.key
    assert len(files(world)) == 4


def test_the_sidecar_says_how_to_make_it_again(world: World) -> None:
    world.store.write("story.j2", "{{ age }}: {{ town }}")
    receipt = tell_table(arguments(style="narrative", template="story.j2", condition="story"), world=world)
    meta = json.loads(files(world)[f"{receipt.key}.meta.json"])
    assert receipt.key.startswith("story_80-10-10_")
    assert set(meta["inputs"]) == {"source", "schema_file", "template"}
    assert meta["inputs"]["template"] == world.store.digest("story.j2")
    assert (meta["generator"], meta["generator_version"], meta["splits"]) == ("tabular", "1", receipt.splits)
    assert tell_table({**meta["arguments"], "threshold": 5000}, world=world).key == receipt.key


def test_another_machine_writes_the_same_bytes(world: World, tmp_path: Path) -> None:
    receipt = tell_table(arguments(perturbations=KINDS), world=world)
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("people.csv", "people.schema.yaml"):
        (other / name).write_bytes(world.store.read(name) or b"")
    words = ["data", "from-table", "people.csv", "people.schema.yaml", "--target", "income", "--threshold", "5000"]
    done = subprocess.run(
        [sys.executable, "-m", "cruijff_kit.cli.main", *words, "--perturb", ",".join(KINDS)],
        cwd=other,
        env={"PYTHONPATH": ":".join([str(HERE), *sys.path]), "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo",
             "HOME": str(other)},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (other / receipt.path).read_bytes() == world.store.read(receipt.path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_of_every_format_makes_the_same_texts(ending: str, tmp_path: Path) -> None:
    world = world_at(tmp_path / "x")
    world.store.root.mkdir()
    write_table(world.store.root, ending)
    source = f"people{ending}"
    draft_table_schema(TableSource(path="people.csv" if ending == ".csv" else source), world=world)
    schema = (world.store.read_text("people.schema.yaml") or "").replace("age at interview", "age")
    world.store.write("people.schema.yaml", schema)
    told = {"source": source, "schema_file": "people.schema.yaml", "target": "code", "features": "age,score,city,born"}
    receipt = tell_table({**told, "mapping": {"1": "one", "2": "two"}, "missing": "say"}, world=world)
    rows = json.loads(world.store.read(receipt.path) or b"")["train"]
    assert receipt.splits == {"train": 48, "validation": 6, "test": 6}
    assert rows[0]["input"].startswith("- The age is: ")
    assert {row["row"]: row["input"] for row in rows} == EXPECTED(rows)


def EXPECTED(rows: list[dict[str, Any]]) -> dict[int, str]:  # noqa: N802 -- read as a table of what is expected
    from tests.table_files import TEXT_ROWS

    def line(name: str, cell: str) -> str:
        return f"- The {name} is: {cell or 'not known'}"

    names = ("age", "score", "city", "born")
    return {row["row"]: "\n".join(map(line, names, TEXT_ROWS[row["row"] - 1])) for row in rows}


def marked(tier: str) -> Callable[[World], str]:
    def put(world: World) -> str:
        world.store.write(f"data/{tier}/people.csv", csv_bytes(people()))
        return f"data/{tier}/people.csv"

    return put


def by_file(world: World) -> str:
    world.store.write("kept/people.csv", csv_bytes(people()))
    world.store.write("kept/TIER", "red\n")
    return "kept/people.csv"


@pytest.mark.parametrize(
    "place,declared,shown",
    (
        (lambda world: "people.csv", None, False),
        (lambda world: "people.csv", "green", True),
        (marked("green"), None, True),
        (marked("yellow"), "green", False),
        (marked("red"), "green", False),
        (by_file, "green", False),
    ),
    ids=("undeclared", "declared green", "in green", "in yellow", "in red", "marked red"),
)
def test_cells_are_shown_only_as_far_as_the_tier_allows(
    place: Callable[[World], str], declared: str | None, shown: bool, world: World
) -> None:
    source = place(world)
    tier = [] if declared is None else ["--tier", declared]
    looked = ck(world, "data", "schema", source, "--dry-run", *tier)
    told = ck(
        world, "data", "from-table", source, "people.schema.yaml", "--target", "income", "--threshold", "5000",
        "--dry-run", *tier,
    )  # fmt: skip
    assert looked.exit_code == told.exit_code == 0, looked.output + told.output
    assert ("18 to 97" in looked.output) == shown
    assert ("The age is" in told.output) == shown
    assert ("no texts shown" in told.output) != shown
    assert "240 rows" in looked.output
    assert [path.name for path in world.store.root.glob("data/*.json")] == []


def test_answers_that_are_cells_are_counted_by_name_only_where_cells_may_be_shown(world: World) -> None:
    given = arguments(target="sex", threshold=None)
    assert tell_table(given, dry_run=True, world=world).answers == {}
    shown = tell_table(given, dry_run=True, tier="green", world=world).answers
    assert set(shown["train"]) == {"male", "female"}
    own = tell_table(arguments(), dry_run=True, world=world).answers
    assert set(own["train"]) == {"0", "1"}


def test_a_design_with_consent_lets_yellow_texts_be_shown_and_one_that_says_red_hides_all(world: World) -> None:
    consent = {"who": "Ada", "when": "2026-11-20", "why": "she gathered them"}
    design = json.loads(designed())
    for tier, extra, shown in (("yellow", {"consent": consent}, 2), ("red", {}, 0)):
        design["data"] = {"training": design["data"]["training"], "tier": tier, **extra}
        write_design(json.dumps(design), reason="as the owner says", world=world)
        receipt = tell_table(arguments(), dry_run=True, count=1, world=world)
        assert (receipt.tier, bool(receipt.samples)) == (tier, bool(shown))


def test_a_design_may_not_call_a_table_greener_than_its_folder(world: World) -> None:
    source = by_file(world)
    with pytest.raises(SpecError, match="is marked `red`, and the design says `green`"):
        write_design(designed(source=source), reason="first", world=world)


def test_a_draft_is_never_replaced_unless_told_and_what_does_not_fit_ends_with_two(world: World) -> None:
    before = world.store.read("people.schema.yaml")
    assert "`people.schema.yaml` is there already" in text(ck(world, "data", "schema", "people.csv"))
    assert world.store.read("people.schema.yaml") == before
    gone = text(ck(world, "data", "schema", "gone.csv", "--output", "people.schema.yaml"))
    assert "`gone.csv` cannot be read" in gone
    spaced = text(ck(world, "data", "schema", "people.csv", "--output", "the people.yaml"))
    assert "`ck data schema people.csv --check 'the people.yaml'`" in spaced
    assert ck(world, "data", "schema", "people.csv", "--force").exit_code == 0
    assert ck(world, "data", "schema", "people.csv", "--check", "people.schema.yaml").exit_code == 0
    world.store.write("people.csv", csv_bytes([[*people()[0][:1], "old", *people()[0][2:]], *people()[1:]]))
    found = ck(world, "data", "schema", "people.csv", "--check", "people.schema.yaml")
    assert found.exit_code == 2
    assert "age: 1 cells do not fit, first in row 1: it is no number" in found.output


def test_factors_vary_arguments_and_each_level_has_its_own_file(world: World) -> None:
    design = json.loads(designed(target=None))
    design["runs"] = []
    design["factors"] = {"data.target": ["income"], "data.features": ["age,town", "sex,town"]}
    write_design(json.dumps(design), reason="first", world=world)
    scaffold_runs(world=world)
    told = [
        json.loads(each.read_text("utf-8"))["train"][0]["input"]
        for each in world.store.root.glob("data/*_????????.json")
    ]
    assert sorted(len(each.splitlines()) for each in told) == [2, 2]
    assert sum("sex" in each for each in told) == 1
    design["factors"]["data.features"] = ["age,height"]
    with pytest.raises(SpecError, match="`height` is no variable"):
        write_design(json.dumps(design), reason="second", world=world)


@pytest.mark.parametrize("words", (("--map", "x"), ("--set", "=1"), ("--set", "limit=[")))
def test_options_that_are_no_pairs_are_refused_in_words(words: tuple[str, str], world: World) -> None:
    base = ("data", "from-table", "people.csv", "people.schema.yaml", "--target", "income")
    assert "hint:" in text(ck(world, *base, *words))


def test_what_fails_midway_leaves_no_file_and_no_staging(world: World) -> None:
    world.store.write("story.j2", "{{ 1 / (raw.age - 18) }} {{ town }}")
    with pytest.raises(SpecError, match="zero"):
        tell_table(arguments(style="narrative", template="story.j2"), world=world)
    assert sorted(path.name for path in world.store.root.iterdir()) == ["people.csv", "people.schema.yaml", "story.j2"]


def test_acting_is_on_record_and_looking_is_not(world: World) -> None:
    write_design(designed(), reason="first", world=world)
    before = len(list(world.audit.records()))
    tell_table(arguments(), dry_run=True, world=world)
    assert len(list(world.audit.records())) == before
    receipt = tell_table(arguments(seed=5), world=world)
    *_, last = world.audit.records()
    assert (last.action, last.subject) == (Action.VERIFY_DATASET, receipt.path)
    assert last.outputs == {receipt.path: receipt.sha256}
    assert set(last.inputs) == {"people.csv", "people.schema.yaml"}


def test_progress_is_told_up_to_the_last_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from cruijff_kit.data.tabular import texts

    monkeypatch.setattr(texts, "_STEP", 100)
    seen: list[tuple[int, int]] = []
    tables.tell_table(arguments(), progress=lambda done, total, label: seen.append((done, total)), world=world)
    assert seen[-1] == (3 * 240 + 200, 4 * 240)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
