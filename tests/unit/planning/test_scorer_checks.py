"""What a design says of scorers, checked before anything runs."""

from typing import Any

import pytest

from cruijff_kit.planning.scorer_checks import check_outcome, check_scorers, check_targets
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.spec import ExperimentSpec
from tests.fakes.designed import design


def spec(task: dict[str, Any], metric: str = "match") -> ExperimentSpec:
    whole = {"name": "bits", "task": "rows", **task}
    return design(evaluation={"tasks": [whole]}, analysis={"primary_metric": metric})


@pytest.mark.parametrize(
    "task,path,fact",
    (
        ({"scorers": ["risk"]}, "options", "scorer `risk` needs two options at least"),
        (
            {"scorers": ["numeric_risk"], "options": ["a", "b", "c"]},
            "options",
            "two options apart, and there are 3",
        ),
        ({"options": ["no", "no"]}, "options", "option `no` is named twice"),
        ({"options": ["No", "no"], "ignore_case": True}, "options", "option `no` is named twice"),
        ({"options": [" no", "yes"]}, "options", "has white space around it"),
        ({"options": ["", "yes"]}, "options", "an option is blank"),
        ({"costs": {"no": {"yes": 1}}}, "costs", "costs are named, and no options"),
        ({"costs": {"no": {"yes": 1}}, "options": ["no", "yes"]}, "costs", "`yes` -> `no` has no cost"),
        ({"threshold": 0.5}, "threshold", "only `numeric_risk` reads a threshold"),
        ({"scorers": []}, "scorers", "task `bits` has no scorers"),
        ({"task": "acs", "scorers": ["match"]}, "scorers", "scores how likely each answer is"),
        ({"task": "synthetic_twins", "scorers": ["includes"]}, "scorers", "scores how likely each answer is"),
    ),
)
def test_each_mistake_is_told_at_its_place(task: dict[str, Any], path: str, fact: str) -> None:
    (problem,) = check_scorers(spec(task))
    assert problem.path == f"evaluation.tasks[0].{path}"
    assert fact in problem.message
    assert problem.hint


def test_what_is_right_is_left_alone() -> None:
    right = {"scorers": ["risk", "decision"], "options": ["no", "yes"], "costs": {"no": {"yes": 1}, "yes": {"no": 5}}}
    assert not list(check_scorers(spec(right)))
    assert not list(check_scorers(spec({"task": "mine.py@own", "scorers": []})))
    assert not list(check_scorers(spec({"task": "acs", "scorers": ["continuous"]})))


def test_the_outcome_is_a_scorer_or_one_of_its_figures() -> None:
    risk = {"scorers": ["risk"], "options": ["no", "yes"]}
    assert not list(check_outcome(spec(risk, "risk/auc")))
    (unknown,) = check_outcome(spec(risk, "risk/acu"))
    assert "known are `risk`, `risk/auc`" in unknown.message
    assert unknown.hint == "write `risk/auc`"
    (flat,) = check_outcome(spec(risk, "risk/calibration_slope"))
    assert "it cannot rank runs" in flat.message
    # What a task's own scorers give is known when it has run.
    assert not list(check_outcome(spec({"task": "mine.py@own", "scorers": []}, "length")))


@pytest.mark.parametrize(
    "task,targets,fact",
    (
        ({"options": ("no", "yes")}, ("no", "maybe", "Yes"), "2 of 3 targets in split `test` are none of the options"),
        ({"options": ("no", "yes"), "ignore_case": True}, ("NO", "Yes"), ""),
        ({"scorers": ("continuous",)}, ("1", "two"), "1 of 2 targets in split `test` are no numbers, such as `two`"),
        ({"scorers": ("numeric_risk",)}, ("0", "yes"), "are none of the options `0`, `1`, such as `yes`"),
        ({"task": "mine.py@own", "options": ("no", "yes")}, ("maybe",), ""),
        ({}, ("anything",), ""),
    ),
)
def test_targets_that_can_never_be_right_are_told_at_design_time(
    task: dict[str, Any], targets: tuple[str, ...], fact: str
) -> None:
    planned = EvalTask(**{"name": "bits", "task": "rows", **task})
    rows = {"test": [{"answer": target} for target in targets]}
    found = list(check_targets(planned, rows, column="answer", path="here", shown=True))
    assert (fact in found[0].message) if fact else not found
    hidden = list(check_targets(planned, rows, column="answer", path="here", shown=False))
    assert all("such as" not in each.message for each in hidden)
    assert len(hidden) == len(found)
