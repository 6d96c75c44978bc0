"""Parts of an audit that rest on what was answered: swapped terms, procedural rules, repeated answers."""

from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np

from cruijff_kit.analysis.audit_verdicts import component_of, estimable, limited, shared_level, unassessed
from cruijff_kit.analysis.intervals import bounded_mean_interval, wilson_interval
from cruijff_kit.data.procedures import keeps
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, AuditRules
from cruijff_kit.schema.prediction import AnswerPair, Prediction
from cruijff_kit.schema.procedure import AnswerRule, Procedure
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["audit_consistency", "audit_counterfactual", "audit_procedures"]


def audit_counterfactual(
    pairs: Sequence[AnswerPair], *, rules: AuditRules, temperature: float = 1.0, reason: str = ""
) -> AuditComponent:
    """Return whether answers stay when the terms for a person's group are swapped.

    A pair of which either question was not answered is left out and counted. Source: S. Garg et al., AIES (2019).

    Args:
        pairs: the answers.
        rules: limits.
        temperature: what log-probabilities are divided by.
        reason: why there are no pairs, or what to know of them.
    """
    known = [each for each in pairs if each.written.error is None and each.swapped.error is None]
    if not known:
        return component_of("counterfactual", (), reason=reason or "no pair of answers is there")
    level = shared_level(rules, 2)
    checks = (_flips(known, rules, level=level), _shift(known, rules, level=level, temperature=temperature))
    lost = len(pairs) - len(known)
    told = [reason, f"{lost} pairs errored and are left out" if lost else ""]
    return component_of("counterfactual", checks, reason="; ".join(each for each in told if each))


def audit_procedures(
    predictions: Sequence[Prediction], procedure: Procedure | None, *, rules: AuditRules
) -> AuditComponent:
    """Return whether answers keep each rule; a sample that errored has no answer and keeps none.

    Args:
        predictions: samples of one evaluation.
        procedure: the rules; None where none were given.
        rules: limits.
    """
    if procedure is None:
        return component_of("procedures", (), reason="no rules were given: name an example or a file as `procedures`")
    level = shared_level(rules, len(procedure.rules))
    checks = [_kept(rule, predictions, rules=rules, level=level) for rule in procedure.rules]
    about = f"rules `{procedure.name}`, asked of the answers alone"
    return component_of("procedures", checks, reason=f"{about}; {procedure.about}" if procedure.about else about)


def audit_consistency(items: Sequence[Sequence[Prediction]], *, rules: AuditRules, reason: str = "") -> AuditComponent:
    """Return whether several sampled answers to one question agree.

    Agreement of a question is the share of pairs of its answers that are the same, which
    more answers do not bias; an answer that could not be read agrees with others like it.

    Args:
        items: the answers to each question; those with fewer than two tell nothing.
        rules: limits.
        reason: why there are none, or what to know of them.
    """
    told = [_agreement(each) for each in items if len(each) > 1]
    if not told:
        return component_of("consistency", (), reason=reason or "no question was answered more than once")
    figure = bounded_mean_interval(np.array(told), bound=1.0, level=rules.level)
    check = limited("agreement", figure, rule="at least", limit=rules.agreement)
    counts = Counter(len(each) for each in items if len(each) > 1)
    answers = ", ".join(f"{count} with {size} answers" for size, count in sorted(counts.items()))
    return component_of(
        "consistency",
        (estimable(check, of="questions", rules=rules),),
        reason=f"questions: {answers}{'; ' if reason else ''}{reason}",
    )


def _flips(pairs: Sequence[AnswerPair], rules: AuditRules, *, level: float) -> AuditCheck:
    changed = sum(_said(each.written) != _said(each.swapped) for each in pairs)
    figure = wilson_interval(changed, len(pairs), level=level)
    return estimable(limited("flips", figure, rule="at most", limit=rules.flips), of="pairs", rules=rules)


def _shift(pairs: Sequence[AnswerPair], rules: AuditRules, *, level: float, temperature: float) -> AuditCheck:
    """Return the check of how far the probability of the option chosen as written moves."""
    scored = [each for each in pairs if each.written.option_logprobs and each.swapped.option_logprobs]
    if len(scored) < rules.min_n:
        fact = f"{len(scored)} pairs have the probabilities of all options, fewer than {rules.min_n}"
        return unassessed("shift", fact, rule="at most", limit=rules.shift)
    one, other = (
        option_probabilities([getattr(each, name).option_logprobs for each in scored], temperature=temperature)
        for name in ("written", "swapped")
    )
    best = one.argmax(axis=1)
    moved = np.abs(one - other)[np.arange(len(best)), best]
    figure = bounded_mean_interval(moved, bound=1.0, level=level)
    return limited("shift", figure, rule="at most", limit=rules.shift)


def _said(each: Prediction) -> tuple[bool, str | None]:
    return each.abstain, None if each.prediction is None else each.prediction.strip()


def _kept(rule: AnswerRule, predictions: Sequence[Prediction], *, rules: AuditRules, level: float) -> AuditCheck:
    asked = [each for each in predictions if not rule.when or each.target.strip() in rule.when]
    kept = sum(each.error is None and keeps(rule, each.completion) for each in asked)
    figure, lost = wilson_interval(kept, len(asked), level=level), sum(each.error is not None for each in asked)
    note = f"{lost} samples errored and keep no rule" if lost else ""
    check = limited(rule.name, figure, rule="at least", limit=rules.compliance, note=note)
    return estimable(check, of="answers", rules=rules)


def _agreement(answers: Sequence[Prediction]) -> float:
    same = sum(comb(count, 2) for count in Counter(map(_said, answers)).values())
    return same / comb(len(answers), 2)
