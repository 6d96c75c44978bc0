"""What a design says of the audit is checked before anything runs."""

from typing import Any

import pytest
from pydantic import ValidationError

from cruijff_kit.planning.spec_checks import check_spec
from cruijff_kit.schema.model_audit import COMPONENTS, AuditRules
from cruijff_kit.workflow.plan import design_hash
from tests.fakes.designed import design

TASK = {"name": "bits", "task": "rows", "options": ["0", "1"], "scorers": ["risk"]}


def problems(audit: dict[str, Any]) -> dict[str, str]:
    spec = design(evaluation={"tasks": [TASK]}, analysis={"primary_metric": "risk", "audit": audit})
    return {problem.path: problem.message for problem in check_spec(spec)}


def test_options_that_no_evaluation_has_are_told_where_they_stand() -> None:
    assert problems({"favourable": ["1"], "costs": {"0": {"1": 2}, "1": {"0": 1}}}) == {}
    found = problems({"favourable": ["1", "maybe"], "costs": {"0": {"2": 1}}, "components": ["cost", "cost"]})
    assert list(found) == ["analysis.audit.favourable[1]", "analysis.audit.costs.0.2", "analysis.audit.components"]
    assert "options are `0`, `1`" in found["analysis.audit.costs.0.2"]


def test_a_design_that_says_nothing_of_an_audit_keeps_its_hash() -> None:
    spec = design()
    assert "audit" not in spec.model_dump(mode="json")["analysis"]
    audited = design(analysis={"audit": {"gap": 0.2}})
    assert design_hash(audited) != design_hash(spec)


def test_no_limit_lets_a_group_under_thirty_be_judged() -> None:
    assert AuditRules().components == COMPONENTS
    for wrong in ({"min_n": 29}, {"components": ()}, {"gap": -0.1}, {"level": 1.0}, {"thresholds": {}}):
        with pytest.raises(ValidationError):
            AuditRules.model_validate(wrong)
