"""Procedure nouns: rules that answers keep, whatever was asked."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from cruijff_kit.schema.noun import Name, Noun

__all__ = ["AnswerRule", "JsonField", "Procedure"]

_Text = Annotated[str, StringConstraints(min_length=1)]

_KINDS = ("regex", "must_contain", "must_not_contain", "json_field", "order")


class JsonField(Noun):
    """A field of an answer that is a JSON object."""

    name: _Text
    """Name of the field."""
    type: Literal["string", "number", "boolean", "list", "object"] | None = None
    """Kind of its value; any where absent."""
    one_of: tuple[str | int | float | bool, ...] = ()
    """Values that it may have; any where empty."""
    not_empty: bool = False
    """Whether a text, a list or an object in it has to hold something."""


class AnswerRule(Noun):
    """One rule, of exactly one kind; texts are compared without regard to capitals."""

    name: Name
    """What it is called in the audit."""
    about: str = ""
    """What it is for, in a sentence."""
    regex: _Text | None = None
    """Regular expression that has to be found in the answer."""
    must_contain: tuple[_Text, ...] = ()
    """Texts of which one at least has to stand in the answer."""
    must_not_contain: tuple[_Text, ...] = ()
    """Texts of which none may stand in it."""
    json_field: JsonField | None = None
    """Field that the answer, a JSON object, has to have."""
    order: tuple[_Text, ...] = ()
    """Texts that have to stand in it, in this order."""
    when: tuple[_Text, ...] = ()
    """Expected answers for which the rule counts; all where empty."""

    @property
    def kind(self) -> str:
        """Return which kind of rule it is."""
        return next(name for name in _KINDS if getattr(self, name))

    @model_validator(mode="before")
    @classmethod
    def _of_one_kind(cls, value: Any) -> Any:
        given = [name for name in _KINDS if isinstance(value, dict) and value.get(name)]
        if len(given) != 1:
            told = f"it has {' and '.join(f'`{name}`' for name in given)}" if given else "it has none"
            raise ValueError(f"a rule is of one kind, {', '.join(f'`{name}`' for name in _KINDS)}; {told}")
        return value

    @model_validator(mode="after")
    def _in_some_order(self) -> "AnswerRule":
        if len(self.order) == 1:
            raise ValueError("`order` names two texts at least")
        return self


class Procedure(Noun):
    """A list of rules."""

    name: _Text
    """What it is called."""
    about: str = ""
    """What it is for, and what it does not show."""
    rules: tuple[AnswerRule, ...] = Field(min_length=1)
    """The rules."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Procedure":
        names = [rule.name for rule in self.rules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two rules are called `{twice}`")
        return self
