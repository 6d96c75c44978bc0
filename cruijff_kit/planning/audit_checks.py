"""Checks of what a design says of the audit: options and costs that its evaluations know."""

from collections.abc import Iterator

from cruijff_kit.errors import Problem
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["check_audit"]


def check_audit(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield each option that the audit names and no evaluation has, and each part that can never be assessed."""
    audit, path = spec.analysis.audit, "analysis.audit"
    if audit is None:
        return
    options = dict.fromkeys(option for task in spec.evaluation.tasks for option in task.options)
    named = [(f"{path}.favourable[{at}]", each) for at, each in enumerate(audit.favourable)]
    named += [(f"{path}.costs.{true}", true) for true in audit.costs]
    named += [(f"{path}.costs.{true}.{chosen}", chosen) for true, row in audit.costs.items() for chosen in row]
    known = ", ".join(f"`{option}`" for option in options) or "none"
    for place, option in named:
        if option not in options:
            fact = f"`{option}` is no option of an evaluation; options are {known}"
            yield Problem(fact, place, hint="name options of `evaluation.tasks[].options`")
    if spec.tools.evaluation == "none":
        yield Problem("nothing is evaluated, so there is nothing to audit", path, hint="remove it")
    twice = {each for each in audit.components if audit.components.count(each) > 1}
    yield from (Problem(f"part `{each}` is named twice", f"{path}.components") for each in sorted(twice))
