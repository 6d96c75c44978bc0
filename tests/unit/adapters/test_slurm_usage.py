"""What accounting says that jobs took, line by line."""

from cruijff_kit.adapters.slurm_usage import usage_rows
from cruijff_kit.schema.job import JobUsage

NO_VALUE = 18446744073709551614


def test_a_job_is_its_own_line_and_the_most_memory_of_its_steps() -> None:
    text = f"""\
7|COMPLETED|3661|1-02:03:04||7200|billing=4,cpu=4,gres/gpu:a100=2,gres/gpu=2,mem=8G,node=1|run|a:ck-1
7.batch|COMPLETED|3661|01:00.500|1536K|||batch
7.0|COMPLETED|3600|02:00:00|2.50G|{NO_VALUE}||python
7.extern|COMPLETED|3661|00:00:00||||extern
"""
    assert usage_rows(text, tags={}) == {
        "7": JobUsage(
            elapsed_seconds=3661,
            cpu_seconds=93784,
            max_memory_bytes=int(2.5 * 1024**3),
            energy_joules=7200,
            gpus=2,
        )
    }


def test_what_was_not_counted_is_not_known_rather_than_nothing() -> None:
    (usage,) = usage_rows(
        f"8|FAILED|0|00:00:00||0|cpu=1|x:t\n8.batch|FAILED|0|00:00.000|0|{NO_VALUE}||batch\n", tags={}
    ).values()
    assert usage == JobUsage(elapsed_seconds=0)
    assert usage_rows("9|TIMEOUT|60|INVALID|16?|N/A||x:t\n", tags={}) == {"9": JobUsage(elapsed_seconds=60)}


def test_all_runs_of_a_job_that_was_queued_again_count_and_only_the_last_job_of_a_number() -> None:
    text = """\
3|COMPLETED|500|00:09:00||||other:ck-old
3.batch|COMPLETED|500|00:09:00|900M|||batch
3|PREEMPTED|100|00:50.5||30||mine:ck-1
3.batch|CANCELLED|100|00:50.5|200M|||batch
3|COMPLETED|40|00:20.5||12||mine:ck-1
3.batch|COMPLETED|40|00:20.5|100M|||batch
"""
    told = JobUsage(elapsed_seconds=140, cpu_seconds=71, max_memory_bytes=200 * 1024**2, energy_joules=42)
    assert usage_rows(text, tags={}) == usage_rows(text, tags={"3": "ck-1"}) == {"3": told}
    earlier = JobUsage(elapsed_seconds=500, cpu_seconds=540, max_memory_bytes=900 * 1024**2)
    assert usage_rows(text, tags={"3": "ck-old"}) == {"3": earlier}
    assert usage_rows(text, tags={"3": "ck-2"}) == {}


def test_elements_of_an_array_are_jobs_and_what_goes_on_or_is_no_job_is_left_out() -> None:
    text = """\
4_1|COMPLETED|5|00:01||||x:t
4_[2-9]|PENDING|0|00:00:00||||x:t
5|RUNNING|9|00:01||||x:t
noise
|||||||
6|FAILED|1|00:01||||allocation
"""
    assert list(usage_rows(text, tags={})) == ["4_1"]
