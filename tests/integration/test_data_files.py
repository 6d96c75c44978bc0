"""Data files prepared, checked, divided, measured and listed: every row counted in and counted out."""

import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cruijff_kit.cli.data import data as data_command
from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import overlaps, row_question
from cruijff_kit.data.tokens import encode_row
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.data_files import data_sha256, read_data
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.dataset_report import Division, Preparation
from cruijff_kit.workflow.data_list import list_data
from cruijff_kit.workflow.data_stats import measure_data
from cruijff_kit.workflow.division import split_data
from cruijff_kit.workflow.prepare import prepare_data
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.validation import validate_data
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import LLAMA3, byte_level

pytestmark = pytest.mark.once

MIXED: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "source": "web"},
    {"instruction": "Add.", "input": "1 2", "output": "3"},
    {"instruction": "Say it.", "input": "", "output": "It.", "system": "Be brief."},
    {"prompt": "Which one?", "completion": "This one."},
    {"text": "all of this is learnt, ünd ganz"},
]
ITEMS = Columns(None, None, items=True)
MODEL = "/models/tiny"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a mixed file and no design yet."""
    hub = FakeHub(model_facts(MODEL), tokenizers={MODEL: byte_level(template=LLAMA3)})
    world = world_at(tmp_path / "words")._replace(hub=hub)
    world.store.root.mkdir()
    put(world, MIXED)
    return world


def put(world: World, rows: list[Any], name: str = "mixed.jsonl") -> None:
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (world.store.root / name).write_text(text, encoding="utf-8")


def loaded(world: World, name: str) -> dict[str, list[dict[str, Any]]]:
    return load_splits(read_data(world.store.root / name), name=name, columns=ITEMS)


def ck(world: World, *arguments: str) -> Any:
    return CliRunner().invoke(data_command, list(arguments), obj=str(world.store.root))


def refusal(action: Any, kind: type[CruijffError] = SpecError) -> str:
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize("target", ("out.json", "out.jsonl"))
def test_rows_of_every_form_are_written_as_conversations_and_none_is_lost(world: World, target: str) -> None:
    receipt = prepare_data("mixed.jsonl", target, asked=Preparation(template="alpaca"), world=world)
    found = loaded(world, target)
    assert [row.get("messages", row.get("text")) for row in found["train"]] == [
        MIXED[0]["messages"],
        [{"role": "user", "content": "Add.\n\n### Input:\n1 2"}, {"role": "assistant", "content": "3"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say it."},
            {"role": "assistant", "content": "It."},
        ],
        [{"role": "user", "content": "Which one?"}, {"role": "assistant", "content": "This one."}],
        MIXED[4]["text"],
    ]
    assert found["train"][0]["source"] == "web"
    assert receipt.rows == 5 == receipt.splits["train"]
    assert receipt.forms == {"instruction": 2, "messages": 1, "prompt": 1, "text": 1}
    assert receipt.sha256 == data_sha256(world.store.root / target)
    assert receipt.source_sha256 == data_sha256(world.store.root / "mixed.jsonl")


@pytest.mark.parametrize("template", ("model", "alpaca", "llama2"))
def test_what_was_prepared_has_the_ids_of_what_it_was_prepared_from(world: World, template: str) -> None:
    prepare_data("mixed.jsonl", "out.json", asked=Preparation(template=template), world=world)
    encoding, tokenizer = Encoding(dataset_type="auto", template=template), byte_level()
    ours, theirs = (
        [encode_row(row, encoding=encoding, tokenizer=tokenizer) for row in loaded(world, name)["train"]]
        for name in ("out.json", "mixed.jsonl")
    )
    assert ours == theirs


def test_rows_of_one_question_are_written_as_columns_and_others_are_told_by_line(world: World) -> None:
    put(world, [MIXED[0], MIXED[1], MIXED[4]], "few.jsonl")
    prepare_data("few.jsonl", "out.json", asked=Preparation(form="prompt"), world=world)
    assert loaded(world, "out.json")["train"] == [
        {"source": "web", "input": "a", "output": "b"},
        {"input": "Add.\n\n1 2", "output": "3"},
        MIXED[4],
    ]
    turns = [*MIXED[0]["messages"], *MIXED[0]["messages"]]
    put(world, [MIXED[2], {"messages": turns}, {**MIXED[1], "prompt": "other"}], "odd.jsonl")
    told = refusal(lambda: prepare_data("odd.jsonl", "odd.json", asked=Preparation(form="prompt"), world=world))
    assert "odd.jsonl:1: the row has a system message" in told
    assert "odd.jsonl:2: the row has several questions" in told
    assert "odd.jsonl:3: the row has another column that would be read as its question or answer" in told
    assert world.store.read("odd.json") is None


def test_a_row_that_is_too_long_is_left_out_whole_and_told_by_line(world: World) -> None:
    asked = Preparation(max_length=19)
    receipt = prepare_data("mixed.jsonl", "out.json", asked=asked, world=world)
    assert [(row.place, row.length) for row in receipt.left_out] == [
        ("mixed.jsonl:3", len("Be brief.\nSay it.\nIt.")),
        ("mixed.jsonl:4", len("Which one?\nThis one.")),
        ("mixed.jsonl:5", len(MIXED[4]["text"])),
    ]
    assert receipt.unit == "characters"
    assert receipt.rows == sum(receipt.splits.values()) + receipt.left_out_count == 5


def test_lengths_are_the_tokens_that_a_training_reads_of_the_named_model(world: World) -> None:
    encoding, tokenizer = Encoding(dataset_type="auto", template="alpaca"), byte_level()
    lengths = [len(encode_row(row, encoding=encoding, tokenizer=tokenizer).ids) for row in MIXED]
    limit = sorted(lengths)[2]
    asked = Preparation(template="alpaca", model=MODEL, max_length=limit)
    receipt = prepare_data("mixed.jsonl", "out.jsonl", asked=asked, world=world)
    assert receipt.unit == "tokens"
    assert [row.length for row in receipt.left_out] == [length for length in lengths if length > limit]
    assert receipt.splits == {"train": 3}
    stats = measure_data("mixed.jsonl", template="alpaca", model=MODEL, world=world)
    assert stats.tokens is not None
    assert (stats.tokens.least, stats.tokens.greatest) == (min(lengths), max(lengths))
    assert stats.unit == "tokens"
    assert sum(each.count for each in stats.bins) == 5


def test_nothing_is_written_of_a_file_with_wrong_rows_and_all_of_them_are_told(world: World) -> None:
    put(world, [{"prompt": "a"}, MIXED[0], {"word": 1}, *({"text": ""} for _ in range(30))], "bad.jsonl")
    told = refusal(lambda: prepare_data("bad.jsonl", "out.json", world=world))
    assert "bad.jsonl:1 completion: column `completion` is missing" in told
    assert "bad.jsonl:3: the row is of no known form" in told
    assert "and 12 more like these" in told
    assert world.store.read("out.json") is None
    assert "every row is longer than 1" in refusal(
        lambda: prepare_data("mixed.jsonl", "out.json", asked=Preparation(max_length=1), world=world)
    )


def test_splits_of_a_file_stay_what_they_are(world: World) -> None:
    rows = [{"split": ("train", "test")[at % 2], "prompt": f"q{at}", "completion": "a"} for at in range(6)]
    put(world, rows, "two.jsonl")
    for target in ("out.json", "out.jsonl"):
        assert prepare_data("two.jsonl", target, world=world).splits == {"train": 3, "test": 3}
        found = loaded(world, target)
        assert [row["messages"][0]["content"] for row in found["test"]] == ["q1", "q3", "q5"]


@pytest.mark.parametrize("target", ("out.txt", "../out.json", "plan.json", "runs/out.json"))
def test_a_target_that_is_no_place_for_data_is_refused(world: World, target: str) -> None:
    assert refusal(lambda: prepare_data("mixed.jsonl", target, world=world), CruijffError)
    assert not list(world.store.root.glob("**/out*"))


def test_rows_are_not_written_where_they_would_be_kept_less_closely(world: World) -> None:
    (world.store.root / "data" / "red").mkdir(parents=True)
    put(world, [{"prompt": f"q{at}", "completion": "a"} for at in range(10)], "data/red/rows.jsonl")
    for action in (prepare_data, split_data):
        for target in ("out.json", "data/green/out.json"):
            told = refusal(lambda act=action, place=target: act("data/red/rows.jsonl", place, world=world))
            assert "`data/red/rows.jsonl` is red" in told
        assert not list(world.store.root.glob("**/out*"))
        action("data/red/rows.jsonl", f"data/red/{action.__name__}.json", world=world)


def test_a_file_that_is_there_is_replaced_only_when_asked(world: World) -> None:
    prepare_data("mixed.jsonl", "out.json", world=world)
    assert "`out.json` is there already" in refusal(lambda: prepare_data("mixed.jsonl", "out.json", world=world))
    put(world, MIXED[:1])
    assert prepare_data("mixed.jsonl", "out.json", force=True, world=world).splits == {"train": 1}


def test_a_check_counts_every_row_and_tells_all_that_is_wrong(world: World) -> None:
    (world.store.root / "bad.jsonl").write_text('{"prompt": "a"}\nnot json\n{"text": "b"}\n', encoding="utf-8")
    found = validate_data("bad.jsonl", world=world)
    assert (found.rows, found.splits, found.problem_count, found.ok) == (3, {"train": 1}, 2, False)
    assert [each.partition(":")[2].partition("\n")[0] for each in found.problems] == [
        "1 completion: column `completion` is missing; the row has `prompt`",
        "2: the line is not valid JSON: expecting value at column 1",
    ]
    assert validate_data("mixed.jsonl", world=world).ok


def test_a_check_advises_on_few_long_repeated_and_shared_rows(world: World) -> None:
    rows = [{"prompt": f"q{at}", "completion": "a"} for at in range(12)]
    (world.store.root / "two.json").write_text(
        json.dumps({"train": [*rows, rows[0], {"text": "x" * 9000}], "test": [{"prompt": " q3", "completion": "b"}]}),
        encoding="utf-8",
    )
    facts = [each.fact for each in validate_data("two.json", world=world).advice]
    assert facts == [
        "14 rows to learn from are few",
        "1 row is longer than 8,192 characters, such as `two.json:1`",
        "1 row repeats another",
        "1 row of `test` asks what is asked in `train` too",
    ]
    few = [each.fact for each in validate_data("mixed.jsonl", world=world).advice]
    assert few == ["5 rows to learn from are very few: a model learns them by heart"]
    many = [{"prompt": f"q{at}", "completion": "a"} for at in range(100)]
    put(world, many, "many.jsonl")
    assert validate_data("many.jsonl", world=world).advice == ()


def test_rows_are_divided_by_seed_into_shares_and_every_row_lies_in_one_split(world: World) -> None:
    rows = [{"prompt": f"q{at}", "completion": str(at)} for at in range(100)]
    put(world, rows, "many.jsonl")
    receipt = split_data("many.jsonl", "first", world=world)
    assert receipt.splits == {"train": 80, "validation": 10, "test": 10}
    assert list(receipt.files) == ["first/train.json", "first/validation.json", "first/test.json"]
    found = loaded(world, "first")
    assert {split: len(part) for split, part in found.items()} == receipt.splits
    assert sorted(row["completion"] for part in found.values() for row in part) == sorted(map(str, range(100)))
    split_data("many.jsonl", "again", world=world)
    split_data("many.jsonl", "other", division=Division(seed=1), world=world)
    assert loaded(world, "again") == found != loaded(world, "other")
    for target in ("all.json", "all.jsonl"):
        split_data("many.jsonl", target, world=world)
        assert loaded(world, target) == found


def test_rows_that_ask_the_same_lie_in_one_split(world: World) -> None:
    rows = [{"prompt": f" q{at % 30}", "completion": str(at), "kind": str(at % 30 % 2)} for at in range(100)]
    put(world, rows, "many.jsonl")
    for stratify in (None, "kind"):
        target = f"by_{stratify}"
        receipt = split_data("many.jsonl", target, division=Division(stratify=stratify), world=world)
        found = loaded(world, target)
        assert overlaps(found, column=None) == []
        assert sum(receipt.splits.values()) == 100
        assert receipt.repeated == 100
        assert len({row_question(row) for row in found["train"]}) < 30


def test_each_split_has_its_share_of_every_value_even_of_rare_ones(world: World) -> None:
    kinds = ["common"] * 70 + ["rare"] * 20 + [f"single {at // 2}" for at in range(10)]
    put(world, [{"prompt": f"q{at}", "completion": "a", "kind": kind} for at, kind in enumerate(kinds)], "kinds.jsonl")
    split_data("kinds.jsonl", "by_kind", division=Division(stratify="kind"), world=world)
    counts = {
        split: Counter(row["kind"].partition(" ")[0] for row in part)
        for split, part in loaded(world, "by_kind").items()
    }
    assert counts == {
        "train": {"common": 56, "rare": 16, "single": 8},
        "validation": {"common": 7, "rare": 2, "single": 1},
        "test": {"common": 7, "rare": 2, "single": 1},
    }


def test_a_share_of_nothing_makes_no_split_and_one_that_comes_to_nothing_is_refused(world: World) -> None:
    rows = [{"prompt": f"q{at}", "completion": "a"} for at in range(10)]
    put(world, rows, "ten.jsonl")
    division = Division(train=0.8, validation=0.2, test=0)
    assert split_data("ten.jsonl", "two", division=division, world=world).splits == {"train": 8, "validation": 2}
    assert sorted(path.name for path in (world.store.root / "two").iterdir()) == ["train.json", "validation.json"]
    put(world, rows[:3], "three.jsonl")
    assert "split `validation` would get none" in refusal(lambda: split_data("three.jsonl", "three", world=world))
    with pytest.raises(ValidationError, match=r"which make 1\.1"):
        Division(train=0.9)


def test_what_cannot_be_divided_is_told_and_nothing_is_written(world: World) -> None:
    put(world, [{"split": name, "text": name} for name in ("train", "test")], "two.jsonl")
    assert "is divided already: it has `train`, `test`" in refusal(lambda: split_data("two.jsonl", "out", world=world))
    put(world, [{"text": "a", "kind": "x"}, {"text": "b"}], "kinds.jsonl")
    told = refusal(lambda: split_data("kinds.jsonl", "out", division=Division(stratify="kind"), world=world))
    assert "kinds.jsonl:2 kind: column `kind` is missing" in told
    (world.store.root / "data").mkdir()
    put(world, [{"text": str(at)} for at in range(20)], "data/test.jsonl")
    assert "folder `data` holds `data/test.jsonl` already" in refusal(
        lambda: split_data("data/test.jsonl", "data", world=world)
    )
    assert not (world.store.root / "out").exists()


def test_numbers_of_a_file_are_those_of_its_rows(world: World) -> None:
    put(world, [*MIXED, {"word": 1}])
    found = measure_data("mixed.jsonl", bins=3, world=world)
    assert found.forms == {"instruction": 2, "messages": 1, "prompt": 1, "text": 1, "unreadable": 1}
    assert found.rows == 6
    assert found.turns is not None
    assert (found.turns.least, found.turns.greatest, found.turns.mean) == (2, 2, 2.0)
    assert found.characters is not None
    assert (found.characters.least, found.characters.greatest) == (3, len(MIXED[4]["text"]))
    assert found.tokens is None
    assert [(each.low, each.high) for each in found.bins] == [(3, 12), (13, 22), (23, 32)]
    assert sum(each.count for each in found.bins) == 5
    empty = measure_data("table_questions_text", world=world)
    assert empty.questions is None


def test_bundled_data_goes_by_its_name_wherever_a_file_may_be_named(world: World) -> None:
    found = validate_data("capitalization", world=world)
    assert found.ok
    assert found.advice == ()
    assert found.splits == {"train": 800, "validation": 100, "test": 200}
    receipt = prepare_data("simple_instructions", "mine.json", asked=Preparation(template="alpaca"), world=world)
    assert receipt.splits == {"train": 160, "validation": 20, "test": 20}
    assert "does not exist" in refusal(lambda: validate_data("capitals", world=world))


def test_data_files_are_listed_with_those_of_the_package_and_nothing_a_job_wrote(world: World) -> None:
    for name in ("sub/words.parquet", "runs/a/eval.json", ".hidden/x.json", "plan.json", "notes.txt", "a.csv",
                 "exp/wanted.json", "exp/compute.json", "models/m/config.json", "models/m/tokenizer.json"):  # fmt: skip
        (world.store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (world.store.root / name).write_bytes(b"x")
    (world.store.root / "moved.json").symlink_to(world.store.root / "gone.json")
    found = list_data(world=world)
    assert [each.path for each in found if each.bundled is None] == ["a.csv", "mixed.jsonl", "sub/words.parquet"]
    named = {each.bundled: each for each in found if each.bundled}
    assert Path(named["capitalization"].path).is_file()
    assert "CC0" in named["capitalization"].told
    assert [each.path for each in list_data("sub", world=world) if not each.bundled] == ["words.parquet"]
    assert "`nowhere` is no folder" in refusal(lambda: list_data("nowhere", world=world))


def test_the_commands_say_what_the_verbs_found_and_fail_where_they_should(world: World) -> None:
    shown = ck(world, "validate", "mixed.jsonl")
    assert shown.exit_code == 0
    assert "every row can be learnt" in shown.output
    put(world, [{"text": ""}], "bad.jsonl")
    shown = ck(world, "validate", "bad.jsonl")
    assert shown.exit_code == 1
    assert "bad.jsonl:1 text: column `text` is blank" in shown.output
    put(world, [], "empty.jsonl")
    assert ck(world, "validate", "empty.jsonl").exit_code == 1
    shown = ck(world, "stats", "mixed.jsonl", "--bins", "3")
    assert "rows by characters" in shown.output
    assert "23-32 " in shown.output
    assert json.loads(ck(world, "stats", "mixed.jsonl", "--json").output)["rows"] == 5
    shown = ck(world, "prepare", "mixed.jsonl", "-o", "out.jsonl", "--max-length", "19", "-t", "alpaca")
    assert "left out: 4 rows of more than 19 characters" in shown.output
    put(world, [{"text": str(at)} for at in range(10)], "ten.jsonl")
    shown = ck(world, "split", "ten.jsonl", "-o", "parts", "--train", "0.6", "--val", "0.2", "--test", "0.2")
    assert "parts: 6 train, 2 validation, 2 test" in shown.output
    shown = ck(world, "split", "ten.jsonl", "--train", "0.6")
    assert isinstance(shown.exception, SpecError)
    assert "which make 0.8" in str(shown.exception)
    assert "bundled" in ck(world, "list").output
    assert json.loads(ck(world, "list", "--json").output)[0]["bundled"] == "capitalization"


def test_what_was_written_is_on_record_once_there_is_one(world: World) -> None:
    spec = design(factors={}, controls={"seeds": [1]})
    put_design(world.store.root, spec)
    scaffold_runs(world=world)
    prepare_data("mixed.jsonl", "out.json", world=world)
    whole = Division(train=1, validation=0, test=0)
    split_data("mixed.jsonl", "one.json", division=whole, world=world)
    kept = [
        each
        for each in world.audit.records()
        if each.action is Action.VERIFY_DATASET and each.verb in {"prepare", "split"}
    ]
    assert [(each.verb, each.subject) for each in kept] == [("prepare", "out.json"), ("split", "one.json")]
    assert kept[0].outputs == {"out.json": data_sha256(world.store.root / "out.json")}


@pytest.mark.parametrize("verb", ("prepare", "validate", "stats", "split"))
def test_a_large_file_is_read_in_little_memory(world: World, verb: str) -> None:
    rows = 4000
    with (world.store.root / "large.jsonl").open("w", encoding="utf-8") as file:
        for at in range(rows):
            file.write(json.dumps({"prompt": f"question {at}", "completion": "word " * 400}) + "\n")
    size = (world.store.root / "large.jsonl").stat().st_size
    actions: dict[str, Any] = {
        "prepare": lambda: prepare_data("large.jsonl", "out.json", world=world),
        "validate": lambda: validate_data("large.jsonl", world=world),
        "stats": lambda: measure_data("large.jsonl", world=world),
        "split": lambda: split_data("large.jsonl", "parts", world=world),
    }
    tracemalloc.start()
    actions[verb]()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 2
