"""The tool list: bounded, annotated, told well, and one with the verbs behind it."""

import asyncio
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import Tool

from cruijff_kit import workflow
from cruijff_kit.errors import SiteError
from cruijff_kit.mcp_server.server import build
from cruijff_kit.mcp_server.surface import INSTRUCTIONS, SURFACE

OURS = {"experiment", "cursor", "limit"}
"""Arguments a tool may have beyond its verb's: where to look, and paging."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    """Return the live tool list of a server over an empty project."""

    async def listed() -> list[Tool]:
        async with Client(build(tmp_path_factory.mktemp("project"))) as client:
            return (await client.list_tools()).tools

    return {tool.name: tool for tool in asyncio.run(listed())}


def verb_of(tool: str) -> Any:
    """Return the function of the workflow that a tool stands for."""
    return getattr(workflow, SURFACE[tool].verb)


def test_there_are_at_most_fifteen_tools_and_each_is_declared(tools: dict[str, Tool]) -> None:
    assert set(tools) == set(SURFACE)
    assert len(tools) <= 15


def test_every_tool_stands_for_a_public_verb() -> None:
    assert {entry.verb for entry in SURFACE.values()} <= set(workflow.__all__)


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_a_tool_takes_what_its_verb_takes_with_the_same_defaults(name: str, tools: dict[str, Tool]) -> None:
    given = tools[name].input_schema["properties"]
    verb = inspect.signature(verb_of(name)).parameters
    names = {"text": "design"} if SURFACE[name].verb in ("check_design", "write_design") else {}
    expected = {names.get(each, each): parameter for each, parameter in verb.items()}
    assert set(given) - OURS <= set(expected)
    for argument in set(given) & set(expected):
        default = expected[argument].default
        if default is not inspect.Parameter.empty and "default" in given[argument] and name != "runs_scaffold":
            plain = given[argument]["default"]
            assert plain is None or str(plain) == str(default) or argument in ("limit", "timeout"), argument


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_all_four_hints_are_set(name: str, tools: dict[str, Tool]) -> None:
    hints = tools[name].annotations
    assert hints is not None
    values = (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert None not in values


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_a_description_is_short_printable_and_says_when_to_use_it(name: str, tools: dict[str, Tool]) -> None:
    text = tools[name].description or ""
    assert len(text.encode()) < 2048
    assert text.isascii()
    assert any(word in text for word in ("Use it", "Follow", "Repeat", "Only", "only", "Use dry_run", "Use `"))


def test_the_whole_list_costs_a_model_at_most_4500_tokens(tools: dict[str, Tool]) -> None:
    costs = {name: _tokens(tool) for name, tool in tools.items()}
    assert sum(costs.values()) <= 4_500, costs
    assert max(costs.values()) < 450, costs


def test_the_list_is_in_the_same_order_every_time(tools: dict[str, Tool], tmp_path: Path) -> None:
    async def names() -> list[str]:
        async with Client(build(tmp_path)) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert asyncio.run(names()) == list(tools)


def test_the_instructions_fit_in_two_kilobytes_and_name_real_tools() -> None:
    assert len(INSTRUCTIONS.encode()) <= 2_048
    mentioned = {word.strip("`.,;:()") for word in INSTRUCTIONS.split() if "_" in word}
    assert {word for word in mentioned if word.split("=")[0] not in ("dry_run", "plan_id")} <= set(SURFACE)


@pytest.mark.parametrize("root", ("/", "~"))
def test_the_server_refuses_roots_that_hold_everything(root: str) -> None:
    with pytest.raises(SiteError, match="cannot be the project root"):
        build(Path(root).expanduser())


@pytest.mark.parametrize("name", ("../evil", "a/b", "", ".hidden", "x" * 65, "ok\n", "/etc"))
def test_an_experiment_outside_the_root_cannot_be_named(name: str, tmp_path: Path) -> None:
    async def call() -> Any:
        async with Client(build(tmp_path)) as client:
            return await client.call_tool("job_status", {"experiment": name})

    assert asyncio.run(call()).is_error


def test_commands_and_tools_that_share_a_verb_reach_the_same_function() -> None:
    commands = import_module("cruijff_kit.cli.main").COMMANDS
    for module, _ in (target.split(":") for target, _ in commands.values()):
        import_module(f"cruijff_kit.cli.{module}")


def _tokens(tool: Tool) -> int:
    return len(tool.name + (tool.description or "") + json.dumps(tool.input_schema)) // 4
