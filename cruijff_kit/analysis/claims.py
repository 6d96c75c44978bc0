"""Claims: each confirmed, violated or left open by the comparison that was stated before any result."""

import re
from collections.abc import Iterator, Sequence

from cruijff_kit.analysis.claim_cases import Case, gather_case
from cruijff_kit.analysis.claim_evidence import Evidence
from cruijff_kit.analysis.last_epoch import last_samples
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.claims import BASE, Claim, ClaimVerdict, Verdict
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import Findings
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["judge_claims", "verdicts_of"]

_SENTENCE = re.compile(r"(?<=[.;])\s+")
_UNSTATED = "not testable as stated: `analysis.claims` of the design names no comparison that would decide on it"


def judge_claims(
    spec: ExperimentSpec, plan: Plan, *, table: ResultTable, findings: Findings
) -> tuple[ClaimVerdict, ...]:
    """Return what became of every claim of a design.

    A claim without a comparison is not testable, and nothing is guessed. Where the
    design lists no claims, its planned comparisons are claims that there is a difference.

    Args:
        spec: the design.
        plan: its sealed plan.
        table: what was collected.
        findings: the figures of the report, for outcome and planned comparisons.
    """
    if not spec.analysis.claims:
        return (*_unstated(spec), *_planned(spec, findings))
    samples = last_samples(table)
    cases = [
        gather_case(claim, spec, plan=plan, table=table, findings=findings, samples=samples)
        for claim in spec.analysis.claims
    ]
    found = verdicts_of(cases, alpha=spec.analysis.alpha)
    return tuple(_told(case, verdict, p_value=p_value) for case, (verdict, p_value) in zip(cases, found, strict=True))


def verdicts_of(cases: Sequence[Case], *, alpha: float) -> list[tuple[Verdict, float | None]]:
    """Return verdict and adjusted p-value of each claim; how they depend on each other does not matter.

    Each claim is two hypotheses, that it is false and that it is true; all of them are
    Holm-adjusted together, so that any wrong verdict comes with probability alpha at most.
    A claim on several pieces of evidence must be borne out by each of them, and is violated
    by any one; while a piece is missing it cannot be confirmed.

    Args:
        cases: claims and the evidence on them.
        alpha: probability of any wrong verdict.
    """
    pairs = {place: _for_and_against(case) for place, case in enumerate(cases) if _can_tell(case)}
    adjusted = holm_adjusted([p_value for pair in pairs.values() for p_value in pair])
    found: list[tuple[Verdict, float | None]] = [
        ("inconclusive" if case.claim.testable else "not testable", None) for case in cases
    ]
    for number, place in enumerate(pairs):
        false, true = adjusted[2 * number : 2 * number + 2]
        verdict: Verdict = "confirmed" if false < alpha else "violated" if true < alpha else "inconclusive"
        found[place] = verdict, min(false, true)
    return found


def _can_tell(case: Case) -> bool:
    return bool(case.evidence) and not any(each.reason for each in case.evidence)


def _for_and_against(case: Case) -> tuple[float, float]:
    """Return the p-values of the claim's being false and of its being true."""
    pairs = [_pair(case.claim, each) for each in case.evidence]
    true = min(1.0, len(pairs) * min(against for _, against in pairs))
    return 1.0 if case.lacking else max(false for false, _ in pairs), true


def _pair(claim: Claim, each: Evidence) -> tuple[float, float]:
    margin = claim.margin
    if claim.at_least is not None:
        return each.above(claim.at_least), each.below(claim.at_least)
    if claim.at_most is not None:
        return each.below(claim.at_most), each.above(claim.at_most)
    if claim.expect == "higher":
        return each.above(margin), each.below(margin)
    if claim.expect == "lower":
        return each.below(-margin), each.above(-margin)
    return max(each.above(-margin), each.below(margin)), min(1.0, 2 * min(each.above(margin), each.below(-margin)))


def _told(case: Case, verdict: Verdict, *, p_value: float | None) -> ClaimVerdict:
    claim = case.claim
    weakest = max(case.evidence, key=lambda each: _pair(claim, each)[0], default=None)
    known = weakest is not None
    reason = case.reason
    if known and len(case.evidence) > 1:
        run = case.runs[case.evidence.index(weakest)]
        each = f"each of {len(case.evidence)} runs must bear it out; least so does `{run}`, whose figure this is"
        reason = f"{each}; {reason}" if reason else each
    return ClaimVerdict(
        text=claim.text,
        claim=claim,
        metric=case.metric,
        task=case.task,
        verdict=verdict,
        figure=weakest.figure if known else None,
        p_adjusted=p_value,
        test=weakest.test if known else "",
        reason=_UNSTATED if verdict == "not testable" else reason,
        runs=case.runs,
    )


def _unstated(spec: ExperimentSpec) -> Iterator[ClaimVerdict]:
    """Yield the sentences of a hypothesis that comes without claims."""
    for sentence in _SENTENCE.split(spec.hypothesis.strip()):
        if sentence:
            yield ClaimVerdict(text=sentence, verdict="not testable", reason=_UNSTATED)


def _planned(spec: ExperimentSpec, findings: Findings) -> Iterator[ClaimVerdict]:
    """Yield a claim for each planned comparison: that there is a difference, in whatever direction."""
    alpha = spec.analysis.alpha
    for name in spec.analysis.comparisons:
        if name == BASE:
            text = "training changes the answers of at least one run"
            known = [
                (each.p_adjusted, each.difference, each.test, (each.run, each.base)) for each in findings.comparisons
            ]
        else:
            text = f"{name} makes a difference"
            known = [
                (each.p_adjusted, each.figure, each.figure.method, ())
                for each in findings.effects
                if each.factor == name and each.p_adjusted is not None
            ]
        best = min(known, key=lambda each: each[0] or 0.0, default=None)
        yield ClaimVerdict(
            text=text,
            metric=findings.metric,
            task=findings.task,
            verdict="confirmed" if best is not None and (best[0] or 0.0) < alpha else "inconclusive",
            figure=best[1] if best else None,
            p_adjusted=best[0] if best else None,
            runs=best[3] if best else (),
            test=f"{best[2]}, Holm-adjusted over all such comparisons" if best else "",
            reason="it names no direction, so that it can be confirmed or left open, never violated"
            if best
            else "nothing could be compared",
        )
