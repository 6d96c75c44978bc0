"""Showing and converting data, and the gate that stands before a submission."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.data import data as data_command
from cruijff_kit.errors import CruijffError, PlanError, RunError, SpecError
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow.adopt import adopt_edit
from cruijff_kit.workflow.conversion import convert_data
from cruijff_kit.workflow.data_view import show_data
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from cruijff_kit.workflow.submit import preview_submission, retry_run, submit_jobs
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.fakes.scheduler import FakeScheduler
from tests.tokenizer_zoo import CHATML, byte_level

pytestmark = pytest.mark.once

SPLITS = {
    "train": [{"input": f"word {at}", "output": f"Word {at}"} for at in range(8)],
    "validation": [{"input": "other", "output": "Other"}],
    "test": [{"input": "last", "output": "Last"}],
}
FILE = {"training": {"path": "words.json"}, "tier": "green"}
ONE: dict[str, Any] = {"factors": {}, "controls": {"seeds": [1]}, "data": FILE}
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


class Counting(FakeHub):
    """A hub that counts how often it is asked for a tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(model_facts(), tokenizers={"/models/tiny": tokenizer})
        self.asked = 0

    def tokenizer(self, path: str) -> Tokenizer:
        self.asked += 1
        return super().tokenizer(path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a data file and no design yet."""
    world = world_at(tmp_path / "parity")._replace(hub=Counting(byte_level()))
    put(world, SPLITS)
    return world


def put(world: World, splits: Any, name: str = "words.json") -> None:
    world.store.root.mkdir(exist_ok=True)
    (world.store.root / name).write_text(json.dumps(splits), encoding="utf-8")


def designed(world: World, **changes: Any) -> None:
    put_design(world.store.root, design(**{**ONE, **changes}))


def scaffolded(world: World, **changes: Any) -> str:
    designed(world, **changes)
    return scaffold_runs(world=world).plan_id


def tuned(world: World) -> str:
    return recorded_plan(world=world)[0].runs[0].id


def asked(world: World) -> int:
    assert isinstance(world.hub, Counting)
    return world.hub.asked


def queued(world: World) -> int:
    assert isinstance(world.scheduler, FakeScheduler)
    return len(world.scheduler.requests)


def proofs(world: World) -> list[AuditRecord]:
    return [record for record in world.audit.records() if "mask" in record.outputs]


def broken(answer: str = "b<|eot|>c") -> dict[str, Any]:
    return {**SPLITS, "train": [*SPLITS["train"], {"input": "a", "output": answer}]}


def refusal(fails: Any, kind: type[CruijffError]) -> str:
    with pytest.raises(kind) as caught:
        fails()
    return str(caught.value)


def test_what_the_design_proved_is_recorded_and_not_proven_again_by_a_submission(world: World) -> None:
    write_design(json.dumps({**DESIGN, **ONE}), reason="first", world=world)
    (proof,) = proofs(world)
    assert proof.action is Action.VERIFY_DATASET
    assert proof.outputs["mask"] == "proven on all 8 rows of `train`, all 1 rows of `validation`"
    before = asked(world)
    plan = scaffold_runs(world=world).plan_id
    preview_submission(plan, world=world)
    submit_jobs(plan, world=world)
    assert asked(world) == before
    assert proofs(world) == [proof]


def test_a_submission_proves_and_records_what_is_not_on_record_once(world: World) -> None:
    plan = scaffolded(world)
    preview_submission(plan, world=world)
    assert proofs(world) == []
    submit_jobs(plan, world=world)
    assert len(proofs(world)) == 1
    before = asked(world)
    submit_jobs(plan, world=world)
    assert asked(world) == before
    assert len(proofs(world)) == 1


@pytest.mark.parametrize("ask", (preview_submission, submit_jobs))
def test_jobs_that_would_learn_something_else_are_refused_with_row_fact_and_remedy(ask: Any, world: World) -> None:
    put(world, broken())
    plan = scaffolded(world)
    told = refusal(lambda: ask(plan, world=world), PlanError)
    assert "train[8]: an answer holds an end token before its end" in told
    assert "hint: look at the row with `ck data show`" in told
    assert queued(world) == 0
    assert proofs(world) == []


def test_the_design_check_refuses_the_same_rows(world: World) -> None:
    put(world, broken())
    told = refusal(lambda: check_design(json.dumps({**DESIGN, **ONE}), world=world), SpecError)
    assert "train[8]: an answer holds an end token before its end" in told


def test_an_adopted_edit_is_proven_before_it_is_submitted(world: World) -> None:
    write_design(json.dumps({**DESIGN, **ONE}), reason="first", world=world)
    scaffold_runs(world=world)
    path = RunLayout(tuned(world)).config
    text = world.store.read_text(path) or ""
    world.store.write(
        path, text.replace("overlong: refuse", "overlong: truncate").replace("max_seq_len: 2048", "max_seq_len: 25")
    )
    plan = adopt_edit(tuned(world), reason="shorter", world=world).plan_id
    told = refusal(lambda: submit_jobs(plan, world=world), PlanError)
    assert "leaves no room for an answer; `max_seq_len` is `25`" in told
    assert queued(world) == 0


def test_a_retry_passes_the_gate_too(world: World) -> None:
    plan = scaffolded(world)
    submit_jobs(plan, world=world)
    assert len(proofs(world)) == 1
    told = refusal(lambda: retry_run(tuned(world), reason="none failed", world=world), RunError)
    assert "nothing to retry" in told


def test_where_tokenizers_cannot_be_read_the_jobs_are_left_to_prove_their_rows_and_that_is_recorded(
    world: World,
) -> None:
    bare = world._replace(hub=FakeHub(model_facts()))
    submit_jobs(scaffolded(bare), world=bare)
    assert queued(bare) == 3
    (warning,) = proofs(bare)
    assert warning.action is Action.WARNING
    assert "each job proves its rows before its first step" in warning.outputs["mask"]


def test_an_evaluation_alone_has_nothing_to_prove(world: World) -> None:
    put(world, broken())
    plan = scaffolded(world, runs=[{"name": "base", "type": "control"}], tools={"preparation": "none"})
    submit_jobs(plan, world=world)
    assert (queued(world), asked(world), proofs(world)) == (1, 0, [])


def test_a_folder_of_split_files_is_sealed_by_its_content(world: World) -> None:
    convert_data("words.json", "words", world=world)
    plan = scaffolded(world, data={"training": {"path": "words"}, "tier": "green"})
    assert recorded_plan(world=world)[0].datasets[0].sha256 == data_sha256(world.store.root / "words")
    preview_submission(plan, world=world)
    (world.store.root / "words" / "test.parquet").unlink()
    assert "is not as it was sealed" in refusal(lambda: submit_jobs(plan, world=world), PlanError)


def test_a_folder_that_says_how_closely_it_is_kept_is_heeded(world: World) -> None:
    convert_data("words.json", "words", world=world)
    text = json.dumps({**DESIGN, **ONE, "data": {"training": {"path": "words"}, "tier": "green"}})
    check_design(text, world=world)
    (world.store.root / "words" / "TIER").write_text("red\n", encoding="utf-8")
    assert "is marked `red`" in refusal(lambda: check_design(text, world=world), SpecError)


def test_conversations_are_designed_checked_and_shown(world: World) -> None:
    put(
        world,
        {"train": [{"messages": TALK}], "validation": [{"messages": [*TALK, TALK[0] | {"content": "c"}, TALK[1]]}]},
    )
    tasks = {"tasks": [{"name": "talks", "task": "rows", "split": "validation"}]}
    designed(world, controls={"seeds": [1], "dataset_type": "chat"}, evaluation=tasks)
    view = show_data(world=world)
    assert view.samples[0].text == "<|bos|><|start|>user<|end|>\n\na<|eot|><|start|>assistant<|end|>\n\n⟦b<|eot|>⟧"
    assert (view.samples[0].tokens, view.samples[0].supervised) == (26, 2)
    assert view.proof is not None
    assert view.proof.rows == {"train": 1, "validation": 1}


@pytest.mark.parametrize(
    "changes,path,fact",
    (
        ({"controls": {"prompt": "Q: {input}"}}, "controls.prompt", "`chat` has no prompt template"),
        ({"training": {"input_key": "x"}}, "data.training.input_key", "`chat` reads no `input_key`"),
        ({"training": {"columns": {"messages": "none"}}}, "", "column `none`, which `columns` renames"),
    ),
)
def test_what_conversations_would_not_heed_is_refused(
    changes: dict[str, Any], path: str, fact: str, world: World
) -> None:
    put(world, {"train": [{"messages": TALK}]})
    controls = {"seeds": [1], "dataset_type": "chat", **changes.get("controls", {})}
    training = {"path": "words.json", **changes.get("training", {})}
    text = {**DESIGN, **ONE, "controls": controls, "data": {"training": training, "tier": "green"}}
    text |= {"tools": {"evaluation": "none"}, "evaluation": {}, "runs": []}
    with pytest.raises(SpecError) as caught:
        check_design(json.dumps(text), world=world)
    (problem,) = caught.value.problems
    assert fact in problem.message
    assert problem.path.endswith(path)


def test_rows_are_shown_as_the_model_reads_them_with_the_verdict(world: World) -> None:
    designed(world)
    view = show_data(count=2, world=world)
    assert [sample.row for sample in view.samples] == ["train[0]", "train[1]"]
    assert view.samples[0].text.endswith("assistant<|end|>\n\n⟦Word 0<|eot|>⟧")
    assert view.splits == {"train": 8, "validation": 1, "test": 1}
    assert view.sha256 == data_sha256(world.store.root / "words.json")
    assert (view.problems, view.withheld) == ((), "")


def test_wrong_rows_are_shown_with_what_is_wrong_and_how_to_mend_it(world: World) -> None:
    put(world, broken())
    designed(world)
    view = show_data(world=world)
    assert view.proof is None
    assert "train[8]: an answer holds an end token before its end" in view.problems[0]


@pytest.mark.parametrize(
    "data,why",
    (
        ({"tier": "red"}, "the data is red"),
        ({"tier": "yellow"}, "the data is yellow, and no consent is on record that `words.json`, as it is now"),
        ({}, "the data is yellow"),
        (
            {"tier": "yellow", "consent": {"who": "Ada", "when": "2026-11-20", "why": "unrecorded"}},
            "the data is yellow",
        ),
    ),
)
def test_rows_are_withheld_as_their_tier_says_but_counted_hashed_and_proven(
    data: dict[str, Any], why: str, world: World
) -> None:
    designed(world, data={"training": FILE["training"], **data})
    view = show_data(world=world)
    assert view.withheld.startswith(why)
    assert bool(view.samples) is (why == "")
    assert view.splits["train"] == 8
    assert view.proof is not None
    if why:
        assert not any(row["input"] in view.model_dump_json() for row in SPLITS["train"])


def test_a_tier_that_was_raised_after_the_design_withholds_rows_too(world: World) -> None:
    designed(world)
    (world.store.root / "TIER").write_text("red", encoding="utf-8")
    view = show_data(world=world)
    assert view.withheld.startswith("the data is red")
    assert view.tier == "red"
    assert view.samples == ()


def test_a_control_run_and_odd_counts_are_refused_in_words(world: World) -> None:
    designed(world, runs=[{"name": "base", "type": "control"}], tools={"preparation": "none"})
    assert "no run of the design trains" in refusal(lambda: show_data(world=world), PlanError)
    for count in (0, 51):
        assert "goes from 1 to 50" in refusal(lambda number=count: show_data(count=number, world=world), SpecError)


@pytest.mark.parametrize("target", ("data/words.jsonl", "data/words.parquet", "data/words"))
def test_a_data_set_is_converted_there_and_back(target: str, world: World) -> None:
    there = convert_data("words.json", target, world=world)
    assert there.splits == {"train": 8, "validation": 1, "test": 1}
    assert there.sha256 == data_sha256(world.store.root / target)
    convert_data(target, "back.json", world=world)
    assert json.loads((world.store.root / "back.json").read_bytes()) == SPLITS
    assert (
        convert_data(str(world.store.root / target), str(world.store.root / "again.json"), world=world).target
        == "again.json"
    )


def test_nothing_is_overwritten_unless_forced(world: World) -> None:
    first = convert_data("words.json", "words.parquet", world=world)
    put(world, {"train": SPLITS["train"][:2]}, "few.json")
    told = refusal(lambda: convert_data("few.json", "words.parquet", world=world), SpecError)
    assert "`words.parquet` is there already" in told
    assert data_sha256(world.store.root / "words.parquet") == first.sha256
    assert convert_data("few.json", "words.parquet", force=True, world=world).splits == {"train": 2}


def test_a_folder_that_holds_other_splits_is_not_mixed_with_new_ones(world: World) -> None:
    convert_data("words.json", "words", world=world)
    put(world, {"train": SPLITS["train"][:2]}, "few.json")
    told = refusal(lambda: convert_data("few.json", "words", force=True, world=world), SpecError)
    assert "folder `words` holds `words/test.parquet` already" in told


@pytest.mark.parametrize(
    "source,target,fact",
    (
        ("none.json", "x.parquet", "`none.json` cannot be read"),
        ("words.json", "../x.parquet", "is not a plain relative path inside the experiment"),
        ("words.json", "x.csv", "names no format that can be written"),
    ),
)
def test_a_conversion_that_cannot_be_is_refused_and_leaves_nothing(
    source: str, target: str, fact: str, world: World
) -> None:
    before = sorted(world.store.root.parent.rglob("*"))
    assert fact in refusal(lambda: convert_data(source, target, world=world), SpecError)
    assert sorted(world.store.root.parent.rglob("*")) == before


@pytest.mark.parametrize("target", ("design.lock.json", "plan.json", "results.parquet", "runs/a/metrics.jsonl", "logs"))
def test_files_of_the_experiment_itself_are_never_replaced_by_data(target: str, world: World) -> None:
    told = refusal(lambda: convert_data("words.json", target, force=True, world=world), SpecError)
    assert "is a place of the experiment's own files" in told


def test_a_sealed_data_set_is_never_replaced(world: World) -> None:
    scaffolded(world, data=DESIGN["data"])
    (sealed,) = [path for path in world.store.glob("data", "*.json") if ".meta" not in path]
    told = refusal(lambda: convert_data("words.json", sealed, force=True, world=world), SpecError)
    assert "is a place of the experiment's own files" in told


def test_a_conversion_in_an_experiment_is_on_its_record(world: World) -> None:
    write_design(json.dumps({**DESIGN, **ONE}), reason="first", world=world)
    receipt = convert_data("words.json", "words.jsonl", world=world)
    record = list(world.audit.records())[-1]
    assert (record.verb, record.subject) == ("convert", "words.jsonl")
    assert record.inputs == {receipt.source: receipt.source_sha256}
    assert record.outputs["sha256"] == receipt.sha256


def ran(world: World, *arguments: str) -> Sequence[str]:
    result = CliRunner().invoke(data_command, list(arguments), obj=str(world.store.root), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_the_commands_print_what_the_verbs_return(world: World) -> None:
    assert ran(world, "convert", "words.json", "words.jsonl")[0] == "words.jsonl: 8 train, 1 validation, 1 test"
    from tests.random_model import random_base

    base = random_base(world.store.root.parent / "base", template=CHATML)
    designed(
        world, models=[{"name": "tiny", "path": base}], data={"training": {"path": "words.jsonl"}, "tier": "green"}
    )
    shown = ran(world, "show", "-n", "1")
    assert "── train[0]: " in shown[4]
    assert shown[-3] == "⟦Word 0<|eot|>⟧"
    assert shown[-1] == "masks proven on all 8 rows of `train`, all 1 rows of `validation`"
    assert json.loads("\n".join(ran(world, "show", "--json")))["dataset_type"] == "chat_completion"
