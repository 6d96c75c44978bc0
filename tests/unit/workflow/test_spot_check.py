from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.tokens import Encoding, encode_prompt
from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.prediction import Completion, PromptIds, TokenLogprob
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from cruijff_kit.workflow.spot_check import spot_check_run
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

TOP = ((TokenLogprob(token_id=1, token="1", logprob=-0.1),),)
DATA = DESIGN["data"]


class Oracle:
    """Always answers `1`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PromptIds] = []
        self.stop_ids: Sequence[int] = ()

    def complete(
        self, prompts: Sequence[PromptIds], *, max_tokens: int, top_logprobs: int = 0, stop_ids: Sequence[int] = ()
    ) -> list[Completion]:
        self.asked += prompts
        self.stop_ids = stop_ids
        return [Completion(token_ids=(1,), text=" 1", stopped=True, top=TOP) for _ in prompts]


class Models(FakeHub):
    """One base model; its adapters by directory."""

    def __init__(self, base: Oracle) -> None:
        super().__init__(model_facts(), tokenizers={"/models/tiny": byte_level()}, inferences={"/models/tiny": base})
        self.base = base
        self.worn: str | None = None

    def inference(self, path: str, *, adapter: str | None = None) -> Oracle:
        self.worn = adapter
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
    "tier, fact", (("red", "its data is red"), ("yellow", "yellow and the design records no consent"))
)
def test_rows_that_may_not_be_shown_never_reach_the_answer(tmp_path: Path, tier: str, fact: str) -> None:
    oracle = Oracle()
    world = scaffolded(tmp_path, oracle, data={**DATA, "tier": tier})
    with pytest.raises(RunError, match=fact):
        spot_check_run(run_of(world, "control"), world=world)
    assert not oracle.asked


def test_yellow_rows_are_shown_with_recorded_consent(tmp_path: Path) -> None:
    consent = {"who": "Ada", "when": "2026-11-20", "why": "to look at answers"}
    world = scaffolded(tmp_path, Oracle(), data={**DATA, "tier": "yellow", "consent": consent})
    assert len(spot_check_run(run_of(world, "control"), count=2, world=world).samples) == 2


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
