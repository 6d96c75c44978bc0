"""Checks of model organisms: what is asked of what, what a rule is told, and whether there are sequences enough."""

from collections import Counter
from collections.abc import Iterable, Iterator

from cruijff_kit.data.generators.organism_kinds import Kind, kinds_of
from cruijff_kit.data.generators.organism_rules import ALPHABETS, RULES
from cruijff_kit.errors import Problem
from cruijff_kit.schema.organism import ModelOrganisms

__all__ = ["argument_problems"]

_DRAWN = ("weight_max", "sparsity", "weight_seed")


def argument_problems(arguments: ModelOrganisms) -> list[Problem]:
    """Return what is wrong with the arguments taken together."""
    own, *others = kinds_of(arguments)
    problems = [*_design_problems(arguments), *_rule_problems(own, path="rule", told="rule_kwargs")]
    for index, other in enumerate(others):
        # What is wrong with the rows trained on is not told once more for each test.
        found = [] if problems and other.like(own) else _rule_problems(other, path="ood_tests", told="ood_tests")
        problems += [each._replace(message=f"test {index} of another kind: {each.message}") for each in found]
        if other.like(own):
            fact = f"test {index} of another kind is of the kind that is trained on"
            hint = "change `input_type`, `k`, `format` or `rule_kwargs` in it; unseen rows of one kind are in `test`"
            problems.append(Problem(fact, "ood_tests", hint=hint))
    return list(dict.fromkeys(problems)) or list(_shortages(own, *others))


def _design_problems(arguments: ModelOrganisms) -> Iterator[Problem]:
    design, trained = arguments.design, round(arguments.split_ratio * arguments.N)
    if design == "memorization" and arguments.split_ratio != 0.8:
        fact = f"`split_ratio` is `{arguments.split_ratio:g}`, and `memorization` validates on the rows trained on"
        yield Problem(fact, "split_ratio", hint="leave it out: all `N` sequences are trained on")
    if design != "memorization" and not 0 < trained < arguments.N:
        fact = f"{arguments.split_ratio:g} of {arguments.N} sequences leaves a split without rows"
        yield Problem(fact, "split_ratio", hint="raise `N`, or change `split_ratio`")
    if design == "ood" and not arguments.ood_tests:
        hint = 'name one at least, such as `ood_tests: [{"k": 12}]`'
        yield Problem("design `ood` has no rows of another kind", "ood_tests", hint=hint)
    if design != "ood" and arguments.ood_tests:
        fact = f"`ood_tests` belong to design `ood`, and the design is `{design}`"
        yield Problem(fact, "ood_tests", hint="write `design: ood`, or leave them out")


def _rule_problems(kind: Kind, *, path: str, told: str) -> Iterator[Problem]:
    rule, kwargs = RULES[kind.rule], kind.kwargs.told()
    if kind.input_type not in rule.inputs:
        asked = _listed(each for each, known in RULES.items() if kind.input_type in known.inputs)
        fact = f"rule `{kind.rule}` is asked of {_listed(rule.inputs)}, not of `{kind.input_type}`"
        yield Problem(fact, path, hint=f"rules of `{kind.input_type}` are {asked}")
        return
    for name in kwargs:
        if name not in rule.kwargs:
            hint = f"it reads {_listed(rule.kwargs)}" if rule.kwargs else "it reads none: leave `rule_kwargs` out"
            yield Problem(f"rule `{kind.rule}` reads no `{name}`", told, hint=hint)
    for name in rule.needs:
        if name not in kwargs:
            example = {"x": '{"x": 3}', "v": '{"v": "yes"}'}[name]
            yield Problem(f"rule `{kind.rule}` needs `{name}`", told, hint=f"write `rule_kwargs: {example}`")
    yield from _value_problems(kind, told=told)


def _value_problems(kind: Kind, *, told: str) -> Iterator[Problem]:
    kwargs = kind.kwargs
    if kwargs.x is not None and kwargs.x > kind.k:
        yield Problem(f"`x` is `{kwargs.x}`, and sequences have {kind.k} symbols", told, hint="lower `x`, or raise `k`")
    if kwargs.v is not None and str(kwargs.v).strip() != (str(kwargs.v) or " "):
        yield Problem(f"`v` is `{kwargs.v}`", told, hint="write an answer without blanks at its ends")
    drawn = [name for name in _DRAWN if getattr(kwargs, name) is not None]
    if kwargs.weights is None:
        zeros = round((kwargs.sparsity or 0) * kind.k)
        if kwargs.sparsity and zeros in {0, kind.k}:
            fact = f"`sparsity` is `{kwargs.sparsity:g}`: of {kind.k} weights {'none' if zeros else 'each'} would count"
            hint = "lower it, or raise `k`" if zeros else "raise it, or raise `k`"
            yield Problem(fact, told, hint=hint)
        return
    if drawn:
        fact = f"`weights` are given, and {_listed(drawn)} would draw them"
        yield Problem(fact, told, hint="keep one of the two")
    if len(kwargs.weights) != kind.k:
        fact = f"{len(kwargs.weights)} weights are given, and sequences have {kind.k} symbols"
        yield Problem(fact, told, hint=f"give {kind.k}, or leave them out to have them drawn")
    if not any(kwargs.weights):
        yield Problem("all `weights` are 0", told, hint="give one that counts")


def _shortages(*kinds: Kind) -> Iterator[Problem]:
    """Yield where more distinct sequences are asked for than there are; no two splits share one."""
    asked: Counter[tuple[str, int]] = Counter()
    for index, kind in enumerate(kinds):
        asked[kind.input_type, kind.k] += sum(kind.sizes.values())
        symbols, wanted = len(ALPHABETS[kind.input_type]), asked[kind.input_type, kind.k]
        if wanted > symbols**kind.k:
            fact = f"`{wanted}` distinct sequences of {kind.k} {kind.input_type}; there are {symbols**kind.k}"
            hint = "raise `k`, or lower `N`, `test_size` or `calibration_size`"
            yield Problem(fact, "ood_tests" if index else "N", hint=hint)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
