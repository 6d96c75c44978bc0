"""The tool list: bounded, annotated, told well, and one with the verbs behind it."""

import asyncio
import hashlib
import inspect
import json
from collections.abc import Callable
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
from cruijff_kit.schema.compared import CompareRules
from cruijff_kit.schema.receipt import Excerpt
from cruijff_kit.schema.search import Query

OURS = {"experiment", "cursor", "limit", "after", "response_format"}
"""Arguments a tool may have beyond its verbs': where to look, how much, and paging."""
CHOICES = {
    "experiment_archive": {"back", "dry_run"},
    "experiments_search": {"compare"},
    "job_submit": {"retry"},
    "results_read": {"view"},
    "audit_read": {"verify"},
}
"""Arguments by which a tool chooses between its verbs, or what they do and what they would."""
LOOKED_AT = "f1661a5a5bcebc50"
"""Start of the hash over what a model is told of all tools."""
RENAMED = {"text": "design"}
"""Arguments that are called otherwise in a tool than in its verb."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    """Return the live tool list of a server over an empty project."""

    async def listed() -> list[Tool]:
        async with Client(build(tmp_path_factory.mktemp("project"))) as client:
            return (await client.list_tools()).tools

    return {tool.name: tool for tool in asyncio.run(listed())}


def verbs_of(tool: str) -> list[Any]:
    """Return the functions of the workflow that a tool stands for."""
    return [getattr(workflow, verb) for verb in SURFACE[tool].verbs]


def test_there_are_at_most_fifteen_tools_and_each_is_declared(tools: dict[str, Tool]) -> None:
    assert set(tools) == set(SURFACE)
    assert len(tools) <= 15


def test_every_tool_stands_for_a_public_verb() -> None:
    assert {verb for entry in SURFACE.values() for verb in entry.verbs} <= set(workflow.__all__)


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_a_tool_takes_what_its_verbs_take_with_the_same_defaults(name: str, tools: dict[str, Tool]) -> None:
    given = tools[name].input_schema["properties"]
    taken = [(RENAMED.get(each, each), what) for verb in verbs_of(name) for each, what in _parameters(verb).items()]
    assert set(given) - OURS - CHOICES.get(name, set()) <= {argument for argument, _ in taken}
    for argument, parameter in taken:
        if argument in given and "default" in given[argument] and parameter.default is not inspect.Parameter.empty:
            plain = given[argument]["default"]
            known = argument in ("limit", "timeout", "count", "dry_run")
            assert plain is None or str(plain) == str(parameter.default) or known, argument


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_a_tool_that_acts_demands_a_reason_and_one_that_reads_has_none(name: str, tools: dict[str, Tool]) -> None:
    schema = tools[name].input_schema
    reads = SURFACE[name].annotations.read_only_hint
    assert ("reason" in schema.get("required", ())) is not reads
    assert ("reason" in schema["properties"]) is not reads


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_every_reason_reaches_the_verbs(name: str) -> None:
    if not SURFACE[name].annotations.read_only_hint:
        assert all("reason" in _parameters(verb) for verb in verbs_of(name))


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_s30_all_four_hints_are_set(name: str, tools: dict[str, Tool]) -> None:
    hints = tools[name].annotations
    assert hints is not None
    values = (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert None not in values


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_s30_a_description_is_short_printable_and_says_when_to_use_it(name: str, tools: dict[str, Tool]) -> None:
    text = tools[name].description or ""
    assert len(text.encode()) < 2048
    assert text.isascii()
    assert "Use it " in text or "Use dry_run " in text


def test_the_whole_list_costs_a_model_at_most_4500_tokens(
    tools: dict[str, Tool], record_property: Callable[[str, object], None]
) -> None:
    costs = {name: _tokens(tool) for name, tool in tools.items()}
    assert sum(costs.values()) <= 4_500, costs
    assert max(costs.values()) < 450, costs
    # Few clients show what answers look like; those that do pay for it beside the rest.
    beside = {name: len(json.dumps(tool.output_schema)) // 4 for name, tool in tools.items()}
    record_property("tokens of all definitions", sum(costs.values()))
    record_property("tokens of what answers look like", sum(beside.values()))
    assert min(beside.values()) > 0, beside
    assert sum(beside.values()) <= 4_500, beside


def test_s30_the_list_is_the_one_that_was_looked_at(tools: dict[str, Tool]) -> None:
    # Whoever changes a name, a text, a schema or a hint looks at what a model will read, and then writes the new hash.
    told = [
        {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input_schema,
            "annotations": tool.annotations and tool.annotations.model_dump(),
        }
        for tool in tools.values()
    ]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    assert digest[:16] == LOOKED_AT, f"the list of the tools is another one: {digest[:16]}"


def test_the_list_is_in_the_same_order_every_time(tools: dict[str, Tool], tmp_path: Path) -> None:
    async def names() -> list[str]:
        async with Client(build(tmp_path)) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert asyncio.run(names()) == list(tools)


def test_the_instructions_fit_in_two_kilobytes_and_name_real_tools() -> None:
    assert len(INSTRUCTIONS.encode()) <= 2_048
    mentioned = {word.strip("`.,;:()") for word in INSTRUCTIONS.split() if "_" in word}
    arguments = {"dry_run", "plan_id", "first_error", "response_format", "next_cursor"}
    assert {word for word in mentioned if word.split("=")[0] not in arguments} <= set(SURFACE)


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


def _parameters(verb: Any) -> dict[str, inspect.Parameter]:
    """Return what a verb takes, the fields of an excerpt, of a query or of rules in its place."""
    found = dict(inspect.signature(verb).parameters)
    keyword = inspect.Parameter.KEYWORD_ONLY
    for name, noun in {"excerpt": Excerpt, "query": Query, "rules": CompareRules}.items():
        if found.pop(name, None):
            fields = noun.model_fields.items()
            found |= {each: inspect.Parameter(each, keyword, default=field.default) for each, field in fields}
    return found


def _tokens(tool: Tool) -> int:
    return len(tool.name + (tool.description or "") + json.dumps(tool.input_schema)) // 4
