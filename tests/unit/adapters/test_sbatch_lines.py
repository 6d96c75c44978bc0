"""Directives of job scripts, and scripts that are none."""

import shlex
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.adapters.sbatch_lines import Directives, Notice, file_name, read_directives, seconds_of
from cruijff_kit.errors import SchedulerError
from cruijff_kit.planning.time_limit import text_of
from cruijff_kit.rendering.sbatch import JobScript, render_script


def test_a_script_of_ours_reads_back_with_what_it_asks_for() -> None:
    job = JobScript(
        name="rank4-0123abcd",
        folder='/runs/a "quoted" \\ folder; %j',
        time="1-02:03:04",
        cpus=3,
        command=("python", "-m", "cruijff_kit.recipes.tiny"),
        gpus=2,
        mem="80G",
        partition="gpu",
        account="lab",
        constraint="h100&nvlink",
    )
    directives = read_directives(render_script(job).encode(), name="finetune.slurm")
    assert directives == Directives(output="slurm-%j.out", append=True, seconds=93784, gpus=2, cpus=3)


def test_every_form_of_an_option_is_read() -> None:
    assert _read("#SBATCH -o a.out -e 'b c.err' -t 90 -c4 -G 2") == Directives("a.out", "b c.err", False, 5400, 2, 4)
    assert _read("#SBATCH --gpus=h100:2").gpus == 2
    assert _read("#SBATCH --gres=gpu:h100:3").gpus == 3
    assert _read("#SBATCH --gres=gpu").gpus == 1
    assert _read("#SBATCH --signal=B:USR1@90").notice == Notice(signal.SIGUSR1, 90, True)
    assert _read("#SBATCH --signal=TERM").notice == Notice(signal.SIGTERM, 60, False)
    assert _read("#SBATCH --signal=10@5").notice == Notice(10, 5, False)
    assert _read("#SBATCH --output=a.out # why\n# a remark\n\n#SBATCH --open-mode=append").append


def test_directives_after_the_first_command_are_only_remarks() -> None:
    assert _read("#SBATCH --time=1\necho\n#SBATCH --time=2 --bogus").seconds == 60


def test_the_last_of_two_equal_directives_wins() -> None:
    assert _read("#SBATCH --time=1\n#SBATCH --time=2").seconds == 120


@pytest.mark.parametrize(
    "script, fact",
    (
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"echo hello\n", "does not look like a batch script"),
        (b"#!/bin/bash\r\necho\r\n", "contains DOS line breaks"),
        (b"#!/bin/bash\n\0", "contains null characters"),
        (b"#!/bin/bash\n#SBATCH --output='a\n", "has a directive with an open quote"),
        (b"#!/bin/bash\n#SBATCH stray\n", "has an unrecognized directive `stray`"),
        (b"#!/bin/bash\n#SBATCH --array=0-3\n", "asks for `--array`, which this scheduler does not have"),
        (b"#!/bin/bash\n#SBATCH --dependency=afterok:1\n", "asks for `--dependency`"),
        (b"#!/bin/bash\n#SBATCH --time=banana\n", "has an invalid `--time=banana`"),
        (b"#!/bin/bash\n#SBATCH --time=1:2:3:4\n", "has an invalid `--time=1:2:3:4`"),
        (b"#!/bin/bash\n#SBATCH --gres=tpu:1\n", "has an invalid `--gres=tpu:1`"),
        (b"#!/bin/bash\n#SBATCH --signal=USR9@1\n", "has an invalid `--signal=USR9@1`"),
        (b"#!/bin/bash\n#SBATCH --signal=99\n", "has an invalid `--signal=99`"),
        (b"#!/bin/bash\n#SBATCH --open-mode=both\n", "has an invalid `--open-mode=both`"),
        (b"#!/bin/bash\n#SBATCH --output=\n", "has an invalid `--output=`"),
        (b"#!/bin/bash\n#SBATCH --cpus-per-task=-2\n", "has an invalid `--cpus-per-task=-2`"),
    ),
)
def test_what_sbatch_would_refuse_is_refused_with_the_fact(script: bytes, fact: str) -> None:
    with pytest.raises(SchedulerError) as refusal:
        read_directives(script, name="job.slurm")
    assert str(refusal.value).startswith(f"script `job.slurm` {fact}")
    assert refusal.value.hint
    assert not refusal.value.transient


def test_a_misspelled_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SchedulerError, match="`--ouput`") as refusal:
        _read("#SBATCH --ouput=a.out")
    assert refusal.value.hint == "did you mean `--output`?"


@pytest.mark.parametrize(
    "limit, seconds",
    (
        ("5", 300),
        ("5:30", 330),
        ("1:00:05", 3605),
        ("1-0", 86400),
        ("1-2:3", 93780),
        ("1-02:03:04", 93784),
        ("0", None),
        ("UNLIMITED", None),
        ("infinite", None),
    ),
)
def test_time_limits_are_read_in_every_form_of_slurm(limit: str, seconds: int | None) -> None:
    assert seconds_of(limit) == seconds


@given(st.integers(min_value=1, max_value=10**8))
def test_time_limits_that_we_write_are_read_as_they_were_meant(seconds: int) -> None:
    assert seconds_of(text_of(seconds)) == seconds


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0", exclude_categories=["Cc", "Zl", "Zp"])))
def test_a_quoted_file_name_is_read_as_it_was_meant(name: str) -> None:
    if name:
        assert _read(f"#SBATCH --output={shlex.quote(name)}").output == name


def test_only_known_patterns_of_a_file_name_are_filled_in() -> None:
    assert file_name("%x-%j_%A.%%j.%u", job_id=7, name="n%j") == "n%j-7_7.%j.%u"


def _read(lines: str) -> Directives:
    return read_directives(f"#!/bin/bash\n{lines}\n".encode(), name="job.slurm")
