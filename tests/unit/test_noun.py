"""What nouns say of their fields: docstrings, read from the source by whoever asks first."""

from typing import Any

from pydantic import Field

from cruijff_kit.schema.noun import Noun


class Ball(Noun):
    """A ball."""

    size: int
    """How large it is,
    in centimetres."""
    colour: str = Field(default="white", description="told by hand")
    """Not told by hand."""
    plain: bool = False


class Football(Ball):
    """A ball for feet."""

    size: int = 22
    seams: int = 32
    """How often it was sewn."""

    class Valve(Noun):
        """Where air goes in."""

        width: float
        """In millimetres."""


def _told(noun: type[Noun]) -> dict[str, str | None]:
    return {name: field.description for name, field in noun.described().items()}


def _in_schema(schema: dict[str, Any]) -> dict[str, str | None]:
    return {name: each.get("description") for name, each in schema["properties"].items()}


def test_a_field_is_told_by_its_docstring_unless_by_hand() -> None:
    told = {"size": "How large it is,\nin centimetres.", "colour": "told by hand", "plain": None}
    assert _told(Ball) == _in_schema(Ball.model_json_schema()) == told


def test_a_field_that_is_inherited_is_told_as_there_and_one_that_is_declared_anew_as_here() -> None:
    expected = {"size": None, "colour": "told by hand", "plain": None, "seams": "How often it was sewn."}
    assert _told(Football) == _in_schema(Football.model_json_schema()) == expected
    assert _told(Football.Valve) == {"width": "In millimetres."}


def test_a_noun_made_within_a_function_and_one_without_source_are_nouns_all_the_same() -> None:
    class Local(Noun):
        """Made here."""

        place: str
        """Where."""

    made: dict[str, Any] = {"Noun": Noun, "__name__": "nowhere"}
    exec("class Sourceless(Noun):\n    place: str\n    '''Where.'''\n", made)  # a class of no file
    assert _told(Local) == {"place": "Where."}
    assert _told(made["Sourceless"]) == {"place": None}
    assert made["Sourceless"](place="here").model_dump() == {"place": "here"}


def test_what_stands_within_a_noun_is_told_in_its_schema_and_validation_needs_no_words() -> None:
    class Match(Noun):
        """A match."""

        ball: Ball
        """The ball that is played."""
        others: tuple[Football, ...] = ()
        """Those in reserve."""

    assert Match.model_validate({"ball": {"size": 22}}).ball.size == 22
    schema = Match.model_json_schema()
    assert _in_schema(schema) == {"ball": "The ball that is played.", "others": "Those in reserve."}
    assert _in_schema(schema["$defs"]["Football"])["seams"] == "How often it was sewn."
