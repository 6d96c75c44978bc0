"""One record as each scorer sees it: what was answered, and whether that is right.

Every scorer is a function of the completion, the target and what the model said of the
options. So any of them can be had from a record again, whichever scorer made it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.answers import Verdict, includes, match, parse_answer, same
from cruijff_kit.scoring.json_decision import read_decision
from cruijff_kit.scoring.numbers import find_number

__all__ = ["EVENTS", "JUDGES", "event_options", "judge", "text_verdict"]

EVENTS = ("0", "1")
"""Targets of `numeric_risk` where no options are named; the last is the event."""

_CLOSE = 1e-9
_CLEAN: Mapping[str, Any] = MappingProxyType(
    {"abstain": False, "parse_ok": True, "number": None, "rationale": None, "reason": ""}
)


def judge(record: Prediction, scorer: str, *, rules: ScoringRules) -> Prediction:
    """Return a record as a scorer sees it; one that errored has no verdict.

    Args:
        record: a sample's completion, target and option log-probabilities.
        scorer: one of `JUDGES`.
        rules: what scorers are told.
    """
    if record.error is not None:
        return record.model_copy(update={"correct": None, "prediction": None, "parse_ok": False})
    return record.model_copy(update={**_CLEAN, **JUDGES[scorer](record, rules)})


def event_options(rules: ScoringRules) -> tuple[str, ...]:
    """Return the two options that `numeric_risk` tells apart."""
    return rules.options or EVENTS


def text_verdict(scorer: str, *, rules: ScoringRules) -> Verdict:
    """Return a scorer of texts alone: takes a completion and a target, says whether it is right."""

    def right(completion: str, target: str) -> bool:
        bare = Prediction(
            sample_id="0", run="unplanned", epoch=None, task="", split="", target=target, prediction=None,
            completion=completion, prompt_token_sha256="0" * 64, checkpoint_sha256="0" * 64,
        )  # fmt: skip
        return judge(bare, scorer, rules=rules).correct is True

    return right


def _match(record: Prediction, rules: ScoringRules) -> dict[str, Any]:
    answer = parse_answer(record.completion)
    named = None if answer is None else _option(answer, rules)
    return {
        "prediction": named or answer,
        "correct": match(record.completion, record.target, ignore_case=rules.ignore_case),
        **_blank(answer),
    }


def _includes(record: Prediction, rules: ScoringRules) -> dict[str, Any]:
    answer = parse_answer(record.completion)
    held = [each for each in rules.options if includes(record.completion, each, ignore_case=rules.ignore_case)]
    return {
        "prediction": held[0] if len(held) == 1 else answer,
        "correct": includes(record.completion, record.target, ignore_case=rules.ignore_case),
        **_blank(answer),
    }


def _risk(record: Prediction, rules: ScoringRules) -> dict[str, Any]:
    """Decide for the likeliest option, the first of equals; without all of them nothing is scored."""
    if not record.option_logprobs:
        reason = record.reason or "the model gave no log-probabilities of the options"
        return {"prediction": None, "correct": False, "confidence": None, "parse_ok": False, "reason": reason}
    chances = _chances(record)
    chosen = record.options[chances.index(max(chances))]
    right = same(chosen, record.target, ignore_case=rules.ignore_case)
    return {"prediction": chosen, "correct": right, "confidence": max(chances)}


def _numeric_risk(record: Prediction, rules: ScoringRules) -> dict[str, Any]:
    found = find_number(record.completion)
    chance = found.value
    if chance is not None and found.unit == "%":
        chance /= 100
    if chance is None or found.unit not in {"", "%"} or not 0 <= chance <= 1:
        reason = found.reason if chance is None else f"`{chance:g}{found.unit.strip('%')}` is no probability"
        return {"prediction": None, "correct": False, "confidence": None, "parse_ok": False, "reason": reason}
    other, event = event_options(rules)
    foretold = chance >= rules.threshold
    chosen = event if foretold else other
    return {
        "prediction": chosen,
        "correct": same(chosen, record.target, ignore_case=rules.ignore_case),
        "confidence": chance if foretold else 1 - chance,
        "number": chance,
        "reason": found.reason,
    }


def _continuous(record: Prediction, _: ScoringRules) -> dict[str, Any]:
    """Read a number; right is what equals the target's, but for rounding."""
    found, true = find_number(record.completion), find_number(record.target)
    if found.value is None:
        return {"prediction": None, "correct": False, "parse_ok": False, "reason": found.reason}
    notes = [found.reason] if found.reason else []
    if true.value is not None and found.unit != true.unit:
        notes.append(f"the target is in {true.unit or 'no unit'}")
    scale = max(1.0, abs(found.value))
    return {
        "prediction": f"{found.value:.17g}",
        "correct": true.value is not None and abs(found.value - true.value) <= _CLOSE * scale,
        "number": found.value,
        "reason": "; ".join(notes),
    }


def _decision(record: Prediction, rules: ScoringRules) -> dict[str, Any]:
    found = read_decision(record.completion)
    chosen, reason = found.decision, found.reason
    if chosen is not None and rules.options:
        named = _option(chosen, rules)
        reason = "" if named else f"`{chosen[:80]}` is none of the options"
        chosen = named
    sure = record.confidence
    if sure is None and record.option_logprobs and chosen in record.options:
        sure = _chances(record)[record.options.index(chosen)]
    return {
        "prediction": chosen,
        "confidence": sure,
        "correct": chosen is not None and same(chosen, record.target, ignore_case=rules.ignore_case),
        "abstain": chosen is None,
        "parse_ok": found.valid and (found.abstain or chosen is not None),
        "rationale": found.rationale,
        "reason": reason,
    }


def _chances(record: Prediction) -> list[float]:
    """Return the probability of each option of a record that has their log-probabilities."""
    # numpy comes with it, and names of scorers are needed without.
    from cruijff_kit.scoring.temperature import option_probabilities

    return [min(1.0, chance) for chance in option_probabilities([record.option_logprobs])[0].tolist()]


def _option(text: str, rules: ScoringRules) -> str | None:
    """Return the option that a text is, as the design writes it."""
    return next((each for each in rules.options if same(each, text, ignore_case=rules.ignore_case)), None)


def _blank(answer: str | None) -> dict[str, Any]:
    return {"parse_ok": answer is not None, "reason": "" if answer else "the answer is blank"}


JUDGES: Mapping[str, Callable[[Prediction, ScoringRules], dict[str, Any]]] = MappingProxyType(
    {
        "continuous": _continuous,
        "decision": _decision,
        "includes": _includes,
        "match": _match,
        "numeric_risk": _numeric_risk,
        "risk": _risk,
    }
)
"""Scorers that a design may plan, by name: what each changes in a record."""
