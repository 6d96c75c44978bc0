import hashlib
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.cli.spot_text import spot_text
from cruijff_kit.data.tokens import Encoding, encode_prompt, prompt_sha256
from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.mcp_server.result_replies import FiguresReply
from cruijff_kit.ports import Asking, World
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell
from cruijff_kit.schema.prediction import Completion, Prediction, PromptIds, TokenLogprob
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.consent import allow_data, preview_allow
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from cruijff_kit.workflow.spot_check import asked_rows, spot_check_run
from cruijff_kit.workflow.train_samples import sample_training
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.eval_logs import write_log
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

TOP = ((TokenLogprob(token_id=1, token="1", logprob=-0.1),),)
DATA = DESIGN["data"]


class Oracle:
    """Always answers `1`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PromptIds] = []
        self.stop_ids: Sequence[int] = ()

    def ask(self, prompts: Sequence[PromptIds], asking: Asking, *, stop_ids: Sequence[int] = ()) -> list[Completion]:
        self.asked += prompts
        self.stop_ids = stop_ids
        return [Completion(token_ids=(1,), text=" 1", stopped=True, top=TOP) for _ in prompts]


class Models(FakeHub):
    """One base model; its adapters by directory."""

    def __init__(self, base: Oracle) -> None:
        super().__init__(model_facts(), tokenizers={"/models/tiny": byte_level()}, inferences={"/models/tiny": base})
        self.base = base
        self.worn: str | None = None
        self.library: Library | None = None

    def inference(self, path: str, *, adapter: str | None = None, backend: Library = "torch") -> Oracle:
        self.worn, self.library = adapter, backend
        return self.base


def scaffolded(root: Path, oracle: Oracle, **changes: Any) -> World:
    world = world_at(root)._replace(hub=Models(oracle))
    put_design(root, design(**changes))
    scaffold_runs(world=world)
    return world


def run_of(world: World, kind: str) -> str:
    return next(run.id for run in recorded_plan(world=world)[0].runs if run.type == kind)


def finish_training(world: World, run: str) -> None:
    done = Done(exit_code=0, artefacts={}, finished=world.clock.now())
    world.store.write(RunLayout(run).done("train"), done.model_dump_json())


def test_a_run_is_asked_by_the_library_that_trained_it(tmp_path: Path) -> None:
    for name, library in (("mlx", "mlx"), ("peft", "torch")):
        world = scaffolded(tmp_path / name, Oracle(), tools={"preparation": name})
        spot_check_run(run_of(world, "control"), count=1, world=world)
        assert isinstance(world.hub, Models)
        assert world.hub.library == library


def test_the_first_rows_of_the_evaluation_are_put_to_the_model(tmp_path: Path) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle)
    seen = spot_check_run(run_of(world, "control"), count=3, world=world)
    encoding = Encoding(dataset_type="chat_completion")
    assert [sample.sample_id for sample in seen.samples] == ["test-0", "test-1", "test-2"]
    assert [sample.prompt_ids for sample in seen.samples] == oracle.asked
    text = seen.samples[0].prompt.split("user<|end|>\n\n")[1].split("<|eot|>")[0]
    assert oracle.asked[0] == encode_prompt({"input": text}, encoding=encoding, tokenizer=byte_level())
    assert (seen.epoch, seen.scorer, seen.split) == (None, "match", "test")


def test_rows_are_told_as_a_model_is_asked_them_without_asking_it(tmp_path: Path) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle)
    told = asked_rows(run_of(world, "control"), count=3, world=world)
    assert oracle.asked == []
    seen = spot_check_run(run_of(world, "control"), count=3, world=world)
    assert told == tuple((each.prompt, each.prompt_ids, each.expected) for each in seen.samples)


def test_a_training_s_samples_are_asked_once_before_and_once_after_it(tmp_path: Path) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle)
    finish_training(world, run_of(world, "fine-tuned"))
    found = sample_training(count=2, world=world)
    assert [each.after for each in found.samples] == [" 1", " 1"]
    assert oracle.asked[:2] == oracle.asked[2:]
    assert len(oracle.asked) == 4


def test_each_answer_is_judged_by_the_primary_scorer(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    seen = spot_check_run(run_of(world, "control"), count=8, world=world)
    assert {sample.got for sample in seen.samples} == {" 1"}
    assert all(sample.match == (sample.expected == "1") for sample in seen.samples)
    assert seen.samples[0].top == TOP


def test_answers_end_where_training_ends_them(tmp_path: Path) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle)
    spot_check_run(run_of(world, "control"), world=world)
    assert byte_level().convert_tokens_to_ids("<|eot|>") in oracle.stop_ids


def test_a_trained_run_answers_with_its_last_adapter(tmp_path: Path) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle)
    run = run_of(world, "fine-tuned")
    finish_training(world, run)
    assert spot_check_run(run, world=world).epoch == 1
    assert isinstance(world.hub, Models)
    assert world.hub.worn == str(tmp_path / "outputs" / RunLayout(run).epoch(1))


def test_a_run_without_evaluation_answers_to_its_validation_rows(tmp_path: Path) -> None:
    bare = {"tools": {"evaluation": "none"}, "evaluation": {}, "runs": []}
    world = scaffolded(tmp_path, Oracle(), **bare)
    run = run_of(world, "fine-tuned")
    finish_training(world, run)
    seen = spot_check_run(run, world=world)
    assert (seen.epoch, seen.split) == (1, "validation")


def test_a_run_that_is_not_trained_is_refused(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    with pytest.raises(RunError, match="has not finished training"):
        spot_check_run(run_of(world, "fine-tuned"), world=world)


@pytest.mark.parametrize(
    "tier, fact", (("red", "the data is red: it is never shown"), ("yellow", "yellow, and no consent is on record"))
)
def test_rows_that_may_not_be_shown_never_reach_the_answer(tmp_path: Path, tier: str, fact: str) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle, data={**DATA, "tier": tier})
    with pytest.raises(RunError, match=fact):
        spot_check_run(run_of(world, "control"), world=world)
    assert not oracle.asked


def test_yellow_rows_are_shown_with_recorded_consent(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle(), data={**DATA, "tier": "yellow"})
    allow_data(preview_allow(way="show", world=world), reason="to look at answers", who="Ada", world=world)
    assert len(spot_check_run(run_of(world, "control"), count=2, world=world).samples) == 2


def evaluated(world: World, run: str, **changes: Any) -> World:
    """Return the world in which the run's last evaluation recorded two options for the first rows, changed alike."""
    cell = max(next(each.cells for each in recorded_plan(world=world)[0].runs if each.id == run), key=last_epoch)
    seen = spot_check_run(run, count=4, world=world).samples
    records = [
        Prediction(
            sample_id=each.sample_id, run=run, epoch=cell.epoch, task=cell.task.name, split="test",
            target=each.expected, prediction="1", correct=each.match, completion=each.got,
            options=("0", "1"), option_logprobs=(log(0.2), log(0.6)), option_mass=0.8,
            checkpoint_sha256="0" * 64, prompt_token_sha256=prompt_sha256(each.prompt_ids),
        ).model_copy(update=changes)
        for each in seen
    ]  # fmt: skip
    log_file = world.store.root / RunLayout(run).cell_logs(cell.name) / "2026.eval"
    write_log(log_file, records)
    digest = hashlib.sha256(log_file.read_bytes()).hexdigest()
    done = Done(exit_code=0, artefacts={str(log_file): digest}, samples=len(records), finished=world.clock.now())
    world.store.write(RunLayout(run).cell_done(cell.name), done.model_dump_json())
    return world._replace(evaluations=InspectLogs())


def last_epoch(cell: Cell) -> int:
    return -1 if cell.epoch is None else cell.epoch


@pytest.mark.parametrize("kind", ("control", "fine-tuned"))
def test_the_options_that_the_last_evaluation_scored_stand_beside_the_answer(tmp_path: Path, kind: str) -> None:
    world = scaffolded(tmp_path, Oracle())
    run = run_of(world, kind)
    if kind == "fine-tuned":
        finish_training(world, run)
    seen = spot_check_run(run, count=5, world=evaluated(world, run))
    assert seen.unscored == ""
    assert [len(sample.options) for sample in seen.samples] == [2, 2, 2, 2, 0]
    first = seen.samples[0]
    assert [each.option for each in first.options] == ["0", "1"]
    assert [each.probability for each in first.options] == pytest.approx([0.2, 0.6])
    assert [each.share for each in first.options] == pytest.approx([0.25, 0.75])
    assert first.option_mass == 0.8


@pytest.mark.parametrize(
    "changes, said",
    (
        ({"options": (), "option_logprobs": (), "option_mass": None}, "`bits` scores no options"),
        ({"prompt_token_sha256": "0" * 64}, "the evaluation was made of other prompts"),
    ),
)
def test_probabilities_of_another_prompt_or_of_no_options_are_not_shown(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    world = scaffolded(tmp_path, Oracle())
    run = run_of(world, "control")
    seen = spot_check_run(run, count=3, world=evaluated(world, run, **changes))
    assert (seen.unscored, seen.samples[0].options) == (said, ())


def test_before_any_evaluation_the_check_says_that_no_options_were_scored(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    assert spot_check_run(run_of(world, "control"), world=world).unscored == "it was not evaluated"


def test_a_spot_check_is_told_in_aligned_columns_without_control_characters(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    run = run_of(world, "control")
    found = spot_check_run(run, count=1, world=evaluated(world, run))
    hostile = tuple(
        tuple(TokenLogprob(token_id=1, token=token, logprob=-1.0) for token in row)
        for row in (("\x1b[31m", "日本"), ("a", "é"), ("b",))
    )
    text = spot_text(found.model_copy(update={"samples": (found.samples[0].model_copy(update={"top": hostile}),)}))
    assert "\x1b" not in text
    rows = text.splitlines()
    start = next(at for at, row in enumerate(rows) if row.lstrip().startswith("token"))
    assert [row.split() for row in rows[start + 2 : start + 5]] == [
        ["0", "'\\x1b[31m'", "0.368", "'日本'", "0.368"], ["1", "'a'", "0.368", "'é'", "0.368"], ["2", "'b'", "0.368"],
    ]  # fmt: skip
    # A wide letter takes two columns: the row that has two of them is two characters shorter up to the last column.
    ends = [rows[start + 2 + at].rindex("0.368") for at in (0, 1)]
    assert ends[0] == ends[1] - 2
    assert [row.split()[-2:] for row in rows if row.startswith("  '1'")] == [["0.6000", "0.750"]]
    assert "all options together: 0.8000" in text
    assert f"ids       {' '.join(map(str, found.samples[0].prompt_ids[:24]))}" in text


def test_a_reply_to_an_assistant_has_the_probabilities_too(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    run = run_of(world, "control")
    (reply,) = FiguresReply.answered(spot_check_run(run, count=1, world=evaluated(world, run))).answers
    assert reply.top == [{"1": -0.1}]
    assert (reply.options, reply.option_mass) == ({"0": 0.2, "1": 0.6}, 0.8)


def test_a_data_set_that_changed_is_refused(tmp_path: Path) -> None:
    world = scaffolded(tmp_path, Oracle())
    (path,) = (each for each in (tmp_path / "data").glob("*.json") if not each.name.endswith(".meta.json"))
    path.write_text('{"test": [{"input": "000000", "output": "0"}]}', encoding="utf-8")
    with pytest.raises(RunError, match="is not the one that was planned"):
        spot_check_run(run_of(world, "control"), world=world)


@pytest.mark.parametrize("count", (0, 51))
def test_a_count_out_of_range_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(SpecError, match=f"`count` is `{count}`"):
        spot_check_run("base", count=count, world=world_at(tmp_path))


def test_nothing_can_be_checked_before_it_is_scaffolded(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="not scaffolded"):
        spot_check_run("base", world=world_at(tmp_path))
