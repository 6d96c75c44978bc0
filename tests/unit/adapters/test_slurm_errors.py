"""What Slurm's complaints are taken for; recorded from 22.05, and forms that other versions have."""

import pytest

from cruijff_kit.adapters.slurm_commands import ABSENT, SILENT, Answer
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.errors import SchedulerError, SiteError

PASSING = (
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
    "slurm_load_jobs error: Zero Bytes were transmitted or received",
    (
        "sbatch: error: slurm_msg_sendto: address:port=127.0.0.1:55559 msg_type=4003: Unexpected missing socket error\n"
        "sbatch: error: Batch job submission failed: Unexpected missing socket error"
    ),
    (
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable"
    ),
    (
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates"
        " accounting/QOS policy (job submit limit, user's size and/or time limits)"
    ),
    (
        "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:db:6819:"
        " Connection refused\nsacct: error: Problem talking to the database: Connection refused"
    ),
    "slurm_load_jobs error: Slurm backup controller in standby mode",
    (
        'sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory'
        " (Did you start munged?)\nsbatch: error: Batch job submission failed: Protocol authentication error"
    ),
    # Clocks of two machines that differ by minutes.
    "squeue: error: Munge decode failed: Rewound credential\nslurm_load_jobs error: Protocol authentication error",
    "squeue: error: Munge decode failed: Expired credential\nslurm_load_jobs error: Protocol authentication error",
)
LASTING = (
    (
        "sbatch: error: invalid partition specified: there\nsbatch: error: Batch job submission failed: Invalid"
        " partition name specified"
    ),
    (
        "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission failed: Job violates"
        " accounting/QOS policy (job submit limit, user's size and/or time limits)"
    ),
    "sbatch: error: Batch job submission failed: Job dependency problem",
    "scancel: error: Kill job error on job id 7: Access/permission denied",
    "sbatch: error: something that no version has said yet",
    "",
)


@pytest.mark.parametrize("words", PASSING)
def test_what_passes_may_be_tried_again(words: str) -> None:
    error = refusal(Answer(1, err=words), "it failed")
    assert isinstance(error, SchedulerError)
    assert error.transient
    assert error.hint


@pytest.mark.parametrize("words", LASTING)
def test_what_lasts_has_a_remedy_and_keeps_slurms_words(words: str) -> None:
    error = refusal(Answer(1, err=words), "it failed")
    assert isinstance(error, SchedulerError)
    assert not error.transient
    assert error.hint
    assert error.stderr == words


def test_a_complaint_is_told_on_one_line_without_who_complains() -> None:
    words = (
        "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed: Bad\n"
    )
    assert refusal(Answer(1, err=words), "it failed").args[0] == (
        "it failed: `Memory specification can not be satisfied; Bad`"
    )


def test_silence_may_pass_and_a_missing_command_is_the_machines() -> None:
    silence = refusal(Answer(SILENT, err="squeue gave no answer within 90 seconds"), "it failed")
    assert isinstance(silence, SchedulerError)
    assert silence.transient
    assert isinstance(refusal(Answer(ABSENT, err="squeue is not on the PATH"), "it failed"), SiteError)
