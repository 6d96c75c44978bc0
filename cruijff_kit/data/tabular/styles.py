"""Styles: the features of a row as clauses, a line or a few words a variable, or sentences by a template.

A template is Jinja in a sandbox: text goes into it as values and is never read as a
template itself, so `{{7*7}}` in a cell stays as it is. No clock, no dice, no functions and
no attributes are at hand in it, only filters: the same row gives the same text anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.data.tabular.cells import number_of, one_line
from cruijff_kit.data.tabular.features import Feature
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.schema.table import TableSchema

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["STYLES", "Style", "Wording", "condensed", "dictionary", "narrative", "template_variables", "terse"]

Style = Callable[[Sequence[Feature]], list[str]]
"""Features of one row to clauses."""

_SPACES = frozenset({"name", "raw"})
_NOT_REPEATABLE = ("random", "pprint", "xmlattr", "urlize")
_LONGEST = 100_000


def dictionary(features: Sequence[Feature]) -> list[str]:
    """Return one line a feature that has a value: `- The age is: 41 years`."""
    return [f"- The {feature.label} is: {feature.words}" for feature in features if feature.words is not None]


def condensed(features: Sequence[Feature]) -> list[str]:
    """Return name and value of each feature that has one: `age: 41 years`."""
    return [f"{feature.label}: {feature.words}" for feature in features if feature.words is not None]


def terse(features: Sequence[Feature]) -> list[str]:
    """Return name and value of each feature that has one, both in the schema's short forms: `age 41 y`."""
    return [f"{each.label} {each.words}" for each in map(_shortened, features) if each.words is not None]


def _shortened(feature: Feature) -> Feature:
    short = feature.variable.shorthand_map
    value = feature.value if feature.value is None else short.get(feature.value, feature.value)
    return feature._replace(
        label=short.get(feature.label, feature.label), value=value, unit=short.get(feature.unit, feature.unit)
    )


class Wording(NamedTuple):
    """A style that needs no template, and what stands between its clauses."""

    style: Style
    """Features to clauses."""
    joint: str
    """What stands between two clauses."""


STYLES: Mapping[str, Wording] = MappingProxyType(
    {"dictionary": Wording(dictionary, "\n"), "condensed": Wording(condensed, "; "), "terse": Wording(terse, ", ")}
)
"""Styles that need no template, by name."""


def narrative(template: str, *, name: str) -> Style:
    """Return the style of a template; each line that is not blank is a sentence of its own.

    Raises:
        SpecError: the template's syntax is wrong.
        SiteError: the extra that renders templates is not installed.
    """
    compiled = _compiled(template, name)

    def told(features: Sequence[Feature]) -> list[str]:
        from jinja2 import TemplateError

        words: dict[str, Any] = {feature.name: feature.words for feature in features}
        words["name"] = {feature.name: feature.label for feature in features}
        words["raw"] = {feature.name: _raw(feature) for feature in features}
        try:
            text = compiled.render(words)
        except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as err:
            raise SpecError(f"`{name}` cannot tell a row", problems=[_problem(err, name)]) from err
        if len(text) > _LONGEST:
            raise SpecError(f"`{name}` makes a text of {len(text):,} characters", hint="shorten the template")
        return [line for line in map(one_line, text.splitlines()) if line]

    return told


def template_variables(template: str, schema: TableSchema, *, name: str) -> tuple[str, ...]:
    """Return the variables of a schema that a template names, in the schema's order.

    Raises:
        SpecError: its syntax is wrong, it names none, or something that is no variable.
        SiteError: the extra that renders templates is not installed.
    """
    from jinja2 import meta, nodes

    _compiled(template, name)
    tree = _environment().parse(template)
    names = set(meta.find_undeclared_variables(tree)) - _SPACES
    for found in (*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)):
        if isinstance(found.node, nodes.Name) and found.node.name in _SPACES:
            key = found.attr if isinstance(found, nodes.Getattr) else getattr(found.arg, "value", None)
            names.add(str(key))
    known = ", ".join(f"`{each}`" for each in schema.variables)
    problems = [
        Problem(f"`{each}` is no variable of the schema", place=name, hint=f"variables are {known}")
        for each in sorted(names - set(schema.variables))
    ]
    if not names:
        problems = [
            Problem(
                "it names no variable", place=name, hint=f"write `{{{{ age }}}}` for a value; variables are {known}"
            )
        ]
    if problems:
        raise SpecError(f"template `{name}` cannot be used", problems=problems)
    return tuple(each for each in schema.variables if each in names)


def _raw(feature: Feature) -> Any:
    """Return a cell for comparisons in a template: a number where it is one."""
    if feature.cell is None or feature.variable.type not in {"integer", "number"}:
        return feature.cell
    number = number_of(feature.cell)
    if number is None:
        return feature.cell
    return int(number) if number == int(number) else float(number)


def _compiled(template: str, name: str) -> "Template":
    environment = _environment()
    from jinja2 import TemplateError

    try:
        return environment.from_string(template)
    except TemplateError as err:
        raise SpecError(f"template `{name}` cannot be used", problems=[_problem(err, name)]) from err


def _problem(err: Exception, name: str) -> Problem:
    line = getattr(err, "lineno", None)
    text = one_line(str(err))[:200] or type(err).__name__
    hint = (
        "`{{ age }}` is a value, `{{ name.age }}` its name, `{{ raw.age }}` its cell; filters may follow, calls may not"
    )
    return Problem(f"{text[:1].lower()}{text[1:]}", place=f"{name}:{line}" if line else name, hint=hint)


def _environment() -> "Environment":
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as err:
        hint = "pip install 'cruijff-kit[tables]', or use `style: dictionary`"
        raise SiteError("rendering templates needs `jinja2`, which is not installed", hint=hint) from err

    class Closed(ImmutableSandboxedEnvironment):
        """A sandbox in which nothing has attributes and nothing can be called."""

        is_safe_attribute: Any = staticmethod(_never)
        is_safe_callable: Any = staticmethod(_never)

    environment = Closed(undefined=StrictUndefined, autoescape=False, finalize=_words)
    environment.globals.clear()
    for filter_name in _NOT_REPEATABLE:
        environment.filters.pop(filter_name, None)
    return environment


def _never(*_: Any) -> bool:
    return False


def _words(value: Any) -> Any:
    """Let words and numbers into a text; a missing value, a mapping or a function has none."""
    if isinstance(value, str | int | float) or type(value).__name__ == "StrictUndefined":
        return value
    if value is None:
        raise ValueError("a value is missing: ask for it with `{% if … %}`, or set `missing` to `say` or `skip`")
    raise ValueError(f"a {type(value).__name__} is no text")
