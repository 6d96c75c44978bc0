"""Accuracies against the best possible ones: reached, missed, or beyond what can be, and what luck may do."""

from typing import Any

import pytest

from cruijff_kit.analysis.cell_checks import check_cells
from cruijff_kit.analysis.findings import find_all
from cruijff_kit.analysis.known_best import known_bests
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import CellCheck
from tests.unit.analysis.test_cell_checks import PLAN, SPEC, by_setting, table_of

COIN = Ceiling(bayes_accuracy=0.75, on_rows=0.74, commonest=0.74, entropy=0.562, seen=False)


def plan_with(ceiling: Ceiling = COIN, **changed: Any) -> Plan:
    """Return the plan, what can be known of its test split told."""
    facts = PLAN.datasets[0].model_copy(update={"ceilings": {"test": ceiling.model_copy(update=changed)}})
    return PLAN.model_copy(update={"datasets": (facts,)})


def checked(right: dict[str, int], *, plan: Plan, targets: tuple[str, ...] = ()) -> dict[str, CellCheck]:
    table = table_of(right, plan=plan, targets=targets)
    found = check_cells(SPEC, plan, table=table, findings=find_all(SPEC, plan, table=table))
    return {each.kind: each for each in found}


def test_the_ceiling_stands_at_accuracies_of_the_split_that_it_is_known_of() -> None:
    bests = known_bests(SPEC, plan_with())
    assert {task for _, task, _ in bests} == {"capitalization"}
    assert {metric for *_, metric in bests} == {"match", "risk", "numeric_risk"}
    assert known_bests(SPEC, PLAN) == {}
    training = SPEC.data.training.model_copy(update={"output_key": "ones"})
    other = SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"training": training})})
    assert known_bests(other, plan_with()) == {}


def test_runs_at_the_ceiling_are_said_to_have_reached_it() -> None:
    found = checked(by_setting(lambda run: 74 if run.factors.get("lora_rank") == 16 else 40), plan=plan_with())
    assert not found["ceiling"].flagged
    assert found["ceiling"].words.startswith("6 of 12 evaluations reached the best possible accuracy")
    assert "0.750" in found["ceiling"].words
    assert "0.400 against 0.750 and 3 more" in found["ceiling"].words


def test_runs_far_above_the_ceiling_have_seen_the_answers() -> None:
    leaky = next(run.id for run in PLAN.runs if run.factors)
    found = checked(by_setting(lambda run: 95 if run.id == leaky else 74), plan=plan_with())["ceiling"]
    assert found.flagged
    assert found.runs == (leaky,)
    assert f"`{leaky}` on capitalization with 0.950 against 0.750 lies above" in found.words
    assert "leaked" in found.words
    assert "luck" not in found.words


def test_one_interval_of_many_just_above_the_ceiling_may_be_luck_and_is_said_so() -> None:
    lucky = next(run.id for run in PLAN.runs if run.factors)
    found = checked(by_setting(lambda run: 84 if run.id == lucky else 74), plan=plan_with())["ceiling"]
    assert found.flagged
    assert "among 13 intervals luck alone may put it there" in found.words


def test_what_was_trained_on_can_be_known_by_heart() -> None:
    assert "ceiling" not in checked(by_setting(lambda _: 100), plan=plan_with(seen=True))


def test_a_bound_is_called_one() -> None:
    words = checked(by_setting(lambda _: 74), plan=plan_with(upper=True))["ceiling"].words
    assert "0.750, an upper bound" in words


@pytest.mark.parametrize("right, flagged", ((74, True), (60, False)))
def test_runs_are_saturated_at_the_best_possible_value_not_at_one(right: int, flagged: bool) -> None:
    found = checked(by_setting(lambda _: right), plan=plan_with())["saturation"]
    assert found.flagged is flagged
    assert "of at most 0.75" in found.words


def test_runs_that_cannot_do_better_than_chance_are_not_said_to_have_learnt_nothing() -> None:
    targets = ("1",) * 3 + ("0",) * 1
    found = checked(by_setting(lambda _: 74), plan=plan_with(), targets=targets)["floor"]
    assert not found.flagged
    assert "whoever reached the best possible accuracy would in 0 of them" in found.words
    assert checked(by_setting(lambda _: 74), plan=plan_with(bayes_accuracy=1.0), targets=targets)["floor"].flagged
