"""How soon pages are there: 500 runs opened in a real Chromium, and a long training followed.

Measured is what somebody at the browser waits for: from asking for the address until the table of all runs stands
there, on a server that is up. The first look finds nothing cached, neither here nor in the browser; the later ones do.
Beside them, in turn: a page of Streamlit's own that does nothing but show a table of 500 lines.

    python benchmarks/ui.py [--rounds 5]
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import BrowserContext, sync_playwright  # the path is set above

from cruijff_kit.bootstrap import open_world  # the path is set above
from cruijff_kit.workflow import follow_metrics  # the path is set above
from tests.browser.chromium import find_chromium  # the path is set above
from tests.fakes.experiment import Size, make_experiment  # the path is set above

LIMIT = 2.0
"""Seconds until 500 runs are there."""
EXPERIMENTS, SEEDS = 5, 25
LINES = 100_000
MILLISECONDS = 1_000


PLAIN = """\
import streamlit as st

st.header("500 of 500 runs")
names = ("experiment", "run", "training", "evaluation", "done", "loss", "why")
for rows in (5, 500):
    st.dataframe({name: [f"{name} {number}" for number in range(rows)] for name in names})
"""


@contextmanager
def served(project: Path) -> Iterator[str]:
    """Serve a project's pages in a process of their own; yield the address."""
    with _started(["-m", "cruijff_kit.cli.main", "-C", str(project), "ui", "--port", "0"]) as address:
        yield address


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    """Serve a page that shows a table and does nothing else; yield the address."""
    script = folder / "plain.py"
    script.write_text(PLAIN, encoding="utf-8")
    options = ("--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false")
    with _started(["-m", "streamlit", "run", str(script), "--server.port=0", *options]) as address:
        yield address


@contextmanager
def _started(words: list[str]) -> Iterator[str]:
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        try:
            yield next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            server.kill()
            server.communicate()


def opened(context: BrowserContext, address: str, *, words: str) -> float:
    """Return the seconds until a browser shows these words, and the table below them."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address)
    page.get_by_role("heading", name=words).wait_for()
    page.get_by_test_id("stDataFrame").nth(1).locator("canvas").first.wait_for()
    taken = time.perf_counter() - began
    page.close()
    return taken


def looks(folder: Path) -> tuple[float, float]:
    """Return the milliseconds of a first look at a long training, and of one after a line was appended."""
    path = folder / "metrics.jsonl"
    line = '{{"step":{0},"epoch":0,"loss":1.25,"lr":0.0001,"tokens_per_second":21000.5,"grad_norm":0.5}}\n'
    path.write_text("".join(line.format(step) for step in range(1, LINES + 1)), encoding="utf-8")
    world = open_world(folder, root=folder.parent, kind="human", name="bench", client="bench")
    began = time.perf_counter()
    first = follow_metrics(path.name, world=world)
    whole = time.perf_counter() - began
    with path.open("a", encoding="utf-8") as file:
        file.write(line.format(LINES + 1))
    began = time.perf_counter()
    second = follow_metrics(path.name, since=first.mark, world=world)
    assert len(second.rows) == 1
    return MILLISECONDS * whole, MILLISECONDS * (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How soon pages are there.")
    parser.add_argument("--rounds", type=int, default=5, help="looks after the first one")
    rounds = parser.parse_args().rounds
    program = find_chromium()
    if program is None:
        raise SystemExit("there is no Chromium here; `make pages` installs it where it can")
    with tempfile.TemporaryDirectory() as held, sync_playwright() as playwright:
        project = Path(held) / "project"
        for number in range(EXPERIMENTS):
            make_experiment(project / f"grid_{number}", Size(seeds=tuple(range(1, SEEDS + 1)), evaluated=False))
        runs = 4 * SEEDS * EXPERIMENTS
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with served(project) as address, plain(Path(held)) as beside:
            words = f"{runs} of {runs} runs"
            opened(browser.new_context(), beside, words=words)
            strange, known = browser.new_context(), browser.new_context()
            first = opened(strange, address, words=words)
            opened(known, beside, words=words)
            opened(known, address, words=words)
            taken = [(opened(known, address, words=words), opened(known, beside, words=words)) for _ in range(rounds)]
        (Path(held) / "long").mkdir()
        whole, appended = looks(Path(held) / "long")
    usual, bare = (statistics.median(each) for each in zip(*taken, strict=True))
    print(f"| {runs} runs of {EXPERIMENTS} experiments are there after | seconds | target |")
    print("| --- | ---: | --- |")
    print(f"| the first look after the start, by a browser that was never here | {first:.2f} | |")
    print(f"| later looks, median of {rounds} | {usual:.2f} | {LIMIT:g} s: {'met' if usual <= LIMIT else 'MISSED'} |")
    print(f"| a page that is nothing but the table | {bare:.2f} | ours: {usual / bare:.2f} x |")
    print(f"\n{LINES:,} lines of metrics: {whole:.0f} ms read whole, {appended:.2f} ms after one more line.")


if __name__ == "__main__":
    main()
