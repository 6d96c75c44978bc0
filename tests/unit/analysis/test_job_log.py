from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.analysis.job_log import find_error, moment, within

NOW = datetime(2026, 11, 27, 0, 10, tzinfo=UTC)
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "train.py", line 3, in <module>',
    "    load()",
    "ValueError: shapes differ",
    "",
    "The above exception was the direct cause of the following exception:",
    "",
    "Traceback (most recent call last):",
    '  File "train.py", line 9, in <module>',
    "    main()",
    "RuntimeError: cannot load",
]


def test_a_traceback_and_those_chained_to_it_are_taken_whole() -> None:
    log = [*(f"step {n}" for n in range(30)), *TRACEBACK, "cleaning up"]
    place = find_error(log, before=2, after=3)
    assert place is not None
    assert log[slice(*place)] == ["step 28", "step 29", *TRACEBACK]


@pytest.mark.parametrize(
    "line",
    (
        "slurmstepd: error: Exceeded job memory limit",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "Segmentation fault (core dumped)",
        "FATAL: no such device",
        "OSError: [Errno 28] No space left on device",
        "Killed",
        "KeyError: 'input_ids'",
    ),
)
def test_what_reads_like_an_error_is_found_with_the_lines_around_it(line: str) -> None:
    log = ["a", "b", "c", line, "d", "e", line]
    assert find_error(log, before=1, after=2) == (2, 5)


@pytest.mark.parametrize("line", ("0 errors", "finished without errors", "errors: 0", "terror", "step 3 loss 0.1", ""))
def test_what_says_that_all_is_well_is_no_error(line: str) -> None:
    assert find_error([line] * 3) is None


@pytest.mark.parametrize(
    "text,meant",
    (
        ("10m", datetime(2026, 11, 27, 0, 0, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 26, 22, 10, tzinfo=UTC)),
        ("00:05", datetime(2026, 11, 27, 0, 5, tzinfo=UTC)),
        ("23:50", datetime(2026, 11, 26, 23, 50, tzinfo=UTC)),
        ("00:05:30", datetime(2026, 11, 27, 0, 5, 30, tzinfo=UTC)),
        ("2026-11-20 14:05", datetime(2026, 11, 20, 14, 5, tzinfo=UTC)),
        ("2026-11-20T14:05:00+01:00", datetime(2026, 11, 20, 13, 5, tzinfo=UTC)),
    ),
)
def test_a_moment_is_told_as_people_tell_it(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ("", "yesterday", "25:00", "10 parsecs", "-5m", "٣m"))
def test_what_is_no_moment_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat string|must be in 0\.\.23"):
        moment(text, NOW)


def test_a_line_without_a_time_belongs_to_the_last_that_told_its_own() -> None:
    log = ["starting", "[2026-11-26 23:50:00] loading", "  detail", "[23:59:30] step 1", "[00:00:30] step 2", "  more"]
    since = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)
    assert within(log, since=since, until=None, ended=NOW) == ["[23:59:30] step 1", "[00:00:30] step 2", "  more"]
    assert within(log, since=None, until=since, ended=NOW) == log[:3]
    between = datetime(2026, 11, 27, 0, 0, tzinfo=UTC)
    assert within(log, since=since, until=between, ended=NOW) == ["[23:59:30] step 1"]


def test_a_log_without_times_is_told_apart_from_one_without_such_lines() -> None:
    late = datetime(2027, 1, 1, tzinfo=UTC)
    assert within(["a", "b"], since=None, until=NOW, ended=NOW) is None
    assert within(["[2026-11-26 23:50:00] a"], since=late, until=None, ended=NOW) == []


@given(st.lists(st.text(max_size=40), max_size=30))
def test_no_text_breaks_either_search(lines: list[str]) -> None:
    place = find_error(lines)
    assert place is None or 0 <= place[0] < place[1] <= len(lines)
    kept = within(lines, since=NOW, until=None, ended=NOW)
    assert kept is None or len(kept) <= len(lines)
