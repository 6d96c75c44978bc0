"""Further keys of the predecessor's configuration that become something else: rows, uncertainty, audit and metrics.

Written as those of `config_ways.py` are.
"""

import json
import string
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cruijff_kit.data.augmentation import method_problem
from cruijff_kit.data.prompts import placeholders
from cruijff_kit.data.structured import INPUT_TEMPLATE, system_prompt
from cruijff_kit.data.term_pairs import BUNDLED
from cruijff_kit.planning.config_told import Made, RefusedError, Told, is_share
from cruijff_kit.schema.structured_rows import AbstainExample
from cruijff_kit.scoring.json_decision import read_decision

__all__ = ["ASKS", "abstain_example"]

_FIELDS = ("decision", "rationale", "abstain")
_TYPES = MappingProxyType(
    {"decision": {"str", "string", "text"}, "rationale": {"str", "string", "text"}, "abstain": {"bool", "boolean"}}
)
_FIGURES = MappingProxyType(
    {
        "accuracy": "decision", "f1": "decision/f1_macro", "f1_macro": "decision/f1_macro",
        "recall": "decision/balanced_accuracy", "recall_macro": "decision/balanced_accuracy",
        "abstention_rate": "decision/abstention_rate", "coverage": "decision/coverage",
        "json_compliance_rate": "decision/parse_rate", "ece": "risk/ece", "mce": "risk/mce",
        "brier": "risk/brier_multiclass", "brier_score": "risk/brier_multiclass",
    }
)  # fmt: skip
"""Metrics of the predecessor, by the figures that tell them here."""
_ENSEMBLE_SEED = 14
_EXAMPLE = {"text", "output"}


def abstain_example(row: Any) -> AbstainExample:
    """Return an example of a text to abstain on.

    Raises:
        RefusedError: it is none.
    """
    output = row.get("output") if isinstance(row, Mapping) else None
    text = row.get("text") if isinstance(row, Mapping) else None
    found = read_decision(json.dumps(output) if isinstance(output, Mapping) else str(output))
    if not isinstance(text, str) or not text.strip() or not (found.valid and found.abstain) or set(row) - _EXAMPLE:
        raise RefusedError("")
    return AbstainExample(text=text, rationale=found.rationale or "")


def _metrics(told: Told, value: list[str]) -> Made:
    unknown = [each for each in value if each not in _FIGURES]
    if unknown:
        known = ", ".join(f"`{each}`" for each in _FIGURES)
        raise RefusedError(f"no scorer tells `{unknown[0]}`; there are {known}")
    return Made(", ".join(dict.fromkeys(_FIGURES[each] for each in value)) or "nothing more than is always told")


def _share(words: str) -> Callable[[Told, float], Made]:
    def made(told: Told, value: float) -> Made:
        if not is_share(value):
            raise RefusedError("")
        return Made(f"{words}: {value:g}")

    return made


def _val_split(told: Told, value: float) -> Made:
    if not is_share(value):
        raise RefusedError("")
    rows = told.inputs.splits.get("validation", 0)
    return Made(f"split `validation`: {rows:,} rows, stratified by label, seed 42")


def _calibration_ratio(told: Told, value: float) -> Made:
    if not told.calibrates:
        return Made("nothing: nothing is calibrated", aside=True)
    if not is_share(value):
        raise RefusedError("")
    return Made(f"split `calibration`: {told.inputs.splits.get('calibration', 0):,} rows, stratified by label, seed 42")


def _methods(told: Told, value: list[str]) -> Made:
    facts = [fact for fact in map(method_problem, value) if fact]
    if facts or not value:
        raise RefusedError(facts[0] if facts else "there is no method in it")
    return Made(f"copies of training rows: {', '.join(value)}")


def _schema(told: Told, value: Any) -> Made:
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise RefusedError("") from None
    if read is not None and not _is_form(read):
        raise RefusedError("")
    return Made("the one form of structured answers", aside=True)


def _is_form(read: Any) -> bool:
    return isinstance(read, dict) and set(read) == set(_FIELDS) and all(str(read[key]) in _TYPES[key] for key in read)


def _system(told: Told, value: str) -> Made:
    text = value.strip() or system_prompt(told.inputs.labels.options)
    own = "controls.system_prompt" if value.strip() else "controls.system_prompt: one that asks for the form"
    return Made(own, {"controls.system_prompt": text})


def _input(told: Told, value: str) -> Made:
    text = value.strip() or (INPUT_TEMPLATE if told.inputs.metadata else "{text}")
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        raise RefusedError("its braces do not match") from None
    # `{text!r}` is a field to Python, and none to a prompt.
    if "text" not in fields or fields - {"text", "metadata"} or fields != set(placeholders(text)):
        raise RefusedError("")
    return Made("controls.prompt", {"controls.prompt": text})


def _output(told: Told, value: str) -> Made:
    filled = value.replace("{label}", "LABEL").replace("{rationale}", "so").replace("{abstain}", "false")
    filled = filled.replace("{{", "{").replace("}}", "}") if "{{" in value else filled
    if value.strip() and not (read_decision(filled).valid and set(json.loads(filled)) == set(_FIELDS)):
        raise RefusedError("")
    return Made("the one form of structured answers, written in a line", aside=True)


def _examples(told: Told, value: list[Any]) -> Made:
    for row in value:
        abstain_example(row)
    return Made(f"{len(value)} further training rows" if value else "nothing", aside=not value)


def _passes(told: Told, value: bool) -> Made:
    if not value:
        return Made("nothing: the model is asked once", aside=True)
    return Made("as `high_stakes.uncertainty.method` says")


def _samples(told: Told, value: int) -> Made:
    if not 2 <= value <= 1000:
        raise RefusedError("")
    if told["high_stakes.uncertainty.method"] == "deep_ensemble":
        seeds = [_ENSEMBLE_SEED + at for at in range(value)]
        return Made(f"controls.seeds: {value} runs that answer together by `ck decide --ensemble`",
                    {"controls.seeds": seeds})  # fmt: skip
    place = "evaluation.generation.dropout_passes"
    return Made(f"{place}: {value}", {place: value})


def _switch(words: str) -> Callable[[Told, bool], Made]:
    def made(told: Told, value: bool) -> Made:
        return Made(words) if value else Made("nothing: it is off", aside=True)

    return made


def _categories(told: Told, value: list[str]) -> Made:
    unknown = [each for each in value if each not in BUNDLED]
    if unknown:
        raise RefusedError(f"there is no list of terms `{unknown[0]}`; there are {', '.join(sorted(BUNDLED))}")
    groups = [each for each in value if each in told.inputs.columns]
    places: dict[str, Any] = {"analysis.audit.terms": list(value)} | ({"analysis.groups": groups} if groups else {})
    named = f"; groups by column {', '.join(groups)}" if groups else "; no column of the rows has such a name"
    return Made(f"analysis.audit.terms, swapped by `ck audit-model --ask`{named}", places)


def _domain(told: Told, value: str) -> Made:
    if told.inputs.procedures is not None:
        return Made("nothing: `procedure_file` goes before it", aside=True)
    return Made(f"analysis.audit.procedures: {value}, example rules", {"analysis.audit.procedures": value})


def _procedures(told: Told, value: str | None) -> Made:
    found = told.inputs.procedures
    if found is None:
        return Made("nothing: there is no such file, so `domain` says", aside=True)
    return Made(f"analysis.audit.procedures: {found}", {"analysis.audit.procedures": found})


def _classes(told: Told, value: list[str] | None) -> Made:
    labels = told.inputs.labels.options
    if value is not None and set(value) != set(labels):
        raise RefusedError(f"the labels are {', '.join(f'`{each}`' for each in labels)}")
    return Made("the labels", aside=True)


def _loss(told: Told, value: bool) -> Made:
    if not value:
        return Made("controls.loss: ce, cross-entropy", aside=True)
    return Made("controls.loss: abstain_seed, which is no proper score", {"controls.loss": "abstain_seed"})


def _monitor(told: Told, value: bool) -> Made:
    place = "controls.calibration_monitor"
    if not value:
        return Made("nothing: the learning rate follows its schedule", aside=True)
    return Made(f"{place}: enabled, adjust_lr", {f"{place}.enabled": True, f"{place}.adjust_lr": True})


ASKS: Mapping[str, Callable[[Told, Any], Made]] = MappingProxyType(
    {
        "evaluation.metrics": _metrics,
        "evaluation.val_split": _val_split,
        "data.augmentation.enabled": _switch("copies of training rows, one each"),
        "data.augmentation.methods": _methods,
        "data.augmentation.aug_p": _share("part of the words of a copy that change"),
        "output.schema": _schema,
        "instruction_format.system_prompt": _system,
        "instruction_format.input_template": _input,
        "instruction_format.output_template": _output,
        "instruction_format.abstain_examples": _examples,
        "high_stakes.uncertainty.enabled": _passes,
        "high_stakes.uncertainty.method": lambda told, value: Made(value),
        "high_stakes.uncertainty.num_samples": _samples,
        "high_stakes.factual.enabled": _switch("the part `consistency` of the audit"),
        "high_stakes.bias_audit.enabled": _switch("the parts `groups` and `counterfactual` of the audit"),
        "high_stakes.bias_audit.audit_categories": _categories,
        "high_stakes.procedural.enabled": _switch("the part `procedures` of the audit"),
        "high_stakes.procedural.domain": _domain,
        "high_stakes.procedural.procedure_file": _procedures,
        "advanced_metrics.conformal_prediction.enabled": _switch("split `calibration`, then `ck calibrate`"),
        "advanced_metrics.conformal_prediction.alpha": _share("`ck calibrate --alpha`"),
        "advanced_metrics.conformal_prediction.method": lambda told, value: Made(f"`ck calibrate --method {value}`"),
        "advanced_metrics.conformal_prediction.calibration_ratio": _calibration_ratio,
        "advanced_metrics.risk_control.enabled": _switch("split `calibration`, then `ck calibrate --method crc`"),
        "advanced_metrics.risk_control.alpha": _share("`ck calibrate --alpha`"),
        "advanced_metrics.risk_control.class_names": _classes,
        "abstention_loss.enabled": _loss,
        "calibration_monitoring.enabled": _monitor,
    }
)
"""Keys of rows, uncertainty, audit and metrics that are made into something, each with what makes it."""
