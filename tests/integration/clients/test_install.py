"""`ck mcp`: a client is told of the server, its file keeps all else, and what it is told works."""

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, SiteError, SpecError
from cruijff_kit.mcp_server.surface import SURFACE
from cruijff_kit.rendering.json_edit import parse_json
from cruijff_kit.schema.client import ClientName
from cruijff_kit.workflow import install_server, remote_server, server_here
from tests.fakes.client_files import FakeClientFiles

pytestmark = pytest.mark.once

FILES = {
    "claude": ".mcp.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
}
READ: dict[str, Callable[[str], Any]] = {
    "claude": lambda text: json.loads(text)["mcpServers"],
    "codex": lambda text: tomllib.loads(text)["mcp_servers"],
    "gemini": lambda text: parse_json(text, comments=True)["mcpServers"],
    "cursor": lambda text: parse_json(text, comments=True)["mcpServers"],
    "vscode": lambda text: parse_json(text, comments=True)["servers"],
}
OTHERS = {
    "claude": '{\n  "mcpServers": {\n    "other": {"command": "x"}\n  }\n}\n',
    "codex": '# mine\nmodel = "m"\n\n[mcp_servers.other]\ncommand = "x"\n',
    "gemini": '{\n  // mine\n  "theme": "dark",\n  "mcpServers": {"other": {"command": "x"}}\n}\n',
    "cursor": '{\n  "mcpServers": {\n    "other": {"command": "x"}, // mine\n  }\n}\n',
    "vscode": '{\n  "inputs": [],\n  "servers": {\n    "other": {"command": "x"}\n  } // mine\n}\n',
}


def ck(*words: str) -> Result:
    """Run `ck mcp`, errors as they are."""
    result = CliRunner().invoke(cli, ["mcp", *words])
    if isinstance(result.exception, CruijffError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def tools(command: str, args: list[str], *, cwd: Path) -> list[str]:
    """Return the tools of a server that is started as a client would start it, in a bare environment."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]}

    async def listed() -> list[str]:
        server = StdioServerParameters(command=command, args=args, env=bare, cwd=cwd)
        async with Client(stdio_client(server)) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    return asyncio.run(asyncio.wait_for(listed(), timeout=60))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "my project"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("client", FILES)
def test_a_clients_file_keeps_what_it_says_and_says_it_only_once(project: Path, client: str) -> None:
    path = project / FILES[client]
    path.parent.mkdir(exist_ok=True)
    path.write_text(OTHERS[client], encoding="utf-8")
    shown = ck("install", "--client", client, "--project", "--yes").output
    new = path.read_text(encoding="utf-8")
    servers = READ[client](new)
    assert servers["other"] == {"command": "x"}
    assert servers["cruijff"]["args"][-2:] == ["--root", str(project)]
    assert ("mine" in new) == ("mine" in OTHERS[client])
    assert "+++" in shown
    assert "cruijff" in shown
    assert "says it already" in ck("install", "--client", client, "--project", "--yes").output
    assert path.read_text(encoding="utf-8") == new


@pytest.mark.parametrize("client", FILES)
def test_without_a_level_it_is_printed_and_nothing_is_written(project: Path, client: str) -> None:
    result = ck("install", "--client", client)
    assert READ[client](result.stdout)["cruijff"]["args"][-2:] == ["--root", str(project)]
    assert FILES[client] in result.stderr
    assert ck("install", "--client", client, "--project", "--dry-run").stdout.startswith("---")
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("client", FILES)
def test_a_file_that_cannot_be_parsed_is_left_alone(project: Path, client: str) -> None:
    path = project / FILES[client]
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"a": [1,\n', encoding="utf-8")
    with pytest.raises(SpecError, match="is left as it is"):
        ck("install", "--client", client, "--project", "--yes")
    assert path.read_text(encoding="utf-8") == '{"a": [1,\n'
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == [path.name]


def test_keys_beside_ours_are_not_shown_and_stay(project: Path) -> None:
    key = "sk-" + "a1B2" * 8
    (project / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"other": {"command": "x", "env": {"KEY": key}}}}, indent=2), encoding="utf-8"
    )
    assert key not in ck("install", "--project", "--yes").output
    assert key in (project / ".mcp.json").read_text(encoding="utf-8")


def test_codex_is_told_which_variable_ssh_needs_and_the_host_which_directory(project: Path) -> None:
    shown = ck("install", "--client", "codex", "--ssh", "login", "--root", "llm").stdout
    entry = READ["codex"](shown)["cruijff"]
    assert entry["env_vars"] == ["SSH_AUTH_SOCK"]
    assert entry["args"][-1] == "cruijff-mcp --root=llm"
    with pytest.raises(SpecError, match="needs a directory there"):
        ck("install", "--ssh", "login")


def test_of_a_file_too_long_to_be_compared_what_is_put_into_it_is_shown(project: Path) -> None:
    (project / ".mcp.json").write_text(json.dumps({"notes": ["x" * 100] * 5_000}, indent=2), encoding="utf-8")
    shown = ck("install", "--project", "--dry-run").output
    assert "too long to compare" in shown
    assert '"cruijff": {' in shown


def test_nothing_is_written_that_nobody_has_agreed_to(project: Path) -> None:
    with pytest.raises(SiteError, match="there is no terminal"):
        ck("install", "--project")
    assert list(project.iterdir()) == []


def test_what_a_client_is_told_works_from_anywhere_with_nothing_activated(project: Path, tmp_path: Path) -> None:
    # A file that a project could lay in the way of a library's.
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working directory')\n", encoding="utf-8")
    entry = READ["claude"](ck("install").stdout)["cruijff"]
    assert set(tools(entry["command"], entry["args"], cwd=tmp_path)) == set(SURFACE)


def test_serve_becomes_the_server(project: Path) -> None:
    words = ["-P", "-m", "cruijff_kit.cli.main", "mcp", "serve", "--root", "."]
    assert set(tools(sys.executable, words, cwd=project)) == set(SURFACE)


def test_what_a_user_has_set_beside_stays_and_an_old_way_to_reach_the_server_goes() -> None:
    old = {"mcpServers": {"cruijff": {"url": "http://x", "headers": {"a": "b"}, "timeout": 9, "trust": True}}}
    files = FakeClientFiles({("gemini", "user"): json.dumps(old)})
    server = server_here("gemini", root=None, files=files)
    install_server("gemini", server, level="user", files=files)
    assert READ["gemini"](files.texts["/user/gemini"])["cruijff"] == {
        "command": "/env/bin/python",
        "args": ["-P", "-m", "server"],
        "timeout": 9,
        "trust": True,
    }


@pytest.mark.parametrize("client,root", (("claude", []), ("cursor", ["--root", "${workspaceFolder}"])))
def test_the_users_own_file_serves_whichever_project_is_open(client: ClientName, root: list[str]) -> None:
    assert list(server_here(client, root=None, files=FakeClientFiles()).args) == ["-P", "-m", "server", *root]


def test_where_our_record_lies_is_told_to_servers_that_clients_start_with_few_variables() -> None:
    files = FakeClientFiles()
    files.set = {"CRUIJFF_STATE_DIR": "/state"}
    server = server_here("codex", root=None, files=files)
    shown = install_server("codex", server, level="user", dry_run=True, files=files).shown
    assert tomllib.loads(shown)["mcp_servers"]["cruijff"]["env"] == {"CRUIJFF_STATE_DIR": "/state"}


@pytest.mark.parametrize("name", ("a$HOME", "${x}", "a\nb", "a\x7fb"))
def test_a_directory_that_a_client_would_read_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SpecError, match="read as something else"):
        server_here("claude", root=str(tmp_path / name), files=FakeClientFiles())


@pytest.mark.parametrize("root", ("/", "~", "nowhere"))
def test_a_root_that_holds_everything_or_nothing_is_refused(root: str) -> None:
    with pytest.raises(SiteError, match="cannot be the project root"):
        server_here("claude", root=str(Path(root).expanduser()), files=FakeClientFiles())


@pytest.mark.parametrize(
    "host",
    (
        "-oProxyCommand=x",
        "a b",
        "a;b",
        "$(x)",
        "a\nb",
        "",
        "a@-b",
        "-l@b",
        "ssh://a",
        "a@b@c",
        "é",
        "a" * 300,
        "a\u2028",
    ),
)
def test_a_host_that_ssh_or_a_shell_would_read_otherwise_is_refused(host: str) -> None:
    with pytest.raises(SpecError, match="cannot be a host"):
        remote_server(host, root="x", program="cruijff-mcp", files=FakeClientFiles())


@pytest.mark.parametrize(
    "path", ("-rf", "", "/", "~ada/x", "a\nb", "a\x00b", "$HOME/x", "a\u2028b", "~/-x", "it's", "a\\b", "a!")
)
def test_a_path_there_that_would_be_read_otherwise_is_refused(path: str) -> None:
    for words in ({"root": path, "program": "cruijff-mcp"}, {"root": "x", "program": path}):
        with pytest.raises(SpecError):
            remote_server("login", files=FakeClientFiles(), **words)


def test_the_other_side_is_given_one_line_in_which_nothing_is_left_to_read() -> None:
    root, program = '~/its; a `test` & "more" > x', "env/bin/cruijff-mcp"
    server = remote_server("ada@login", root=root, program=program, files=FakeClientFiles())
    assert server.command == "/usr/bin/ssh"
    assert server.args[:3] == ("-T", "-o", "BatchMode=yes")
    assert server.args[-3:-1] == ("ada@login", "--")
    assert server.args[-1] == """env/bin/cruijff-mcp '--root=its; a `test` & "more" > x'"""


def test_without_ssh_here_nothing_is_promised() -> None:
    files = FakeClientFiles()
    files.client = None
    with pytest.raises(SiteError, match="no `ssh`"):
        remote_server("login", root="x", program="cruijff-mcp", files=files)
