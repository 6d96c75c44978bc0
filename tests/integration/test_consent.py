"""Yellow data goes out by a person's consent to its content, typed at a terminal and on record; red data never."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.data import data as data_command
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, Actor, AuditEvent, AuditRecord
from cruijff_kit.schema.consent import Way
from cruijff_kit.schema.run import JobStatus, Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.audit import read_audit
from cruijff_kit.workflow.consent import allow_data, closed, closed_plan, preview_allow
from cruijff_kit.workflow.conversion import convert_data
from cruijff_kit.workflow.data_view import show_data
from cruijff_kit.workflow.decide import record_decision
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.plan import plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.roots import outside_problems, roots_of
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import preview_submission, submit_jobs
from cruijff_kit.workflow.tiers import tier_of
from cruijff_kit.workflow.withheld import page_without_texts, status_without_texts
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.people import SCHEMA, arguments, csv_bytes, people
from tests.terminal import at_terminal
from tests.tokenizer_zoo import byte_level

ROWS = {
    split: [{"input": f"zebra {split} {at}", "output": str(at)} for at in range(count)]
    for split, count in (("train", 8), ("validation", 2), ("test", 2))
}
ONE: dict[str, Any] = {"factors": {}, "controls": {"seeds": [1]}, "runs": []}
ASKING: dict[str, Any] = {
    **ONE, "models": [{"name": "asked", "api": "openai/gpt-4o"}], "tools": {"preparation": "none"},
    "runs": [{"name": "asked", "type": "control"}],
}  # fmt: skip
MODEL = Actor(kind="assistant", name="experiment_write_summary")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a data file and no design yet."""
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    world = world_at(tmp_path / "parity")._replace(hub=hub)
    world.store.root.mkdir()
    put(world)
    return world


def put(world: World, name: str = "words.json", **more: Any) -> None:
    world.store.write(name, json.dumps({**ROWS, **more}))


def data_of(tier: str | None, path: str = "words.json") -> dict[str, Any]:
    return {"training": {"path": path}, **({"tier": tier} if tier else {})}


def designed(world: World, tier: str | None, **changes: Any) -> None:
    put_design(world.store.root, design(**{**ONE, "data": data_of(tier), **changes}))


def written(world: World, data: dict[str, Any], **changes: Any) -> Any:
    return write_design(json.dumps({**DESIGN, **ONE, "data": data, **changes}), reason="first", world=world)


def let(world: World, *paths: str, way: Way = "show", withdraw: bool = False) -> None:
    asked = preview_allow(paths, way=way, world=world)
    allow_data(asked, reason="they are mine", who="Ada", withdraw=withdraw, world=world)


def consents(world: World) -> list[AuditRecord]:
    return [record for record in world.audit.records() if record.verb == "allow"]


def shown(world: World) -> bool:
    return bool(show_data(world=world).samples)


def shut(world: World, way: Way) -> bool:
    return closed_plan(plan_with_data(read_design(world), world=world).plan, way=way, world=world) is not None


@pytest.mark.parametrize("way", ("show", "api", "host"))
@pytest.mark.parametrize("tier", ("green", "yellow", None, "red"))
def test_each_way_out_is_open_to_green_data_to_yellow_by_its_own_consent_and_to_red_never(
    tier: str | None, way: Way, world: World
) -> None:
    designed(world, tier)
    assert shut(world, way) == (tier != "green")
    if tier == "red":
        with pytest.raises(SpecError, match="no consent lets red data be"):
            let(world, way=way)
        assert consents(world) == []
        return
    let(world, way=way)
    assert not shut(world, way)
    others: list[Way] = [each for each in ("show", "api", "host") if each != way]
    assert all(shut(world, other) == (tier != "green") for other in others)
    assert len(consents(world)) == (tier != "green")


def test_consent_tells_who_agreed_to_what_and_is_recorded_once(world: World) -> None:
    designed(world, "yellow")
    let(world)
    let(world)
    (record,) = consents(world)
    assert record.reason == "they are mine"
    assert record.subject == "words.json"
    assert record.inputs["sha256"] == world.store.digest(str(world.store.root / "words.json"))
    assert record.inputs["way"] == "show"
    assert "May rows" in record.inputs["question"]
    assert (record.outputs["choice"], record.outputs["who"]) == ("allowed", "Ada")


def test_changed_data_ask_again_and_the_old_content_needs_no_new_consent(world: World) -> None:
    designed(world, "yellow")
    let(world)
    assert shown(world)
    put(world, test=[{"input": "zebra new", "output": "9"}])
    assert not shown(world)
    put(world)
    assert shown(world)


def test_consent_that_is_taken_back_is_gone_and_can_be_given_again(world: World) -> None:
    designed(world, "yellow")
    let(world)
    let(world, withdraw=True)
    assert not shown(world)
    let(world)
    assert shown(world)
    assert [each.outputs["choice"] for each in consents(world)] == ["allowed", "withdrawn", "allowed"]


def test_data_that_changed_while_a_person_was_asked_are_not_let_out(world: World) -> None:
    designed(world, "yellow")
    asked = preview_allow(way="show", world=world)
    put(world, test=[{"input": "zebra new", "output": "9"}])
    with pytest.raises(SpecError, match="changed since the question was asked"):
        allow_data(asked, reason="yes", who="Ada", world=world)
    assert consents(world) == []


def test_a_consent_in_the_design_counts_for_what_a_person_wrote_and_the_data_they_had(world: World) -> None:
    consent = {"who": "Ada", "when": "2026-11-20", "why": "a pilot"}
    written(world, {**data_of("yellow"), "consent": consent})
    (record,) = consents(world)
    assert (record.outputs["who"], record.reason) == ("Ada", "a pilot")
    assert shown(world)
    put(world, test=[{"input": "zebra new", "output": "9"}])
    assert not shown(world)


def test_what_an_assistant_declares_lets_nothing_out_until_a_person_stands_for_it(world: World) -> None:
    model = world._replace(actor=MODEL)
    consent = {"who": "Ada", "when": "2026-11-20", "why": "she said so"}
    receipt = written(model, {**data_of("yellow"), "consent": consent})
    assert any("that an assistant writes opens nothing" in warning for warning in receipt.warnings)
    assert consents(world) == []
    assert not shown(world)
    written(model, data_of("green"))
    assert not shown(world)
    assert not shown(model)
    written(world, data_of("green"))
    assert shown(world)
    assert shown(model)


def test_a_decision_that_an_assistant_records_is_no_consent(world: World) -> None:
    designed(world, "yellow")
    model = world._replace(actor=MODEL)
    record_decision(
        "May rows of this yellow data be shown?", choice="allowed", chosen_by="user", reason="yes", world=model
    )
    assert not shown(world)


@pytest.mark.parametrize(
    "place, tier", (("data/green", "green"), ("data/yellow", "yellow"), ("data/red", "red"), ("kept", "yellow"))
)
def test_where_a_design_says_nothing_the_folder_tells(place: str, tier: str, world: World) -> None:
    path = f"{place}/words.json"
    put(world, path)
    designed(world, None, data=data_of(None, path))
    assert show_data(world=world).tier == tier
    assert shown(world) == (tier == "green")
    assert tier_of(world.store.root / path, world=world) == tier


def test_the_command_that_opens_data_names_the_experiment_as_seen_from_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {".": "`ck data allow 'my rows.json' --way", "..": "`ck -C parity data allow", "/": "`ck -C "}
    for place, command in places.items():
        monkeypatch.chdir((world.store.root / place).resolve())
        told = closed("yellow", {"my rows.json": "0" * 64}, way="show", path="my rows.json", world=world)
        assert told is not None
        assert command in told.hint


def test_red_data_are_not_sent_and_yellow_ones_by_consent_to_their_content(world: World) -> None:
    text = {tier: json.dumps({**DESIGN, **ASKING, "data": data_of(tier)}) for tier in ("yellow", "red")}
    for tier, words in (("red", "the data is red"), ("yellow", "no consent is on record")):
        with pytest.raises(SpecError, match=words):
            check_design(text[tier], world=world)
    let(world, "words.json", way="show")
    with pytest.raises(SpecError, match=r"ck -C parity data allow --way api"):
        check_design(text["yellow"], world=world)
    let(world, "words.json", way="api")
    write_design(text["yellow"], reason="agreed", world=world)
    plan = scaffold_runs(world=world).plan_id
    preview_submission(plan, world=world)
    let(world, "words.json", way="api", withdraw=True)
    for verb in (preview_submission, submit_jobs):
        with pytest.raises(PlanError, match="`asked` answers behind an API, and the data is yellow"):
            verb(plan, world=world)


def test_a_mark_that_comes_later_closes_what_was_open(world: World) -> None:
    designed(world, "green")
    assert shown(world)
    world.store.write("TIER", "red\n")
    assert show_data(world=world).withheld.startswith("the data is red: it is never shown by a tool; look at it on")


@pytest.mark.parametrize("tier", ("green", "yellow", "red"))
def test_words_of_jobs_that_failed_are_told_as_far_as_their_data_may_be_shown(tier: str, world: World) -> None:
    designed(world, tier)
    scaffold_runs(world=world)
    said = "no answer to `zebra train 7`"
    own = JobStatus(state="failed", message=said, started=world.clock.now(), updated=world.clock.now())
    status = read_status(world=world)
    failed = {"phase": Phase.FAILED, "reason": f"failed: {said}", "own": own}
    status = status.model_copy(update={"steps": tuple(each.model_copy(update=failed) for each in status.steps)})
    event = AuditEvent(actor=MODEL, verb="watch", action=Action.STATE_CHANGE, subject="x/train", error=said)
    world.audit.append(event)

    def told() -> list[bool]:
        steps = status_without_texts(status, world=world).steps
        records = page_without_texts(read_audit(world=world), world=world).records
        return ["zebra" in (each.reason or "") for each in steps] + ["zebra" in (records[-1].error or "")]

    assert set(told()) == {tier == "green"}
    if tier == "yellow":
        let(world)
        world.audit.append(event)
        assert set(told()) == {True}


def test_a_scaffold_shows_no_rows_of_a_table_that_may_not_be_shown(world: World) -> None:
    world.store.write("people.csv", csv_bytes(people(30)))
    world.store.write("people.schema.yaml", SCHEMA)
    table = {"training": {"generator": "tabular", "arguments": arguments()}}
    for tier in ("yellow", "green"):
        designed(world, tier, data={**table, "tier": tier})
        receipt = scaffold_runs(dry_run=True, world=world)
        (rows,) = [each for each in receipt.changes if each.path.startswith("data/") and ".meta" not in each.path]
        assert ("The age is" in rows.content) == (tier == "green")
        assert rows.content.startswith("withheld: the data is yellow") == (tier == "yellow")


def test_a_copy_is_kept_as_closely_as_what_it_is_a_copy_of(world: World) -> None:
    put(world, "data/red/words.json")
    with pytest.raises(SpecError, match=r"is red, and `words\.jsonl` would be yellow"):
        convert_data("data/red/words.json", "words.jsonl", world=world)
    convert_data("data/red/words.json", "data/red/words.jsonl", world=world)
    assert tier_of(world.store.root / "data/red/words.jsonl", world=world) == "red"


# --- at a terminal ---


def typed(experiment: Path, answer: str, *more: str) -> tuple[int, str]:
    """Run the command at a terminal, type an answer, and return exit code and screen."""
    words = ("-C", str(experiment), "data", "allow", "--way", "show", "--reason", "ours", *more)
    return at_terminal([sys.executable, "-m", "cruijff_kit.cli.main", *words], typed=answer, once="to go on")


def test_the_typed_word_lets_the_data_out_and_any_other_does_not(world: World) -> None:
    code, screen = typed(world.store.root, "yes", "words.json")
    assert (code, consents(world)) == (3, [])
    code, screen = typed(world.store.root, "allow", "words.json")
    assert code == 0, screen
    for part in ("May rows of this yellow data", "words.json (sha256", "words.json: allowed (show)"):
        assert part in screen
    (record,) = consents(world)
    assert record.actor.kind == "human"


@pytest.mark.parametrize("tier, code, words", (("yellow", 3, "there is no terminal"), ("red", 2, "is red")))
def test_without_a_terminal_nobody_has_agreed(tier: str, code: int, words: str, world: World) -> None:
    put(world, f"data/{tier}/w.json")
    done = CliRunner().invoke(
        data_command,
        ["allow", f"data/{tier}/w.json", "--way", "host", "--reason", "x"],
        obj=str(world.store.root),
        input="allow\n",
    )
    assert getattr(done.exception, "exit_code", None) == code
    assert words in str(done.exception)
    assert consents(world) == []


# --- roots ---


def rooted(world: World, **site: Any) -> World:
    """Return the world as an assistant has it, in the project beside whose directory others lie."""
    return world._replace(actor=MODEL, roots=roots_of(Site(**site), root=world.store.root.parent))


OUTSIDE = {
    "data": {"data": data_of("green", "{out}/words.json")},
    "a level": {"factors": {"data.path": ["words.json", "{out}/words.json"]}},
    "a way up": {"data": data_of("green", "../../outside/words.json")},
    "a sibling of the same beginning": {"data": data_of("green", "{root}-evil/words.json")},
    "a link": {"data": data_of("green", "link.json")},
    "a linked folder": {"data": data_of("green", "folder/words.json")},
    "an evaluation's file": {"evaluation": {"tasks": [{"name": "t", "task": "rows", "dataset": "{out}/words.json"}]}},
    "a task": {"evaluation": {"tasks": [{"name": "t", "task": "{out}/task.py@mine"}]}},
    "a table": {"data": {"training": {"generator": "tabular", "arguments": {"source": "{out}/p.csv"}}}},
    "a recipe": {"controls": {"seeds": [1], "recipe": "{out}/recipe.py"}},
    "metrics": {"controls": {"seeds": [1], "custom_metrics": "{out}/metrics.py"}},
    "a run's recipe": {"runs": [{"name": "x", "parameters": {"recipe": "{out}/recipe.py"}}]},
    "a model": {"models": [{"name": "m", "path": "{out}/model"}]},
    "checkpoints": {"output": {"output_dir_base": "{out}"}},
    "a NUL": {"data": data_of("green", "a\0b.json")},
}


@pytest.fixture
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return directories outside the project, with a file each, and links to one of them inside."""
    out, root = tmp_path_factory.mktemp("outside"), world.store.root.parent
    for folder in (out, Path(f"{root}-evil"), root.parent / "outside"):
        folder.mkdir(exist_ok=True)
        (folder / "words.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (world.store.root / "link.json").symlink_to(out / "words.json")
    (world.store.root / "folder").symlink_to(out)
    return {"out": str(out), "root": str(root)}


def spec_of(name: str, place: dict[str, str]) -> str:
    text = json.dumps({**DESIGN, **ONE, "models": [], "data": data_of("green"), **OUTSIDE[name]})
    models = [] if name == "a model" else [{"name": "tiny", "path": "tiny"}]
    filled = text.replace("{out}", place["out"]).replace("{root}", place["root"])
    spec = json.loads(filled)
    return json.dumps({**spec, "models": models or spec["models"]})


@pytest.mark.parametrize("name", OUTSIDE)
def test_whatever_an_assistant_names_outside_its_directories_is_refused_unread(
    name: str, world: World, place: dict[str, str]
) -> None:
    with pytest.raises(SpecError) as caught:
        check_design(spec_of(name, place), world=rooted(world))
    told = str(caught.value)
    assert "outside the directories an assistant may use" in told
    assert "zebra" not in told


def test_a_person_may_name_any_place_and_an_assistant_those_of_the_site(world: World, place: dict[str, str]) -> None:
    named = {**DESIGN, **ONE, "data": data_of("green", f"{place['out']}/words.json")}
    write_design(json.dumps(named), reason="mine", world=world)
    with pytest.raises(PlanError, match="lies outside the directories an assistant may use"):
        show_data(world=rooted(world, models_dir="/models"))
    assert shown(rooted(world, models_dir="/models", data_dirs=(place["out"],)))
    assert shown(world)


def test_a_directory_that_holds_everything_is_no_root(world: World, place: dict[str, str]) -> None:
    home = str(Path.home())
    wide = rooted(world, models_dir="/", data_dirs=("/", home), output_dir_base=home)
    assert outside_problems(design(data=data_of("green", f"{place['out']}/words.json")), wide)
