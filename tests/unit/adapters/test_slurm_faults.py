"""The table of what Slurm does names tests that are there, and its page is what it says."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.slurm.faults import PAGE, Shown, page, read_behaviours

ROOT = Path(__file__).parents[3]
BEHAVIOURS = read_behaviours()
LEAST = 40


@pytest.fixture(scope="module")
def tests_there() -> frozenset[str]:
    """Return the tests of the files that the table names, each with and without its parameter."""
    files = sorted({each.test.partition("::")[0] for each in BEHAVIOURS})
    options = ("--collect-only", "--quiet", "-p", "no:cacheprovider", "-m", "slurm or not slurm")
    listing = subprocess.run(
        (sys.executable, "-m", "pytest", *options, *files), cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    ).stdout
    names = [line.strip() for line in listing.splitlines() if "::" in line]
    return frozenset(names) | {name.partition("[")[0] for name in names}


def test_every_behaviour_is_shown_by_a_test_that_is_there(tests_there: frozenset[str]) -> None:
    absent = [f"{each.happens}: {each.test}" for each in BEHAVIOURS if each.test not in tests_there]
    assert absent == []


def test_there_are_many_behaviours_and_a_real_slurm_shows_most_of_them() -> None:
    shown = Counter(each.shown for each in BEHAVIOURS)
    assert shown[Shown.REAL] >= LEAST
    assert shown[Shown.REAL] > shown[Shown.STAGED] + shown[Shown.RECORDED]
    assert [name for name, count in Counter(each.happens for each in BEHAVIOURS).items() if count > 1] == []


def test_what_is_called_real_runs_on_a_real_slurm_and_what_is_recorded_does_not() -> None:
    wrong = [
        each.happens
        for each in BEHAVIOURS
        for on_slurm in [each.test.startswith("tests/slurm/") or each.test.endswith("[slurm]")]
        if on_slurm is (each.shown is Shown.RECORDED)
    ]
    assert wrong == []


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.slurm.faults"
