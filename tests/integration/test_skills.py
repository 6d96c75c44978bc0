"""Skills name only what exists: tools, arguments, links and commands, checked live."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from skills_ref import validate

from cruijff_kit.cli.main import cli
from cruijff_kit.cli.skill_script import filled, read_calls, read_commands, read_questions
from cruijff_kit.data.generators.registry import GENERATORS
from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.schema.scoring_rules import ScorerName
from cruijff_kit.schema.site import Partition, Site
from cruijff_kit.schema.table import Perturbation, TableSchema, Tabular, Variable
from cruijff_kit.schema.task import TaskRequest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
SKILLS = sorted(path.parent for path in (ROOT / "skills").glob("*/SKILL.md"))
PREFIXES = ("mcp__cruijff__", "mcp__plugin_cruijff-kit_cruijff__")
HOST_KEYS = {"disable-model-invocation", "argument-hint"}
VARIABLES = {
    "tiny_model": "/models/tiny",
    "plan_id": "0123456789abcdef",
    "run": "rank4-0123abcd",
    "edited": "runs/rank4-0123abcd/finetune.slurm",
}
NOT_TOOLS = {"next_cursor", "next_after", "experiment_summary", "lora_rank", "batch_size", "max_seq_len"}
NOT_TOOLS |= {*Site.model_fields, *Partition.model_fields, *TaskRequest.model_fields}
NOT_TOOLS |= {*Tabular.model_fields, *TableSchema.model_fields, *Variable.model_fields}
NOT_TOOLS |= {*get_args(Perturbation), *get_args(ScorerName), *GENERATORS}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the input schema of every tool, as the live server tells it over stdio."""

    async def listed() -> dict[str, dict[str, Any]]:
        root = str(tmp_path_factory.mktemp("project"))
        server = StdioServerParameters(command=str(ROOT / "mcp_server" / "start.sh"), args=["--root", root])
        async with Client(stdio_client(server)) as client:
            return {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

    return asyncio.run(listed())


def linted(skill: Path, schemas: dict[str, dict[str, Any]], scratch: Path) -> list[str]:
    """Return every defect of a skill, one line each."""
    head, body = _parts(skill)
    return [
        *_specification(skill, head, scratch),
        *_host_keys(head),
        *(f"allowed-tools names `{name}`" for name in _allowed(head) if not _known(name, schemas)),
        *(f"body names `{name}`" for name in _named(body) - _arguments(schemas) if name not in schemas),
        *(f"dead link `{link}`" for link in _links(body) if not _inside(skill, link)),
        *_examples(skill, schemas),
        *(f"no command `ck {said}`" for said in re.findall(r"`ck ([^`]+)`", body) if not _understood(said.split())),
        *_questions(skill),
        *_manners(head, body),
    ]


def _parts(skill: Path) -> tuple[dict[str, Any], str]:
    _, head, body = re.split(r"^---$", (skill / "SKILL.md").read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(head), body


def _specification(skill: Path, head: dict[str, Any], scratch: Path) -> list[str]:
    """Run the open specification's own validator on a copy without the host's keys."""
    copy = scratch / skill.name
    shutil.copytree(skill, copy, dirs_exist_ok=True)
    plain = {key: value for key, value in head.items() if key not in HOST_KEYS}
    body = _parts(skill)[1]
    (copy / "SKILL.md").write_text(f"---\n{yaml.safe_dump(plain)}---{body}", encoding="utf-8")
    return [str(problem) for problem in validate(copy)]


def _host_keys(head: dict[str, Any]) -> Iterator[str]:
    if not isinstance(head.get("disable-model-invocation", False), bool):
        yield "disable-model-invocation is not true or false"


def _allowed(head: dict[str, Any]) -> list[str]:
    return str(head.get("allowed-tools", "")).split()


def _known(name: str, schemas: dict[str, Any]) -> bool:
    return any(name == prefix + tool for prefix in PREFIXES for tool in schemas)


def _named(body: str) -> set[str]:
    """Return the backticked snake_case words of the prose that read as tool names."""
    prose = re.sub(r"^```.*?^```$", "", body, flags=re.MULTILINE | re.DOTALL)
    return {word for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", prose) if word not in NOT_TOOLS}


def _understood(words: list[str]) -> bool:
    """Return whether `ck` has the command of these words, and the command their options."""
    command: click.Command = cli
    words = words[2:] if words[0] == "-C" else words
    while isinstance(command, click.Group) and words and words[0][0].isalpha():
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return False
        command, words = found, words[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return {word for word in words if word.startswith("--")} <= known


def _arguments(schemas: dict[str, dict[str, Any]]) -> set[str]:
    return {name for schema in schemas.values() for name in schema["properties"]}


def _links(body: str) -> list[str]:
    return re.findall(r"`((?:assets|references|scripts)/[^`]+)`", body) + re.findall(r"\]\((?!http)([^)]+)\)", body)


def _inside(skill: Path, link: str) -> bool:
    target = (skill / link).resolve()
    return target.exists() and target.is_relative_to(skill.resolve())


def _examples(skill: Path, schemas: dict[str, dict[str, Any]]) -> Iterator[str]:
    calls, commands = read_calls(skill), read_commands(skill)
    yield from (f"example runs `{each.words[0]}`" for each in commands if each.words[0] not in {"ck", "python"})
    if not calls and not commands:
        yield "no worked example"
    for call in calls:
        if call.tool not in schemas:
            yield f"example calls `{call.tool}`, which is no tool"
            continue
        schema = {**schemas[call.tool], "additionalProperties": False}
        arguments = filled(call.arguments, VARIABLES, skill)
        for error in Draft202012Validator(schema).iter_errors(arguments):
            yield f"example of `{call.tool}`: {error.message}"


def _questions(skill: Path) -> Iterator[str]:
    """Yield what keeps the questions a skill asks and the decisions its examples record from being the same."""
    asked = read_questions(skill)
    recorded = [call.arguments for call in read_calls(skill) if call.tool == "decision_record"]
    if not asked:
        yield "no list of what to ask"
    if [each["question"] for each in recorded] != asked:
        yield f"asks {asked}, and its examples record {[each['question'] for each in recorded]}"
    for each in recorded:
        if len(each["options"]) < 2 or each["choice"] not in each["options"]:
            yield f"offers no choice, or chooses what was not offered: {each['question']}"


def _by_command(skill: Path) -> bool:
    """Return whether a skill's examples act by commands alone, its decisions aside."""
    return all(call.tool == "decision_record" for call in read_calls(skill))


def _manners(head: dict[str, Any], body: str) -> Iterator[str]:
    """Yield breaches of the project's own rules of size and safety."""
    if len(body.splitlines()) > 200:
        yield "longer than 200 lines"
    if len(body.split()) > 1_000:
        yield "longer than 1,000 words"
    if not str(head["description"]).startswith("Use when") or len(head["description"]) > 300:
        yield "the description does not start with `Use when`, or is longer than 300 characters"
    if "## Gotchas" not in body:
        yield "no list of gotchas"
    tools = {re.sub("|".join(PREFIXES), "", name) for name in _allowed(head)}
    if any(SURFACE[tool].annotations.destructive_hint for tool in tools & set(SURFACE)):
        yield "pre-approves a destructive tool"
    if "job_submit" in body and head.get("disable-model-invocation") is not True and "tool=job_submit" in body:
        yield "submits, and a model may start it"


@pytest.mark.parametrize("skill", SKILLS, ids=lambda path: path.name)
def test_a_skill_names_only_what_exists(skill: Path, schemas: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert linted(skill, schemas, tmp_path) == []


@pytest.mark.parametrize("skill", [each for each in SKILLS if _by_command(each)], ids=lambda path: path.name)
def test_every_command_of_a_skill_that_acts_by_commands_is_run_in_order_and_does_what_it_says(
    skill: Path, tmp_path: Path
) -> None:
    shutil.copytree(skill / "assets", tmp_path, dirs_exist_ok=True)
    programs = {"ck": [sys.executable, "-m", "cruijff_kit.cli.main"], "python": [sys.executable]}
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    for program, *words in (command.words for command in read_commands(skill)):
        done = subprocess.run(
            [*programs[program], *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"},
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, f"{program} {' '.join(words)}\n{done.stdout}{done.stderr}"
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        now = {path for path in found if not re.search(r"/(?:\.|__)", path.relative_to(tmp_path.parent).as_posix())}
        made = now - before
        acts = "--dry-run" not in words and "--check" not in words and program == "ck"
        assert bool(made) == acts, f"{program} {' '.join(words)} made {made}"
        before |= now


def test_every_tool_has_an_example_in_some_skill(schemas: dict[str, dict[str, Any]]) -> None:
    shown = {call.tool for skill in SKILLS for call in read_calls(skill)}
    assert shown == set(schemas)


@pytest.mark.parametrize(
    "old,new,defect",
    (
        ("tool=job_watch", "tool=job_follow", "no tool"),
        ('"timeout": 120', '"timeout": 5000', "5000"),
        ('"plan_id": "${plan_id}",', "", "plan_id"),
        ("`logs_tail`", "`log_tail`", "log_tail"),
        ("disable-model-invocation: true", "disable-model-invocation: banana", "true or false"),
        ("mcp__cruijff__job_watch", "mcp__cruijff__job_follow", "allowed-tools"),
        ("name: run-experiment", "name: Run-Experiment", ""),
        ("`sbatch`", "`ck audit proof`", "no command `ck audit proof`"),
        ("`sbatch`", "`ck lesson add --proof F`", "no command `ck lesson add --proof F`"),
        ("**Which runs now?**", "**Which runs?**", "Which runs now?"),
        ("**Which runs now?** All", "All", "asks ['',"),
        ('"choice": "those of one run"', '"choice": "all of them"', "Which jobs are stopped?"),
    ),
)
def test_the_linter_sees_each_kind_of_defect(
    old: str, new: str, defect: str, schemas: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / "run-experiment"
    shutil.copytree(ROOT / "skills" / "run-experiment", broken)
    text = (broken / "SKILL.md").read_text(encoding="utf-8")
    assert old in text
    (broken / "SKILL.md").write_text(text.replace(old, new, 1), encoding="utf-8")
    found = linted(broken, schemas, tmp_path / "scratch")
    assert found
    assert any(defect in line for line in found)


def test_the_manifests_agree_on_name_and_version() -> None:
    from cruijff_kit import __version__

    plugin = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
    market = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
    assert (plugin["name"], plugin["version"]) == ("cruijff-kit", __version__)
    assert [entry["name"] for entry in market["plugins"]] == ["cruijff-kit"]
    assert all(_parts(skill)[0]["metadata"]["version"] == __version__ for skill in SKILLS)


def test_the_bare_skill_names_work_inside_the_repository() -> None:
    found = sorted(path.parent.name for path in (ROOT / ".claude" / "skills").glob("*/SKILL.md"))
    assert found == [skill.name for skill in SKILLS]
