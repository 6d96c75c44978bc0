"""The demos: a client over stdio plays the worked examples of skills, or those of a document, for real."""

import argparse
import asyncio
import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import click
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ElicitResult

from cruijff_kit.cli.main import cli
from cruijff_kit.cli.skill_script import Call, Command, filled, read_document, read_files, read_steps
from cruijff_kit.errors import CruijffError

__all__ = ["CALIBRATED", "main", "play_document"]

_SKILLS = ("design-experiment", "scaffold-experiment", "run-experiment", "summarize-experiment")
_CHECKOUT = Path(__file__).resolve().parents[2]

CALIBRATED = _CHECKOUT / "docs" / "calibrated-classifier.md"
"""What `make demo-calibrated` plays."""


class _RefusedError(Exception):
    """A tool said no; its words are the message."""


class _Assistant:
    """Calls the tools, shows each call and answer, and remembers what later calls need."""

    def __init__(self, client: Client, root: Path, *, words: Path | None) -> None:
        self._client = client
        self._root = root
        self._words = words
        self._bar = _Bar()
        self.variables: dict[str, str] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.missed: list[str] = []

    async def take(self, steps: Sequence[Call | Command]) -> None:
        """Take steps in order, retries and cancellations left out."""
        for step in steps:
            if step.optional:
                continue
            if isinstance(step, Command):
                await asyncio.to_thread(self.run, step)
            else:
                await self.play(step)

    def run(self, command: Command) -> None:
        """Run one `ck` command as the user would in their terminal, and keep what later calls need of its answer."""
        _, *words = filled(list(command.words), self.variables, command.skill)
        click.secho(f"$ ck {shlex.join(words)}", bold=True)
        printed, verdict = StringIO(), 0
        try:
            # The project's directory is where a user types them; a name after `-C` starts there.
            with redirect_stdout(printed), chdir(self._root):
                cli.main(args=["-C", str(self._root), *words], prog_name="ck", standalone_mode=False)
        except (CruijffError, click.ClickException) as err:
            raise _RefusedError(str(err)) from err
        except SystemExit as left:
            verdict = int(left.code or 0)
        if command.variable:
            answer = json.loads(printed.getvalue())
            self.variables[command.variable] = answer[command.key]
            click.echo(f"← {_brief(answer)}\n")
            return
        click.echo(printed.getvalue())
        if verdict:
            click.secho(f"exit code {verdict}\n", fg="yellow")
            # An audit that fails says something of the model, which is what it is for.
            self.missed += [shlex.join(words)] if "audit-model" not in words else []

    async def play(self, call: Call) -> None:
        """Make one call; follow the jobs to their end where it watches them."""
        arguments = filled(call.arguments, self.variables, call.skill)
        if self._words is not None and "design" in arguments:
            arguments["design"] = _with_words(arguments["design"], self._words)
        answer = await self._call(call.tool, arguments)
        while call.tool == "job_watch" and answer["moving"]:
            answer = await self._call(call.tool, arguments)
        self._remember(call.tool, answer, experiment=arguments.get("experiment", ""))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        click.secho(f"→ {tool} {_brief(arguments)}", bold=True)
        result = await self._client.call_tool(tool, arguments, progress_callback=self._bar)
        self._bar.clear()
        if result.is_error:
            raise _RefusedError("\n".join(getattr(block, "text", "") for block in result.content))
        answer = result.structured_content or {}
        click.echo(f"← {_brief(answer)}\n")
        return answer

    def _remember(self, tool: str, answer: dict[str, Any], *, experiment: str) -> None:
        if tool == "experiment_validate":
            self.variables["run"] = answer["first_runs"][0]
        elif tool == "runs_scaffold":
            self.variables["plan_id"] = answer["plan_id"]
        elif tool == "results_report":
            self.reports[experiment] = answer


class _Bar:
    """Progress on a terminal's stderr; silent in a pipe."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        if self._live and total:
            filled_cells = int(30 * progress / total)
            width = os.get_terminal_size(2).columns - 50
            bar = "█" * filled_cells + "·" * (30 - filled_cells)
            label = (message or "")[: max(width, 0)]
            click.echo(f"\r\x1b[K  {bar} {progress:g}/{total:g} {label}", nl=False, err=True)

    def clear(self) -> None:
        """Leave the line empty for what follows."""
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one whole experiment in a project directory, `demo/` by default, or the two calibrated ones."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("demo"), help="project directory (default: demo)")
    parser.add_argument("--words", type=Path, default=None, help="word list to use instead of the one shipped")
    parser.add_argument(
        "--scheduler", choices=("local", "slurm"), help="where its jobs run (default: as the site says)"
    )
    parser.add_argument("--calibrated", action="store_true", help=f"play {CALIBRATED.name} instead of the skills")
    options = parser.parse_args(arguments)
    options.root.mkdir(parents=True, exist_ok=True)
    if options.scheduler:
        (options.root / "site.yaml").write_text(f"scheduler: {options.scheduler}\n", encoding="utf-8")
    if options.calibrated:
        play_document(CALIBRATED, root=options.root)
        return
    assistant = asyncio.run(_play(options.root.resolve(), _play_skills, words=options.words))
    _farewell(options.root.resolve(), assistant.reports)


def play_document(document: Path, *, root: Path) -> None:
    """Take every step of a document in a project directory, as its reader would.

    Args:
        document: Markdown whose examples are calls, commands and files.
        root: the project directory.

    Raises:
        SystemExit: something was refused, or a figure that a command judges was missed.
    """
    root = root.resolve()
    for name, text in read_files(document).items():
        (root / name).write_text(text, encoding="utf-8")

    async def played(assistant: _Assistant) -> None:
        click.secho(f"── {document.name} ".ljust(100, "─"), fg="cyan")
        await assistant.take(read_document(document, folder=root))

    assistant = asyncio.run(_play(root, played))
    _farewell(root, assistant.reports)
    if assistant.missed:
        told = "\n".join(f"  ck {words}" for words in assistant.missed)
        raise SystemExit(f"error: figures were missed, by these commands:\n{told}")


async def _play(
    root: Path, script: Callable[["_Assistant"], Awaitable[None]], *, words: Path | None = None
) -> "_Assistant":
    # The client hands its server little of the environment; where Slurm, models and settings are has to be among it.
    ours = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or name.startswith(("CRUIJFF_", "XDG_"))
    }
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "cruijff_kit.mcp_server.server", "--root", str(root)], env=ours
    )
    failure = ""
    async with Client(stdio_client(server), elicitation_callback=_agree) as client:
        assistant = _Assistant(client, root, words=words.resolve() if words else None)
        try:
            await script(assistant)
        except _RefusedError as refused:
            failure = str(refused)
    # Raised in there, it would reach the user as a traceback of the client's own tasks.
    if failure:
        raise SystemExit(f"error: {failure}")
    return assistant


async def _play_skills(assistant: _Assistant) -> None:
    """Play every skill in order."""
    for name in _SKILLS:
        click.secho(f"── /{name} ".ljust(100, "─"), fg="cyan")
        await assistant.take(read_steps(_CHECKOUT / "skills" / name))


async def _agree(context: Any, params: Any) -> ElicitResult:
    """Stand in for the user, who is asked before anything is submitted."""
    click.secho(f"? {params.message}\n  yes (the demo agrees; a client would ask you)", fg="yellow")
    return ElicitResult(action="accept", content={"confirm": True})


def _farewell(root: Path, reports: dict[str, dict[str, Any]]) -> None:
    for name, report in reports.items():
        experiment = root / name
        click.echo("─" * 100)
        click.echo(report["table"])
        click.echo()
        for line in report["bottom_line"]:
            click.echo(line)
        click.echo()
        shown = (("summary", report["summary"]), ("report", report["page"]), ("audit log", "logs/audit.jsonl"))
        for told, path in shown:
            click.echo(f"{told:10} {experiment / path}")
        program = Path(sys.executable).parent / "ck"
        click.echo(f"{'look round':10} cd {experiment} && {program} status")
        click.echo(f"{'distrust':10} cd {experiment} && {program} verify")


def _with_words(design: str, words: Path) -> str:
    """Return the design with the user's word list as the generator's `words`."""
    return design.replace("    arguments:\n", f"    arguments:\n      words: {json.dumps(str(words))}\n", 1)


def _brief(value: dict[str, Any]) -> str:
    """Return arguments or an answer on a line or two, long texts and lists cut."""
    return ", ".join(f"{key}={_short(each)}" for key, each in value.items() if each not in (None, [], {}, ""))


def _short(value: Any) -> str:
    if isinstance(value, str):
        first, *more = value.strip().splitlines() or [""]
        return f"{first[:70]}…" if more else _cut(first)
    if isinstance(value, list):
        return f"[{len(value)}]" if value and isinstance(value[0], (dict, list)) else _cut(str(value[:3]))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_short(each)}" for key, each in list(value.items())[:5]) + "}"
    return str(value)


def _cut(text: str) -> str:
    return f"{text[:70]}…" if len(text) > 70 else text


if __name__ == "__main__":
    main()
