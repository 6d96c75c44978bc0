"""The planned scorers as inspect-ai knows them; each leaves its view of the prediction.

inspect eval task.py --model … --scorer cruijff_kit/risk -S options='["no", "yes"]'
"""

from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from cruijff_kit.runtime.inspect_metrics import figures
from cruijff_kit.runtime.prediction_records import UNPLANNED, Subject, raw_record
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.judging import judge

__all__ = ["continuous", "decision", "includes", "match", "numeric_risk", "planned_scorers", "risk"]

_METRICS = [accuracy(), stderr(), figures()]


@scorer(metrics=_METRICS)
def match(*, ignore_case: bool = False, options: Sequence[str] = (), subject: dict[str, Any] | None = None) -> Scorer:
    """Accept an answer equal to the target but for outer white space.

    Args:
        ignore_case: whether capital and small letters are the same.
        options: the closed set of answers, where there is one.
        subject: a `Subject` as JSON: what is evaluated.
    """
    return _scorer("match", subject, ignore_case=ignore_case, options=options)


@scorer(metrics=_METRICS)
def includes(
    *, ignore_case: bool = False, options: Sequence[str] = (), subject: dict[str, Any] | None = None
) -> Scorer:
    """Accept an answer in which the target occurs.

    Args:
        ignore_case: whether capital and small letters are the same.
        options: the closed set of answers, where there is one.
        subject: a `Subject` as JSON: what is evaluated.
    """
    return _scorer("includes", subject, ignore_case=ignore_case, options=options)


@scorer(metrics=_METRICS)
def risk(
    *,
    options: Sequence[str],
    ignore_case: bool = False,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    subject: dict[str, Any] | None = None,
) -> Scorer:
    """Accept the target where it is the likeliest option; without every option's log-probability nothing is scored.

    Args:
        options: the closed set of answers; the last of two is the event.
        ignore_case: whether capital and small letters are the same.
        costs: true option to option chosen to what that costs.
        subject: a `Subject` as JSON: what is evaluated.
    """
    return _scorer("risk", subject, options=options, ignore_case=ignore_case, costs=costs or {})


@scorer(metrics=_METRICS)
def numeric_risk(
    *,
    options: Sequence[str] = (),
    threshold: float = 0.5,
    ignore_case: bool = False,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    subject: dict[str, Any] | None = None,
) -> Scorer:
    """Read the probability of an event, and accept it where it lies on the target's side of a threshold.

    Args:
        options: the two targets, the event last; `0` and `1` where absent.
        threshold: probability from which the event is taken to be foretold.
        ignore_case: whether capital and small letters are the same.
        costs: true option to option chosen to what that costs.
        subject: a `Subject` as JSON: what is evaluated.
    """
    told = {"options": options, "threshold": threshold, "ignore_case": ignore_case, "costs": costs or {}}
    return _scorer("numeric_risk", subject, **told)


@scorer(metrics=_METRICS)
def continuous(*, options: Sequence[str] = (), subject: dict[str, Any] | None = None) -> Scorer:
    """Read the first number of an answer, and accept it where it equals the target's.

    Args:
        options: a closed set of answers whose probabilities are recorded too.
        subject: a `Subject` as JSON: what is evaluated.
    """
    return _scorer("continuous", subject, options=options)


@scorer(metrics=_METRICS)
def decision(
    *,
    options: Sequence[str] = (),
    ignore_case: bool = False,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    abstain_cost: float = 0.0,
    subject: dict[str, Any] | None = None,
) -> Scorer:
    """Read `{"decision", "rationale", "abstain"}` as JSON; whatever is invalid is an abstention with its reason.

    Args:
        options: the closed set of decisions, where there is one.
        ignore_case: whether capital and small letters are the same.
        costs: true option to option chosen to what that costs.
        abstain_cost: what declining to decide costs.
        subject: a `Subject` as JSON: what is evaluated.
    """
    told = {"options": options, "ignore_case": ignore_case, "costs": costs or {}, "abstain_cost": abstain_cost}
    return _scorer("decision", subject, **told)


# Each scorer, and which of the rules it takes.
_PLANNED = {
    "continuous": (continuous, ("options",)),
    "decision": (decision, ("options", "ignore_case", "costs", "abstain_cost")),
    "includes": (includes, ("options", "ignore_case")),
    "match": (match, ("options", "ignore_case")),
    "numeric_risk": (numeric_risk, ("options", "threshold", "ignore_case", "costs")),
    "risk": (risk, ("options", "ignore_case", "costs")),
}


def planned_scorers(
    names: Sequence[str],
    subject: Subject,
    *,
    rules: ScoringRules = ScoringRules(),  # noqa: B008 -- a frozen value
) -> list[Scorer]:
    """Return exactly the scorers planned, in order; each score carries a prediction as its scorer sees it."""
    facts, told = subject.model_dump(mode="json"), rules.model_dump(mode="json", exclude_defaults=True)
    return [
        build(**{name: told[name] for name in taken if name in told}, subject=facts)
        for build, taken in (_PLANNED[name] for name in names)
    ]


def _scorer(name: str, subject: dict[str, Any] | None, **told: Any) -> Scorer:
    about = UNPLANNED if subject is None else Subject.model_validate(subject)
    rules = ScoringRules.model_validate({**told, "options": tuple(told.get("options", ()))})
    left = {"scorer": name, "rules": rules.model_dump(mode="json", exclude_defaults=True)}

    async def score(state: TaskState, target: Target) -> Score:
        record = raw_record(
            about,
            state.output,
            sample_id=str(state.sample_id),
            target=target.text,
            metadata=state.metadata,
            rules=rules,
        )
        seen = judge(record, name, rules=rules)
        return Score(
            value=_value(seen),
            answer=seen.prediction,
            explanation=seen.reason or None,
            metadata={**left, "prediction": seen.model_dump(mode="json")},
        )

    return score


def _value(seen: Prediction) -> str:
    if seen.abstain:
        return NOANSWER
    return CORRECT if seen.correct else INCORRECT
