"""What must hold is shown by tests that are there, and the page of it is what the table says."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.requirements import PAGE, page, read_requirements

TESTS = Path(__file__).parents[1]
ROWS = read_requirements()


@cache
def functions_of(file: str) -> frozenset[str]:
    path = TESTS / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


def test_each_requirement_is_shown_by_tests_that_are_there_or_refused_with_a_reason() -> None:
    wrong = [
        f"{row.id}: {test}"
        for row in ROWS
        for test in row.tests
        for file, _, name in [test.partition("::")]
        if name not in functions_of(file)
    ]
    assert wrong == []
    assert [row.id for row in ROWS if bool(row.tests) is bool(row.refused)] == []
    assert [name for name, count in Counter(row.id for row in ROWS).items() if count > 1] == []


def test_the_page_of_requirements_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.requirements"
