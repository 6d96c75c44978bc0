"""How long the package, the command and the server take to start, beside what they stand on.

Every figure is the median over fresh processes. The processes of one round run one after another, ours and the
yardstick in turn, so that whatever else the machine does meets both alike; ratios are of medians.

    python benchmarks/startup.py [--rounds 15]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "startup-benchmark", "version": "1"},
    },
}
"""First message of a client; the server is ready when it answers."""


class Measure(NamedTuple):
    """One thing to time, and how."""

    name: str
    """Name in the table."""
    seconds: Callable[[], float]
    """Starts a fresh process and returns seconds until it is where we want it."""


class Target(NamedTuple):
    """What a figure is held against."""

    name: str
    """Name of the measure that must keep it."""
    beside: str
    """Name of the yardstick; empty for plain seconds."""
    limit: float
    """Greatest ratio to the yardstick, or seconds."""


def process(*command: str) -> float:
    """Return seconds from starting a command to its end."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    return time.perf_counter() - start


def answer(*command: str, message: bytes = b"") -> float:
    """Return seconds from starting a command to the first line it writes in reply to a message.

    Raises:
        RuntimeError: it ended without a line.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdin.write(message)
        child.stdin.flush()
        line = child.stdout.readline()
        seconds = time.perf_counter() - start
        child.kill()
        said = child.stderr.read().decode()
    if not line:
        raise RuntimeError(f"`{command[0]}` ended without an answer\n{said}")
    return seconds


def script(name: str) -> str:
    """Return the path of a command installed beside this interpreter."""
    return str(BIN / name)


MEASURES = (
    Measure("bare interpreter", lambda: process(sys.executable, "-c", "pass")),
    Measure("import pydantic", lambda: process(sys.executable, "-c", "import pydantic")),
    Measure("import cruijff_kit", lambda: process(sys.executable, "-c", "import cruijff_kit")),
    Measure("import cruijff_kit.workflow", lambda: process(sys.executable, "-c", "import cruijff_kit.workflow")),
    Measure("ck --help", lambda: process(script("ck"), "--help")),
    Measure(
        "import mcp.server",
        lambda: answer(sys.executable, "-c", "import mcp.server; print(flush=True)"),
    ),
    Measure(
        "cruijff-mcp answers",
        lambda: answer(script("cruijff-mcp"), message=json.dumps(HELLO).encode() + b"\n"),
    ),
)

TARGETS = (
    Target("import cruijff_kit", "import pydantic", 1.5),
    Target("ck --help", "", 0.6),
    Target("cruijff-mcp answers", "import mcp.server", 1.25),
)


def measure(rounds: int) -> dict[str, list[float]]:
    """Time everything once to warm the file cache, then in turn for some rounds."""
    figures: dict[str, list[float]] = {each.name: [] for each in MEASURES}
    for turn in range(rounds + 1):
        for each in MEASURES:
            seconds = each.seconds()
            if turn:
                figures[each.name].append(seconds)
        print(f"\rround {turn}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def table(figures: dict[str, list[float]]) -> str:
    """Return medians and ranges as a Markdown table, with what each is held against."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    held = {target.name: verdict(target, medians) for target in TARGETS}
    rows = [
        f"| {name} | {medians[name]:.3f} | {min(values):.3f}-{max(values):.3f} | {held.get(name, '')} |"
        for name, values in figures.items()
    ]
    return "\n".join(["| what | median s | range | target |", "| --- | ---: | ---: | --- |", *rows])


def verdict(target: Target, medians: dict[str, float]) -> str:
    """Return a figure against its limit, in words."""
    ratio = medians[target.name] / (medians[target.beside] if target.beside else 1.0)
    said = f"{ratio:.2f} x {target.beside}, at most {target.limit}" if target.beside else f"at most {target.limit} s"
    return f"{said}: {'met' if ratio <= target.limit else 'MISSED'}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long starting takes.")
    parser.add_argument("--rounds", type=int, default=15, help="fresh processes a figure")
    print(table(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
