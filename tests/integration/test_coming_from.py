"""Every name that the page for newcomers gives exists: commands, modules, paths, skills, files, keys of a design."""

import importlib
import re
from pathlib import Path
from typing import Any

import click
import pytest

from cruijff_kit.cli.main import cli
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.workflow import spec_json_schema

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8").splitlines()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in LINES
    if line.startswith("| ") and not line.startswith("| there")
]
NAMES = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[1])})
RUN = RunLayout("<run>")
FILES = {
    RUN.folder,
    RUN.train_script,
    RUN.eval_script,
    RUN.metrics,
    RUN.cell_logs("<cell>"),
    f"outputs/{RUN.output}/epoch_<n>",
    ExperimentLayout.audit,
    ExperimentLayout.view("design"),
    ExperimentLayout.view("scaffold"),
}


def command(words: list[str]) -> str | None:
    """Return what a command line has that our commands have not."""
    found: click.Command = cli
    context = click.Context(cli)
    while words and not words[0].startswith("--") and isinstance(found, click.Group):
        inner = found.get_command(context, words[0])
        if inner is None:
            return words[0]
        found, words = inner, words[1:]
    options = {name for each in found.params for name in each.opts}
    return next((word for word in words if word not in options), None)


def key_of(schema: dict[str, Any], names: list[str]) -> bool:
    """Tell whether a design has a key of this path."""
    place = schema
    for name in names:
        while "$ref" in place:
            place = schema["$defs"][place["$ref"].rpartition("/")[2]]
        choices = [place, *(place.get("anyOf") or [])]
        resolved = [schema["$defs"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in choices]
        found = [each["properties"][name] for each in resolved if name in each.get("properties", {})]
        if not found:
            return False
        place = found[0]
    return True


def exists(name: str) -> bool:
    """Tell whether a name is one of ours."""
    head, _, rest = name.partition(" ")
    if head == "ck":
        return command(rest.split()) is None
    if head == "make":
        return f"\n{rest}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    if name.startswith("/"):
        return (ROOT / "skills" / name[1:] / "SKILL.md").is_file()
    if name in FILES or (ROOT / name).exists():
        return True
    module, _, member = name.partition(":")
    if module.startswith("cruijff_kit."):
        return not member or hasattr(importlib.import_module(module), member)
    return key_of(spec_json_schema(), name.split("."))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_for_newcomers_is_one_of_ours(name: str) -> None:
    assert exists(name)


def test_what_has_no_counterpart_has_a_reason() -> None:
    assert [row for row in ROWS if len(row) != 3] == []
    assert [row[0] for row in ROWS if not row[1] or (row[1] == "none" and not row[2])] == []


def test_names_that_are_not_ours_are_noticed() -> None:
    strange = ("ck train quickly", "ck submit --nothing", "make tea", "/paint-it", "controls.lora_rang", "no/such")
    assert [name for name in strange if exists(name)] == []
