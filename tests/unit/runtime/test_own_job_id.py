"""A job's own id: that of its array and its index, never the number that the last element shares with its array."""

import pytest

from cruijff_kit.runtime.job_files import job_ids
from cruijff_kit.runtime.requeue import own_job_id

NAMES = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")


@pytest.mark.parametrize(
    "values,expected",
    (
        (("17", "17", "4"), "17_4"),
        (("18", "17", "0"), "17_0"),
        (("17", "", ""), "17"),
        (("17", "", "4"), "17"),
        (("", "", ""), ""),
    ),
)
def test_a_job_knows_itself(values: tuple[str, str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(name, value)
    assert own_job_id() == expected
    assert job_ids() == ((expected,) if expected else ())
