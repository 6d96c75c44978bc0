"""Schemas of tables as YAML: read with the place of all that is wrong, and written so that reading gives them back."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from cruijff_kit.data.tabular.cells import one_line
from cruijff_kit.data.yaml_text import YamlPath, dotted, dump_yaml, load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import RESERVED, TableSchema, Variable

__all__ = ["parse_schema", "render_schema"]

_RAW_TEXT = ("missing", "value_map", "synonyms", "shorthand_map", "restatements")


def parse_schema(text: str, *, name: str) -> TableSchema:
    """Return the schema that a YAML text holds; numbers where cells are named count as text.

    Args:
        text: the document.
        name: name of its file, shown with what is wrong.

    Raises:
        SpecError: it is no schema, or says one thing of two variables; all problems at once.
    """
    read = load_yaml(text, name=name)
    if not isinstance(read.value, dict):
        raise SpecError(f"`{name}` is no schema of a table", hint="draft one with `ck data schema TABLE`")
    value = _as_text(read.value)
    try:
        schema = TableSchema.model_validate(value)
    except ValidationError as err:
        problems = [_problem(each)._replace(place=read.marks.place(_real(each["loc"]))) for each in err.errors()]
        raise SpecError(f"`{name}` is no valid schema", problems=problems) from err
    problems = [
        problem._replace(path=dotted(path), place=read.marks.place(path)) for path, problem in _ambiguous(schema)
    ]
    if problems:
        raise SpecError(f"`{name}` cannot be told apart", problems=problems)
    return schema


def render_schema(schema: TableSchema) -> str:
    """Return a schema as YAML; what is as it would be anyway is left out."""
    variables = {
        name: variable.model_dump(mode="json", exclude_defaults=True) for name, variable in schema.variables.items()
    }
    told = schema.model_dump(mode="json", exclude_defaults=True, exclude={"variables", "left_out"})
    rest = {"left_out": dict(schema.left_out)} if schema.left_out else {}
    return dump_yaml({"schema_version": schema.schema_version, **told, "variables": variables, **rest})


def _as_text(value: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose cells are text: `missing: [-9]` names a cell as the reader gives it."""
    found = {key: _texts(each) if key in _RAW_TEXT else each for key, each in value.items()}
    variables = found.get("variables")
    if isinstance(variables, dict):
        found["variables"] = {
            name: {key: _texts(each) if key in _RAW_TEXT else each for key, each in variable.items()}
            if isinstance(variable, dict)
            else variable
            for name, variable in variables.items()
        }
    return found


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _texts(each) for key, each in value.items()}
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _real(location: Sequence[Any]) -> YamlPath:
    return tuple(part for part in location if part != "[key]")


def _problem(found: Any) -> Problem:
    path = dotted(_real(found["loc"]))
    name = str(found["loc"][-1])
    field = Variable.described().get(name) or TableSchema.described().get(name)
    meaning = one_line((field.description if field else "") or "")
    if found["type"] == "missing":
        return Problem(f"`{name}` is missing", path, hint=f"add `{name}:`. {meaning}")
    if found["type"] == "extra_forbidden":
        known = Variable if len(found["loc"]) > 2 else TableSchema
        keys = ", ".join(f"`{key}`" for key in known.model_fields)
        return Problem(f"unknown key `{name}`", path, hint=f"remove it; keys are {keys}")
    shown = one_line(str(found["input"]))[:60]
    return Problem(f"`{shown}` is not allowed: {found['msg'][:1].lower()}{found['msg'][1:]}", path, hint=meaning)


def _ambiguous(schema: TableSchema) -> Iterator[tuple[YamlPath, Problem]]:
    """Yield what would let two different rows read the same, or one variable be taken for another."""
    names: dict[str, str] = {}
    columns: dict[str, str] = {}
    for name, variable in schema.variables.items():
        path: YamlPath = ("variables", name)
        for said in (variable.display_name, *variable.synonyms, *_short(variable, variable.display_name)):
            other = names.setdefault(said.casefold(), name)
            if other != name:
                yield path, Problem(f"`{said}` is what `{other}` may be called too", hint="give each its own names")
        other = columns.setdefault(variable.column or name, name)
        if other != name:
            yield path, Problem(f"column `{variable.column or name}` is `{other}` too", hint="keep one of the two")
        yield from ((path, problem) for problem in _alike(variable))
        if not name.isidentifier() or name in RESERVED:
            hint = "use letters, digits and `_`, and no word of templates; name the file's column with `column`"
            yield path, Problem(f"`{name}` is no name for a template", hint=hint)


def _alike(variable: Variable) -> Iterator[Problem]:
    """Yield values of one variable that are shown alike, plainly or in short."""
    for what, said in (("value_map", list(variable.value_map.values())), ("shorthand_map", _values_in_short(variable))):
        twice = dict.fromkeys(each for each in said if said.count(each) > 1)
        for each in twice:
            hint = (
                "give each its own words" if what == "shorthand_map" else "give each its own words, or map them before"
            )
            yield Problem(f"two values are both shown as `{each}` by `{what}`", hint=hint)
    for sentence in variable.restatements:
        if "{value}" not in sentence:
            yield Problem(
                f"restatement `{sentence[:60]}` does not say the value", hint="put `{value}` where it belongs"
            )
    if variable.range is not None and variable.range[0] > variable.range[1]:
        yield Problem("the range ends before it starts", hint="write the smaller number first")


def _values_in_short(variable: Variable) -> list[str]:
    shown = [*variable.value_map.values()]
    others = [
        key
        for key in variable.shorthand_map
        if key not in {*shown, variable.display_name, variable.unit, *variable.synonyms}
    ]
    return [variable.shorthand_map.get(each, each) for each in (*shown, *others)]


def _short(variable: Variable, said: str) -> tuple[str, ...]:
    short = variable.shorthand_map.get(said)
    return () if short is None else (short,)
