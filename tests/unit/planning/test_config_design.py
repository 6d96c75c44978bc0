"""Every key of the predecessor's configuration, one by one from the table: it works, is set aside, or is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from cruijff_kit.data.config_text import read_config
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.planning.config_asks import ASKS
from cruijff_kit.planning.config_design import Translated, translate
from cruijff_kit.planning.config_labels import read_labels
from cruijff_kit.planning.config_told import ConfigInputs, Labels, Told
from cruijff_kit.planning.config_ways import WAYS
from cruijff_kit.schema.config_keys import CONFIG_KEYS, LABEL_KEYS, MODEL_BLOCKS, ConfigKey
from tests.seed_config import SEED_CONFIG, SEED_LABELS

NAMES = tuple(CONFIG_KEYS)
MODEL = "qwen2.5-7b"
SPLITS = {"train": 160, "validation": 20, "test": 20, "calibration": 40}
# A value other than the default for every key that takes more than one, and that ours can do.
OTHERS: Mapping[str, Any] = {
    "selected_model": "mistral-7b",
    "model_options.<m>.target_modules": ["q_proj"],
    "model_options.<m>.chat_template": "llama",
    "training.warmup_ratio": 0.5,
    "training.scheduler.warmup_steps": 7,
    "training.eval_strategy": "epoch",
    "training.metric_for_best_model": "eval_loss",
    "training.logging.notes": "What is learnt?",
    "evaluation.metrics": ["ece", "recall"],
    "data.augmentation.methods": ["random_swap"],
    "instruction_format.system_prompt": "Decide.",
    "instruction_format.input_template": "{text}!",
    "high_stakes.uncertainty.num_samples": 9,
    "high_stakes.bias_audit.audit_categories": ["age"],
    "high_stakes.procedural.domain": "legal",
}
# Keys that other files than the design hold: the rows, and figures that are told anyway.
TOLD = ("data.augmentation.methods", "evaluation.metrics")
NO_STEPS: Mapping[str, Any] = {"training.scheduler.warmup_steps": 0}
# What a key that is made into something refuses, beside a wrong form.
WRONG: Mapping[str, Any] = {
    "selected_model": "gpt-2",
    "model_options.<m>.tokenizer_id": "other/tokenizer",
    "model_options.<m>.chat_template": "vicuna",
    "lora.method": "adalora",
    "lora.r": 0,
    "lora.lora_dropout": 1.5,
    "lora.quantization.compute_dtype": "float16",
    "training.learning_rate": -1,
    "training.num_epochs": 0,
    "training.batch_size": 0,
    "training.max_grad_norm": -0.3,
    "training.warmup_ratio": 3,
    "training.scheduler.warmup_steps": -1,
    "training.metric_for_best_model": "eval_precision",
    "training.early_stopping_patience": 0,
    "training.logging.project_name": "a b c/..",
    "evaluation.metrics": ["bleu"],
    "evaluation.val_split": 1.0,
    "data.augmentation.methods": ["contextual_embedding"],
    "data.augmentation.aug_p": 0,
    "output.schema": '{"decision": "str", "score": "float"}',
    "instruction_format.input_template": "{question}",
    "instruction_format.output_template": "{label}",
    "instruction_format.abstain_examples": [{"text": "a", "output": '{"decision": "HIGH_RISK"}'}],
    "high_stakes.uncertainty.num_samples": 1,
    "high_stakes.factual.self_consistency_threshold": 8,
    "high_stakes.bias_audit.audit_categories": ["planets"],
    "high_stakes.bias_audit.bias_threshold": 2,
    "advanced_metrics.conformal_prediction.alpha": 1.1,
    "advanced_metrics.conformal_prediction.calibration_ratio": 0,
    "advanced_metrics.risk_control.class_names": ["A", "B"],
    "advanced_metrics.risk_control.alpha": 0,
    "abstention_loss.confidence_threshold": 7,
    "calibration_monitoring.lr_reduction_factor": 1.5,
    "calibration_monitoring.adjustment_threshold": -1,
}
FORMS: Mapping[str, Any] = {
    "truth": "maybe", "integer": 2.5, "number": "many", "text": 3, "words": 4, "rows": "none", "schema": 5,
}  # fmt: skip


def inputs(**changes: Any) -> ConfigInputs:
    labels = read_labels(SEED_LABELS, name="labels.yaml").labels
    told = ConfigInputs("new", "2026-11-20", "/m", True, data="data/rows.json", labels=labels, splits=SPLITS)
    return told._replace(**changes)


def text_of(changes: Mapping[str, Any]) -> str:
    """Return the predecessor's configuration with keys replaced, `<m>` being the selected model."""
    value = load_yaml(SEED_CONFIG, name="seed").value
    value["selected_model"] = MODEL
    for name, new in changes.items():
        general = name.startswith("model_options.")
        path = ["model_options", MODEL, name.rpartition(".")[2]] if general else name.split(".")
        inner = value
        for group in path[:-1]:
            inner = inner[group]
        inner[path[-1]] = new
    return dump_yaml(value)


def translated(changes: Mapping[str, Any], **told: Any) -> Translated:
    return translate(Told(read_config(text_of(changes), name="c.yaml", table=CONFIG_KEYS), inputs(**told)))


def switched(key: ConfigKey) -> dict[str, Any]:
    """Return what makes a key ask for something."""
    switch, equals, value = key.switch.partition("=")
    if key.name == "advanced_metrics.conformal_prediction.calibration_ratio":
        switch = "advanced_metrics.conformal_prediction.enabled"
    return {switch: value if equals else True} if switch else {}


def own(name: str) -> str:
    return name.replace("<m>", MODEL)


def placed(design: str, place: str) -> Any:
    value = load_yaml(design, name="design").value
    for part in place.split("."):
        value = value[part]
    return value


def test_the_test_file_and_the_table_name_the_same_keys() -> None:
    read = read_config(SEED_CONFIG, name="seed", table=CONFIG_KEYS)
    said = {name.replace(f".{model}.", ".<m>.") for name in read.said for model in MODEL_BLOCKS if model in name}
    assert said | {name for name in read.said if not name.startswith("model_options.")} == set(CONFIG_KEYS)
    assert not read.problems
    made = {name for name, key in CONFIG_KEYS.items() if key.way == "made"}
    assert made == WAYS.keys() | ASKS.keys()
    assert not WAYS.keys() & ASKS.keys()
    for name, key in CONFIG_KEYS.items():
        if key.default is not None and not name.startswith(("instruction_format.", "training.logging.notes")):
            value = read.values[name]
            assert (tuple(value) if isinstance(value, list) else value) == key.default, name


@pytest.mark.parametrize("name", NAMES)
def test_a_key_at_its_default_is_told_once_and_never_refused(name: str) -> None:
    found = translated({})
    assert not found.problems
    (outcome,) = [each for each in found.outcomes if each.key == own(name)]
    assert outcome.said
    assert outcome.outcome


@pytest.mark.parametrize("name", [name for name in NAMES if CONFIG_KEYS[name].way != "aside"])
def test_a_key_that_asks_for_something_else_gets_it_in_the_design_or_says_where(name: str) -> None:
    key = CONFIG_KEYS[name]
    other = OTHERS.get(name, _other(key))
    beside = {**_clean(key), **(NO_STEPS if name == "training.warmup_ratio" else {})}
    found = translated({**beside, **switched(key), name: other}, templated=False)
    assert not found.problems, found.problems
    (outcome,) = [each for each in found.outcomes if each.key == own(name)]
    if key.way == "set":
        wanted = key.takes[other] if key.takes else other
        assert placed(found.design, key.goes) == wanted
        assert outcome.works
    if name in OTHERS and name not in TOLD:
        assert found.design != translated({**beside, **switched(key)}, templated=False).design


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_value_is_refused_at_its_line_with_the_reason_and_what_to_write(name: str) -> None:
    key = CONFIG_KEYS[name]
    if "calibration_tracking." in name or "explainable." in name or "adalora." in name:
        # The switch itself is refused, and what goes with it is told as such.
        refused = switched(key) or {name: True}
        found = translated(refused)
        assert [each.path for each in found.problems] == [next(iter(refused))]
        return
    values = [FORMS[key.kind.removesuffix("?")]]
    values += [WRONG[name]] if name in WRONG else []
    values += [_outside(key)] if key.takes is not None and not key.takes.keys() >= {True, False} else []
    for value in values:
        changes = {**_clean(key), **switched(key), name: value}
        if name == "selected_model":
            changes = {name: value}
        found = translated(changes)
        problem = next(each for each in found.problems if each.path == own(name))
        reason = problem.message.partition("is refused: ")[2]
        assert len(reason) > 10 or value == values[0]
        assert problem.hint
        line = text_of(changes).splitlines()[int(problem.place.partition(":")[2]) - 1]
        assert name.rpartition(".")[2] in line
        assert not found.design
        assert key.why in problem.message or value == values[0]
        assert (problem.hint and key.instead in problem.hint) or value == values[0]


@pytest.mark.parametrize("name", [name for name in NAMES if CONFIG_KEYS[name].switch.endswith(".enabled")])
def test_a_key_whose_group_is_off_may_hold_anything_and_is_set_aside(name: str) -> None:
    key = CONFIG_KEYS[name]
    found = translated({key.switch: False, name: FORMS[key.kind.removesuffix("?")]})
    assert not found.problems
    (outcome,) = [each for each in found.outcomes if each.key == name]
    assert (outcome.works, outcome.outcome) == (False, f"set aside: `{key.switch}` is off")


def test_the_three_keys_of_the_record_that_cannot_be_turned_off_are_refused() -> None:
    base = "high_stakes.verifiable"
    names = [f"{base}.{each}" for each in ("hash_artifacts", "cryptographic_proof", "checkpoint_hashing")]
    found = translated({f"{base}.enabled": True, **dict.fromkeys(names, False)})
    assert sorted(each.path for each in found.problems) == sorted(names)
    assert all("cannot be turned off" in each.message for each in found.problems)


@pytest.mark.parametrize("form", ({"decision": ["str"], "rationale": "str", "abstain": {"a": "b"}}, "[" * 100_000))
def test_a_form_of_answers_that_nobody_can_read_is_refused_at_its_line(form: Any) -> None:
    (problem,) = translated({"output.schema": form}).problems
    assert (problem.path, "is refused" in problem.message) == ("output.schema", True)


@pytest.mark.parametrize("template", ("{text!r}", "{text:>9}", "{text} {metadata!s}"))
def test_a_template_that_python_fills_in_and_a_prompt_does_not_is_refused(template: str) -> None:
    (problem,) = translated({"instruction_format.input_template": template}).problems
    assert problem.path == "instruction_format.input_template"
    assert translated({"instruction_format.input_template": "{{text}} {text} {metadata}"}).design


def test_what_is_not_written_has_the_predecessors_default_but_groups_left_out_whole_are_off() -> None:
    empty = read_config("selected_model: qwen2.5-7b\n", name="c.yaml", table=CONFIG_KEYS)
    found = translate(Told(empty, inputs()))
    assert not found.problems
    controls = load_yaml(found.design, name="design").value["controls"]
    assert (controls["lr"], controls["lora_rank"], controls["packed"]) == (2e-4, 16, True)
    assert "loss" not in controls
    assert controls["calibration_monitor"] == {"enabled": True, "abstain_below": 0.7}
    plain = read_config("training: {metric_for_best_model: eval_loss}\n", name="c.yaml", table=CONFIG_KEYS)
    controls = load_yaml(translate(Told(plain, inputs())).design, name="design").value["controls"]
    assert {"calibration_monitor", "recipe", "harm_weights"}.isdisjoint(controls)


def test_unknown_keys_are_told_with_the_nearest_one_and_two_names_of_one_key_are_refused() -> None:
    text = "training: {learning_rte: 1}\nlora: {rank: 3}\nadvanced_metrics: {abstention_loss: {enabled: true}}\n"
    found = translate(
        Told(read_config(f"{text}abstention_loss: {{enabled: true}}\n", name="c.yaml", table=CONFIG_KEYS), inputs())
    )
    told: list[Problem] = list(found.problems)
    assert [each.place for each in told] == ["c.yaml:1", "c.yaml:2", "c.yaml:4"]
    assert "`learning_rate`" in told[0].hint
    assert "are one key" in told[2].message


def test_a_model_without_a_chat_template_is_given_that_of_its_family() -> None:
    for model, template in (("llama-3-8b", "llama3"), ("mistral-7b", "llama2"), ("qwen2.5-7b", "chatml")):
        found = translated({"selected_model": model}, templated=False)
        assert placed(found.design, "controls.template") == template
    assert "no chat template" in translated({"selected_model": "glm-4.5-air"}, templated=False).problems[0].message


def test_labels_may_come_from_the_data_alone() -> None:
    found = translated({"advanced_metrics.risk_control.class_names": ["a", "b"]}, labels=Labels(("a", "b")))
    controls = load_yaml(found.design, name="design").value["controls"]
    assert controls["options"] == ["a", "b"]
    assert "harm_weights" not in controls


@pytest.mark.parametrize("name", [name for name in LABEL_KEYS if name != "critical_errors"])
def test_a_key_of_the_labels_with_a_wrong_value_is_refused_at_its_line(name: str) -> None:
    value = load_yaml(SEED_LABELS, name="labels").value
    *groups, last = name.split(".")
    inner = value[groups[0]] if groups else value
    inner[last] = [] if name == "labels" else 7
    text = dump_yaml(value)
    found = read_labels(text, name="labels.yaml")
    assert any(each.path == name for each in found.problems)
    assert not read_labels(SEED_LABELS, name="labels.yaml").problems


def test_a_number_that_no_float_can_hold_is_refused_at_its_line() -> None:
    text = text_of({}).replace("  learning_rate: 0.0002\n", f"  learning_rate: 0x{'f' * 290}\n")
    (problem,) = translate(Told(read_config(text, name="c.yaml", table=CONFIG_KEYS), inputs())).problems
    assert (problem.path, problem.hint) == ("training.learning_rate", "write a number")


def test_labels_whose_errors_do_not_name_the_truth_or_hold_strange_keys_are_refused() -> None:
    text = SEED_LABELS.replace("true: HIGH_RISK, predicted: NO_RISK", "from: NO_RISK, to: HIGH_RISK")
    found = read_labels(text.replace("description: no danger", "descripton: none"), name="labels.yaml")
    assert {each.path for each in found.problems} == {"critical_errors[0]", "labels[3].descripton"}


def test_labels_that_yaml_takes_for_truth_values_are_called_alike_in_options_errors_and_costs() -> None:
    text = "labels: [{name: true, harm_weight: 2}, {name: false, harm_weight: 1}]\n"
    labels = read_labels(f"{text}critical_errors: [{{true: true, action: false, weight: 9}}]\n", name="l.yaml").labels
    assert labels.options == tuple(labels.costs) == ("true", "false")
    assert labels.errors == ({"true": "true", "predicted": "false", "weight": 9.0},)


def _other(key: ConfigKey) -> Any:
    """Return another value of a key than its default, if it takes one."""
    if key.takes is not None:
        return next((each for each in key.takes if each != key.default), key.default)
    if key.kind == "truth":
        return not key.default
    if key.kind == "integer":
        return key.default + 1
    if key.kind == "number":
        return key.default / 2
    return read_config(text_of({}), name="c.yaml", table=CONFIG_KEYS).values[own(key.name)]


def _outside(key: ConfigKey) -> Any:
    return {"truth": not key.default, "integer": 8, "number": 3.25, "text": "unheard of"}[key.kind.removesuffix("?")]


def _clean(key: ConfigKey) -> dict[str, Any]:
    """Return penalties of a group at 0, so that its other keys may be on."""
    group = key.name.rpartition(".")[0]
    named = [name for name in CONFIG_KEYS if name.startswith(f"{group}.") and name != key.name]
    kept = [
        name for name in named if CONFIG_KEYS[name].kind != "truth" and (CONFIG_KEYS[name].takes or {}).keys() == {0}
    ]
    return dict.fromkeys(kept, 0)


def test_whatever_a_key_holds_with_every_group_on_it_is_told_or_refused_and_nothing_breaks() -> None:
    on = {name: True for name, key in CONFIG_KEYS.items() if name.endswith(".enabled") and key.takes is None}
    read = read_config(text_of(on), name="c.yaml", table=CONFIG_KEYS)
    for name in read.values:
        for junk in (None, [[]], {"a": []}, "", -1, 1e400, [{"text": 1, "output": "{"}], "{"):
            found = translate(Told(read._replace(values={**read.values, name: junk}), inputs()))
            told = [each.key for each in found.outcomes] + [each.path for each in found.problems]
            assert name in told, (name, junk)


@pytest.mark.parametrize("junk", ("[]", "[1, 2]", "{a: 1}", "[{name: a}, {name: a}]", "null", "[[]]", "x", "7"))
@pytest.mark.parametrize("group", ("labels", "abstain", "critical_errors"))
def test_whatever_the_labels_hold_is_read_or_refused(group: str, junk: str) -> None:
    value = load_yaml(SEED_LABELS, name="labels").value
    value[group] = load_yaml(junk, name="junk").value
    found = read_labels(dump_yaml(value), name="labels.yaml")
    assert found.problems or (group != "labels" and found.labels.options)
