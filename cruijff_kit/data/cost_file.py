"""Costs as people write them: what each wrong choice costs, with the truth and the choice told apart by name.

    yes: {no: 5, unsure: 1}              the true option first, then what was chosen

    axes: [true, predicted]              the same with its axes named, or turned: [predicted, true]
    costs: {yes: {no: 5, unsure: 1}}

    costs:                               the same, one by one
    - {true: yes, predicted: no, cost: 5}

    labels:                              what missing a label costs, whatever was chosen instead
    - {name: yes, harm_weight: 5}
    critical_errors:                     what one mistake costs, whatever its label weighs
    - {true: yes, predicted: no, weight: 50}

`action` may stand for `predicted`, and `harm_weights: {yes: 5}` for `labels`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cruijff_kit.data.plain_values import is_number
from cruijff_kit.data.yaml_text import YamlPath, YamlText, dotted, load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.scoring_rules import Costs

__all__ = ["option_name", "read_costs"]

_PARTS = frozenset({"costs", "critical_errors", "harm_weights", "labels"})
_KEYS = _PARTS | {"abstain", "axes"}
"""Keys of a file that names its parts; `abstain` says nothing of costs and is passed over."""
_CHOICES = ("predicted", "action")
_AXES: Mapping[tuple[str, ...], bool] = {("true", each): False for each in _CHOICES} | {
    (each, "true"): True for each in _CHOICES
}
"""Names of the axes to whether they are turned."""
_TURNED = "`from` and `to` do not say which of them is the truth"


def read_costs(text: str, *, name: str) -> Costs:
    """Return what each wrong choice costs, the true option first.

    Args:
        text: YAML in one of the forms above.
        name: file name, for messages.

    Raises:
        SpecError: it is none of them; all problems at once.
    """
    reader = _CostReader(load_yaml(text, name=name))
    found = reader.costs()
    if reader.problems:
        hint = "name what is true first: `yes: {no: 5}`; see `ck decide --help`"
        raise SpecError(f"`{name}` holds no costs that can be used", problems=reader.problems, hint=hint)
    return found


def option_name(value: Any) -> str:
    """Return the name of an option, which YAML may have taken for a number or a truth value."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _CostReader:
    """Builds costs from a document, noting problems."""

    def __init__(self, document: YamlText) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def costs(self) -> Costs:
        """Return the costs; what is wrong with them is in `problems`."""
        value = self._document.value
        if not isinstance(value, dict) or not value:
            self._report((), "it must map each true option to what choosing another costs")
            return {}
        if not _PARTS & value.keys():
            return self._matrix(value, path=(), turned=False)
        for key in value.keys() - _KEYS:
            self._report((key,), f"`{key}` is unknown; known are {', '.join(sorted(_KEYS))}")
        return self._named(value)

    def _named(self, value: dict[str, Any]) -> Costs:
        weights = self._weights(value)
        found: Costs = {true: {other: weight for other in weights if other != true} for true, weight in weights.items()}
        if "costs" in value and weights:
            self._report(("costs",), "costs are there twice: as weights of labels and by themselves")
        elif isinstance(value.get("costs"), list):
            found = dict[str, dict[str, float]]()
            for true, chosen, cost in self._entries(value["costs"], path=("costs",), weight="cost"):
                found.setdefault(true, {})[chosen] = cost
        elif "costs" in value:
            found = self._matrix(value["costs"], path=("costs",), turned=self._turned(value.get("axes")))
        elif not weights and not self.problems:
            self._report((), "no labels are weighed: name them in `labels` or `harm_weights`")
        errors = value.get("critical_errors") or []
        for true, chosen, cost in self._entries(errors, path=("critical_errors",), weight="weight"):
            if true not in found or (weights and chosen not in weights):
                self._report(("critical_errors",), f"`{true}` -> `{chosen}` names a label that is not there")
                continue
            found[true][chosen] = cost
        return found

    def _weights(self, value: dict[str, Any]) -> dict[str, float]:
        """Return each label's weight, from `labels` or `harm_weights`."""
        labels = value.get("labels")
        if isinstance(labels, list):
            found = dict[str, float]()
            for at, each in enumerate(labels):
                if not isinstance(each, dict) or "name" not in each or "harm_weight" not in each:
                    self._report(("labels", at), "a label needs `name` and `harm_weight`")
                    continue
                name = option_name(each["name"])
                if name in found:
                    self._report(("labels", at), f"label `{name}` is there twice")
                found[name] = self._number(each["harm_weight"], path=("labels", at, "harm_weight"))
            return found
        path, given = ("labels", labels) if labels is not None else ("harm_weights", value.get("harm_weights"))
        if given is not None and not isinstance(given, dict):
            self._report((path,), "it must name a weight for each label")
        if not isinstance(given, dict):
            return {}
        return {label: self._number(weight, path=(path, label)) for label, weight in given.items()}

    def _entries(self, given: Any, *, path: YamlPath, weight: str) -> Iterator[tuple[str, str, float]]:
        """Yield true option, choice and cost of each entry."""
        if not isinstance(given, list):
            self._report(path, f"it must be a list of `{{true: …, predicted: …, {weight}: …}}`")
            return
        seen = set[tuple[str, str]]()
        for at, each in enumerate(given):
            chosen = [name for name in _CHOICES if isinstance(each, Mapping) and name in each]
            if not isinstance(each, dict) or "true" not in each or len(chosen) != 1 or weight not in each:
                turned = isinstance(each, dict) and {"from", "to"} & each.keys()
                needed = f"an entry needs `true`, `predicted` and `{weight}`"
                self._report((*path, at), f"{_TURNED}; {needed}" if turned else needed)
                continue
            cost = self._number(each[weight], path=(*path, at, weight))
            pair = option_name(each["true"]), option_name(each[chosen[0]])
            if pair in seen:
                self._report((*path, at), f"`{pair[0]}` -> `{pair[1]}` is there twice")
            seen.add(pair)
            yield *pair, cost

    def _matrix(self, given: Any, *, path: YamlPath, turned: bool) -> Costs:
        found: Costs = {}
        if not isinstance(given, dict):
            self._report(path, "it must map each true option to what choosing another costs")
            return found
        for first, row in given.items():
            if not isinstance(row, dict):
                self._report((*path, first), "it must map each option chosen to its cost")
                continue
            for second, cost in row.items():
                true, chosen = (second, first) if turned else (first, second)
                found.setdefault(true, {})[chosen] = self._number(cost, path=(*path, first, second))
            found.setdefault(first, {})
        return found

    def _turned(self, axes: Any) -> bool:
        if axes is None:
            return False
        # `true` by itself is a truth value to YAML.
        names = tuple(option_name(each) for each in axes) if isinstance(axes, list) else ()
        if names not in _AXES:
            self._report(("axes",), "axes are `[true, predicted]`, or `[predicted, true]` where rows are choices")
        return _AXES.get(names, False)

    def _number(self, value: Any, *, path: YamlPath) -> float:
        if not is_number(value) or value < 0:
            self._report(path, f"`{value}` is no cost; a cost is a number from 0")
            return 0.0
        return float(value)

    def _report(self, path: YamlPath, fact: str) -> None:
        self.problems.append(Problem(fact, dotted(path), self._document.marks.place(path)))
