"""What an assistant waits for: each reading tool on an experiment of 500 submitted runs, over a real stdio connection.

The experiment is designed and scaffolded by the server itself; then its jobs are left as the local scheduler would have
left them, all ended: attempts, verdicts, the record of both, the queue that took them, and what each job printed.
Beside each tool stands what any answer costs at least: the list of the tools, by the same client from the same server,
taken in turn. `job_watch` is no read, since it may record; its first look at what has ended is timed all the same.
Verifying computes the whole report again, and archiving looks at every file: these have no limit.
Tokens are characters of the text block divided by four.

    python benchmarks/assistant.py [--runs 500] [--rounds 20]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan
from tests.bit_design import bit_design
from tests.fakes.handed_over import hand_over
from tests.random_model import random_base

LIMIT = 0.3
"""Seconds that a read may take at the median."""
NAME = "large"
WHY = "to be read"
RECIPE = Path(__file__).resolve().parents[1] / "tests" / "e2e" / "quick_recipe.py"
LINES = 50_000
"""Lines that one of the jobs has printed."""


class Row(NamedTuple):
    """One line of the table."""

    name: str
    """What was asked."""
    seconds: list[float]
    """Each time it took."""
    tokens: int
    """What the answer costs a model."""


async def measured(client: Client, calls: list[tuple[str, dict[str, Any]]], *, rounds: int) -> list[Row]:
    """Make every call in turn, round after round; the first round warms up and is not counted."""
    rows = [Row("list of tools", [], 0), *(Row(_name(tool, given), [], 0) for tool, given in calls)]
    for turn in range(rounds + 1):
        for index, row in enumerate(rows):
            start = time.perf_counter()
            size = await (_call(client, calls[index - 1]) if index else _list(client))
            spent = [time.perf_counter() - start] if turn else []
            rows[index] = Row(row.name, [*row.seconds, *spent], size // 4)
    return rows


async def _list(client: Client) -> int:
    return sum(len(tool.model_dump_json()) for tool in (await client.list_tools()).tools)


async def _call(client: Client, call: tuple[str, dict[str, Any]]) -> int:
    tool, given = call
    result = await client.call_tool(tool, {"experiment": NAME, **given})
    if result.is_error:
        raise RuntimeError(f"{tool}: {result.content}")
    return sum(len(getattr(block, "text", "")) for block in result.content)


def _name(tool: str, given: dict[str, Any]) -> str:
    return " ".join([tool, *(f"{key}={str(value)[:20]}" for key, value in given.items() if key != "design")])


async def prepared(client: Client, project: Path, *, runs: int) -> tuple[Plan, str]:
    """Have the server design, scaffold and report an experiment whose jobs have ended; return its plan and design."""
    model = random_base(_model(project))
    design = bit_design(NAME, model=model, recipe=RECIPE, seeds=tuple(range(1, runs // 2 + 1)))
    await _call(client, ("experiment_write_summary", {"design": design, "reason": WHY}))
    await _call(client, ("runs_scaffold", {"dry_run": False, "reason": WHY}))
    root = project / NAME
    plan = Plan.model_validate_json((root / ExperimentLayout.plan).read_bytes())
    hand_over(root, plan)
    (log,) = (root / RunLayout(plan.runs[0].id).folder).glob("slurm-*.out")
    log.write_text("".join(f"[2026-11-20 10:00:{n % 60:02d}] step {n} loss 1.25\n" for n in range(LINES)), "utf-8")
    await _call(client, ("results_report", {"reason": WHY}))
    return plan, design


def _model(project: Path) -> Path:
    return project.parent / "base"


def _outside(project: Path) -> list[str]:
    """Return the options that let designs name the model and the recipe."""
    return [word for place in (_model(project), RECIPE.parent) for word in ("--read", str(place))]


async def main() -> int:
    """Print the table; return 1 where a read takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        project.mkdir()
        os.environ["CRUIJFF_STATE_DIR"] = str(Path(folder) / "state")
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "cruijff_kit.mcp_server.server", "--root", str(project), *_outside(project)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        async with Client(stdio_client(server)) as client:
            plan, design = await prepared(client, project, runs=options.runs)
            calls: list[tuple[str, dict[str, Any]]] = [
                ("job_status", {}),
                ("job_status", {"limit": 100, "response_format": "detailed"}),
                ("job_watch", {"timeout": 0, "reason": WHY}),
                ("logs_tail", {"run": plan.runs[0].id}),
                ("logs_tail", {"run": plan.runs[0].id, "grep": "loss"}),
                ("results_read", {}),
                ("results_read", {"match": "training final", "limit": 100}),
                ("audit_read", {}),
                ("audit_read", {"verify": True}),
                ("data_show", {}),
                ("experiment_validate", {"design": design}),
            ]
            rows = await measured(client, calls, rounds=options.rounds)
            whole: list[tuple[str, dict[str, Any]]] = [
                ("results_read", {"view": "verification"}),
                ("experiment_archive", {"reason": WHY}),
            ]
            _, *longer = await measured(client, whole, rounds=min(options.rounds, 2))
    print(f"{len(plan.runs)} runs, {options.rounds} rounds; limit of a read {LIMIT * 1000:g} ms")
    print(f"{'':62} {'median ms':>10} {'longest':>8} {'x least':>8} {'tokens':>7}")
    least = statistics.median(rows[0].seconds)
    for row in (*rows, *longer):
        median, longest = statistics.median(row.seconds), max(row.seconds)
        print(f"{row.name:62} {median * 1e3:10.1f} {longest * 1e3:8.1f} {median / least:8.1f} {row.tokens:7}")
    return int(any(statistics.median(row.seconds) > LIMIT for row in rows))


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
