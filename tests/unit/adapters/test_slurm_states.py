"""Slurm's listings as they were recorded, and forms that a small cluster cannot show."""

from datetime import UTC, datetime

import pytest

from cruijff_kit.adapters.slurm_states import elements, history_rows, queue_rows, state_of
from cruijff_kit.schema.job import JobReport, JobState

WIDTHS = (24, 20, 12, 60, 20, 20, 20)
WORDS = {
    JobState.PENDING: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT POWER_UP_NODE",
    JobState.RUNNING: "RUNNING COMPLETING RESIZING SIGNALING STAGE_OUT STOPPED SUSPENDED",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED LAUNCH_FAILED RECONFIG_FAIL",
    JobState.CANCELLED: "CANCELLED",
    JobState.TIMED_OUT: "TIMEOUT DEADLINE",
    JobState.OUT_OF_MEMORY: "OUT_OF_MEMORY",
    JobState.LOST: "NODE_FAIL BOOT_FAIL PREEMPTED",
    JobState.UNKNOWN: "REVOKED ENTANGLED",
}
HISTORY = """\
17|COMPLETED|0:0|n1|1795739900|1795739901|1795739903|bits:ck-1
18|FAILED|3:0|n1|1795739900|1795739901|1795739903|bits:ck-2
19|CANCELLED by 1000|0:15|n1|1795739900|1795739901|1795739903|bits:ck-3
20|OUT_OF_MEMORY|0:125|n2|1795739900|1795739901|1795739903|bits:ck-4
21|TIMEOUT|0:0|n2|1795739900|1795739901|1795739903|bits:ck-5
22|PREEMPTED|0:0|n2|1795739900|1795739901|1795739903|bits:ck-6
22|RUNNING|0:0|n2|1795739904|1795739907|Unknown|bits:ck-6
23|NODE_FAIL|1:0|n2|1795739900|1795739901|1795739903|bits:ck-7
24|FAILED|0:0|None assigned|1795739900|1795739900|1795739900|bits:ck-8
25_[2-3%2]|PENDING|0:0|None assigned|1795739900|Unknown|Unknown|grid|of|bars:ck-9
26|RUNNING|0:0|n1|1795739900|1795739901|Unknown|allocation
"""


def line(*cells: str, name: str = "bits:ck-1") -> str:
    return "".join(cell[:width].ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + name


def queued(number: str = "17", state: str = "FAILED", raw: str = "0", reason: str = "None") -> JobReport:
    text = line(number, state, raw, reason, "1795739900", "1795739901", "1795739903")
    (row,) = queue_rows(text + "\n")
    return row.report


@pytest.mark.parametrize("state", list(JobState))
def test_every_word_of_slurm_is_one_of_ours_and_a_future_one_is_unknown(state: JobState) -> None:
    assert {state_of(word) for word in WORDS[state].split()} == {state}


@pytest.mark.parametrize(
    "word,state",
    (
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("CANCELLED+", JobState.CANCELLED),
        ("OUT_OF_ME+", JobState.OUT_OF_MEMORY),
        ("NODE_FAIL+", JobState.LOST),
        ("completed", JobState.SUCCEEDED),
        ("RE+", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
        ("+", JobState.UNKNOWN),
    ),
)
def test_words_are_read_though_cut_short_or_followed_by_who_did_it(word: str, state: JobState) -> None:
    assert state_of(word) is state


@pytest.mark.parametrize(
    "raw,code,signal",
    (
        ("768", 3, None),
        ("65280", 255, None),
        ("15", None, 15),
        ("139", None, 11),
        ("35072", None, 9),
        ("4021", None, None),
        ("253", None, None),
        ("4294967294", None, None),
        ("", None, None),
    ),
)
def test_a_raw_wait_status_is_an_exit_code_or_a_signal_of_this_system(
    raw: str, code: int | None, signal: int | None
) -> None:
    report = queued(raw=raw)
    assert (report.exit_code, report.signal) == (code, signal)


def test_an_unknown_word_is_told_as_slurm_said_it() -> None:
    report = queued(state="ENTANGLED", raw="768")
    assert (report.state, report.reason, report.exit_code) == (JobState.UNKNOWN, "Slurm calls it `ENTANGLED`", None)


def test_a_job_that_waits_has_neither_begun_nor_ended_whatever_is_foreseen() -> None:
    report = queued(state="PENDING", reason="Priority")
    assert (report.reason, report.started, report.ended, report.exit_code) == ("Priority", None, None, None)
    assert report.submitted == datetime.fromtimestamp(1795739900, UTC)


@pytest.mark.parametrize("said", ("launch failed requeued held", "launch_failed_requeued_held"))
def test_a_job_that_slurm_holds_after_a_launch_that_failed_says_what_lets_it_go(said: str) -> None:
    report = queued(state="PENDING", reason=said)
    assert report.state is JobState.PENDING
    assert report.reason.startswith(f"{said}: ")
    assert "`scontrol release`" in report.reason


def test_a_job_whose_end_is_foreseen_still_runs() -> None:
    report = queued(state="COMPLETING", raw="768")
    assert (report.state, report.ended, report.exit_code) == (JobState.RUNNING, None, None)


def test_a_reason_with_blanks_and_a_name_with_bars_are_read_by_their_columns() -> None:
    reason = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
    text = line("17", "PENDING", "0", reason, "1795739900", "N/A", "N/A", name="a | b:ck-ü")
    (row,) = queue_rows(text)
    assert row.report.reason == reason[:60]
    assert row.tag == "ck-ü"


@pytest.mark.parametrize("text", ("", "\n\n", "slurm_load_jobs error: Unexpected message received", "17", "x" * 400))
def test_what_is_no_row_is_left_out(text: str) -> None:
    assert not [row for row in queue_rows(text) if row.tag]
    assert not list(history_rows(text))


def test_accounting_is_read_row_by_row_the_last_of_a_job_being_its_latest_run() -> None:
    rows = list(history_rows(HISTORY))
    last = {row.report.job_id: row for row in rows}
    found = {job_id: (row.report.state, row.report.exit_code, row.report.signal) for job_id, row in last.items()}
    assert found == {
        "17": (JobState.SUCCEEDED, 0, None),
        "18": (JobState.FAILED, 3, None),
        "19": (JobState.CANCELLED, None, 15),
        "20": (JobState.OUT_OF_MEMORY, None, None),
        "21": (JobState.TIMED_OUT, None, None),
        "22": (JobState.RUNNING, None, None),
        "23": (JobState.LOST, 1, None),
        "24": (JobState.FAILED, None, None),
        "25_2": (JobState.PENDING, None, None),
        "25_3": (JobState.PENDING, None, None),
        "26": (JobState.RUNNING, None, None),
    }
    assert last["19"].report.reason == "cancelled by user 1000"
    assert (last["25_2"].tag, last["25_3"].tag) == ("ck-9.2", "ck-9.3")
    assert last["26"].tag == ""
    assert [row.report.job_id for row in rows if row.refused] == ["24"]


@pytest.mark.parametrize(
    "number,expected",
    (
        ("11", ("11",)),
        ("11_4", ("11_4",)),
        ("11_[2-5%2]", ("11_2", "11_3", "11_4", "11_5")),
        ("11_[0,3,7-8]", ("11_0", "11_3", "11_7", "11_8")),
        ("11_[0-6:3]", ("11_0", "11_3", "11_6")),
        ("11_[1,3,5...]", ("11_1", "11_3", "11_5")),
        ("11+0", ()),
        ("11.batch", ()),
        ("٣", ()),
        ("", ()),
    ),
)
def test_the_id_of_a_listing_stands_for_one_job_or_for_elements(number: str, expected: tuple[str, ...]) -> None:
    assert elements(number) == expected
