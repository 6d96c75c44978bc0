"""Costs as people write them: the truth is told apart from the choice by name, and mistakes are told at once."""

import pytest

from cruijff_kit.data.cost_file import read_costs
from cruijff_kit.errors import SpecError

WANTED = {"yes": {"no": 5.0, "unsure": 1.0}, "no": {"yes": 2.0, "unsure": 1.0}}
ROWS = "yes: {no: 5, unsure: 1}\nno: {yes: 2, unsure: 1}\n"
LABELS = """
labels:
- {name: HIGH_RISK, harm_weight: 10, description: act at once}
- {name: LOW_RISK, harm_weight: 1}
- {name: NO_RISK, harm_weight: 0.1}
abstain: {enabled: true, default_threshold: 0.7}
critical_errors:
- {true: HIGH_RISK, predicted: NO_RISK, weight: 100}
"""


def read(text: str) -> dict[str, dict[str, float]]:
    return read_costs(text, name="costs.yaml")


LISTED = """
costs:
- {true: yes, predicted: no, cost: 5}
- {true: yes, action: unsure, cost: 1}
- {true: no, predicted: yes, cost: 2}
- {true: no, action: unsure, cost: 1}
"""


@pytest.mark.parametrize(
    "text",
    (
        ROWS,
        "axes: [true, action]\ncosts:\n  yes: {no: 5, unsure: 1}\n  no: {yes: 2, unsure: 1}\n",
        "axes: [predicted, true]\ncosts:\n  no: {yes: 5}\n  unsure: {yes: 1, no: 1}\n  yes: {no: 2}\n",
        LISTED,
    ),
)
def test_every_form_of_the_same_costs_is_read_alike(text: str) -> None:
    assert {true: row for true, row in read(text).items() if row} == WANTED


def test_numbers_and_truth_values_are_names_of_options() -> None:
    assert read("0: {1: 3}\n1: {0: 1}\n") == {"0": {"1": 3.0}, "1": {"0": 1.0}}
    assert read("costs:\n- {true: true, predicted: false, cost: 3}\n") == {"true": {"false": 3.0}}


def test_weights_of_labels_are_what_missing_each_costs_and_critical_errors_cost_more() -> None:
    found = read(LABELS)
    assert found["HIGH_RISK"] == {"LOW_RISK": 10.0, "NO_RISK": 100.0}
    assert found["NO_RISK"] == {"HIGH_RISK": 0.1, "LOW_RISK": 0.1}
    short = "harm_weights: {HIGH_RISK: 10, LOW_RISK: 1, NO_RISK: 0.1}\n" + LABELS[LABELS.index("critical") :]
    assert read(short) == found


@pytest.mark.parametrize(
    "text,said",
    (
        ("- 1", "must map each true option"),
        ("", "must map each true option"),
        ("yes: 3", "yes: it must map each option chosen"),
        ("yes: {no: -1}", "yes.no: `-1` is no cost"),
        ("yes: {no: .nan}", "`nan` is no cost"),
        ("yes: {no: true}", "`True` is no cost"),
        (f"yes: {{no: 0x{'f' * 290}}}", "is no cost"),
        ("axes: [from, to]\ncosts: {yes: {no: 1}}", "axes are `[true, predicted]`"),
        ("costs: 3", "costs: it must map each true option"),
        ("costs: [3]", "costs[0]: an entry needs `true`, `predicted` and `cost`"),
        ("labels: [{name: A}]", "labels[0]: a label needs `name` and `harm_weight`"),
        ("labels: [{name: A, harm_weight: 1}, {name: A, harm_weight: 2}]", "labels[1]: label `A` is there twice"),
        (LISTED + "- {true: no, action: yes, cost: 7}\n", "costs[4]: `no` -> `yes` is there twice"),
        (LABELS + LABELS.splitlines()[-1], "critical_errors[1]: `HIGH_RISK` -> `NO_RISK` is there twice"),
        ("labels: 3", "labels: it must name a weight for each label"),
        ("critical_errors: []", "no labels are weighed"),
        ("labels: {A: 1, B: 1}\ncosts: {A: {B: 1}}", "costs are there twice"),
        ("harm_weights: {A: 1, B: 1}\ncritical_errors: [{true: A, predicted: C, weight: 2}]", "a label that is not"),
        (LABELS.replace("true: HIGH_RISK, predicted", "from: HIGH_RISK, to"), "`from` and `to` do not say which"),
        ("harm_weights: {A: 1, B: 1}\nharm: 3", "harm: `harm` is unknown"),
        ("yes: {no: 1}\nyes: {no: 2}", "written twice"),
    ),
)
def test_what_is_no_cost_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text)
    assert said in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        read("yes: {no: -1, unsure: x}\nno: 3\n")
    assert [(each.path, each.place) for each in caught.value.problems] == [
        ("yes.no", "costs.yaml:1"),
        ("yes.unsure", "costs.yaml:1"),
        ("no", "costs.yaml:2"),
    ]
