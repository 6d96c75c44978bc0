"""Verdicts: probabilities, a calibrator and costs become a set, an action or none, and what is guaranteed of both.

    expected cost of an action = sum over options of p(option) * L[option, action];  rows of L are truth

- ABSTAIN: the cheapest action is expected to cost more than the threshold. That a harmful option is likely
  is no reason to abstain: acting on it may cost nothing.
- PROCEED: it does not, and the cheapest action is to go by the most probable option.
- ADJUST: it does not, and another action is cheaper than to go by the most probable option.

The threshold is the calibrator's. Where there is none it is the cost of abstaining, if one is named: the best rule
for probabilities that are right (C. K. Chow, IEEE Trans. Information Theory 16 (1970), 41-46), which promises nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.schema.calibration import BY_CLASS, CalibrationSettings, Calibrator
from cruijff_kit.schema.verdict import ActionCost, Chances, DecisionSettings, OptionShare, Promise, Spread, Verdict
from cruijff_kit.scoring.calibrators import decide_rows, recalibrated, risk_of, set_flags
from cruijff_kit.scoring.decision_scores import NONE
from cruijff_kit.scoring.ensembles import entropies
from cruijff_kit.scoring.estimates import Floats
from cruijff_kit.scoring.records import cost_matrix
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["DecisionRule", "decide_chances", "decision_rule", "spread_of", "weigh"]

_UNCALIBRATED = "no guarantee: there is no calibrator for these probabilities"


class DecisionRule(NamedTuple):
    """What is done with any sample: made once from a calibrator and what is asked, and used for many."""

    options: tuple[str, ...]
    """The options, in the order of everything else."""
    costs: Floats
    """(true, action) costs."""
    temperature: float
    """What log-probabilities are divided by."""
    sets: Calibrator | None
    """What makes sets, at the error rate asked for."""
    decisions: Calibrator | None
    """What abstains, at the risk asked for."""
    abstain_cost: float | None
    """The threshold where none is calibrated."""
    recomputed: tuple[bool, bool]
    """Whether sets and decisions are other than they were fitted."""
    notes: tuple[str, ...]
    """Why there is no guarantee."""


def decide_chances(chances: Chances, *, calibrator: Calibrator | None, asked: DecisionSettings) -> Verdict:
    """Return what is to be done with one sample; for many make the rule once.

    Raises:
        ResultError: options, costs or probabilities do not fit.
        SpecError: what is asked contradicts itself.
    """
    return weigh(chances, rule=decision_rule(chances.options, calibrator=calibrator, asked=asked))


def decision_rule(options: Sequence[str], *, calibrator: Calibrator | None, asked: DecisionSettings) -> DecisionRule:
    """Return what is done with samples of these options.

    Another alpha or other costs than the calibrator's have their threshold found anew from the
    scores that it keeps; where it keeps none they have no threshold and no guarantee.

    Args:
        options: the options, in any order.
        calibrator: what was fitted; None for none, and then nothing is guaranteed.
        asked: error rates, costs.

    Raises:
        ResultError: the options are not the calibrator's, or the costs do not fit them.
        SpecError: what is asked contradicts itself.
    """
    if calibrator is None:
        _refuse_levels(asked)
        costs = cost_matrix(asked.costs or {}, options=options)
        return DecisionRule(
            tuple(options), costs, 1.0, None, None, asked.abstain_cost, (False, False), (_UNCALIBRATED,)
        )
    if set(options) != set(calibrator.options) or len(options) != len(calibrator.options):
        fact = f"the calibrator knows the options {_named(calibrator.options)}; these are {_named(options)}"
        raise ResultError(fact, hint="decide with the calibrator of the run that scored these options")
    miss, level = _levels(calibrator, asked)
    named = calibrator.settings.costs if asked.costs is None else asked.costs
    costs = cost_matrix(named, options=calibrator.options)
    notes: list[str] = []
    sets = None if miss is None else _refitted(calibrator, _set_settings(calibrator, miss), notes=notes)
    wanted = None if level is None else _risk_settings(calibrator, level, costs=named)
    decisions = None if wanted is None else _refitted(calibrator, wanted, notes=notes)
    if decisions is not None and decisions.threshold is None:
        notes.append(decisions.claim)
    return DecisionRule(
        calibrator.options,
        costs,
        calibrator.temperature,
        sets,
        decisions,
        asked.abstain_cost,
        (sets is not calibrator, decisions is not calibrator),
        tuple(notes),
    )


def weigh(chances: Chances, *, rule: DecisionRule) -> Verdict:
    """Return what is to be done with one sample.

    Raises:
        ResultError: its options are not the rule's.
    """
    if set(chances.options) != set(rule.options) or len(chances.options) != len(rule.options):
        raise ResultError(f"the options are {_named(chances.options)}; they must be {_named(rule.options)}")
    given = dict(zip(chances.options, chances.logprobs, strict=True))
    logprobs = np.array([[given[option] for option in rule.options]], dtype=np.float64)
    shares = option_probabilities(logprobs, temperature=rule.temperature)[0]
    expected = shares @ rule.costs
    chosen = int(expected.argmin())
    top = chosen if shares[chosen] == shares.max() else int(shares.argmax())
    acts, limit, why = _acting(logprobs, rule, expected=float(expected[chosen]))
    ruling = "ABSTAIN" if not acts else "PROCEED" if top == chosen else "ADJUST"
    held, set_notes = _held(logprobs, chances, rule=rule)
    return Verdict(
        sample_id=chances.sample_id,
        verdict=ruling,
        action=rule.options[chosen] if acts else None,
        reason=_reason(ruling, rule, expected=expected, places=(chosen, top), why=why),
        probabilities=tuple(
            OptionShare(option=option, probability=float(share))
            for option, share in zip(rule.options, shares, strict=True)
        ),
        likeliest=rule.options[top],
        expected_costs=tuple(
            ActionCost(action=option, expected_cost=float(cost))
            for option, cost in zip(rule.options, expected, strict=True)
        ),
        cheapest=rule.options[chosen],
        threshold=limit,
        prediction_set=held,
        temperature=rule.temperature,
        promises=tuple(_promises(rule, chances, held=held is not None)),
        notes=(*chances.notes, *rule.notes, *set_notes),
        spread=spread_of(shares),
    )


def spread_of(probabilities: Floats) -> Spread:
    """Return how far the probabilities of one sample are spread over its options."""
    shares = np.asarray(probabilities, dtype=np.float64)
    entropy = max(0.0, float(entropies(shares[None])[0]))
    squares = float((shares**2).sum())
    first, second = np.sort(shares)[::-1][:2]
    return Spread(
        entropy=entropy,
        normalised_entropy=min(1.0, entropy / float(np.log(len(shares)))),
        margin=float(first - second),
        effective_options=1 / squares,
        gini=max(0.0, 1 - squares),
    )


def _acting(logprobs: Floats, rule: DecisionRule, *, expected: float) -> tuple[bool, float | None, str]:
    """Return whether to act, the threshold, and what it is."""
    if rule.decisions is not None:
        acts = bool(decide_rows(logprobs, calibrator=rule.decisions).actions[0] != NONE)
        return acts, rule.decisions.threshold, "the calibrated threshold"
    if rule.abstain_cost is not None:
        return expected <= rule.abstain_cost, rule.abstain_cost, "what abstaining costs"
    return True, None, ""


def _reason(ruling: str, rule: DecisionRule, *, expected: Floats, places: tuple[int, int], why: str) -> str:
    chosen, top = places
    if ruling == "ABSTAIN" and rule.decisions is not None and rule.decisions.threshold is None:
        return "no threshold keeps the risk asked for: abstain on everything"
    limit = rule.abstain_cost if rule.decisions is None else rule.decisions.threshold
    best = f"`{rule.options[chosen]}`, the cheapest action, is expected to cost {expected[chosen]:.4g}"
    if ruling == "ABSTAIN":
        return f"{best}, more than {why}, {limit:.4g}"
    within = f", at most {why}, {limit:.4g}" if why else "; no threshold was asked for"
    if ruling == "PROCEED":
        return f"{best}{within}; it is the most probable option too"
    other = f"`{rule.options[top]}`, the most probable option, would cost {expected[top]:.4g}"
    return f"{best}{within}; {other}"


def _held(logprobs: Floats, chances: Chances, *, rule: DecisionRule) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return the sample's set, or why it has none."""
    if rule.sets is None:
        return None, ()
    settings, categories = rule.sets.settings, None
    if settings.method in {"aps", "raps"} and chances.uniform is None:
        return None, (f"no set: `{settings.method}` is randomised, and the sample brings no number for that",)
    if settings.by not in {"", BY_CLASS}:
        if settings.by not in chances.groups:
            return None, (f"no set: there is a quantile for each `{settings.by}`, and the sample does not say its own",)
        categories = [chances.groups[settings.by]]
    uniforms = None if chances.uniform is None else [chances.uniform]
    (flags,) = set_flags(logprobs, calibrator=rule.sets, uniforms=uniforms, categories=categories)
    return tuple(option for option, inside in zip(rule.options, flags, strict=True) if inside), ()


def _promises(rule: DecisionRule, chances: Chances, *, held: bool) -> list[Promise]:
    """Return what is guaranteed of this sample; nothing of what was not calibrated."""
    found = []
    if rule.sets is not None and held:
        found.append(_promise(rule.sets, chances, recomputed=rule.recomputed[0]))
    if rule.decisions is not None and rule.decisions.threshold is not None:
        found.append(_promise(rule.decisions, chances, recomputed=rule.recomputed[1]))
    return found


def _promise(calibrator: Calibrator, chances: Chances, *, recomputed: bool) -> Promise:
    settings, risk = calibrator.settings, calibrator.settings.controls_risk
    kind = risk_of(settings) if risk else None
    own = [each.n for each in calibrator.thresholds if each.category == chances.groups.get(settings.by)]
    n = own[0] if own and settings.by not in {"", BY_CLASS} else calibrator.n
    numbers = [f"{kind} risk"] * risk + [f"n = {n} calibration samples", f"alpha {calibrator.alpha:g}"]
    numbers += [f"delta {calibrator.delta:g}"] if calibrator.delta is not None else []
    like = f"it holds for samples drawn as those of split `{settings.split}` were"
    fixed = ", and for an alpha and costs fixed before looking at them" if recomputed else ""
    condition = f"if {chances.unproven}: " if chances.unproven else ""
    return Promise(
        of="decision" if risk else "set",
        words=f"{condition}{calibrator.claim} ({', '.join(numbers)}); {like}{fixed}",
        method=settings.method,
        n=n,
        alpha=calibrator.alpha,
        delta=calibrator.delta,
        risk=kind,
        recomputed=recomputed,
    )


def _levels(calibrator: Calibrator, asked: DecisionSettings) -> tuple[float | None, float | None]:
    """Return the miss rate and the risk that are asked for; None for a side that neither names nor fits.

    Raises:
        SpecError: alpha and the level of its own kind differ, or it is no error rate.
    """
    risk = calibrator.settings.controls_risk
    name, own = ("risk_level", asked.risk_level) if risk else ("miss_rate", asked.miss_rate)
    if asked.alpha is not None and own is not None and own != asked.alpha:
        fact = f"`alpha` is `{asked.alpha:g}` and `{name}` is `{own:g}`, which are the same for this calibrator"
        raise SpecError(fact, hint="name one of them")
    if not risk and asked.alpha is not None and asked.alpha >= 1:
        raise SpecError(f"`alpha` is `{asked.alpha:g}`; for sets it lies between 0 and 1")
    level = next(each for each in (asked.alpha, own, calibrator.alpha) if each is not None)
    return (asked.miss_rate, level) if risk else (level, asked.risk_level)


def _set_settings(calibrator: Calibrator, alpha: float) -> CalibrationSettings:
    """Return how sets are made: as the calibrator does, or plainly where it makes decisions."""
    own = calibrator.settings
    if not own.controls_risk:
        return own.model_copy(update={"alpha": alpha})
    return own.model_copy(update={"method": "lac", "alpha": alpha, "costs": {}, "risk": None})


def _risk_settings(calibrator: Calibrator, alpha: float, *, costs: dict[str, dict[str, float]]) -> CalibrationSettings:
    """Return how decisions are made: as the calibrator does, or by Learn then Test where it makes sets."""
    own = calibrator.settings
    same = np.array_equal(
        cost_matrix(costs, options=calibrator.options), cost_matrix(own.costs, options=calibrator.options)
    )
    named = {"alpha": alpha, "costs": own.costs if same else costs}
    return own.model_copy(update=named if own.controls_risk else {**named, "method": "ltt", "by": ""})


def _refitted(calibrator: Calibrator, settings: CalibrationSettings, *, notes: list[str]) -> Calibrator | None:
    """Return a calibrator of these settings: itself, one found anew, or None with the reason."""
    if settings == calibrator.settings:
        return calibrator
    if calibrator.kept is None:
        what = "decisions" if settings.controls_risk else "sets"
        notes.append(
            f"no guarantee of {what} at alpha {settings.alpha:g}: the calibrator keeps no scores to find their "
            f"threshold from; `ck calibrate {calibrator.run}` fits it again"
        )
        return None
    return recalibrated(calibrator, settings=settings)


def _refuse_levels(asked: DecisionSettings) -> None:
    """Refuse error rates where nothing was calibrated: they could be kept by nobody."""
    given = {"alpha": asked.alpha, "miss_rate": asked.miss_rate, "risk_level": asked.risk_level}
    problems = [
        Problem(f"`{value:g}` cannot be promised without a calibrator", name) for name, value in given.items() if value
    ]
    if problems:
        hint = "name a run with a calibrator; without one `abstain_cost` says when to abstain, and promises nothing"
        raise SpecError("an error rate needs a calibrator", problems=problems, hint=hint)


def _named(options: Sequence[str]) -> str:
    return ", ".join(f"`{option}`" for option in options)
