"""`ck predict`: a text, lines of a pipe, a file; every line answered in order, and gone on with where it stopped."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.cli.main import cli
from cruijff_kit.data.structured import answer_json
from cruijff_kit.errors import CruijffError, RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.answer import AnswerForm, Question, RawAnswer, Thresholds
from cruijff_kit.schema.serving import ModelChoice, ServedModel
from cruijff_kit.workflow import (
    open_predictor,
    predict_file,
    predict_lines,
    predict_text,
    predict_texts,
    recorded_plan,
    scaffold_runs,
)
from cruijff_kit.workflow.predict import Predictor
from cruijff_kit.workflow.tiers import tier_of
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.serving import FakeClassifier, FakeServing
from tests.malformed import malformed_lines
from tests.random_model import random_base

FORM = AnswerForm(options=("HIGH_RISK", "LOW_RISK"), batch_size=8)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("predict") / "tiny-base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "experiment").mkdir()
    world = world_at(tmp_path / "experiment")
    return world._replace(hub=LocalHub(cache=tmp_path / "cache"), serving=FakeServing(), shelf=DiskShelf())


def predictor(world: World, *bases: str, form: AnswerForm = FORM, **thresholds: float) -> Predictor:
    choices = [ModelChoice(model=each, device="cpu") for each in bases]
    return open_predictor(choices, form, thresholds=Thresholds(**thresholds), world=world)


def ran(folder: Path, *arguments: str, typed: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["-C", str(folder), "predict", *arguments], input=typed)


# Every line is answered.


def mixed_lines() -> list[bytes]:
    """Return a thousand malformed lines with a sound one behind every tenth."""
    lines = list(malformed_lines(1000, seed=3))
    for at in range(len(lines), 0, -10):
        label = ("HIGH_RISK", "LOW_RISK", "nothing")[at % 3]
        lines.insert(at, json.dumps({"text": f"it is {label}", "example_id": f"n{at}"}).encode())
    return lines


def test_a_thousand_malformed_lines_are_abstentions_with_reasons_among_a_hundred_answers(
    base: str, world: World
) -> None:
    lines = mixed_lines()
    asked = BytesIO(b"\n".join(lines))
    answers = list(predict_lines(asked, predictor=predictor(world, base), world=world))
    assert [answer.line for answer in answers] == list(range(1, len(lines) + 1))
    sound = [answer for answer in answers if answer.id and answer.id.startswith("n")]
    assert [answer.decision for answer in sound].count(None) == 33
    for answer, line in zip(answers, lines, strict=True):
        assert answer.abstain == (answer.decision is None) == bool(answer.reason)
        assert answer in sound or answer.abstain, line[:80]
        assert json.loads(answer.model_dump_json())["line"] == answer.line


def test_a_file_is_answered_as_its_lines_are_and_recorded(base: str, world: World) -> None:
    (world.store.root / "in.jsonl").write_bytes(b"\n".join(mixed_lines()))
    told: list[tuple[int, int]] = []
    receipt = predict_file(
        "in.jsonl", "out.jsonl", predictor=predictor(world, base),
        progress=lambda done, total, _: told.append((done, total)), world=world,
    )  # fmt: skip
    lines = (world.store.root / "out.jsonl").read_text(encoding="utf-8").splitlines()
    with (world.store.root / "in.jsonl").open("rb") as file:
        piped = list(predict_lines(file, predictor=predictor(world, base), world=world))
    assert lines == [answer.model_dump_json() for answer in piped]
    assert (receipt.answers, receipt.abstentions) == (1100, 1033)
    assert receipt.decisions == {"HIGH_RISK": 33, "LOW_RISK": 34}
    assert receipt.too_many_abstentions
    assert told[-1] == (1100, 1100)
    assert sorted(path.name for path in world.store.root.iterdir()) == ["in.jsonl", "out.jsonl"]
    with pytest.raises(SpecError, match=r"`out\.jsonl` is there already"):
        predict_file("in.jsonl", "out.jsonl", predictor=predictor(world, base), world=world)


class Interrupted(FakeClassifier):
    """A model that is interrupted when it is asked for the nth time."""

    left = 40

    def ask(self, questions: Sequence[Question]) -> list[RawAnswer]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().ask(questions)


class Stopping(FakeServing):
    """Loads such models."""

    def classifier(self, served: ServedModel, form: AnswerForm) -> FakeClassifier:
        return Interrupted(served, form)


def test_stopped_at_any_time_the_same_call_goes_on_and_writes_the_same_file(base: str, world: World) -> None:
    lines = [json.dumps({"text": f"{at} is HIGH_RISK"}) for at in range(700)]
    (world.store.root / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    predict_file("in.jsonl", "whole.jsonl", predictor=predictor(world, base), world=world)
    for _ in range(2):
        stopped = world._replace(serving=Stopping())
        with pytest.raises(KeyboardInterrupt):
            predict_file("in.jsonl", "out.jsonl", predictor=predictor(stopped, base), world=stopped)
        assert not (world.store.root / "out.jsonl").exists()
    other = predictor(world, base, default_threshold=0.5)
    assert predict_file("in.jsonl", "other.jsonl", predictor=other, world=world).kept == 0
    receipt = predict_file("in.jsonl", "out.jsonl", predictor=predictor(world, base), world=world)
    assert receipt.kept == 512
    assert world.store.read("out.jsonl") == world.store.read("whole.jsonl")


# One and several models.


def test_one_text_has_one_answer_whatever_it_and_its_metadata_are(base: str, world: World) -> None:
    one = predictor(world, base)
    assert predict_text("so LOW_RISK", '{"a": 1}', predictor=one, world=world).decision == "LOW_RISK"
    for text, metadata, reason in (
        ("", "", "`text` is empty"),
        ("a", "{", "`metadata` is not valid JSON"),
        ("a", "[1]", "`metadata` is a list, not an object"),
        ("SAY HIGH_RISK, surely", "", "the answer holds no JSON object"),
        (f"SAY {answer_json('MEDIUM')}", "", "`MEDIUM` is none of the labels"),
    ):
        answer = predict_text(text, metadata, predictor=one, world=world)
        assert answer.abstain
        assert answer.reason.startswith(reason)


def test_what_the_first_model_is_not_sure_of_goes_to_the_second_alone(base: str, tmp_path: Path, world: World) -> None:
    other = random_base(tmp_path / "other", seed=7)
    two = predictor(world, base, other, cascade_threshold=0.95, default_threshold=0.7)
    first, second = (stage.classifier for stage in two.stages)
    assert isinstance(first, FakeClassifier)
    assert isinstance(second, FakeClassifier)
    texts = ["is HIGH_RISK", "is nothing", "  "]
    answers = list(predict_texts([Question(text=each) for each in texts[:2]], predictor=two, world=world))
    assert [answer.model_id for answer in answers] == [two.stages[1].model_id] * 2
    sure = predictor(world, base, other, cascade_threshold=0.8)
    asked = list(predict_texts([Question(text=each) for each in texts[:2]], predictor=sure, world=world))
    assert [answer.model_id for answer in asked] == [sure.stages[0].model_id, sure.stages[1].model_id]
    assert first.asked == second.asked == texts[:2]
    assert [each.asked for each in (sure.stages[1].classifier,) if isinstance(each, FakeClassifier)] == [texts[1:2]]
    assert answers[0].decision == "HIGH_RISK"


# What a run was trained on.


def of_run(folder: Path, base: str, *, tier: str, **task: Any) -> tuple[World, str]:
    world = world_at(folder / "experiment")._replace(hub=LocalHub(cache=folder / "cache"), serving=FakeServing())
    spec = design(
        models=[{"name": "tiny", "path": base}], factors={}, runs=[{"name": "base", "type": "control"}],
        controls={"seeds": [1], "epochs": 1, "max_seq_len": 128},
        evaluation={"tasks": [{"name": "words", "task": "rows", "scorers": ["match"], **task}]},
    )  # fmt: skip
    data = type(spec.data).model_validate({**spec.data.model_dump(), "tier": tier})
    put_design(world.store.root, spec.model_copy(update={"data": data}))
    scaffold_runs(world=world)
    return world._replace(shelf=DiskShelf()), next(
        run.id for run in recorded_plan(world=world)[0].runs if run.type == "control"
    )


def test_answers_of_a_run_on_red_data_are_neither_shown_nor_written_where_others_may_look(
    base: str, tmp_path: Path
) -> None:
    world, run = of_run(tmp_path, base, tier="red")
    asked = open_predictor([ModelChoice(run=run, device="cpu")], FORM, world=world)
    with pytest.raises(RunError, match=f"answers of run `{run}` are not shown: the data is red"):
        predict_text("is HIGH_RISK", predictor=asked, world=world)
    (world.store.root / "in.jsonl").write_text('{"text": "is HIGH_RISK"}\n', encoding="utf-8")
    predict_file("in.jsonl", "out.jsonl", predictor=asked, world=world)
    assert tier_of(world.store.root / "out.jsonl", world=world) == "red"


def test_answers_lie_as_closely_as_the_data_their_model_was_trained_on(base: str, tmp_path: Path) -> None:
    world, run = of_run(tmp_path, base, tier="green")
    asked = open_predictor([ModelChoice(run=run, device="cpu")], FORM, world=world)
    (world.store.root / "in.jsonl").write_text('{"text": "is HIGH_RISK"}\n', encoding="utf-8")
    data = world.store.root / recorded_plan(world=world)[0].datasets[0].path
    (data.parent / "TIER").write_text("red\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"trained on red data, and `out\.jsonl` would be green"):
        predict_file("in.jsonl", "out.jsonl", predictor=asked, world=world)
    assert predict_file("in.jsonl", "data/out.jsonl", predictor=asked, world=world).answers == 1


def test_answers_of_a_run_on_green_data_are_shown(base: str, tmp_path: Path) -> None:
    world, run = of_run(tmp_path, base, tier="green")
    asked = open_predictor([ModelChoice(run=run, device="cpu")], FORM, world=world)
    assert predict_text("is HIGH_RISK", predictor=asked, world=world).decision == "HIGH_RISK"


def test_labels_are_those_the_run_is_evaluated_on_where_none_are_named(base: str, tmp_path: Path) -> None:
    options = ["House", "Tree"]
    world, run = of_run(tmp_path, base, tier="green", scorers=["risk"], options=options)
    assert open_predictor([ModelChoice(run=run, device="cpu")], AnswerForm(), world=world).form.options == tuple(
        options
    )


# The command.


def test_the_command_answers_a_text_lines_and_a_file_in_json_held_to_its_form(base: str, tmp_path: Path) -> None:
    model = ("--model", base, "--device", "cpu", "--options", "A,B", "--option", "C, or D", "--threshold", "0")
    short = ("--max-tokens", "60", "--prompt", "{text}", "--system", "Decide.")
    one = ran(tmp_path, *model, *short, "--text", "hello", "--metadata", '{"a": 1}')
    assert one.exit_code == 0, one.output
    answer = json.loads(one.stdout)
    assert set(answer) >= {
        "decision", "rationale", "abstain", "reason", "probs", "max_prob", "latency_ms", "cost_cents", "model_id",
        "raw_output",
    }  # fmt: skip
    assert list(answer["probs"]) == ["A", "B", "C, or D"]
    assert json.loads(answer["raw_output"])["decision"] == answer["decision"]
    lines = b'{"text": "hello"}\n{bad\n\xff\n'
    piped = ran(tmp_path, *model, *short, typed=lines)
    first, bad, binary = map(json.loads, piped.stdout.splitlines())
    assert {name: first[name] for name in ("decision", "probs")} == {
        name: answer[name] for name in ("decision", "probs")
    }
    assert (bad["abstain"], binary["reason"]) == (True, "the line is not UTF-8")
    (tmp_path / "in.jsonl").write_bytes(lines)
    filed = ran(tmp_path, *model, *short, "--in", "in.jsonl", "--out", "out.jsonl")
    assert "out.jsonl: 3 answers" in filed.stdout
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    timeless: list[dict[str, Any]] = [{**each, "latency_ms": 0} for each in (first, bad, binary)]
    assert [{**each, "latency_ms": 0} for each in written] == timeless


@pytest.mark.parametrize(
    "arguments, words",
    (
        (("--text", "a", "--out", "x.jsonl"), "`--text` is one text"),
        (("--in", "x.jsonl"), "belong together"),
        (("--metadata", "{}"), "belongs to `--text`"),
        (("--text", "a", "--threshold", "0.9"), "below `default_threshold`"),
        (("--text", "a"), "no model is named"),
    ),
)
def test_options_that_contradict_each_other_are_refused_in_words(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    result = ran(tmp_path, *arguments)
    assert isinstance(result.exception, CruijffError)
    assert words in str(result.exception)
