"""The base of every noun: frozen, strict about keys, documented field by field."""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.fields import FieldInfo

__all__ = [
    "OTHER_VERSION",
    "UNKNOWN_SHA256",
    "Name",
    "Noun",
    "RunId",
    "Sha256",
    "TimeLimit",
    "Timestamp",
    "fact_of",
    "first_fault",
]


OTHER_VERSION = "another version of cruijff-kit wrote it"
"""Why a whole file is no noun that is known here."""


class Noun(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @classmethod
    def found_in(cls, content: bytes | None) -> Self | None:
        """Return what a file holds; None where there is none, or `unread` tells why it cannot be read."""
        try:
            return None if content is None else cls.model_validate_json(content)
        except ValidationError:
            return None

    @classmethod
    def unread(cls, content: bytes) -> str:
        """Return why a file cannot be read as this noun; empty where it can.

        Files are renamed into place, so one that is torn was damaged since. A key or a
        form that is not known here comes from another version, whose work counts.
        """
        try:
            cls.model_validate_json(content)
        except ValidationError as err:
            odd = any(each["type"] == "extra_forbidden" or each["loc"] == ("schema_version",) for each in err.errors())
            return OTHER_VERSION if odd else "it is torn, or was changed by hand"
        return ""

    @classmethod
    def described(cls) -> dict[str, FieldInfo]:
        """Return the fields, each with its docstring as description.

        They are read here and not as each class is made: to read all of them is a third of most commands.
        """
        for name, field in cls.model_fields.items():
            if field.description is None:
                owner = next((base for base in cls.__mro__ if name in inspect.get_annotations(base)), cls)
                field.description = _docstrings(owner.__module__).get(owner.__qualname__, {}).get(name)
        return cls.model_fields

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Return its JSON schema, in which every field says what it means."""
        schema: dict[str, Any] = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.described().items():
            if field.description is not None and name in properties:
                properties[name].setdefault("description", field.description)
        return schema


@cache
def _docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return what follows each annotated name of each class of a module; nothing where its source is not at hand."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    found: dict[str, dict[str, str]] = {}
    _read_body(tree.body, "", found=found)
    return found


def _read_body(body: list[ast.stmt], inside: str, *, found: dict[str, dict[str, str]]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            _read_body(node.body, f"{inside}{node.name}.", found=found)
            found[f"{inside}{node.name}"] = {
                name.target.id: inspect.cleandoc(told.value.value)
                for name, told in zip(node.body, node.body[1:], strict=False)
                if isinstance(name, ast.AnnAssign)
                and isinstance(name.target, ast.Name)
                and isinstance(told, ast.Expr)
                and isinstance(told.value, ast.Constant)
                and isinstance(told.value.value, str)
            }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _read_body(node.body, f"{inside}{node.name}.<locals>.", found=found)


def fact_of(message: str) -> str:
    """Return what validation says against a value as our own messages say it; names in it keep their capitals."""
    fact = message.removeprefix("Value error, ")
    return f"{fact[:1].lower()}{fact[1:]}"


def first_fault(err: ValidationError) -> str:
    """Return the first thing that validation says against a file, after the place in it."""
    first = err.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {fact_of(first['msg'])}"


def _milliseconds(moment: AwareDatetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(moment: AwareDatetime) -> AwareDatetime:
    if moment.utcoffset():
        raise ValueError("must be in UTC, written with a trailing `Z`")
    return moment


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""Lower-case hexadecimal SHA-256 of raw bytes."""

UNKNOWN_SHA256 = "0" * 64
"""Stands where a hash belongs that nobody can know any more; equal to no hash, itself included."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""An identifier safe in a path, a shell word and an `#SBATCH` line."""

RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
"""Slug of what varies, a hyphen, and eight hexadecimal digits of its content hash."""

# Seconds are required: Slurm reads `10:00` as ten minutes, people as ten hours.
TimeLimit = Annotated[str, Field(pattern=r"^(?:\d{1,3}-)?\d{1,2}:[0-5]\d:[0-5]\d$")]
"""`[days-]hours:minutes:seconds`."""

Timestamp = Annotated[AwareDatetime, AfterValidator(_utc), PlainSerializer(_milliseconds, return_type=str)]
"""A moment in UTC, serialised as ISO-8601 with milliseconds and a trailing `Z`."""
