"""Templates a design names: files of the user's read, so that plans and jobs hold the text itself."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.data.template_registry import MODEL, NOT_IN_TEXT, is_file, settled
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.grid import Point
from cruijff_kit.ports import World

__all__ = ["read_template", "template_problems", "with_templates"]

_CONTROL = "template"
_HINT = "name a template, write one with `{input}` and `{output}`, or name a file of the experiment that holds one"


def with_templates(points: Iterable[Point], *, world: World) -> tuple[Point, ...]:
    """Return the points with every template by its own name, or as the text that its file holds.

    Raises:
        SpecError: a template cannot be used; lists them all.
    """
    points = tuple(points)
    named = dict.fromkeys(str(point.settings[_CONTROL].value) for point in points)
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name in named:
        try:
            texts[name] = read_template(name, root=world.store.root)
        except ValueError as err:
            problems.append(Problem(str(err), "controls.template", hint=_HINT))
    if problems:
        raise SpecError("the template cannot be used", problems=problems)
    return tuple(_told(point, texts[str(point.settings[_CONTROL].value)]) for point in points)


def read_template(template: str, *, root: Path) -> str:
    """Return what jobs are told of a template: the name every process knows it by, or its text.

    Args:
        template: a name, a text with placeholders, or a file.
        root: directory that a relative path starts at.

    Raises:
        ValueError: there is no such template or file, or it holds none.
    """
    if not is_file(template):
        return settled(template)
    place = root / template
    if not place.is_file():
        # The registry tells what there is, and what may have been meant.
        return settled(template)
    try:
        text = place.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as err:
        raise ValueError(f"template file `{template}` cannot be read: {err}") from err
    if "{" not in text:
        raise ValueError(f"template file `{template}` holds no placeholder, such as `{{output}}`")
    try:
        return settled(text)
    except ValueError as err:
        raise ValueError(f"template file `{template}`: {err}") from err


def template_problems(values: Mapping[str, Any], *, root: Path) -> list[Problem]:
    """Return what is wrong with the template that keys name, and where no conversation is written by it."""
    template = values[_CONTROL]
    if template != MODEL and values["dataset_type"] == "text_completion":
        return [Problem(NOT_IN_TEXT, _CONTROL, hint="set `template: model`, or `dataset_type: chat_completion`")]
    try:
        read_template(template, root=root)
    except ValueError as err:
        return [Problem(str(err), _CONTROL, hint=_HINT)]
    return []


def _told(point: Point, text: str) -> Point:
    setting = point.settings[_CONTROL]
    if setting.value == text:
        return point
    return point._replace(settings={**point.settings, _CONTROL: setting.model_copy(update={"value": text})})
