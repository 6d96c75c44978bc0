"""Every text that any tool takes, as its live schema tells, is tried with what an attacker would send."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.schema.plan import Plan
from tests.mcp_bench import NAME, WHY, Bench
from tests.wire import Wire

pytestmark = pytest.mark.once

TOUCH = "touch owned"
HOSTILE = (
    f"x;{TOUCH}", f"x|{TOUCH}", f"x&{TOUCH}", f"$({TOUCH})", f"`{TOUCH}`", "x>owned", "x<owned", "*", "?", "!x", "'",
    '"', "\\", f"x\n{TOUCH}", f"x\t{TOUCH}", "x\r", "x\u2028", "x\x85", "x\v", "x\0", "#SBATCH --wrap=id", "-rf",
    "--wrap=id", "%j/%x", "../../owned", "/owned", "~/owned", "file:///etc/passwd", "%2e%2e/owned", "\\\\host\\share",
    "ALL,LD_PRELOAD=x", "{{7*7}}", "{7*7}", "%(name)s", "!!python/object/apply:os.system ['touch owned']", "&a [*a]",
    "a: &a [x]\nb: [*a, *a]", "{", "[", "---", "- x", "name: [", "[" * 2_000, "(a+)+$", "(", "\u202e", "\U000e0041",
    "\x1b[31m", "", " ", "x" * 300, "x" * 5_000, "null", "true", "1e999", "NaN", "9" * 400, "0" * 8,
    "2026-13-45", "25:61",
)  # fmt: skip
"""What shells, schedulers, templates, YAML, expressions, paths and terminals trip over."""
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


class Place(NamedTuple):
    """A text somewhere in what a tool takes."""

    tool: str
    """The tool."""
    path: tuple[str, ...]
    """Argument, then `[]` for an item of a list, `{}` for a value and `key` for a key of a mapping."""


def texts_of(
    schema: Mapping[str, Any], whole: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield where a schema takes texts."""
    if "$ref" in schema:
        yield from texts_of(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, path)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from texts_of(each, whole, path)
    if schema.get("type") == "string" or "enum" in schema:
        yield path
    if schema.get("type") == "array":
        yield from texts_of(schema.get("items", {}), whole, (*path, "[]"))
    if schema.get("type") == "object":
        for name, each in schema.get("properties", {}).items():
            yield from texts_of(each, whole, (*path, name))
        if isinstance(schema.get("additionalProperties"), dict):
            yield (*path, "key")
            yield from texts_of(schema["additionalProperties"], whole, (*path, "{}"))


def put(path: tuple[str, ...], text: str) -> Any:
    """Return a text wrapped as it has to be for its place below an argument."""
    if not path:
        return text
    name, *rest = path
    if name == "[]":
        return [put(tuple(rest), text)]
    if name == "key":
        return {text: [1, 2]}
    return {"lora_rank" if name == "{}" else name: put(tuple(rest), text)}


class Target(NamedTuple):
    """A server, its tools, and what a call of them may not touch."""

    wire: Wire
    """The server, whose user agrees to nothing."""
    schemas: dict[str, dict[str, Any]]
    """What each tool takes."""
    sound: dict[str, Any]
    """A value that is fine, by argument."""
    bench: Bench
    """The project."""

    def places(self) -> list[Place]:
        """Return every text that any tool takes."""
        return [
            Place(tool, path)
            for tool, schema in self.schemas.items()
            for path in dict.fromkeys(texts_of(schema, schema))
            if path
        ]

    def arguments(self, place: Place, text: str) -> dict[str, Any]:
        """Return a call whose one argument is hostile and all others are sound."""
        needed = {name: self.sound.get(name, "x") for name in self.schemas[place.tool].get("required", ())}
        return {**needed, **self.extra(place.tool), place.path[0]: put(place.path[1:], text)}

    def extra(self, tool: str) -> dict[str, Any]:
        """Return what keeps a call short."""
        return {"timeout": 0} if "timeout" in self.schemas[tool]["properties"] else {}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, base: str) -> Iterator[Target]:
    """Yield a server over a project with an experiment whose jobs have ended."""
    root = tmp_path_factory.mktemp("hostile") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRUIJFF_STATE_DIR", str(root.parent / "state"))
        # Libraries keep caches of theirs at home.
        patch.setenv("HOME", str(root.parent / "state"))
        bench = Bench(root, base)
        plan = _ended(bench)
        with Wire(root) as wire:
            schemas = {tool["name"]: tool["inputSchema"] for tool in wire.request("tools/list")["result"]["tools"]}
            sound = {
                "experiment": NAME, "run": plan.runs[0].id, "reason": WHY, "design": bench.design, "question": "q?",
                "choice": "c", "plan_id": "ab" * 32,
            }  # fmt: skip
            yield Target(wire, schemas, sound, bench)


def _ended(bench: Bench) -> Plan:
    from tests.fakes.handed_over import hand_over
    from tests.mcp_bench import Talk

    async def dialogue(talk: Talk) -> str:
        return await talk.scaffold(bench.design)

    bench.talk(dialogue)
    plan = Plan.model_validate_json((bench.experiment / "plan.json").read_bytes())
    hand_over(bench.experiment, plan)
    return plan


def state(folder: Path, keep: Callable[[Path], bool]) -> dict[str, tuple[int, int]]:
    """Return size and time of every file of a folder that is to be looked at."""
    found = {path: path.lstat() for path in folder.rglob("*") if keep(path)}
    return {str(path): (facts.st_size, facts.st_mtime_ns) for path, facts in found.items() if path.is_file()}


def test_s06_every_text_of_every_tool_is_found_in_its_schema(target: Target) -> None:
    places = target.places()
    assert {place.tool for place in places} == set(SURFACE)
    expected = {
        Place("job_submit", ("runs", "[]")),
        Place("experiment_write_summary", ("levels", "key")),
        Place("experiment_write_summary", ("levels", "{}", "[]")),
        Place("logs_tail", ("step",)),
        Place("decision_record", ("options", "[]")),
    }
    assert expected <= set(places)


@pytest.mark.parametrize("tool", sorted(SURFACE))
def test_s06_a_hostile_text_anywhere_is_answered_in_our_own_words_and_changes_nothing(
    tool: str, target: Target
) -> None:
    places = [place for place in target.places() if place.tool == tool]
    reads = SURFACE[tool].annotations.read_only_hint
    root = target.bench.root

    def watched(path: Path) -> bool:
        # What acts writes into the project and keeps heads and locks, nothing else; what reads fills caches alone.
        own = path.is_relative_to(root) or path.is_relative_to(root.parent / "state")
        return (reads or not own) and not path.is_relative_to(root.parent / "state/.cache")

    @settings(max_examples=30 * len(places))
    @given(st.sampled_from(places), TEXTS)
    def attack(place: Place, text: str) -> None:
        before = state(root.parent, lambda path: watched(path) and path.name != "stderr.txt")
        result = target.wire.call(tool, **target.arguments(place, text))
        assert "content" in result, result
        told = "\n".join(each["text"] for each in result["content"])
        assert "Traceback (most recent call last)" not in told
        assert told != f"Error executing tool {tool}", f"masked: {target.wire.errors.read_text('utf-8')[-3000:]}"
        after = state(root.parent, lambda path: watched(path) and path.name != "stderr.txt")
        assert after == before
        assert re.search(r"root:[^:]*:0:0:", told) is None

    attack()
    assert list(root.parent.rglob("owned")) == []
    assert "Traceback" not in target.wire.errors.read_text(encoding="utf-8")


def test_every_line_that_was_answered_with_is_one_of_the_protocol(target: Target) -> None:
    assert target.wire.call("job_status", experiment=NAME)["isError"] is False
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in target.wire.lines)
