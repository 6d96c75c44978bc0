"""How long it takes to prove a report: `ck verify` on an experiment of 500 runs, beside the report it proves.

The experiment is a 2 x 2 design over many seeds and its base model, each run with a training history and two real
`.eval` logs, made without training. Verifying reads every log, computes every figure and renders both documents
again; only pictures are compared by their hash. Then single digits of the documents are changed: each must be named.

    python benchmarks/verify.py [--seeds 125] [--words 100] [--edits 100]
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cruijff_kit.schema.layout import ExperimentLayout  # the path is set above
from cruijff_kit.workflow.recomputed import Recomputed, last_report, recompute
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.verify import verify_experiment
from cruijff_kit.workflow.verify_documents import check_report, read_shown
from tests.fakes.experiment import Size, make_experiment
from tests.integration.reporting.conftest import world_at

_Result = TypeVar("_Result")
DOCUMENTS = (ExperimentLayout.report, ExperimentLayout.page)


def main() -> int:
    """Make the experiment, report it, verify it, and count the edits that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=125, help="seeds of each of the four settings")
    parser.add_argument("--words", type=int, default=100, help="samples of the first task")
    parser.add_argument("--edits", type=int, default=100, help="digits to change")
    given = parser.parse_args()
    size = Size(words=given.words, others=4, seeds=tuple(range(1, given.seeds + 1)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "experiment"
        plan = make_experiment(root, size)
        world = world_at(root, size)
        _timed("report", lambda: write_report(world=world))
        found = _timed("verify", lambda: verify_experiment(world=world))
        print(f"{len(plan.runs)} runs: {found.files:,} files, {found.values:,} values, {found.figures:,} figures, "
              f"{found.numbers:,} printed numbers, {len(found.differences)} differences")  # fmt: skip
        made = _timed("recompute", lambda: recompute(last_report(world), world=world))
        shown = read_shown(made, world=world)
        named = _timed(f"{given.edits} edits", lambda: _named(made, shown, edits=given.edits))
    print(f"{named} of {given.edits} edits of a single digit were named")
    return 0 if found.ok and named == given.edits else 1


def _named(made: Recomputed, shown: dict[str, bytes | None], *, edits: int) -> int:
    """Return how many edits were named."""
    chance, named = Random(1), 0
    digits = {path: [each.start() for each in re.finditer(rb"\d", shown[path] or b"")] for path in DOCUMENTS}
    for number in range(edits):
        path = DOCUMENTS[number % len(DOCUMENTS)]
        content = bytearray(shown[path] or b"")
        place = chance.choice(digits[path])
        content[place] = chance.choice([byte for byte in range(48, 58) if byte != content[place]])
        found = check_report({**shown, path: bytes(content)}, made).differences
        named += any(each.path == path for each in found)
    return named


def _timed(name: str, work: Callable[[], _Result]) -> _Result:
    wall, own = time.perf_counter(), time.process_time()
    result = work()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    print(f"{name:>12}: {wall:6.1f} s, of which {own:.1f} s of the processor")
    return result


if __name__ == "__main__":
    sys.exit(main())
