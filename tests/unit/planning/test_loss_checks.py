"""Losses in a design: what is refused, what is warned of, and what a run's id depends on."""

from typing import Any

import pytest

from cruijff_kit.data.recipe_names import CALIBRATED
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import PlanError
from cruijff_kit.planning.data_checks import Used
from cruijff_kit.planning.grid import cross
from cruijff_kit.planning.loss_checks import check_answers, warned_losses
from cruijff_kit.planning.runs import Inputs, plan_runs
from cruijff_kit.planning.spec_parse import parse_spec
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.plan import PlannedRun
from tests.fakes.designed import DESIGN, design
from tests.fakes.model_hub import model_facts

HARM = {"loss": "harm_weighted", "options": ["a", "b"], "harm_weights": {"a": 5.0}}
GAMBLER = {"loss": "gambler", "options": ["a", "b", "none"], "loss_options": {"payoff": 1.5, "abstain": "none"}}
WATCHED = {"options": ["a", "b"], "calibration_monitor": {"enabled": True}}


def planned(validation: int = 8, **controls: Any) -> tuple[PlannedRun, ...]:
    spec = design(controls={**DESIGN["controls"], **controls})
    facts = DatasetFacts(
        key="bits", path="data/bits.json", sha256="b" * 64, bytes=9,
        splits={"train": 24, "validation": validation, "test": 8},
    )  # fmt: skip
    points = cross(spec)
    models = {ref.name: model_facts(f"/models/{ref.name}", sha256="a" * 64) for ref in spec.models}
    return plan_runs(spec, points, inputs=Inputs(models, {point.data: facts for point in points}, {}))


def ids(**controls: Any) -> list[str]:
    return [run.id for run in planned(**controls)]


@pytest.mark.parametrize(
    "controls,path,words",
    (
        ({"loss": "gambler"}, "controls.options", "needs to know the options"),
        ({"loss": "gambler"}, "controls.loss_options.payoff", "needs its payoff"),
        ({"loss": "gambler"}, "controls.loss_options.abstain", "the option that means no answer"),
        ({**GAMBLER, "loss_options": {"payoff": 3.0, "abstain": "none"}}, "controls.loss_options.payoff", "2 options"),
        ({**GAMBLER, "loss_options": {"payoff": 1.5, "abstain": "non"}}, "controls.loss_options.abstain", "`none`"),
        ({"loss": "harm_weighted", "options": ["a", "b"]}, "controls.harm_weights", "would be cross-entropy"),
        ({**HARM, "harm_weights": {"a": 0.0, "b": 0.0}}, "controls.harm_weights", "nothing would be learnt"),
        ({**HARM, "harm_weights": {"c": 1.0}}, "controls.harm_weights.c", "none of the options `a`, `b`"),
        ({**HARM, "critical_errors": [{"true": "a", "predicted": "c", "weight": 1}]},
         "controls.critical_errors[0].predicted", "`c` is none of the options"),
        ({**HARM, "critical_errors": [{"true": "a", "predicted": "a", "weight": 1}]},
         "controls.critical_errors[0]", "is no error for"),
        ({**HARM, "critical_errors": [{"true": "a", "predicted": "b", "weight": 1}] * 2},
         "controls.critical_errors[1]", "weighed twice"),
        ({**HARM, "train_on_input": True}, "controls.train_on_input", "takes each answer as a whole"),
        ({**WATCHED, "options": ["a", " a"]}, "controls.options", "named 2 times"),
        ({"calibration_monitor": {"enabled": True}}, "controls.options", "`calibration_monitor` needs to know"),
        ({"calibration_monitor": {"adjust_lr": True}}, "controls.calibration_monitor.adjust_lr", "nothing measures it"),
        ({"calibration_monitor": {"bins": 5}}, "controls.calibration_monitor.enabled", "is off"),
        ({"metric_for_best_model": "ece"}, "controls.metric_for_best_model", "nothing measures it"),
        ({"loss_options": {"gamma": 1.0}}, "controls.loss_options.gamma", "no run reads `gamma`"),
        ({"harm_weights": {"a": 1.0}}, "controls.harm_weights", "no run reads `harm_weights`"),
        ({**WATCHED, "validation": 1}, "controls.calibration_monitor", "and there are 1"),
        ({"early_stopping_patience": 2, "validation": 0}, "controls.early_stopping_patience", "no rows for one"),
        ({"recipe": CALIBRATED}, "controls.options", "`calibration_monitor` needs to know the options"),
    ),
)  # fmt: skip
def test_what_contradicts_itself_is_refused_where_it_stands(controls: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        planned(**controls)
    found = {each.path: each for each in caught.value.problems}
    assert path in found, found
    assert words in found[path].message
    assert found[path].hint


def test_misspelt_names_get_the_right_one_and_all_problems_come_at_once() -> None:
    errors = [{"true": "hihg", "predicted": "low", "weight": 2}]
    with pytest.raises(PlanError) as caught:
        planned(loss="harm_weighted", options=["low", "high"], harm_weights={"lwo": 1.0}, critical_errors=errors)
    hints = {each.path: each.hint for each in caught.value.problems}
    assert hints["controls.harm_weights.lwo"] == "write `low`"
    assert hints["controls.critical_errors[0].true"] == "write `high`"


def test_one_design_varies_the_loss_and_each_reads_its_own_options() -> None:
    told = {"smoothing": 0.2, "payoff": 1.5, "abstain": "none"}
    controls = {**DESIGN["controls"], "options": ["a", "b", "none"], "loss_options": told}
    spec = design(factors={"loss": ["ce", "label_smoothing", "gambler"]}, controls=controls)
    points = cross(spec)
    facts = DatasetFacts(key="bits", path="d", sha256="b" * 64, bytes=9, splits={"train": 24, "test": 8})
    models = {ref.name: model_facts(f"/models/{ref.name}", sha256="a" * 64) for ref in spec.models}
    runs = plan_runs(spec, points, inputs=Inputs(models, {point.data: facts for point in points}, {}))
    slugs = [run.id.rpartition("-")[0] for run in runs if run.type == "fine-tuned"]
    assert [slug for slug in slugs if slug.endswith("_seed1")] == [
        "loss-ce_seed1", "loss-label-smoothing_seed1", "loss-gambler_seed1"
    ]  # fmt: skip


def test_ids_depend_on_what_a_loss_reads_and_on_nothing_it_does_not() -> None:
    plain = ids()
    # Watching changes nothing that is learnt, nor does what is kept by.
    assert ids(**WATCHED) == plain
    assert ids(**WATCHED, metric_for_best_model="ece", greater_is_better=False) == plain
    assert ids(loss="ce", loss_options={}, options=["a", "b"]) == plain
    others = [
        ids(loss="focal"),
        ids(loss="focal", loss_options={"gamma": 3.0}),
        ids(loss="abstain_seed"),
        ids(loss="label_smoothing"),
        ids(loss="label_smoothing", options=["a", "b"]),
        ids(**HARM),
        ids(**{**HARM, "harm_weights": {"a": 6.0}}),
        ids(**HARM, critical_errors=[{"true": "a", "predicted": "b", "weight": 2}]),
        ids(**GAMBLER),
        ids(**{**GAMBLER, "loss_options": {"payoff": 1.6, "abstain": "none"}}),
        ids(options=["a", "b"], calibration_monitor={"enabled": True, "adjust_lr": True}),
        ids(options=["a", "b"], calibration_monitor={"enabled": True, "adjust_lr": True, "lr_reduction_factor": 0.5}),
        ids(early_stopping_patience=2),
        ids(**WATCHED, early_stopping_patience=2, metric_for_best_model="brier"),
    ]
    seen = [run for each in (plain, *others) for run in each if not run.startswith("base")]
    assert len(set(seen)) == len(seen)
    assert ids(loss="focal", options=["a", "b"]) == ids(loss="focal")
    assert ids(**GAMBLER, calibration_monitor={"enabled": True}) == ids(**GAMBLER)


def test_the_calibrated_recipe_is_watched_unless_its_design_says_otherwise() -> None:
    run = planned(recipe=CALIBRATED, options=["a", "b"])[0]
    setting = run.settings["calibration_monitor"]
    assert (setting.value, setting.source) == ({"enabled": True}, "derived")
    off = planned(recipe=CALIBRATED, calibration_monitor={"enabled": False})[0]
    assert off.settings["calibration_monitor"].source == "design"


def test_a_design_is_warned_of_what_is_no_proper_score_and_of_what_nothing_shows() -> None:
    assert list(warned_losses(planned(loss="ce"))) == []
    (improper,) = warned_losses(planned(loss="abstain_seed"))
    assert "no proper scoring rule" in improper
    tilted, unproven = warned_losses(planned(**HARM, calibration_monitor={"enabled": True, "adjust_lr": True}))
    assert "tilted towards harmful labels" in tilted
    assert "compare it with a run that leaves it off" in unproven


@pytest.mark.parametrize(
    "controls,path,hint",
    (
        ({"loss": "focl"}, "controls.loss", "write `focal`"),
        ({"loss_options": {"gama": 2}}, "controls.loss_options.gama", "write `gamma`"),
        ({"calibration_monitor": {"adjust_threshold": 0.1}}, "controls.calibration_monitor.adjust_threshold",
         "write `adjustment_threshold`"),
        ({"loss_options": {"payoff": 1}}, "controls.loss_options.payoff", "mend the value"),
        ({"critical_errors": [{"true": "a", "predicted": "b"}]}, "controls.critical_errors[0].weight", "add `weight:`"),
    ),
)  # fmt: skip
def test_a_misspelt_loss_or_key_is_told_with_its_right_spelling(controls: dict[str, Any], path: str, hint: str) -> None:
    document = load_yaml(dump_yaml({**DESIGN, "controls": {**DESIGN["controls"], **controls}}), name="design.yaml")
    (problem,) = parse_spec(document.value, document.marks).problems
    assert problem.path == path
    assert (problem.hint or "").startswith(hint)


def test_answers_that_are_none_of_the_options_are_told_by_split_and_quoted_only_where_rows_may_be_shown() -> None:
    rows = [{"output": each} for each in ("a", "b", "c")]
    runs = planned(**HARM, calibration_monitor={"enabled": True})
    found = list(check_answers(runs, Used("words", {"train": rows, "validation": rows[:2]}), column="output"))
    assert [each.message for each in found] == ["1 of 3 rows of split `train` answer none of the options"]
    shown = check_answers(runs, Used("words", {"validation": rows}, shown=True), column="output")
    assert [each.message for each in shown] == [
        "1 of 3 rows of split `validation` answer none of the options, such as `c`"
    ]
    assert not list(check_answers(runs, Used("talks", {"train": rows}), column=None))
    assert not list(check_answers(planned(loss="focal"), Used("words", {"train": rows}), column="output"))
