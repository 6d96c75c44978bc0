"""A scripted assistant: plays the worked examples of skills over real stdio, a user answering."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from cruijff_kit.cli.skill_script import Call, Command, filled, read_steps
from tests.mcp_bench import Reply, User
from tests.terminal import at_terminal

__all__ = ["QUICKER", "SKILLS", "Played", "Player"]

_ROOT = Path(__file__).resolve().parents[1]
SKILLS = _ROOT / "skills"
"""Where the skills lie."""
QUICKER = {
    "train: 800": "train: 24",
    "validation: 100": "validation: 8",
    "test: 200": "test: 6",
    "other_count: 50": "other_count: 1",
    "max_tokens: 16": "max_tokens: 4",
}
"""What a design says, and what is as good for a test and takes less time."""


class Played(NamedTuple):
    """One step that was taken."""

    tool: str
    """The tool; `ck` for a command."""
    arguments: dict[str, Any]
    """What it was handed."""
    reply: Reply
    """What it answered."""


class Player:
    """Takes the steps of skills in one project; a server lives for one step where `killed`, else for one skill."""

    def __init__(self, root: Path, *, model: str, recipe: Path, killed: bool = False) -> None:
        """Keep the project, and what takes the place of slow things: a random model, a recipe that trains nothing."""
        self.root = root
        self.user = User()
        self.variables = {"tiny_model": model}
        self.changes = {**QUICKER, "controls:\n": f"controls:\n  recipe: {recipe}\n"}
        self.only_to = ""
        self.played: list[Played] = []
        self._killed = killed
        self._read = (model, str(recipe.parent))

    def play(self, skill: str, *, optional: bool = False, only: Sequence[str] = ()) -> list[Played]:
        """Take the steps of a skill's straight path, or the others; of these tools, where some are named."""
        steps = [
            step
            for step in read_steps(SKILLS / skill)
            if step.optional == optional and (not only or (isinstance(step, Call) and step.tool in only))
        ]
        assert steps, f"{skill} has no such steps"
        return self.take(steps)

    def take(self, steps: Sequence[Call | Command]) -> list[Played]:
        """Take steps in order, and return what each of them was told."""
        before = len(self.played)
        groups = [[step] for step in steps] if self._killed else [steps]
        for group in groups:
            refused = asyncio.run(asyncio.wait_for(self._taken(group), timeout=900))
            assert not refused, refused
        return self.played[before:]

    async def _taken(self, steps: Sequence[Call | Command]) -> str:
        """Take steps, with a server where some of them are calls; return what was refused, empty where nothing was."""
        if any(isinstance(step, Call) for step in steps):
            return await self._with_server(steps)
        return next(filter(None, map(self._run, (step for step in steps if isinstance(step, Command)))), "")

    async def _with_server(self, steps: Sequence[Call | Command]) -> str:
        """Take steps with a server of their own; return what was refused, empty where nothing was."""
        process = StdioServerParameters(
            command=str(_ROOT / "mcp_server" / "start.sh"),
            args=["--root", str(self.root), *(word for each in self._read for word in ("--read", each))],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        async with Client(stdio_client(process), elicitation_callback=self.user) as client:
            for step in steps:
                take = self._call(client, step) if isinstance(step, Call) else asyncio.to_thread(self._run, step)
                if refused := await take:
                    return f"{step.skill.name}: {refused}"
        return ""

    async def _call(self, client: Client, call: Call) -> str:
        arguments = filled(call.arguments, self.variables, call.skill)
        if "design" in arguments:
            arguments["design"] = self._quick(arguments["design"])
        while True:
            result = await client.call_tool(call.tool, arguments)
            text = "\n".join(getattr(block, "text", "") for block in result.content)
            reply = Reply(bool(result.is_error), text, result.structured_content or {})
            if reply.error:
                return f"{call.tool} {arguments}\n{text}"
            self.played.append(Played(call.tool, arguments, reply))
            if not (call.tool == "job_watch" and reply.content["moving"]):
                break
        if call.tool == "experiment_validate":
            self.variables["run"] = reply.content["first_runs"][0]
        elif call.tool == "runs_scaffold":
            self.variables["plan_id"] = reply.content["plan_id"]
        return ""

    def _run(self, command: Command) -> str:
        """Run a command in the project, in the folder of what the skill makes where it acts by commands alone."""
        words = filled(list(command.words), self.variables, command.skill)
        if self.variables.get(command.variable):
            return ""
        folder = self._folder(command)
        programs = {"ck": [sys.executable, "-m", "cruijff_kit.cli.main"], "python": [sys.executable]}
        program = [*programs[words[0]], *words[1:]]
        path = os.pathsep.join([str(_ROOT), *sys.path])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        if command.typed:
            code, said = at_terminal(program, typed=command.typed, folder=folder, environment=environment)
        else:
            done = subprocess.run(
                program, cwd=folder, env=environment, check=False, capture_output=True, encoding="utf-8"
            )
            code, said = done.returncode, done.stdout + done.stderr
            if command.variable:
                self.variables[command.variable] = json.loads(done.stdout)[command.key]
        self.played.append(Played(words[0], {"words": words[1:]}, Reply(code != 0, said, {})))
        return f"{' '.join(words)}\n{said}" if code else ""

    def _folder(self, command: Command) -> Path:
        """Return where a command runs: the project, or the experiment of a skill that acts by commands alone."""
        if not (command.skill / "SKILL.md").exists():
            return self.root
        calls = [step for step in read_steps(command.skill) if isinstance(step, Call)]
        if not all(call.tool == "decision_record" for call in calls):
            return self.root
        folder = self.root / calls[0].arguments["experiment"]
        shutil.copytree(command.skill / "assets", folder, dirs_exist_ok=True)
        return folder

    def _quick(self, design: str) -> str:
        for slow, quick in self.changes.items():
            design = design.replace(slow, quick)
        return design.partition(self.only_to)[0] if self.only_to else design

    def records(self, experiment: str) -> list[dict[str, Any]]:
        """Return an experiment's audit records."""
        log = self.root / experiment / "logs" / "audit.jsonl"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
