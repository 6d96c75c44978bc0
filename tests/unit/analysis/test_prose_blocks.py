"""Prose in paragraphs: what each cites, and which numbers of its lines must be held by that."""

import re

import pytest

from cruijff_kit.analysis.prose_blocks import prose_blocks


@pytest.mark.parametrize(
    "line, left",
    (
        ("# 3. What 12 runs show", ["12"]),
        ("2) on 2026-11-20 at 09:15 we saw 0.5", ["0.5"]),
        ("see [this](page.html#row-12), https://a.org/1.25 and `effect/lr/0.1 - 0.2`", []),
        ("commit 1a2b3c4 of v2.10.1, the 3rd, on 20 November 2026", []),
        ("table 2 and section 4.1, seeds 11, 12 and 13, epoch 0", []),
        ("seed 3 gives 0.7", ["0.7"]),
        ("3 of 4 runs, 10 of 11", ["11"]),
        ("5 points, 7 %, 8 percent", ["5", "7", "8"]),
        ("1,000 rows and 0.9 or 9.5", ["1,000", "0.9", "9.5"]),
        ("10.5 and -3.5", ["10.5", "-3.5"]),
    ),
)
def test_dates_versions_pointers_and_small_counts_need_no_citing(line: str, left: list[str]) -> None:
    (block,) = prose_blocks(line)
    assert re.findall(r"-?\d[\d,]*(?:\.\d+)?", block.lines[0][1]) == left


def test_paragraphs_items_rows_and_headings_cite_each_for_itself() -> None:
    text = "## `a`\nfirst `b`\nsecond\n\n- one `c`\n- two\n\n```\n0.1 `d`\n```\n| x | `e` |\nlast"
    found = [(block.cited, [number for number, _ in block.lines]) for block in prose_blocks(text)]
    assert found == [
        (("a",), [1]), (("b",), [2, 3]), (("c",), [5]), ((), [6]), (("e",), [11]), ((), [12]),
    ]  # fmt: skip
