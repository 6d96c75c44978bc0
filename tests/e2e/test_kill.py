"""Kill -9 at random points of design, scaffold, submit and watch; the same commands finish."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ElicitResult

from tests.bit_design import bit_design
from tests.random_model import random_base

NAME = "killed"
SEEDS = (1, 2, 3)
LONGEST = 120.0
"""Seconds after which a sequence that hangs is a failure."""


class Project(NamedTuple):
    """A project in which the user allowed unattended submission."""

    root: Path
    design: Path
    env: dict[str, str]
    read: tuple[str, ...]
    """Options of a server that let its designs name the model and the recipe."""

    @property
    def experiment(self) -> Path:
        """Return the experiment's directory."""
        return self.root / NAME

    def commands(self) -> list[list[str]]:
        """Return the commands of the loop, in order."""
        ck = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(self.experiment)]
        return [
            [*ck, "design", "write", str(self.design), "--reason", "kill test"],
            [*ck, "scaffold"],
            [*ck, "submit", "--yes", "--reason", "kill test"],
            [*ck, "watch", "--poll", "0.2"],
        ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a small random base model, made once."""
    return random_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def project(tmp_path: Path, model: str) -> Project:
    """Return a fresh project with a design to write and a site that allows `--yes` and takes three jobs at once."""
    root, config, state = tmp_path / "project", tmp_path / "config", tmp_path / "state"
    (config / "cruijff-kit").mkdir(parents=True)
    (config / "cruijff-kit" / "site.yaml").write_text(
        "allow_unattended: true\nqueue: {max_queued: 3}\n", encoding="utf-8"
    )
    (root / NAME).mkdir(parents=True)
    design = root / "design.yaml"
    recipe = Path(__file__).parent / "quick_recipe.py"
    design.write_text(bit_design(NAME, model=model, recipe=recipe, seeds=SEEDS), encoding="utf-8")
    env = {**os.environ, "XDG_CONFIG_HOME": str(config), "CRUIJFF_STATE_DIR": str(state)}
    return Project(root, design, env, ("--read", model, "--read", str(recipe.parent)))


def run(command: list[str], env: dict[str, str], *, kill_after: float | None = None) -> int:
    """Run a command in a session of its own; kill it after some seconds, where told to."""
    child = subprocess.Popen(
        command, env=env, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = child.communicate(timeout=kill_after or LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        assert kill_after is not None, f"hung: {command}\n{output}"
        return -signal.SIGKILL
    assert child.returncode == 0, f"{command} said:\n{output}"
    return child.returncode


def interrupted(project: Project, moments: random.Random) -> None:
    """Run the loop, each command killed at a random moment once and then repeated."""
    for command in project.commands():
        if run(command, project.env, kill_after=moments.uniform(0.1, 3.0)) != 0:
            run(command, project.env)


def everything_is_whole(project: Project) -> None:
    """Assert that no run was lost, none submitted twice, no file torn."""
    status = subprocess.run(
        [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(project.experiment), "status", "--json"],
        env=project.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    steps = json.loads(status.stdout)["steps"]
    assert [step["phase"] for step in steps] == ["completed"] * 2 * len(SEEDS)
    for step in steps:
        trace = project.experiment / "runs" / step["run_id"] / "ran.txt"
        assert len(trace.read_text(encoding="utf-8").splitlines()) == 1, f"{trace} tells of two starts"
        assert len(step["attempts"]) == 1
    records = list(audit(project))
    submitted = [each["outputs"]["job_id"] for each in records if each["action"] == "SUBMIT_JOB"]
    assert len(set(submitted)) == 2 * len(SEEDS)
    torn = [path for path in project.experiment.rglob("*.json") if not _parses(path)]
    assert not torn
    verify = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(project.experiment), "audit", "verify"]
    assert run(verify, project.env) == 0


def audit(project: Project) -> Iterator[dict[str, Any]]:
    """Yield the records of the audit log."""
    with (project.experiment / "logs" / "audit.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _parses(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("seed", range(1))
def test_the_same_commands_finish_after_each_was_killed(project: Project, seed: int) -> None:
    interrupted(project, random.Random(seed))
    everything_is_whole(project)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 113))
def test_the_same_commands_finish_after_fifty_kills(project: Project, seed: int) -> None:
    interrupted(project, random.Random(seed))
    everything_is_whole(project)


@pytest.mark.parametrize("seed", range(1))
def test_the_same_calls_finish_after_the_server_was_killed(project: Project, seed: int) -> None:
    asyncio.run(_converse(project, random.Random(seed)))
    everything_is_whole(project)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
def test_the_same_calls_finish_after_fifty_kills_of_the_server(project: Project, seed: int) -> None:
    asyncio.run(_converse(project, random.Random(seed)))
    everything_is_whole(project)


async def _converse(project: Project, moments: random.Random) -> None:
    """Play the calls with a server that is killed at a random moment, then with one that lives."""
    # Whatever a dead server makes the client raise is what an assistant would see; what counts is the second play.
    with contextlib.suppress(Exception):
        await asyncio.wait_for(_play(project, kill_after=moments.uniform(0.5, 6.0)), timeout=LONGEST)
    await asyncio.wait_for(_play(project, kill_after=None), timeout=LONGEST)


async def _play(project: Project, *, kill_after: float | None) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "cruijff_kit.mcp_server.server", "--root", str(project.root), *project.read],
        env=project.env,
    )
    killer = threading.Timer(kill_after, _kill_servers, [project.root]) if kill_after else None
    if killer is not None:
        killer.start()
    try:
        async with Client(stdio_client(server), elicitation_callback=_agree) as client:
            await _calls(client, project)
    finally:
        if killer is not None:
            killer.cancel()


async def _calls(client: Client, project: Project) -> None:
    design = project.design.read_text(encoding="utf-8")
    await _call(client, "experiment_write_summary", design=design, reason="kill test")
    plan = await _call(client, "runs_scaffold", dry_run=False, reason="kill test")
    await _call(client, "job_submit", plan_id=plan["plan_id"], reason="kill test")
    while (await _call(client, "job_watch", timeout=5.0, reason="kill test"))["moving"]:
        pass


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, {"experiment": NAME, **arguments}, read_timeout_seconds=60)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def _agree(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


def _kill_servers(root: Path) -> None:
    """Kill every server over this root, as a crash of the machine's user session would."""
    listed = subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, command = line.strip().partition(" ")
        if "cruijff_kit.mcp_server.server" in command and str(root) in command:
            os.kill(int(pid), signal.SIGKILL)
