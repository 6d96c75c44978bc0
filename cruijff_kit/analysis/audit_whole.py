"""A whole audit: everything that is known of a model, each part asked for, and the verdict they make."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.analysis.audit_answers import audit_consistency, audit_counterfactual, audit_procedures
from cruijff_kit.analysis.audit_groups import GroupAudit, audit_groups
from cruijff_kit.analysis.audit_parts import ControlledRisk, Promise, audit_calibration, audit_cost, audit_coverage
from cruijff_kit.analysis.audit_verdicts import component_of, whole_verdict
from cruijff_kit.analysis.group_columns import Ints
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.model_audit import (
    COMPONENTS,
    AuditCheck,
    AuditComponent,
    AuditRules,
    ComponentName,
    GroupFigure,
    Verdict,
)
from cruijff_kit.schema.prediction import AnswerPair, Prediction
from cruijff_kit.schema.procedure import Procedure
from cruijff_kit.scoring.figures import Answers

__all__ = ["Audited", "Findings", "audit_all"]


class Audited(NamedTuple):
    """What is known of a model; what is not has its reason in `reasons`."""

    answers: Answers
    """Its answers as arrays."""
    groups: Mapping[str, Sequence[str]]
    """Group column to the value of each sample."""
    held: Ints
    """(n,) 1 where a sample's conformal set holds the right option, 0 where not, -1 without a set."""
    tier: Tier = "green"
    """How freely its data may be shown."""
    temperature: float = 1.0
    """What log-probabilities are divided by."""
    promise: Promise | None = None
    """What its conformal sets promise."""
    risk: ControlledRisk | None = None
    """What its calibrator's decisions cost."""
    predictions: tuple[Prediction, ...] = ()
    """Its answers in words."""
    procedure: Procedure | None = None
    """Rules that they keep."""
    pairs: tuple[AnswerPair, ...] = ()
    """Answers to questions whose terms were swapped."""
    items: tuple[tuple[Prediction, ...], ...] = ()
    """Several sampled answers to each question."""
    proofs: tuple[AuditCheck, ...] = ()
    """What was verified of where it comes from."""
    reasons: Mapping[ComponentName, str] = MappingProxyType({})
    """Part to why it cannot be assessed, or what to know of it."""

    def reason(self, name: ComponentName) -> str:
        """Return what is told of a part."""
        return self.reasons.get(name, "")


class Findings(NamedTuple):
    """What an audit found."""

    components: tuple[AuditComponent, ...]
    """Every part asked for."""
    figures: tuple[GroupFigure, ...]
    """Figures by group."""
    verdict: Verdict
    """`fail` if a part fails, `pass` if all pass, else `not_assessed`."""

    def named(self, verdict: Verdict) -> tuple[ComponentName, ...]:
        """Return the parts that have a verdict."""
        return tuple(each.name for each in self.components if each.verdict == verdict)

    @property
    def left_out(self) -> tuple[ComponentName, ...]:
        """Return the parts that nobody asked for."""
        there = {each.name for each in self.components}
        return tuple(name for name in COMPONENTS if name not in there)


def audit_all(audited: Audited, rules: AuditRules) -> Findings:
    """Return every part asked for, and the verdict over them; nothing is averaged.

    Raises:
        SpecError: a favourable option is none, or a group column has too many values.
    """
    grouped = _grouped(audited, rules)
    made = tuple(
        grouped.component if name == "groups" else _PARTS[name](audited, rules)
        for name in COMPONENTS
        if name in rules.components
    )
    return Findings(made, grouped.figures, whole_verdict(made))


def _grouped(audited: Audited, rules: AuditRules) -> GroupAudit:
    if "groups" not in rules.components:
        return GroupAudit(component_of("groups", ()), ())
    return audit_groups(audited.answers, audited.groups, held=audited.held, rules=rules, tier=audited.tier)


def _coverage(audited: Audited, rules: AuditRules) -> AuditComponent:
    return audit_coverage(
        audited.promise, audited.groups, rules=rules, tier=audited.tier, reason=audited.reason("coverage")
    )


def _counterfactual(audited: Audited, rules: AuditRules) -> AuditComponent:
    return audit_counterfactual(
        audited.pairs, rules=rules, temperature=audited.temperature, reason=audited.reason("counterfactual")
    )


def _provenance(audited: Audited, _: AuditRules) -> AuditComponent:
    return component_of("provenance", audited.proofs, reason=audited.reason("provenance"))


_PARTS: Mapping[ComponentName, Callable[[Audited, AuditRules], AuditComponent]] = MappingProxyType(
    {
        "calibration": lambda audited, rules: audit_calibration(audited.answers, rules),
        "coverage": _coverage,
        "cost": lambda audited, rules: audit_cost(audited.answers, rules, risk=audited.risk),
        "counterfactual": _counterfactual,
        "procedures": lambda audited, rules: audit_procedures(audited.predictions, audited.procedure, rules=rules),
        "consistency": lambda audited, rules: audit_consistency(
            audited.items, rules=rules, reason=audited.reason("consistency")
        ),
        "provenance": _provenance,
    }
)
