"""From the predecessor's configuration to a design: every key works, is set aside with the reason, or is refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.config_text import key_of, malformed
from cruijff_kit.data.plain_values import as_written
from cruijff_kit.data.recipe_names import CALIBRATED
from cruijff_kit.data.yaml_text import dotted, dump_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.planning.config_asks import ASKS, abstain_example
from cruijff_kit.planning.config_told import TEST_SHARE, DataWish, RefusedError, Told, is_share
from cruijff_kit.planning.config_ways import WAYS
from cruijff_kit.schema.config_keys import CONFIG_KEYS, ConfigKey
from cruijff_kit.schema.configured import KeyOutcome
from cruijff_kit.schema.evaluation import Evaluation
from cruijff_kit.schema.noun import Noun, fact_of
from cruijff_kit.schema.spec import Analysis, Controls, Output

__all__ = ["Translated", "data_wish", "following", "translate"]

_MODELS = "model_options"
_PARTS: Mapping[str, type[Noun]] = {
    "controls": Controls, "output": Output, "evaluation": Evaluation, "analysis": Analysis,
}  # fmt: skip
_LONGEST = 160
_AUDITED = {"factual": ("consistency",), "bias_audit": ("groups", "counterfactual"), "procedural": ("procedures",)}
_ALWAYS = ("calibration", "cost", "provenance")


class Translated(NamedTuple):
    """What a configuration comes to."""

    design: str
    """The design, as YAML; empty where there are problems."""
    outcomes: tuple[KeyOutcome, ...]
    """What each key came to."""
    problems: tuple[Problem, ...]
    """Every key that is refused."""


def translate(told: Told) -> Translated:
    """Return the design that a configuration becomes, and what became of each of its keys."""
    outcomes: list[KeyOutcome] = []
    problems: list[Problem] = list(told.config.problems)
    places: dict[str, Any] = {}
    for name in _names(told):
        found = _key(told, name, places=places)
        if isinstance(found, Problem):
            problems.append(found)
        elif found.said or found.works:
            outcomes.append(found)
    problems += _together(told)
    return Translated("" if problems else dump_yaml(_design(told, places)), tuple(outcomes), tuple(problems))


def data_wish(told: Told) -> DataWish:
    """Return how rows are to be divided and multiplied; what cannot be is at its default, and told by `translate`."""
    augmented: dict[str, Any] = {}
    if told.on("data.augmentation.enabled"):
        augmented = {"methods": told["data.augmentation.methods"], "aug_p": told["data.augmentation.aug_p"]}
    given = told["instruction_format.abstain_examples"]
    examples = []
    for row in given if isinstance(given, list) else ():
        try:
            examples.append(abstain_example(row))
        except RefusedError:
            continue
    ratio = _share(told, "advanced_metrics.conformal_prediction.calibration_ratio") if told.calibrates else 0.0
    return DataWish(_share(told, "evaluation.val_split"), ratio, augmented, tuple(examples))


def following(told: Told, *, run: str, place: str) -> Iterator[str]:
    """Yield the commands that do what a configuration asks for behind training and evaluation.

    Args:
        told: the configuration.
        run: the run that trains.
        place: directory of the experiment.
    """
    ck, sets, risk = f"ck -C {place}", "advanced_metrics.conformal_prediction", "advanced_metrics.risk_control"
    searched = bool(told.inputs.trials)
    yield f"{ck} sweep watch" if searched else f"{ck} scaffold, then submit and watch, then collect"
    if searched:
        return
    if told.on(f"{sets}.enabled"):
        yield f"{ck} calibrate {run} --method {told[f'{sets}.method']} --alpha {told[f'{sets}.alpha']:g}"
    if told.on(f"{risk}.enabled"):
        yield f"{ck} calibrate {run} --method crc --alpha {told[f'{risk}.alpha']:g}"
    if told.on(f"{sets}.enabled") and told.on(f"{risk}.enabled"):
        missed = told[f"{sets}.alpha"]
        yield f"{ck} decide --run {run} --text TEXT --miss-rate {missed:g}, sets beside the second calibrator"
    labels = told.inputs.labels
    # An evaluation is of the last epoch.
    chosen = f"{run} --epoch best" if told.on("training.load_best_model_at_end") else run
    if labels.abstains:
        flags = ("--threshold", "--cascade-threshold", "--max-abstain-rate")
        said = " ".join(f"{flag} {value:g}" for flag, value in zip(flags, labels.thresholds.values(), strict=True))
        yield f"{ck} predict --run {chosen} --text TEXT --next-run OTHER {said}"
    elif labels.weights:
        yield f"{ck} predict --run {chosen} --text TEXT --threshold 0"
    if told.on("high_stakes.uncertainty.enabled") and told["high_stakes.uncertainty.method"] == "deep_ensemble":
        yield f"{ck} decide --run {run} --ensemble RUN --text TEXT, with each run of another seed"
    if _audited(told):
        yield f"{ck} audit-model {run} --ask"
    if told.on("training.logging.wandb"):
        yield f"{ck} wandb sync"


def _share(told: Told, name: str) -> float:
    key, value = CONFIG_KEYS[name], told[name]
    return float(key.default if malformed(key, value) or not is_share(value) else value)


def _names(told: Told) -> Iterator[str]:
    """Yield every key in the order of the table, those of models one model after the other."""
    models = [each for each in told.config.values if each.startswith(f"{_MODELS}.")]
    blocks = list(dict.fromkeys(each.rpartition(".")[0] for each in models))
    for name in CONFIG_KEYS:
        if name == f"{_MODELS}.<m>.model_id":
            yield from sorted(models, key=lambda each: blocks.index(each.rpartition(".")[0]))
        elif not name.startswith(f"{_MODELS}."):
            yield name


def _key(told: Told, name: str, *, places: dict[str, Any]) -> KeyOutcome | Problem:
    key, value, said = key_of(name, CONFIG_KEYS), told[name], name in told.config.said
    idle = _idle(told, key, name=name)
    if idle:
        return KeyOutcome(key=name, value=value, said=said, works=False, outcome=f"set aside: {idle}")
    where = dotted(told.config.said[name]) if said else name
    form = malformed(key, value) if said else ""
    if form:
        return Problem(f"`{_shown(value)}` is not {form}", where, told.config.place(name), f"write {form}")
    try:
        text, set_here, aside = _came_to(told, key, name=name)
    except RefusedError as err:
        # A key of its own has a reason of its own; where the value tells more, that comes first.
        reason = "; ".join(each for each in (str(err), key.why) if each)
        shown = "what it holds" if isinstance(value, list | dict) else f"`{_shown(value)}`"
        return Problem(f"{shown} is refused: {reason}", where, told.config.place(name), key.instead or _schema(key))
    places.update(set_here)
    return KeyOutcome(
        key=name, value=value, said=said, works=not aside, outcome=f"set aside: {text}" if aside else text
    )


def _schema(key: ConfigKey) -> str:
    return f"see `{key.goes}` in `ck schema`" if key.way == "set" else ""


def _idle(told: Told, key: ConfigKey, *, name: str) -> str:
    """Return why a key asks for nothing, whatever it holds; empty where it asks for something."""
    if name.startswith(f"{_MODELS}.") and name.rpartition(".")[0] != f"{_MODELS}.{told['selected_model']}":
        return "its model is not selected"
    if not key.switch:
        return ""
    switch, equals, wanted = key.switch.partition("=")
    if not told.on(key.switch):
        return f"`{switch}` is not `{wanted}`" if equals else f"`{switch}` is off"
    takes = CONFIG_KEYS[switch].takes
    refused = takes is not None and (wanted if equals else True) not in takes
    return f"`{switch}: {wanted or 'true'}` is refused" if refused else ""


def _came_to(told: Told, key: ConfigKey, *, name: str) -> tuple[str, Mapping[str, Any], bool]:
    """Return what a key comes to: in words, its places in the design, and whether it is set aside.

    Raises:
        RefusedError: its value cannot be.
    """
    value, said = told[name], name in told.config.said
    if key.takes is not None and value not in key.takes:
        if said:
            raise RefusedError("")
        return key.goes, {}, True
    if key.way == "aside":
        return key.goes, {}, True
    if key.way == "made":
        made = {**WAYS, **ASKS}[key.name](told, value)
        misfit = next(filter(None, (_misfit(*each) for each in made.places.items())), "")
        if misfit:
            raise RefusedError(misfit)
        return made
    ours = value if key.takes is None else key.takes[value]
    misfit = _misfit(key.goes, ours) if ours is not None else ""
    if misfit:
        raise RefusedError(misfit)
    return f"{key.goes}: {_shown(ours)}", {key.goes: ours} if ours is not None else {}, False


def _misfit(place: str, value: Any) -> str:
    """Return why a value cannot stand at its place in the design; empty where it can."""
    part, _, rest = place.partition(".")
    if part not in _PARTS:
        return ""
    try:
        _PARTS[part].model_validate(_nested({rest: value}))
    except ValidationError as err:
        return fact_of(err.errors()[0]["msg"])
    return ""


def _nested(places: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, value in places.items():
        *groups, last = place.split(".")
        inner = found
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return found


def _together(told: Told) -> Iterator[Problem]:
    """Yield what keys say against each other, and against the rows."""
    if len(told.inputs.labels.options) < 2:
        hint = "name them in `labels.yaml`, or in the column `label` of the rows"
        yield Problem("there are no labels to choose between", "labels", hint=hint)
    wish, name = data_wish(told), "evaluation.val_split"
    if wish.train <= 0:
        fact = f"validation {wish.validation:g}, calibration {wish.calibration:g} and test {TEST_SHARE:g} leave no rows"
        yield Problem(fact, name, told.config.place(name), "lower the shares")
    if told.on("evaluation.enabled"):
        switch = "advanced_metrics.conformal_prediction.enabled"
        if told.calibrates and told.inputs.rows and not told.inputs.splits.get("calibration"):
            fact = "the data is divided already, and has no split `calibration` to calibrate on"
            hint = "give rows that are not divided, or divide them by `ck data split --calibration 0.2`"
            yield Problem(fact, switch, told.config.place(switch), hint)
        return
    wanted = [f"advanced_metrics.{group}.enabled" for group in ("conformal_prediction", "risk_control")]
    wanted += [f"high_stakes.{group}.enabled" for group in ("uncertainty", *_AUDITED)]
    for name in wanted:
        if told.on(name):
            fact = "it rests on answers of an evaluation, and `evaluation.enabled` is off"
            yield Problem(fact, name, told.config.place(name), "write `evaluation: {enabled: true}`")


def _design(told: Told, places: Mapping[str, Any]) -> dict[str, Any]:
    inputs, set_here = told.inputs, dict(places)
    training = {"path": inputs.data, "input_key": "text", "output_key": "output"}
    question = f"What does `{told['selected_model']}` learn of {', '.join(inputs.labels.options)}?"
    design: dict[str, Any] = {
        "name": inputs.name,
        "question": set_here.pop("question", question),
        "created": inputs.created,
        "tools": {"preparation": "peft"},
        "models": [{"name": _model_name(inputs.model), "path": inputs.model}],
        "data": {"training": training, "tier": inputs.tier},
        "runs": [{"name": "tuned"}, {"name": "base", "type": "control"}],
        "controls": {"dataset_type": "chat_completion", **_watched(told)},
        "resources": {"gpus": inputs.gpus},
    }
    if inputs.trials:
        design["design"] = {"kind": "search", "preset": "tune", "trials": inputs.trials}
        design["runs"] = design["runs"][1:]
    if told.on("evaluation.enabled"):
        design["evaluation"] = {"tasks": list(_tasks(told)), "generation": {"max_tokens": _LONGEST}}
        design["analysis"] = {"primary_metric": "decision", **_audited(told)}
    set_here.setdefault("controls.epochs_to_save", "last")
    return _joined(design, _nested(set_here))


def _model_name(path: str) -> str:
    """Return what a design calls the model of a directory."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.rstrip("/").rpartition("/")[2]).lstrip("._-")[:64] or "base"


def _watched(told: Told) -> dict[str, Any]:
    """Return the recipe, and what is measured at validations."""
    labels, found = told.inputs.labels, dict[str, Any]()
    if told.measured or told.on("abstention_loss.enabled"):
        found["recipe"] = CALIBRATED
    if not told.measured:
        # The calibrated recipe measures unless it is told not to.
        return {**found, "calibration_monitor": {"enabled": False}} if found else found
    found |= {"options": list(labels.options), "calibration_monitor": {"enabled": True}}
    if labels.weights:
        below = labels.thresholds.get("default_threshold", 0.0)
        found["calibration_monitor"]["abstain_below"] = below
        found["harm_weights"] = dict(labels.weights)
    return found | ({"critical_errors": [dict(each) for each in labels.errors]} if labels.errors else {})


def _tasks(told: Told) -> Iterator[dict[str, Any]]:
    labels, splits = told.inputs.labels, told.inputs.splits
    tested = "test" if splits.get("test") else "validation"
    for split in (tested, *(["calibration"] if told.calibrates else [])):
        rules: dict[str, Any] = {"options": list(labels.options)}
        rules |= {"costs": {true: dict(each) for true, each in labels.costs.items()}} if labels.costs else {}
        yield {"name": split, "task": "structured", "split": split, "scorers": ["decision", "risk"], **rules}


def _audited(told: Told) -> dict[str, Any]:
    asked = [part for group, parts in _AUDITED.items() if told.on(f"high_stakes.{group}.enabled") for part in parts]
    if not asked or not told.on("evaluation.enabled"):
        return {}
    covered = ["coverage"] if told.on("advanced_metrics.conformal_prediction.enabled") else []
    return {"audit": {"components": [*_ALWAYS, *covered, *asked]}}


def _joined(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in second.items():
        own = first.get(name)
        first[name] = _joined(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return {name: list(value) if isinstance(value, tuple) else value for name, value in first.items()}


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else as_written(value)
