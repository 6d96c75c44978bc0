"""The real Claude Code, with a home of its own and a scripted model, and what was seen of it."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.claude.scripted_api import Model, Step, scripted_model

__all__ = ["BARE", "PLUGIN", "VERSION", "Host", "Ran"]

VERSION = "2.1.329"
"""The version that these tests were written against."""
BARE = "mcp__cruijff__"
"""How the host calls our tools where the server is configured directly."""
PLUGIN = "mcp__plugin_cruijff-kit_cruijff__"
"""How it calls them where the plugin brings the server."""
_LONGEST = 120
"""Seconds for one run, which takes about five."""
_HOOK = """\
import json, sys
asked = json.load(sys.stdin)
with open({log!r}, "a", encoding="utf-8") as file:
    file.write(json.dumps(asked) + "\\n")
print(json.dumps({{"hookSpecificOutput": {{"hookEventName": "Elicitation", **{answer!r}}}}}))
"""


class Ran(NamedTuple):
    """What one run of the host did."""

    code: int
    """Its exit code."""
    events: list[dict[str, Any]]
    """What it printed, line by line."""
    model: Model
    """The model it asked."""
    complaints: str
    """What it wrote to stderr."""

    @property
    def start(self) -> dict[str, Any]:
        """Return what the host tells of itself first."""
        return next(each for each in self.events if each.get("subtype") == "init")

    @property
    def denied(self) -> list[str]:
        """Return the tools that the host did not let the model call."""
        return [each["tool_name"] for each in self.events[-1]["permission_denials"]]

    @property
    def results(self) -> list[tuple[bool, str]]:
        """Return what every call came back with: whether as an error, and the text."""
        blocks = [
            block
            for each in self.events
            if each["type"] == "user" and isinstance(each["message"]["content"], list)
            for block in each["message"]["content"]
            if block.get("type") == "tool_result"
        ]
        return [(bool(block.get("is_error")), _text(block["content"])) for block in blocks]


class Host:
    """Claude Code in a project."""

    def __init__(self, binary: Path, home: Path, project: Path) -> None:
        """Keep where it lies, its home and the project; nothing is started yet."""
        self.binary, self.home, self.project = binary, home, project
        self.path = [str(home / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]
        self._asked = home / "asked.jsonl"

    def run(self, prompt: str, steps: Sequence[Step], *options: str, settings: dict[str, Any] | None = None) -> Ran:
        """Have the host work on a prompt, the model following a script."""
        file = self.home / "settings.json"
        file.write_text(json.dumps(settings or {}), encoding="utf-8")
        shown = ("--output-format", "stream-json", "--verbose", "--settings", str(file))
        with scripted_model(steps) as (model, address):
            done = self.call("-p", prompt, *shown, *options, address=address)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Ran(done.returncode, events, model, done.stderr)

    def call(self, *words: str, address: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
        """Run the program with nothing of this process's surroundings but where our own record is kept."""
        return subprocess.run(
            (str(self.binary), *words),
            cwd=self.project,
            env={
                "PATH": os.pathsep.join(self.path),
                "HOME": str(self.home),
                "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
                "ANTHROPIC_BASE_URL": address,
                "ANTHROPIC_API_KEY": "dummy",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_TELEMETRY": "1",
                "DISABLE_AUTOUPDATER": "1",
                "ENABLE_TOOL_SEARCH": "false",
                "CRUIJFF_STATE_DIR": os.environ["CRUIJFF_STATE_DIR"],
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=_LONGEST,
        )

    def answering(self, action: Literal["accept", "decline"], *, confirm: bool = True) -> dict[str, Any]:
        """Return settings by which questions are answered so, as a user would."""
        answer: dict[str, Any] = {"action": action}
        if action == "accept":
            answer["content"] = {"confirm": confirm}
        script = self.home / "hook.py"
        script.write_text(_HOOK.format(log=str(self._asked), answer=answer), encoding="utf-8")
        command = shlex.join([sys.executable, str(script)])
        return {"hooks": {"Elicitation": [{"hooks": [{"type": "command", "command": command}]}]}}

    def questions(self) -> list[dict[str, Any]]:
        """Return what the user was asked."""
        if not self._asked.exists():
            return []
        return [json.loads(line) for line in self._asked.read_text(encoding="utf-8").splitlines()]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)
