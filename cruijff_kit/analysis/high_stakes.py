"""The audit of arrays: for whoever has answers and probabilities at hand and no experiment around them.

`AdvancedHighStakesAuditor`, `BiasAuditor`, `ProceduralAlignment` and `RELIANCEFactChecker`
keep the names of an earlier system; every argument is a keyword, and each measures the
model's answers, never its prompts (docs/decisions/0050).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cruijff_kit import __version__
from cruijff_kit.analysis.audit_answers import audit_consistency, audit_procedures
from cruijff_kit.analysis.audit_groups import GroupAudit, audit_groups
from cruijff_kit.analysis.audit_parts import Promise
from cruijff_kit.analysis.audit_whole import Audited, audit_all
from cruijff_kit.analysis.group_columns import Ints
from cruijff_kit.data.procedures import EXAMPLES
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.model_audit import AuditComponent, AuditRules, ModelAudit
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.procedure import Procedure
from cruijff_kit.scoring.decision_scores import NONE, OTHER
from cruijff_kit.scoring.estimates import probability_rows
from cruijff_kit.scoring.figures import Answers
from cruijff_kit.scoring.records import cost_matrix

__all__ = ["AdvancedHighStakesAuditor", "BiasAuditor", "ProceduralAlignment", "RELIANCEFactChecker"]

_Column = Sequence[Any] | NDArray[Any]
"""One value a sample."""

_KEYS = frozenset({"options", "groups", "abstained", "completions", "procedure", "covered", "alpha", "costs",
                   "abstain_cost", "repeated"})  # fmt: skip
_NOWHERE = "arrays were given, and no experiment whose files could be verified"
_UNASKED = "no answers to questions with swapped terms were given; `ck audit-model` pairs them"


class AdvancedHighStakesAuditor:
    """Audits answers and probabilities against limits fixed beforehand."""

    def __init__(self, rules: AuditRules | None = None) -> None:
        """Keep what is asked of a model; defaults where None."""
        self._rules = rules or AuditRules()

    def run_comprehensive_audit(
        self,
        *,
        predictions: _Column,
        ground_truth: _Column,
        probabilities: ArrayLike | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ModelAudit:
        """Return the audit of one model's answers.

        `metadata` may hold `options` (in the order of the probabilities; sorted answers
        where absent), `groups` (column to a value a sample), `abstained` (a flag a
        sample), `completions` (raw answers), `procedure` (`Procedure`, or the name of an example),
        `covered` (whether each sample's conformal set holds the right option) with its `alpha`,
        `costs` (true option to option chosen to cost), `abstain_cost` and `repeated` (several
        sampled answers to each question). What is missing is not assessed.

        Args:
            predictions: answer of each sample, None for one that could not be read.
            ground_truth: right option of each sample.
            probabilities: (n, K) of the options, or (n,) of the second of two.
            metadata: what else is known.

        Raises:
            SpecError: lengths differ, a truth is no option, or `metadata` holds an unknown key.
            ResultError: probabilities are none, or costs do not fit the options.
        """
        known = dict(metadata or {})
        answers = _answers(predictions, ground_truth, probabilities=probabilities, known=known)
        held = _held(known, len(answers.true))
        groups = {name: [str(each) for each in values] for name, values in known.get("groups", {}).items()}
        audited = Audited(
            answers=answers,
            groups=groups,
            held=held,
            promise=Promise(float(known["alpha"]), held, None) if "covered" in known else None,
            predictions=_records(known.get("completions", ()), ground_truth),
            procedure=_procedure(known.get("procedure")),
            items=tuple(_records(each) for each in known.get("repeated", ())),
            reasons={"provenance": _NOWHERE, "counterfactual": _UNASKED, "coverage": "no conformal sets were given"},
        )
        found = audit_all(audited, self._rules)
        return ModelAudit(
            run="arrays", task="", epoch=None, split="", tier="green", n=len(answers.true),
            verdict=found.verdict, failed=found.named("fail"), not_assessed=found.named("not_assessed"),
            left_out=found.left_out, components=found.components, figures=found.figures, rules=self._rules,
            sources=dict.fromkeys(self._rules.model_fields_set, "argument"), temperature=1.0, checkpoint_sha256=None,
            inputs={}, version=__version__,
        )  # fmt: skip


class BiasAuditor:
    """Compares how a model's answers fare in groups of samples; it reads no text."""

    def __init__(self, rules: AuditRules | None = None) -> None:
        """Keep the limits; defaults where None."""
        self._rules = rules or AuditRules()

    def audit(
        self,
        *,
        predictions: _Column,
        ground_truth: _Column,
        groups: Mapping[str, _Column],
        probabilities: ArrayLike | None = None,
        options: _Column | None = None,
    ) -> GroupAudit:
        """Return the gaps between groups, and every figure of each group.

        Args:
            predictions: answer of each sample.
            ground_truth: right option of each sample.
            groups: group column to the value of each sample.
            probabilities: of the options, as the audit takes them.
            options: in the order of the probabilities.

        Raises:
            SpecError: lengths differ, or a truth is no option.
        """
        known = {"groups": groups, **({} if options is None else {"options": options})}
        answers = _answers(predictions, ground_truth, probabilities=probabilities, known=known)
        columns = {name: [str(each) for each in values] for name, values in groups.items()}
        return audit_groups(answers, columns, held=_held({}, len(answers.true)), rules=self._rules)


class ProceduralAlignment:
    """Asks whether answers keep the rules of a procedure; prompts are not read."""

    def __init__(self, procedure: Procedure | str = "general", *, rules: AuditRules | None = None) -> None:
        """Keep the rules: a procedure, or the name of an example; and limits, defaults where None."""
        self._procedure = _procedure(procedure)
        self._rules = rules or AuditRules()

    def audit(self, *, answers: Sequence[str]) -> AuditComponent:
        """Return which share of the answers keeps each rule."""
        return audit_procedures(_records(answers), self._procedure, rules=self._rules)


class RELIANCEFactChecker:
    """Asks whether repeated answers to one question agree: a sign of guessing where not, no proof of truth where so."""

    def __init__(self, rules: AuditRules | None = None) -> None:
        """Keep the limits; defaults where None."""
        self._rules = rules or AuditRules()

    def check(self, *, answers: Sequence[Sequence[str]]) -> AuditComponent:
        """Return how far several sampled answers to each question agree."""
        return audit_consistency([_records(each) for each in answers], rules=self._rules)


class _Sizes(NamedTuple):
    name: str
    size: int


def _answers(
    predictions: _Column, ground_truth: _Column, *, probabilities: ArrayLike | None, known: dict[str, Any]
) -> Answers:
    n = len(ground_truth)
    given = known.get("options")
    named = () if given is None else tuple(map(str, given))
    options = named or tuple(sorted({*map(str, ground_truth), *_told(predictions)}))
    _refuse(predictions, ground_truth, probabilities=probabilities, known=known, options=options)
    places = {option: at for at, option in enumerate(options)}
    true = np.array([places[str(each)] for each in ground_truth], dtype=np.int64)
    abstained = np.asarray(known.get("abstained", np.zeros(n)), dtype=bool)
    chosen = np.array([NONE if each is None else places.get(str(each), OTHER) for each in predictions], dtype=np.int64)
    failed = (chosen == NONE) & ~abstained
    rows = np.empty((n, 0)) if probabilities is None else probability_rows(probabilities, true)[0]
    nothing = np.full(n, np.nan)
    priced = known.get("costs", {}).items()
    costs = {str(truth): {str(choice): cost for choice, cost in row.items()} for truth, row in priced}
    return Answers(
        options=options, true=true, chosen=np.where(abstained, NONE, chosen), abstained=abstained, failed=failed,
        parsed=~failed, rows=rows, sure=nothing, right=nothing, numbers=nothing, targets=nothing,
        costs=cost_matrix(costs, options=options), abstain_cost=float(known.get("abstain_cost", 0.0)),
    )  # fmt: skip


def _told(predictions: _Column) -> set[str]:
    return {str(each) for each in predictions if each is not None}


def _refuse(
    predictions: _Column,
    ground_truth: _Column,
    *,
    probabilities: ArrayLike | None,
    known: Mapping[str, Any],
    options: tuple[str, ...],
) -> None:
    """Refuse what does not belong together, all of it at once."""
    n = len(ground_truth)
    sizes = [_Sizes("predictions", len(predictions))]
    sizes += [_Sizes("probabilities", len(np.asarray(probabilities)))] if probabilities is not None else []
    sizes += [_Sizes(f"metadata.{name}", len(known[name])) for name in ("abstained", "covered") if name in known]
    completions = len(known.get("completions", ()))
    sizes += [_Sizes("metadata.completions", completions)] if completions else []
    sizes += [_Sizes(f"metadata.groups.{name}", len(each)) for name, each in known.get("groups", {}).items()]
    problems = [Problem(f"{each.size} values for {n} samples", each.name) for each in sizes if each.size != n]
    problems += [Problem("unknown", f"metadata.{name}", hint=f"known are {', '.join(sorted(_KEYS))}")
                 for name in known if name not in _KEYS]  # fmt: skip
    stray = [each for each in ground_truth if str(each) not in options]
    problems += [Problem(f"`{stray[0]}` is none of the options {options}", "ground_truth")] if stray else []
    if "covered" in known and not 0 < float(known.get("alpha", 0)) < 1:
        problems.append(Problem("it lies between 0 and 1, and sets promise nothing without it", "metadata.alpha"))
    if probabilities is not None and np.ndim(probabilities) == 2 and np.shape(probabilities)[1] != len(options):
        fact = f"{np.shape(probabilities)[1]} columns for the {len(options)} options {options}"
        problems.append(Problem(fact, "probabilities", hint="name all options, in their order, as `options`"))
    if probabilities is not None and np.ndim(probabilities) == 1 and len(options) != 2:
        problems.append(Problem(f"one column for the {len(options)} options {options}", "probabilities"))
    if not n:
        problems.append(Problem("there are no samples", "ground_truth"))
    if problems:
        raise SpecError("the arrays cannot be audited", problems=problems)


def _held(known: Mapping[str, Any], n: int) -> Ints:
    given = known.get("covered")
    return np.full(n, -1, dtype=np.int64) if given is None else np.asarray(given, dtype=bool).astype(np.int64)


def _procedure(given: Procedure | str | None) -> Procedure | None:
    if not isinstance(given, str):
        return given
    if given not in EXAMPLES:
        raise SpecError(f"`{given}` is no example; there are {', '.join(f'`{name}`' for name in EXAMPLES)}")
    return EXAMPLES[given]


def _records(answers: Sequence[str], targets: _Column = ()) -> tuple[Prediction, ...]:
    expected = [str(each) for each in targets] or [""] * len(answers)
    return tuple(
        Prediction(
            sample_id=str(at), run="arrays", epoch=None, task="", split="", target=expected[at], prediction=each,
            completion=each, prompt_token_sha256="0" * 64, checkpoint_sha256="0" * 64,
        )
        for at, each in enumerate(answers)
    )  # fmt: skip
