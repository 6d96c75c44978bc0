"""Rules of an audit, resolved: defaults, then the design, then a file, then single values; each knows its source."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from pydantic import ValidationError

from cruijff_kit.data.procedures import EXAMPLES, parse_procedure
from cruijff_kit.data.term_pairs import BUNDLED, TermPairs, parse_pairs, term_pairs
from cruijff_kit.data.yaml_text import dotted, load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.model_audit import AuditRequest, AuditRules
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.procedure import Procedure
from cruijff_kit.schema.spec import Analysis
from cruijff_kit.workflow.user_text import user_text

__all__ = ["Resolved", "lists_of", "procedure_of", "resolved_rules", "terms_of"]

_LINE = "command line"
_HINT = "`ck audit-model --help` names the rules; docs/decisions/0050 tells what they mean"


class Resolved(NamedTuple):
    """The rules of an audit."""

    rules: AuditRules
    """All of them."""
    sources: dict[str, str]
    """Where each comes from."""

    @property
    def late(self) -> tuple[str, ...]:
        """Return the rules that no design fixed before results were seen, and that are not the defaults."""
        fixed = ("default", "design", "calibrator")
        return tuple(name for name, each in self.sources.items() if not each.startswith((*fixed, "evaluation `")))


def resolved_rules(
    asked: AuditRequest, analysis: Analysis, *, task: EvalTask | None, calibrator: Calibrator | None, world: World
) -> Resolved:
    """Return the rules of an audit; what nobody set and the evaluation or the calibrator knows is taken from there.

    Args:
        asked: file and single values.
        analysis: of the design.
        task: evaluation audited, where the plan has it.
        calibrator: of the run.
        world: where a file lies.

    Raises:
        SpecError: a file cannot be read, or a rule is none; lists every problem.
    """
    design = {} if analysis.audit is None else analysis.audit.model_dump(mode="json", exclude_unset=True)
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("design", {"groups": list(analysis.groups)} if analysis.groups else {}),
        *_known(task, calibrator),
        ("design", design),
        *([(asked.file, _file(asked.file, world))] if asked.file else []),
        (_LINE, _values(asked.values)),
    ]
    values = {key: value for _, layer in layers for key, value in layer.items()}
    sources = {key: source for source, layer in layers for key in layer}
    try:
        rules = AuditRules.model_validate(values)
    except ValidationError as err:
        problems = [
            Problem(fact_of(each["msg"]), dotted(tuple(each["loc"])), sources.get(str(each["loc"][0]), "design"))
            for each in err.errors()
        ]
        raise SpecError("the audit asked for is not possible", problems=problems, hint=_HINT) from err
    return Resolved(rules, {key: sources.get(key, "default") for key in AuditRules.model_fields})


def procedure_of(rules: AuditRules, world: World) -> Procedure | None:
    """Return the rules that answers keep; None where none were asked for.

    Raises:
        SpecError: they are no example, and no file that can be read.
    """
    name = rules.procedures
    if name is None:
        return None
    return EXAMPLES[name] if name in EXAMPLES else parse_procedure(_text(name, EXAMPLES, world=world), name=name)


def terms_of(rules: AuditRules, world: World) -> TermPairs | None:
    """Return the terms that are swapped; None where none were asked for.

    Raises:
        SpecError: a list is not bundled, and no file that can be read.
    """
    return lists_of(rules.terms, world) if rules.terms else None


def lists_of(names: tuple[str, ...], world: World) -> TermPairs:
    """Return the terms of several lists together.

    Raises:
        SpecError: a list is not bundled, and no file that can be read.
    """
    found = [
        BUNDLED[name] if name in BUNDLED else parse_pairs(_text(name, BUNDLED, world=world), name=name)
        for name in names
    ]
    return term_pairs(pair for pairs in found for pair in pairs)


def _known(task: EvalTask | None, calibrator: Calibrator | None) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the costs that the calibrator and the evaluation were told."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if calibrator is not None and calibrator.settings.costs:
        found.append(("calibrator", {"costs": calibrator.settings.costs}))
    told = {} if task is None else {"costs": task.costs, "abstain_cost": task.abstain_cost}
    return [*found, *((f"evaluation `{task.name}`", {key: value}) for key, value in told.items() if value and task)]


def _values(given: Mapping[str, str]) -> Mapping[str, Any]:
    """Return single rules; where several values are meant, one may stand alone."""
    many = {name for name, field in AuditRules.model_fields.items() if get_origin(field.annotation) is tuple}
    read = {key: load_yaml(text, name=f"the value of `{key}`").value for key, text in given.items()}
    return {key: [value] if key in many and isinstance(value, str) else value for key, value in read.items()}


def _file(path: str, world: World) -> Mapping[str, Any]:
    value = load_yaml(_text(path, (), world=world), name=path).value
    if not isinstance(value, dict):
        raise SpecError(f"`{path}` holds no rules of an audit", hint="write `ece: 0.05` and the like, one a line")
    return value


def _text(path: str, bundled: Any, *, world: World) -> str:
    """Return the text of a user's file; relative paths start at the experiment."""
    known = ", ".join(f"`{name}`" for name in bundled)
    hint = f"name a file, or one of {known}" if known else "mend the path"
    return user_text(world.store.root / Path(path).expanduser(), name=path, hint=hint)
