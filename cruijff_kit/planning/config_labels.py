"""The predecessor's `labels.yaml`: labels, what errors cost, and when to abstain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cruijff_kit.data.config_text import ConfigText, malformed, read_config
from cruijff_kit.data.cost_file import option_name, read_costs
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.config_told import Labels
from cruijff_kit.schema.config_keys import LABEL_KEYS
from cruijff_kit.schema.configured import KeyOutcome
from cruijff_kit.schema.scoring_rules import Costs

__all__ = ["ReadLabels", "read_labels"]

_SWITCH = "abstain.enabled"
_THRESHOLDS = ("default_threshold", "cascade_threshold", "max_abstain_rate")
_OF_A_LABEL = ("name", "harm_weight", "description")


class ReadLabels(NamedTuple):
    """What a file of labels says."""

    labels: Labels
    """Labels, costs and thresholds; none where there are problems."""
    outcomes: tuple[KeyOutcome, ...]
    """What each key came to; nothing is told where there are problems."""
    problems: tuple[Problem, ...]
    """All that is wrong."""


def read_labels(text: str, *, name: str) -> ReadLabels:
    """Return the labels of a file.

    Args:
        text: YAML.
        name: file name, for messages.

    Raises:
        SpecError: the text is not plain YAML.
    """
    config = read_config(text, name=name, table=LABEL_KEYS)
    costs, priced = _costs(text, name=name)
    own = [*config.problems, *_of_labels(config), *_of_abstaining(config)]
    places = {each.place for each in own}
    problems = [*own, *(each for each in priced if each.place not in places)]
    if problems:
        return ReadLabels(Labels(), (), tuple(problems))
    abstains = config.values[_SWITCH] is True
    thresholds = {each: config.values[f"abstain.{each}"] for each in _THRESHOLDS} if abstains else {}
    weights = _weights(config)
    errors = tuple(_error(each) for each in config.values["critical_errors"] or ())
    labels = Labels(tuple(weights), weights, errors, costs, abstains, thresholds)
    return ReadLabels(labels, tuple(_outcomes(config, labels)), ())


def _costs(text: str, *, name: str) -> tuple[Costs, Sequence[Problem]]:
    try:
        return read_costs(text, name=name), ()
    except SpecError as err:
        return {}, err.problems


def _of_labels(config: ConfigText) -> Iterator[Problem]:
    labels = config.values["labels"]
    entries: list[Any] = labels if isinstance(labels, list) else []
    for at, each in enumerate(entries):
        unknown = [key for key in each if key not in _OF_A_LABEL] if isinstance(each, dict) else []
        for key in unknown:
            place = config.marks.place(("labels", at, key))
            yield Problem(f"`{key}` is no key of a label", f"labels[{at}].{key}", place, "remove it; a label has "
                          f"{', '.join(f'`{known}`' for known in _OF_A_LABEL)}")  # fmt: skip
    if len(entries) < 2:
        hint = "write `labels: [{name: …, harm_weight: …}, …]`, two at least"
        yield Problem("there are no labels to choose between", "labels", config.place("labels"), hint)


def _of_abstaining(config: ConfigText) -> Iterator[Problem]:
    for name in (_SWITCH, *(f"abstain.{each}" for each in _THRESHOLDS)):
        key, value = LABEL_KEYS[name], config.values[name]
        if key.switch and config.values[key.switch] is not True:
            continue
        words = malformed(key, value)
        if words:
            yield Problem(f"`{value}` is not {words}", name, config.place(name), f"write {words}")
        elif key.kind == "number" and not 0 <= value <= 1:
            yield Problem(f"`{value}` is refused: {key.why}", name, config.place(name), key.instead)


def _weights(config: ConfigText) -> dict[str, float]:
    return {option_name(each["name"]): float(each["harm_weight"]) for each in config.values["labels"]}


def _error(each: Mapping[str, Any]) -> dict[str, Any]:
    predicted = each["predicted"] if "predicted" in each else each["action"]
    return {"true": option_name(each["true"]), "predicted": option_name(predicted), "weight": float(each["weight"])}


def _outcomes(config: ConfigText, labels: Labels) -> Iterator[KeyOutcome]:
    named = ", ".join(labels.options)
    words = {
        "labels": f"options and costs of the evaluation: {named}; descriptions are for people",
        _SWITCH: "flags of `ck predict`" if labels.abstains else "`ck predict --threshold 0`",
        "critical_errors": f"costs of the evaluation: {len(labels.errors)} of their own"
        if labels.errors
        else "nothing",
    }
    for name, key in LABEL_KEYS.items():
        off = bool(key.switch) and not labels.abstains
        outcome = f"`{key.switch}` is off" if off else words.get(name, key.goes)
        works = not off and not outcome.startswith("nothing")
        value = f"{len(config.values[name] or ())} entries" if key.kind == "rows" else config.values[name]
        yield KeyOutcome(key=name, value=value, said=name in config.said, works=works, outcome=outcome)
