"""Options of the form NAME=VALUE, given as often as one likes."""

from collections.abc import Iterable
from typing import Any

import yaml

from cruijff_kit.errors import SpecError

__all__ = ["split_pair", "yaml_values"]


def split_pair(text: str, option: str) -> tuple[str, str]:
    """Return name and value.

    Raises:
        SpecError: there is no `=`, or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SpecError(f"`{option} {text}` has no `=`", hint=f"write `{option} NAME=VALUE`")
    return name, value


def yaml_values(given: Iterable[str]) -> dict[str, Any]:
    """Return what `--set` gave by name, values read as YAML.

    Raises:
        SpecError: one is no NAME=VALUE, or its value no YAML.
    """
    found = {}
    for each in given:
        name, text = split_pair(each, "--set")
        try:
            found[name] = yaml.safe_load(text)
        except yaml.YAMLError as err:
            hint = "quote the value twice: once for the shell"
            raise SpecError(f"`--set {each}` is not valid YAML", hint=hint) from err
    return found
