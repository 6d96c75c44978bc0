"""The figures of `scoring` as inspect-ai's metrics, for our scorers and for any task's."""

from collections.abc import Callable, Sequence
from math import nan
from types import MappingProxyType
from typing import Any

from inspect_ai.scorer import Metric, SampleScore, metric

from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.figure_names import FIGURES, measures_of
from cruijff_kit.scoring.figures import Answers, measure_answers
from cruijff_kit.scoring.records import scorer_answers

__all__ = ["METRICS", "figures"]


@metric
def figures() -> Metric:
    """Return every figure that the scorer gives, each as a metric of its own; not a number where not estimable."""

    def compute(scores: list[SampleScore]) -> dict[str, Any]:
        scorer, rules = _told(scores)
        if not scorer:
            return {}
        answers = _answers(scores)
        return {name: _number(name, answers) for name in measures_of(scorer, rules.options)}

    return compute


def _one(name: str) -> Callable[[], Metric]:
    """Return the metric of one figure, registered under its name."""

    @metric(name=name)
    def build() -> Metric:
        def compute(scores: list[SampleScore]) -> float:
            return _number(name, _answers(scores)) if _told(scores)[0] else nan

        return compute

    return build


METRICS = MappingProxyType({name: _one(name) for name in FIGURES if name != "accuracy"})
"""Each figure as a metric, for `@scorer(metrics=[METRICS["auc"]()])`; they read what our scorers leave in a score."""


def _told(scores: Sequence[SampleScore]) -> tuple[str, ScoringRules]:
    """Return which scorer left these scores, and what it was told; no name where it is none of ours."""
    left = (scores[0].score.metadata or {}) if scores else {}
    return left.get("scorer", ""), ScoringRules.model_validate(left.get("rules", {}))


def _answers(scores: Sequence[SampleScore]) -> Answers:
    scorer, rules = _told(scores)
    left = [(each.score.metadata or {})["prediction"] for each in scores]
    return scorer_answers([Prediction.model_validate(each) for each in left], scorer, rules=rules)


def _number(name: str, answers: Answers) -> float:
    value = measure_answers(name, answers).value
    return nan if value is None else value
