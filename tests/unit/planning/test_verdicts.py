from datetime import UTC, datetime

import pytest

from cruijff_kit.planning.verdicts import Evidence, judge, retryable
from cruijff_kit.schema.job import Attempt, Intent, JobReport, JobState, Step
from cruijff_kit.schema.run import Done, JobStatus, Phase, StepStatus

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE = Done(exit_code=0, artefacts={}, finished=NOW)


def attempt(job_id: str | None = "7", verdict: JobState | None = None, reason: str = "") -> Attempt:
    intent = Intent(run_id="r-1", step=Step.TRAIN, number=1, tag="t", why="first attempt", recorded=NOW)
    return Attempt(intent=intent, job_id=job_id, verdict=verdict, reason=reason)


def verdict(
    *attempts: Attempt, state: JobState | None = None, done: Done | None = None, own: JobStatus | None = None
) -> StepStatus:
    report = None if state is None else JobReport(job_id="7", state=state, reason="why", exit_code=3)
    return judge("r-1", Step.TRAIN, evidence=Evidence(attempts, report, own, done))


def test_a_step_nobody_submitted_is_not_submitted() -> None:
    assert verdict().phase is Phase.NOT_SUBMITTED


def test_a_run_whose_script_was_run_by_hand_counts_as_completed() -> None:
    found = verdict(done=DONE)
    assert (found.phase, found.reason) == (Phase.COMPLETED, "run by hand")


def test_an_intent_without_a_job_id_is_told_as_intended() -> None:
    assert verdict(attempt(job_id=None)).phase is Phase.INTENDED


def test_no_answer_from_the_scheduler_is_unknown_and_never_a_failure() -> None:
    assert verdict(attempt(), state=JobState.UNKNOWN).phase is Phase.UNKNOWN
    assert verdict(attempt()).phase is Phase.UNKNOWN


def test_the_jobs_own_marker_settles_what_the_scheduler_forgot() -> None:
    assert verdict(attempt(), state=JobState.UNKNOWN, done=DONE).phase is Phase.COMPLETED


def test_exit_code_zero_without_proven_artefacts_is_a_failure() -> None:
    found = verdict(attempt(), state=JobState.SUCCEEDED)
    assert found.phase is Phase.FAILED
    assert "DONE" in found.reason


def test_a_marker_with_another_exit_code_is_a_failure() -> None:
    bad = DONE.model_copy(update={"exit_code": 2})
    assert verdict(attempt(), state=JobState.SUCCEEDED, done=bad).phase is Phase.FAILED


def test_a_failure_tells_exit_code_and_the_jobs_own_words() -> None:
    own = JobStatus(state="failed", message="no such file", started=NOW, updated=NOW)
    assert verdict(attempt(), state=JobState.FAILED, own=own).reason == "exit code 3: no such file"


@pytest.mark.parametrize("state", (JobState.TIMED_OUT, JobState.OUT_OF_MEMORY, JobState.LOST))
def test_every_bad_end_is_a_failure_with_its_reason(state: JobState) -> None:
    found = verdict(attempt(), state=state)
    assert found.phase is Phase.FAILED
    assert found.reason.endswith("; why")


def test_a_job_that_a_signal_stopped_may_wait_again_so_silence_is_no_failure_of_it() -> None:
    own = JobStatus(state="stopped", message="stopped by SIGTERM", job_id="7", started=NOW, updated=NOW)
    assert verdict(attempt(), state=JobState.UNKNOWN, own=own).phase is Phase.UNKNOWN
    failed = own.model_copy(update={"state": "failed"})
    assert verdict(attempt(), state=JobState.UNKNOWN, own=failed).phase is Phase.FAILED
    assert verdict(attempt(), state=JobState.TIMED_OUT, own=own).reason.endswith("stopped by SIGTERM")


def test_a_recorded_verdict_outlives_the_schedulers_memory() -> None:
    found = verdict(attempt(verdict=JobState.TIMED_OUT, reason="stopped at its time limit"), state=JobState.UNKNOWN)
    assert (found.phase, found.reason) == (Phase.FAILED, "stopped at its time limit")


def test_a_recorded_success_still_needs_its_artefacts() -> None:
    assert verdict(attempt(verdict=JobState.SUCCEEDED)).phase is Phase.FAILED
    assert verdict(attempt(verdict=JobState.SUCCEEDED), done=DONE).phase is Phase.COMPLETED


@pytest.mark.parametrize("state", list(JobState))
def test_only_what_has_ended_badly_may_be_tried_again(state: JobState) -> None:
    found = verdict(attempt(), state=state, done=DONE if state is JobState.SUCCEEDED else None)
    expected = state.ended and state is not JobState.SUCCEEDED
    assert retryable(found) is expected


def test_a_job_that_told_of_its_own_failure_has_failed_though_the_scheduler_forgot_it() -> None:
    own = JobStatus(state="failed", job_id="7", message="no such file", started=NOW, updated=NOW)
    found = verdict(attempt(), state=JobState.UNKNOWN, own=own)
    assert (found.phase, found.reason) == (Phase.FAILED, "failed: no such file")
    earlier = own.model_copy(update={"job_id": "6"})
    assert verdict(attempt(), state=JobState.UNKNOWN, own=earlier).phase is Phase.UNKNOWN


@pytest.mark.parametrize("state", (JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT))
def test_an_end_is_not_judged_while_what_the_job_wrote_last_may_not_be_seen_yet(state: JobState) -> None:
    def found(*, fresh: bool, done: Done | None = None, own: JobStatus | None = None) -> Phase:
        report = JobReport(job_id="7", state=state, exit_code=3)
        return judge("r-1", Step.TRAIN, evidence=Evidence((attempt(),), report, own, done, fresh)).phase

    earlier = JobStatus(state="failed", job_id="6", message="no such file", started=NOW, updated=NOW)
    running = JobStatus(state="running", job_id="7", step=3, started=NOW, updated=NOW)
    words = running.model_copy(update={"state": "failed", "message": "no such file"})
    assert {found(fresh=True), found(fresh=True, own=earlier), found(fresh=True, own=running)} == {Phase.RUNNING}
    assert found(fresh=False) is Phase.FAILED
    if state is JobState.SUCCEEDED:
        assert found(fresh=True, done=DONE) is Phase.COMPLETED
    else:
        assert found(fresh=True, own=words) is Phase.FAILED


@pytest.mark.parametrize("state", (JobState.CANCELLED, JobState.LOST, JobState.OUT_OF_MEMORY))
def test_an_end_that_no_word_of_the_job_changes_is_judged_at_once(state: JobState) -> None:
    evidence = Evidence((attempt(),), JobReport(job_id="7", state=state), None, None, fresh=True)
    assert judge("r-1", Step.TRAIN, evidence=evidence).phase is not Phase.RUNNING
