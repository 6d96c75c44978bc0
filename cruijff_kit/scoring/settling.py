"""What a structured answer decides: read, held against the labels, and against the thresholds."""

from collections.abc import Sequence
from math import exp, fsum

from cruijff_kit.schema.answer import Answer, Question, RawAnswer, Thresholds
from cruijff_kit.scoring.json_decision import JsonDecision, read_decision

__all__ = ["goes_on", "label_probabilities", "refused", "settle"]

_SHOWN = 80


def label_probabilities(raw: RawAnswer, options: Sequence[str]) -> dict[str, float]:
    """Return the probability of each label, normalised over the labels; none where they were not scored."""
    if not raw.logprobs:
        return {}
    # numpy comes with it, and questions that cannot be asked are refused without.
    from cruijff_kit.scoring.temperature import option_probabilities

    return dict(zip(options, option_probabilities([raw.logprobs])[0].tolist(), strict=True))


def settle(
    question: Question, raw: RawAnswer, *, options: Sequence[str], thresholds: Thresholds, model_id: str
) -> Answer:
    """Return what is decided: the label named where it is one of those asked and likely enough, else an abstention.

    Never raises, whatever the model said.

    Args:
        question: what was asked.
        raw: what the model said.
        options: the labels; any text is one where there are none.
        thresholds: how likely a decision must be.
        model_id: the model.
    """
    if raw.problem:
        return refused(question, raw.problem, model_id=model_id)
    found, probs = read_decision(raw.text), label_probabilities(raw, options)
    decision, reason = _held(found, options)
    chance = probs.get(decision, 1.0) if decision is not None else 1.0
    if chance < thresholds.default_threshold:
        reason = f"`{decision}` has probability {chance:.3f}, below the threshold {thresholds.default_threshold:g}"
        decision = None
    return Answer(
        id=question.id,
        line=question.line,
        decision=decision,
        rationale=found.rationale,
        abstain=decision is None,
        reason=reason,
        probs=probs,
        max_prob=max(probs.values()) if probs else None,
        mass=min(1.0, fsum(map(exp, raw.logprobs))) if probs else None,
        abstain_prob=None if raw.abstain_logprob is None else exp(raw.abstain_logprob),
        latency_ms=raw.latency_ms,
        cost_cents=None,
        model_id=model_id,
        raw_output=raw.text,
    )


def refused(question: Question, reason: str, *, model_id: str = "") -> Answer:
    """Return the abstention on what no model was asked."""
    return Answer(
        id=question.id, line=question.line, decision=None, rationale=None, abstain=True, reason=reason, probs={},
        max_prob=None, mass=None, abstain_prob=None, latency_ms=0.0, cost_cents=None, model_id=model_id, raw_output="",
    )  # fmt: skip


def goes_on(answer: Answer, *, thresholds: Thresholds) -> bool:
    """Return whether a model that is not the last leaves a text to the next: it abstains, or is not sure enough."""
    if answer.decision is None:
        return True
    return answer.probs.get(answer.decision, 1.0) < thresholds.cascade_threshold


def _held(found: JsonDecision, options: Sequence[str]) -> tuple[str | None, str]:
    """Return the label that was decided, or why none was."""
    if found.decision is None or not options or found.decision in options:
        return found.decision, found.reason
    return None, f"`{found.decision[:_SHOWN]}` is none of the labels"
