"""What a node told, held against what jobs need: each thing that will not do, with its remedy."""

from typing import Any

import pytest

from cruijff_kit.planning.node_traits import Expected, node_traits

EXPECTED = Expected(
    code="c" * 64,
    probe="p" * 64,
    skew=1.0,
    folders={"experiment": "/lab/x"},
    reads={"models_dir": "/models"},
    gpus=1,
)
FOUND: dict[str, Any] = {
    "host": "n1", "python": "/envs/kit/bin/python", "version": "3.11.7", "probe": "p" * 64, "claim_held": True,
    "package": {"version": "0.1.0", "path": "/envs/kit/lib", "code": "c" * 64},
    "torch": {"version": "2.13.0+cu128", "cuda": "12.8"}, "gpus": 1, "skew": 0.5,
    "folders": {"/lab/x": {"exists": True, "free": 10**12, "locks": True, "links": True, "fenced": True}},
    "read": {"/models": ""},
}  # fmt: skip


def test_a_node_on_which_all_is_well_has_nothing_wrong() -> None:
    traits = {trait.name: trait for trait in node_traits(FOUND, EXPECTED)}
    assert {trait.ok for trait in traits.values()} == {True}
    assert traits["node clock"].found == "+0.5 s from this machine's"
    assert "fenced" in traits["node experiment"].found


@pytest.mark.parametrize(
    "changes,name,words",
    (
        ({"package": None}, "node package", "ck site env build"),
        ({"package": {"version": "0.1.0", "path": "/p", "code": "d" * 64}}, "node package", "other code than here"),
        ({"probe": "q" * 64}, "node files", "reads something else"),
        ({"claim_held": False}, "node lock", "train one run at once"),
        ({"skew": 31.0}, "node clock", "-30.0 s"),
        ({"gpus": 0}, "node GPUs", "the driver gives none"),
        ({"gpus": None}, "node GPUs", "no driver there"),
        ({"torch": {"version": "2.13.0+cpu", "cuda": ""}}, "node GPUs", "--cuda"),
        ({"read": {"/models": "No such file or directory"}}, "node models_dir", "compute nodes mount"),
        ({"folders": {}}, "node experiment", "is not there"),
        ({"folders": {"/lab/x": {"exists": True, "free": 10**12, "fault": "Read-only file system"}}}, "node experiment",
         "Read-only"),
        ({"folders": {"/lab/x": {"exists": True, "free": 10**12, "locks": False}}}, "node experiment", "flock"),
        ({"folders": {"/lab/x": {"exists": True, "free": 10**12, "links": False}}}, "node experiment", "hard links"),
        ({"folders": {"/lab/x": {"exists": True, "free": 10**6}}}, "node experiment", "less than 1 GB"),
    ),
)  # fmt: skip
def test_each_thing_that_will_not_do_on_a_node_is_told(changes: dict[str, Any], name: str, words: str) -> None:
    wrong = [trait for trait in node_traits({**FOUND, **changes}, EXPECTED) if trait.ok is False]
    assert [trait.name for trait in wrong] == [name]
    assert words in f"{wrong[0].found} {wrong[0].hint}"


def test_without_gpus_asked_for_none_are_missed() -> None:
    traits = {trait.name: trait.ok for trait in node_traits({**FOUND, "gpus": None}, EXPECTED._replace(gpus=0))}
    assert traits["node GPUs"] is None
