"""The server on a login host: what `ck mcp install --ssh` writes is started by a client over the user's own ssh."""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client

from cruijff_kit.cli.main import cli
from cruijff_kit.mcp_server.surface import SURFACE
from tests.bit_design import bit_design
from tests.mcp_bench import NAME, QUICK
from tests.random_model import random_base
from tests.slurm.remote.login import Login, running_login

PROGRAM = str(Path(sys.executable).with_name("cruijff-mcp"))
NAMES = ("plain", "with space", 'dou"ble', "semi;colon && echo no", "`no`", "ünï—cödé", "*", "> x")


@pytest.fixture(scope="module")
def shared_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    with running_login({"CRUIJFF_STATE_DIR": str(tmp_path_factory.mktemp("state"))}) as login:
        yield login


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "here"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


def served(project: Path, login: Login, root: Path) -> StdioServerParameters:
    """Have a client told of the server there, and return how it starts it, with next to no variables."""
    words = ("--ssh", login.name, "--root", str(root), "--program", PROGRAM)
    done = CliRunner().invoke(cli, ["mcp", "install", "--project", "--yes", *words])
    assert done.exit_code == 0, done.output
    entry = json.loads((project / ".mcp.json").read_text(encoding="utf-8"))["mcpServers"]["cruijff"]
    return StdioServerParameters(command=entry["command"], args=entry["args"], env={"PATH": "/usr/bin:/bin"})


def tools(server: StdioServerParameters) -> set[str]:
    """Return the tools of a server, which does not start where its directory is not there."""

    async def listed() -> set[str]:
        async with Client(stdio_client(server)) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    return asyncio.run(asyncio.wait_for(listed(), timeout=60))


@pytest.mark.parametrize("name", NAMES)
def test_a_client_here_is_served_there_in_a_directory_of_any_name(
    login: Login, project: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    assert tools(served(project, login, tmp_path / name)) == set(SURFACE)


def test_what_the_tools_write_lies_there_and_nothing_here(login: Login, project: Path, tmp_path: Path) -> None:
    there = tmp_path / "semi;colon && echo no"
    there.mkdir()
    recipe = Path(shutil.copy(QUICK, there))
    design = bit_design(NAME, model=random_base(there / "base"), recipe=recipe, seeds=(1,))
    server = served(project, login, there)

    async def written() -> Any:
        async with Client(stdio_client(server)) as client:
            arguments = {"experiment": NAME, "design": design, "reason": "the test wants it"}
            return await client.call_tool("experiment_write_summary", arguments)

    answer = asyncio.run(asyncio.wait_for(written(), timeout=60))
    assert not answer.is_error, answer.content
    assert (there / NAME / "experiment_summary.md").is_file()
    assert list(project.iterdir()) == [project / ".mcp.json"]


def test_what_a_persons_own_sessions_run_there_is_not_in_the_way(login: Login, project: Path) -> None:
    login.configure("RemoteCommand tmux attach")
    login.configure("RequestTTY force")
    assert tools(served(project, login, project)) == set(SURFACE)


def test_a_host_that_would_ask_a_question_lets_nobody_wait(login: Login, project: Path) -> None:
    login.lock_out()
    with pytest.raises(ExceptionGroup) as failed:
        tools(served(project, login, project))
    assert failed.value.subgroup(lambda err: isinstance(err, MCPError) and "Connection closed" in str(err))
