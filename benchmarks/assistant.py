"""What an assistant waits for: each reading tool on an experiment of 500 trained runs, over a real stdio connection.

The experiment is written as finished jobs would have left it. Beside each tool stands what any answer costs at least:
the list of the tools, by the same client from the same server, taken in turn. Tokens are characters of the text
block divided by four.

    python benchmarks/assistant.py [--runs 500] [--rounds 20]
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes.experiment import Size, make_experiment

LIMIT = 0.3
"""Seconds that a read may take at the median."""
NAME = "large"


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
    return " ".join([tool, *(f"{key}={value}" for key, value in given.items())])


async def main() -> int:
    """Print the table; return 1 where a read takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = Size(steps=40, seeds=tuple(range(1, options.runs // 4 + 1)), evaluated=False)
        plan = make_experiment(Path(folder) / NAME, size)
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "cruijff_kit.mcp_server.server", "--root", folder]
        )
        calls: list[tuple[str, dict[str, Any]]] = [
            ("job_status", {}),
            ("job_status", {"limit": 100, "response_format": "detailed"}),
            ("results_read", {}),
            ("results_read", {"match": "training final", "limit": 100}),
            ("audit_read", {}),
            ("audit_read", {"verify": True}),
        ]
        async with Client(stdio_client(server)) as client:
            await client.call_tool("results_report", {"experiment": NAME, "reason": "to be read"})
            rows = await measured(client, calls, rounds=options.rounds)
    print(f"{len(plan.runs)} runs, {options.rounds} rounds; limit of a read {LIMIT * 1000:g} ms")
    print(f"{'':62} {'median ms':>10} {'longest':>8} {'x least':>8} {'tokens':>7}")
    least = statistics.median(rows[0].seconds)
    for row in rows:
        median, longest = statistics.median(row.seconds), max(row.seconds)
        print(f"{row.name:62} {median * 1e3:10.1f} {longest * 1e3:8.1f} {median / least:8.1f} {row.tokens:7}")
    return int(any(statistics.median(row.seconds) > LIMIT for row in rows))


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
