"""The server on a login node: what `ck mcp install --ssh` writes is started by a client over the user's own ssh."""

import asyncio
import contextlib
import getpass
import json
import shutil
import socket
import subprocess
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
from tests.gated_bench import until
from tests.mcp_bench import NAME, QUICK
from tests.random_model import random_base

pytestmark = pytest.mark.slurm

HOST = "login.test"
SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")
SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
PidFile {root}/pid
AuthorizedKeysFile {root}/user.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
SetEnv "CRUIJFF_STATE_DIR={root}/state"
"""
CLIENT = """\
Host {host}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {root}/user
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {root}/known
  StrictHostKeyChecking yes
"""


@pytest.fixture
def login(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder of an sshd on loopback which the `ssh` on PATH knows as a host of the user's."""
    assert SSHD, "an sshd is needed here\nhint: apt-get install openssh-server openssh-client"
    root = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)), check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"root": root, "port": port, "host": HOST, "user": getpass.getuser()}
    (root / "sshd_config").write_text(SERVER.format(**values), encoding="utf-8")
    (root / "ssh_config").write_text(CLIENT.format(**values), encoding="utf-8")
    kind, key = (root / "host.pub").read_text(encoding="utf-8").split()[:2]
    (root / "known").write_text(f"[127.0.0.1]:{port} {kind} {key}\n", encoding="utf-8")
    (root / "bin").mkdir()
    # The user's own configuration, which ssh takes from no variable.
    own = f'#!/bin/sh\nexec {shutil.which("ssh")} -F {root}/ssh_config "$@"\n'
    (root / "bin" / "ssh").write_text(own, encoding="utf-8")
    (root / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}/bin", prepend=":")
    with contextlib.suppress(FileExistsError):
        Path("/run/sshd").mkdir(mode=0o755)
    with (root / "log").open("ab") as log:
        words = (SSHD, "-D", "-e", "-f", str(root / "sshd_config"))
        daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: _answers(port), f"answer of sshd; see {root}/log")
        yield root
    finally:
        daemon.kill()
        daemon.wait()


def _answers(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def installed(project: Path, *words: str) -> StdioServerParameters:
    """Have a client told of the server there, and return how it starts it, with next to no variables."""
    done = CliRunner().invoke(cli, ["mcp", "install", "--ssh", HOST, "--project", "--yes", *words])
    assert done.exit_code == 0, done.output
    entry = json.loads((project / ".mcp.json").read_text(encoding="utf-8"))["mcpServers"]["cruijff"]
    return StdioServerParameters(command=entry["command"], args=entry["args"], env={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "here"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


def test_a_client_here_uses_the_tools_there_in_a_directory_of_any_name(
    login: Path, project: Path, hostile_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    design = bit_design(NAME, model=random_base(tmp_path_factory.mktemp("m") / "base"), recipe=QUICK, seeds=(1,))
    program = str(Path(sys.executable).with_name("cruijff-mcp"))
    words = ("--root", str(hostile_path), "--program", program)
    if "\n" in str(hostile_path):
        assert CliRunner().invoke(cli, ["mcp", "install", "--ssh", HOST, *words]).exit_code
        return
    server = installed(project, *words)

    async def talk() -> tuple[set[str], Any]:
        async with Client(stdio_client(server)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            arguments = {"experiment": NAME, "design": design, "reason": "the test wants it"}
            return names, await client.call_tool("experiment_write_summary", arguments)

    names, written = asyncio.run(asyncio.wait_for(talk(), timeout=60))
    assert names == set(SURFACE)
    assert not written.is_error, written.content
    assert (hostile_path / NAME / "experiment_summary.md").is_file()
    assert list(project.iterdir()) == [project / ".mcp.json"]


def test_a_host_that_lets_nobody_in_without_a_question_ends_at_once(login: Path, project: Path) -> None:
    (login / "user.pub").write_text("", encoding="utf-8")
    server = installed(project, "--root", "experiments")

    async def talk() -> None:
        async with Client(stdio_client(server)) as client:
            await client.list_tools()

    with pytest.raises((MCPError, ExceptionGroup)):
        asyncio.run(asyncio.wait_for(talk(), timeout=60))
    assert "Connection closed by authenticating user" in (login / "log").read_text(encoding="utf-8")
