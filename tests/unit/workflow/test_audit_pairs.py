"""Repeated answers: those of one checkpoint to one prompt, from every run that sampled."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from cruijff_kit.ports import World
from cruijff_kit.rendering.tables import predictions_parquet
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.evaluation import Evaluation, Generation
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.workflow.audit_pairs import Together, repeated_answers, row_sha256, worded_scorer
from tests.fakes.experiment import SMALL, design_of, plan_of, seal
from tests.optioned_run import optioned_answers, sealed_world


@pytest.fixture
def sampled(tmp_path: Path) -> tuple[World, Plan]:
    """Return an experiment whose first two runs sample, and whose others do not."""
    world, plan = sealed_world(tmp_path / "experiment")
    draws = {at: Generation(do_sample=True, temperature=0.7, seed=at) for at in (0, 1)}
    runs = [
        run.model_copy(update={"generation": draws[at]}) if at in draws else run for at, run in enumerate(plan.runs)
    ]
    plan = plan_of(SMALL).model_copy(update={"runs": tuple(runs)})
    seal(world.store.root, design_of(SMALL), plan=plan)
    return world, plan


def collected(world: World, runs: Sequence[PlannedRun], *, checkpoint: Sequence[str]) -> tuple[Prediction, ...]:
    """Collect forty answers of each run, each by its checkpoint; return those of the first."""
    outputs, found = {}, []
    for run, sha256 in zip(runs, checkpoint, strict=True):
        answers = [each.model_copy(update={"checkpoint_sha256": sha256})
                   for each in optioned_answers(run.id, split="test", n=40)]  # fmt: skip
        path = ExperimentLayout.predictions_of(run.id)
        world.store.write(path, predictions_parquet(answers))
        outputs[path], found = world.store.digest(path) or "", [*found, tuple(answers)]
    event = AuditEvent(
        actor=world.actor, verb="collect", action=Action.COLLECT_RESULTS, subject="experiment", outputs=outputs
    )
    world.audit.append(event)
    return found[0]


def repeated(world: World, plan: Plan, chosen: Sequence[Prediction]) -> Together:
    return repeated_answers(plan, plan.runs[0], chosen=chosen, evaluation=Evaluation(), world=world)


def test_answers_of_runs_that_sample_by_the_same_checkpoint_belong_together(sampled: tuple[World, Plan]) -> None:
    world, plan = sampled
    chosen = collected(world, plan.runs[:3], checkpoint=["34" * 32] * 3)
    told = repeated(world, plan, chosen)
    # The third run does not sample: its answer is no further draw.
    assert [len(each) for each in told.items] == [2] * 40
    assert {len({answer.prompt_token_sha256 for answer in each}) for each in told.items} == {1}


def test_another_checkpoint_or_no_sampling_repeats_nothing(sampled: tuple[World, Plan]) -> None:
    world, plan = sampled
    chosen = collected(world, plan.runs[:2], checkpoint=["34" * 32, "56" * 32])
    told = repeated(world, plan, chosen)
    assert (told.items, "answered twice" in told.reason) == ((), True)
    greedy = plan.model_copy(update={"runs": tuple(run.model_copy(update={"generation": None}) for run in plan.runs)})
    assert "not sampled" in repeated(world, greedy, chosen).reason


def test_sampled_answers_are_judged_by_their_words() -> None:
    assert [worded_scorer(each) for each in (("risk", "includes"), ("risk",), (), ("decision",))] == [
        "includes", "match", "match", "decision",
    ]  # fmt: skip


def test_a_row_s_hash_does_not_depend_on_what_its_columns_are_called() -> None:
    assert row_sha256({"input": "a", "output": "b"}) == row_sha256({"answer": "b", "question": "a"})
    assert row_sha256({"input": "a", "output": "b"}) != row_sha256({"input": "a", "output": "c"})
    days = date(2026, 1, 2), date(2026, 1, 3)
    assert row_sha256({"input": "a", "day": days[0]}) != row_sha256({"input": "a", "day": days[1]})
