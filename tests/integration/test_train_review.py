"""What a training would be, told before anything is written: sources, data, profiles, refusals."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import CruijffError, PlanError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.train_keys import TrainMode
from cruijff_kit.schema.training import TrainOrder, TrainReview
from cruijff_kit.workflow.profiles import create_profile, find_profile, list_profiles
from cruijff_kit.workflow.train import begin_training, is_taken
from cruijff_kit.workflow.train_review import move_training, review_training
from tests.fakes.designed import world_at
from tests.fakes.model_hub import FakeHub

ROWS = [{"instruction": f"say {at}", "output": str(at)} for at in range(20)]
TINY = "/models/tiny"


@pytest.fixture
def world(tmp_path: Path) -> World:
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
    return world_at(tmp_path)


def review(
    world: World, mode: TrainMode = "start", *, flags: Mapping[str, Any] | None = None, **order: Any
) -> TrainReview:
    asked = {"model": TINY, "data": "rows.jsonl", **order}
    return review_training(TrainOrder(mode, **asked, flags=flags or {}), world=world)


def design_of(found: TrainReview) -> dict[str, Any]:
    return load_yaml(found.design, name="design.yaml").value


def told(found: TrainReview, key: str) -> tuple[Any, str]:
    return found.values[key].value, found.values[key].source


def test_a_rank_given_as_a_flag_stands_whatever_the_profile_says(world: World) -> None:
    found = review(world, flags={"lora_rank": 16}, profile="chat")
    assert told(found, "lora_rank") == (16, "flag")
    assert told(found, "template") == ("chatml", "profile chat")
    assert design_of(found)["controls"]["lora_rank"] == 16


def test_a_file_counts_over_its_profile_and_flags_over_the_file(world: World) -> None:
    (world.store.root / "train.yml").write_text(
        f"model: {{name: {TINY}}}\ndata: {{train_file: rows.jsonl, max_length: 64}}\nprofile: code\nlora: {{r: 5}}\n",
        encoding="utf-8",
    )
    order = TrainOrder("start", config="train.yml", flags={"max_seq_len": 32})
    found = review_training(order, world=world)
    assert told(found, "max_seq_len") == (32, "flag")
    assert told(found, "lora_rank") == (5, "file train.yml")
    assert told(found, "epochs") == (5, "profile code")
    assert told(found, "lora_alpha") == (64.0, "profile code")


def test_model_data_and_output_of_the_command_line_count_over_the_file_s(world: World) -> None:
    (world.store.root / "train.yml").write_text("model: gone\ndata: gone.jsonl\noutput: there\n", encoding="utf-8")
    found = review(world, config="train.yml")
    assert (found.model_path, found.splits["train"]) == (TINY, 18)
    assert found.output == str(world.store.root / "there")


def test_rows_are_held_out_and_written_into_the_experiment(world: World) -> None:
    found = review(world, flags={"val_split": 0.25})
    assert found.splits == {"train": 15, "validation": 5}
    assert design_of(found)["data"] == {"training": {"path": found.prepared_path}, "tier": "yellow"}
    assert [len(rows) for rows in json.loads(found.prepared).values()] == [15, 5]
    assert (world.store.root / "rows.jsonl").read_text(encoding="utf-8").count("\n") == len(ROWS)


def test_data_with_a_validation_split_is_read_where_it_lies(world: World) -> None:
    place = world.store.root / "split.json"
    place.write_text(json.dumps({"train": ROWS[:15], "validation": ROWS[15:]}), encoding="utf-8")
    found = review(world, data="split.json")
    assert (found.prepared, found.splits) == ("", {"train": 15, "validation": 5})
    assert design_of(found)["data"]["training"]["path"] == str(place)


def test_another_file_may_hold_the_validation_rows(world: World) -> None:
    (world.store.root / "held.jsonl").write_text('{"prompt": "new", "completion": "row"}\n', encoding="utf-8")
    found = review(world, validation_data="held.jsonl")
    assert found.splits == {"train": 20, "validation": 1}


@pytest.mark.parametrize("data", ("green", "bundled"))
@pytest.mark.parametrize("held,tier", (("red", "red"), ("mine", "yellow"), ("green", "green")))
def test_rows_to_validate_on_are_kept_as_closely_as_their_own_file(
    data: str, held: str, tier: str, world: World
) -> None:
    for name in ("green", held):
        (world.store.root / "data" / name).mkdir(parents=True, exist_ok=True)
        place = world.store.root / "data" / name / "rows.jsonl"
        place.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    named = "capitalization" if data == "bundled" else "data/green/rows.jsonl"
    found = review(world, data=named, validation_data=f"data/{held}/rows.jsonl")
    assert told(found, "tier") == (tier, "derived")
    assert design_of(found)["data"]["tier"] == tier


def test_a_mixed_file_is_counted_by_form_and_a_wanted_form_is_held_to(world: World) -> None:
    with (world.store.root / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    assert review(world).forms == {"instruction": 20, "messages": 1}
    with pytest.raises(SpecError, match=r"train\[20\].*`messages`, and `instruction` is asked for"):
        review(world, flags={"format": "instruction"})


def test_a_design_says_the_base_model_too_where_something_is_evaluated(world: World) -> None:
    place = world.store.root / "split.json"
    rows = {"train": ROWS[:10], "validation": ROWS[10:12], "test": [{"instruction": "x", "output": "y" * 70}]}
    place.write_text(json.dumps(rows), encoding="utf-8")
    design = design_of(review(world, data="split.json"))
    assert [run["name"] for run in design["runs"]] == ["tuned", "base"]
    assert design["evaluation"]["generation"]["max_tokens"] == 71
    alone = design_of(review(world, data="split.json", flags={"evaluate": False}))
    assert (alone["tools"]["evaluation"], len(alone["runs"])) == ("none", 1)


def test_an_evaluation_without_questions_is_refused(world: World) -> None:
    with pytest.raises(SpecError, match="nothing to evaluate"):
        review(world, flags={"evaluate": True})


def test_quick_without_data_takes_the_example_that_its_template_writes(world: World) -> None:
    chat = review(world, "quick", data=None, flags={"template": "chatml"})
    text = review(world, "quick", data=None)
    assert (chat.data, text.data) == ("table_questions_chat", "table_questions_text")
    assert (chat.forms, text.forms) == ({"messages": 250}, {"text": 250})
    assert told(chat, "tier") == ("green", "derived")
    with pytest.raises(SpecError, match="no data is named"):
        review(world, "start", data=None)


def test_a_template_file_is_found_from_the_project(world: World) -> None:
    (world.store.root / "mine.txt").write_text("{instruction} -> {output}", encoding="utf-8")
    found = review(world, flags={"template": "mine.txt"})
    assert found.values["template"].value == str(world.store.root / "mine.txt")


@pytest.mark.parametrize(
    "order,words",
    (
        ({"model": "nowhere"}, "is not on this machine"),
        ({"model": "org/big"}, "`ck models pull org/big`"),
        ({"data": "gone.jsonl"}, "is not there"),
        ({"profile": "gone"}, "there is no profile `gone`"),
        ({"config": "gone.yml"}, "cannot be read"),
        ({"flags": {"backend": "mlx"}}, "needs `mlx_lm`"),
        ({"flags": {"backend": "tpu"}}, "not a valid `backend`"),
        ({"flags": {"format": "csv"}}, "not a valid `format`"),
        ({"flags": {"template": "alpca"}}, "did you mean `alpaca`"),
    ),
)
def test_what_is_not_there_is_refused_before_anything_is_written(
    order: dict[str, Any], words: str, world: World
) -> None:
    before = sorted(world.store.root.rglob("*"))
    with pytest.raises(CruijffError, match=words):
        review(world, **order)
    assert sorted(world.store.root.rglob("*")) == before


def test_all_that_is_wrong_is_told_at_once_with_its_place(world: World) -> None:
    (world.store.root / "train.yml").write_text(
        "model: x\nlora: {r: 0}\ntraining: {method: full, lrn: 1}\nadvanced: {push_to_hub: true}\n", encoding="utf-8"
    )
    with pytest.raises(SpecError) as caught:
        review(world, model=None, config="train.yml", flags={"val_split": 3.0})
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["training.method", "training.lrn", "advanced.push_to_hub", "val_split", "lora_rank"]
    assert all(problem.place for problem in caught.value.problems)


def test_the_small_model_is_not_made_for_a_look_nor_before_the_rows_are_seen_to_be_there(world: World) -> None:
    hub = FakeHub()
    look = world._replace(hub=hub)
    found = review_training(TrainOrder("quick", model="tiny", data="rows.jsonl"), make=False, world=look)
    assert (found.design, found.splits["train"]) == ("", 18)
    assert "the first training makes it" in found.warnings[0]
    with pytest.raises(SpecError, match="`gone` is not there"):
        review(look, "quick", model="tiny", data="gone")
    assert hub.trained == 0
    assert review(look, "quick", model="tiny").design
    assert hub.trained == 1


def test_a_number_that_is_refused_is_told_by_one_fact_that_is_the_user_s(world: World) -> None:
    with pytest.raises(SpecError) as caught:
        review(world, flags={"seed": -1})
    (problem,) = caught.value.problems
    assert problem.message == "`-1` is not a valid `seed`: input should be greater than or equal to 0"


def test_what_the_job_would_only_find_out_is_told_before_it(world: World) -> None:
    with pytest.raises(SpecError) as caught:
        review(world, flags={"training_samples": 99, "quantization": "nf4", "gpus": 64, "backend": "torch"})
    assert {problem.path for problem in caught.value.problems} >= {"training_samples", "gpus"}
    (world.store.root / "train.yml").write_text(f"model: {TINY}\ndata: rows.jsonl\ngpus: 64\n", encoding="utf-8")
    assert review_training(TrainOrder("start", config="train.yml"), loose=True, world=world).design


def test_a_table_and_wrong_rows_are_told_with_the_command_that_goes_on(world: World) -> None:
    (world.store.root / "t.csv").write_text("instruction,output\na,b\n", encoding="utf-8")
    with pytest.raises(SpecError, match="a table in CSV") as caught:
        review(world, data="t.csv")
    assert "`ck data prepare t.csv`" in caught.value.hint
    (world.store.root / "bad.jsonl").write_text('{"text": "a"}\nnot json\n{"prompt": "a"}\n', encoding="utf-8")
    with pytest.raises(SpecError, match="not valid JSON Lines") as caught:
        review(world, data="bad.jsonl")
    assert "`ck data validate bad.jsonl`" in caught.value.hint


def test_a_file_may_be_looked_at_where_neither_model_nor_backend_is_here(world: World) -> None:
    (world.store.root / "train.yml").write_text(
        "model: meta-llama/Llama-3.2-1B-Instruct\nbackend: mlx\nbatch_size: 4000\nmax_seq_len: 256\n", encoding="utf-8"
    )
    found = review_training(TrainOrder("start", config="train.yml"), loose=True, world=world)
    assert "`ck models pull` brings it" in found.warnings[0]
    assert "mlx_lm" in found.notes[0]
    assert found.memory is not None
    assert found.most_rows is not None
    assert f"`batch_size: {found.most_rows}` fits" in found.warnings[-1]
    assert found.design == ""


def test_profiles_of_the_project_count_over_the_user_s_and_those_over_ours(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    own = tmp_path / "own" / "cruijff-kit" / "profiles"
    own.mkdir(parents=True)
    (own / "chat.yaml").write_text("lora_rank: 2\n", encoding="utf-8")
    (own / "mine.yaml").write_text("lora_rank: 3\n", encoding="utf-8")
    assert find_profile("chat", world=world).values == {"lora_rank": 2}
    create_profile("chat", {"lora_rank": 4}, world=world)
    assert find_profile("chat", world=world).values == {"lora_rank": 4}
    assert [each.name for each in list_profiles(world=world)] == ["chat", "instruction", "code", "mine"]
    assert told(review(world, profile="mine"), "lora_rank") == (3, "profile mine")


def test_a_profile_may_start_from_another_and_is_never_replaced_unasked(world: World) -> None:
    made = create_profile("long", {"max_seq_len": 4096}, base="chat", world=world)
    assert (made.values["max_seq_len"], made.values["template"]) == (4096, "chatml")
    assert find_profile("long", world=world).values == made.values
    with pytest.raises(SpecError, match="is there already"):
        create_profile("long", {"lr": 1e-3}, world=world)
    create_profile("long", {"lr": 1e-3}, force=True, world=world)
    assert find_profile("long", world=world).values == {"lr": 1e-3}


@pytest.mark.parametrize(
    "name,values,words",
    (
        ("../out", {"lr": 1e-3}, "cannot be the name"),
        ("mine", {"learning_rate": 1e-3}, "unknown key"),
        ("mine", {"lr": -1.0}, "greater than 0"),
        ("mine", {}, "says nothing"),
    ),
)
def test_a_profile_that_could_not_be_used_is_not_written(
    name: str, values: dict[str, Any], words: str, world: World
) -> None:
    with pytest.raises(SpecError, match=words):
        create_profile(name, values, world=world)
    assert not list(world.store.root.rglob("*.yaml"))


def test_the_same_words_give_the_same_design(world: World) -> None:
    assert review(world) == review(world)
    assert review(world, flags={"seed": 1}).prepared != review(world).prepared


def test_a_training_that_gives_way_to_another_is_what_it_would_be_if_asked_for_there(world: World) -> None:
    moved = move_training(review(world), world.store.root / "output-2")
    asked = review(world, output="output-2")
    assert moved == asked.model_copy(update={"chosen": False})
    assert design_of(moved)["name"] == "output-2"


def test_rows_that_changed_since_make_another_training_and_those_trained_on_stay(world: World) -> None:
    first = review(world)
    there = world_at(world.store.root / "output")
    begin_training(first, reason="to see", world=there)
    kept = there.store.read_text(first.prepared_path)
    assert not is_taken(review(world), world=there)
    rows = world.store.root / "rows.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("say 3", "tell 3"), encoding="utf-8")
    assert is_taken(review(world), world=there)
    with pytest.raises(PlanError, match=r"another training: its rows are not those that `rows\.jsonl` makes"):
        begin_training(review(world), reason="again", world=there)
    assert there.store.read_text(first.prepared_path) == kept


def test_a_model_that_cannot_be_read_is_told_by_its_own_fault(world: World) -> None:
    (world.store.root / "broken").mkdir()
    (world.store.root / "broken" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(SiteError, match="broken"):
        review(world, model="broken")
