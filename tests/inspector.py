"""What others' tools say of the server: Inspector's strict look in both eras, and the conformance suite over loopback.

They run on Node 22, which is fetched together with them into a folder of its own, so this needs a network once:

    make inspect

The product serves stdio alone; HTTP is served here, to the suite that speaks nothing else.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["main"]

PACKAGES = (
    "node@22.23.3",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
)
SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
    "caching",
    "http-header-validation",
    "sep-2164-resource-not-found",
)
"""Those of the suite that need no tools of a demonstration server."""
ERAS = ("legacy", "modern")
TOOL_ERROR = 5
"""Inspector's exit code for a call that the server refused."""
_PATIENCE = 120.0
_SERVE = """\
import sys
from pathlib import Path
from cruijff_kit.mcp_server.server import build
build(Path(sys.argv[1])).run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
"""


class Finding(NamedTuple):
    """One thing that was tried."""

    name: str
    """What."""
    ok: bool
    """Whether it is as it should be."""
    told: str
    """What the tool said."""


class Bench(NamedTuple):
    """Tools, and a project to look at."""

    tools: Path
    """Where Node and its packages lie."""
    project: Path
    """An empty project."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of the tools, at home in a folder of its own."""
        bin_ = self.tools / "node_modules" / ".bin"
        home = self.project.parent
        variables = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(home)}
        variables["CRUIJFF_STATE_DIR"] = str(home / "state")
        tool, *words = command
        return subprocess.run(
            [str(bin_ / tool), *words], env=variables, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )


def inspected(bench: Bench) -> Iterator[Finding]:
    """Yield what Inspector says over stdio, in each era."""
    server = str(Path(sys.executable).parent / "cruijff-mcp")
    look = ("mcp-inspector", "--cli", server, "--root", str(bench.project))
    for era in ERAS:
        done = bench.run(*look, "--method", "tools/list", "--strict", "--protocol-era", era, "--format", "json", "-q")
        count = len(json.loads(done.stdout)["result"]["tools"]) if done.returncode == 0 else 0
        yield Finding(f"Inspector, tools/list --strict, {era}", count > 0, f"exit {done.returncode}, {count} tools")
        plan_id = ("plan_id", "ab" * 32)
        for tool, given, words in (
            ("job_status", (("experiment", "../x"),), "String should match pattern"),
            ("job_submit", (("experiment", "x"), plan_id, ("reason", "try")), "cannot ask the user"),
        ):
            arguments = [part for name, value in given for part in ("--tool-arg", f"{name}={value}")]
            call = ("--method", "tools/call", "--tool-name", tool, *arguments, "--protocol-era", era)
            done = bench.run(*look, *call)
            ok = done.returncode == TOOL_ERROR and words in done.stdout
            yield Finding(f"Inspector, {tool} refused, {era}", ok, f"exit {done.returncode}")


def conforming(bench: Bench) -> Iterator[Finding]:
    """Yield what the conformance suite says over loopback."""
    with _served(bench.project) as url:
        for scenario in SCENARIOS:
            done = bench.run("conformance", "server", "--url", url, "--scenario", scenario)
            verdict = [line for line in done.stdout.splitlines() if line.startswith("Passed:")]
            told = verdict[-1] if verdict else done.stderr.strip()[-200:]
            yield Finding(f"conformance, {scenario}", done.returncode == 0 and ", 0 failed" in told, told)


@contextmanager
def _served(project: Path) -> Iterator[str]:
    """Serve the project over HTTP on loopback while this lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        (project.parent / "http.txt").open("wb") as log,
        subprocess.Popen([sys.executable, "-c", _SERVE, str(project), str(port)], stdout=log, stderr=log) as server,
    ):
        try:
            _reached(port, server)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def _reached(port: int, server: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not open its port")


def fetched(folder: Path) -> Path:
    """Return the folder of Node and the tools, which npm fills where they are not there yet."""
    wanted = folder / "fetched.txt"
    if not wanted.exists() or wanted.read_text(encoding="utf-8").split() != list(PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), *PACKAGES]
        subprocess.run(command, check=True)
        wanted.write_text("\n".join(PACKAGES), encoding="utf-8")
    return folder


def main() -> int:
    """Print one line for each thing that was tried; return 1 where one is not as it should be."""
    parser = argparse.ArgumentParser(description="What others' tools say of the MCP server.")
    parser.add_argument("--tools", type=Path, default=Path(".venv-node"), help="where Node and the tools lie")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        project.mkdir()
        bench = Bench(fetched(options.tools.absolute()), project)
        findings = list(inspected(bench))
        findings += conforming(bench)
    for each in findings:
        sys.stdout.write(f"{'ok  ' if each.ok else 'FAIL'} {each.name}: {each.told}\n")
    return int(not all(each.ok for each in findings))


if __name__ == "__main__":
    raise SystemExit(main())
