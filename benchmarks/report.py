"""How long a report of 500 runs takes: to write, and to stand in a real Chromium.

An experiment of 500 trained runs and their base is made up, files and logs as jobs leave them. Collecting reads every
log; the report is all that follows: figures, claims, looks across cells, both texts, plots and traces. Opening is
from asking for the page until it is laid out. Seconds of the processor are told beside, which a busy machine changes
less; garbage is collected as seldom as `ck` does.

    python benchmarks/report.py [--seeds 125] [--rounds 3]
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import sync_playwright  # the path is set above

from cruijff_kit.ports import World  # the path is set above
from cruijff_kit.workflow.collect import collect_results  # the path is set above
from cruijff_kit.workflow.report import write_report  # the path is set above
from tests.browser.chromium import find_chromium  # the path is set above
from tests.fakes.experiment import Size, make_experiment  # the path is set above
from tests.integration.reporting.conftest import world_at  # the path is set above

LIMIT = 5.0
"""Seconds that a report of 500 runs may take beyond collecting."""


def written(world: World) -> tuple[float, float, float, float]:
    """Return the seconds that collecting takes, and those that the report takes beyond it; then of the processor."""
    clocks = (time.perf_counter, time.process_time)
    began = [clock() for clock in clocks]
    collect_results(world=world)
    between = [clock() for clock in clocks]
    write_report(world=world)
    ended = [clock() for clock in clocks]
    collected = [now - then for now, then in zip(between, began, strict=True)]
    beyond = [now - then - less for now, then, less in zip(ended, between, collected, strict=True)]
    return collected[0], beyond[0], collected[1], beyond[1]


def opened(page: Path, rounds: int) -> list[float]:
    """Return the seconds until the page is laid out in a Chromium that is up."""
    program, times = find_chromium(), []
    if program is None:
        return []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(rounds):
            tab = browser.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.evaluate("document.body.getBoundingClientRect().height")
            times.append(time.perf_counter() - began)
            tab.close()
        browser.close()
    return times


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=125, help="replicates of each of four settings")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    gc.set_threshold(100_000, 10, 10)
    size = Size(words=40, others=2, steps=40, seeds=tuple(range(1, options.seeds + 1)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "experiment"
        make_experiment(root, size)
        world = world_at(root, size)
        times = [written(world) for _ in range(options.rounds)]
        page = root / "report/index.html"
        looks = opened(page, options.rounds)
        collected, beyond, own, more = (statistics.median(each) for each in zip(*times, strict=True))
        print(f"{4 * options.seeds} runs: collected in {collected:.1f} s, {own:.1f} s of the processor")
        print(f"reported in {beyond:.1f} s more (limit {LIMIT:g} s), {more:.1f} s of the processor")
        shown = f"laid out in {statistics.median(looks):.2f} s" if looks else "not opened: no Chromium here"
        print(f"page of {page.stat().st_size / 1e6:.1f} MB, {shown}")


if __name__ == "__main__":
    main()
