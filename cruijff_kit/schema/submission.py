"""Handing jobs over and taking them back: what is asked before, and what became of it."""

from typing import Literal

from cruijff_kit.schema.job import Step
from cruijff_kit.schema.noun import Noun, RunId, Sha256

__all__ = [
    "CancelPreview",
    "CancelReceipt",
    "RetryPreview",
    "Submission",
    "SubmitPreview",
    "SubmitReceipt",
]


class Submission(Noun):
    """One job of a submission."""

    run_id: RunId
    """The run."""
    step: Step
    """Which of its jobs."""
    job_id: str
    """The scheduler's id; empty while it waits to be handed over."""
    state: Literal["submitted", "already submitted", "adopted", "waiting"]
    """`adopted`: the scheduler had it already from an interrupted submission; `waiting`: `ck watch` hands it over."""


class SubmitPreview(Noun):
    """What a submission would ask of the scheduler; the confirmation question is made of it."""

    plan_id: Sha256
    """The sealed plan."""
    experiment: str
    """Name of the experiment."""
    scheduler: str
    """Scheduler that would take the jobs."""
    partition: str | None
    """Partition, where there is one."""
    train_jobs: int
    """Training jobs to queue."""
    eval_jobs: int
    """Evaluation jobs to queue."""
    gpu_hours: float
    """GPU-hours asked for at most: time limit x GPUs."""
    max_jobs: int
    """The site's cap on jobs."""
    max_gpu_hours: float
    """The site's cap on GPU-hours."""
    cost: str = ""
    """What these GPU-hours cost; empty where the site tells no price."""

    warnings: tuple[str, ...] = ()
    """What is worth a second look before the answer."""

    @property
    def asks(self) -> str:
        """Return what is asked for at most, and the caps."""
        cost = f", {self.cost}" if self.cost else ""
        return (
            f"at most {self.gpu_hours:g} GPU-hours{cost}; caps: {self.max_jobs} jobs, {self.max_gpu_hours:g} GPU-hours"
        )

    @property
    def question(self) -> str:
        """Return the question put to the user; it depends on the plan alone."""
        where = f"{self.scheduler}, partition {self.partition}" if self.partition else self.scheduler
        return (
            f"Submit {self.train_jobs} training and {self.eval_jobs} evaluation jobs of {self.experiment} "
            f"to {where} ({self.asks}; plan {self.plan_id[:12]})?"
        )


class RetryPreview(Noun):
    """What trying failed jobs again would ask of the scheduler; the confirmation question is made of it."""

    asked: SubmitPreview
    """Jobs, GPU-hours and caps."""
    runs: tuple[RunId, ...]
    """The runs."""
    changes: tuple[str, ...] = ()
    """What would be changed first, run by run, in words."""

    @property
    def question(self) -> str:
        """Return the question put to the user."""
        asked = self.asked
        change = f", changed so: {'; '.join(self.changes)}" if self.changes else ""
        return (
            f"Submit {asked.train_jobs} training and {asked.eval_jobs} evaluation jobs of {asked.experiment} again "
            f"({_first(self.runs)}; {asked.asks}){change}?"
        )


class SubmitReceipt(Noun):
    """What was submitted."""

    plan_id: Sha256
    """The sealed plan."""
    jobs: tuple[Submission, ...]
    """Every job that was asked for: with the scheduler now, or before, or waiting to be handed over."""
    refusal: str = ""
    """What the scheduler said when it took no more jobs, which may pass; empty where it refused none."""

    @property
    def waits(self) -> str:
        """Return how many jobs wait and for what; empty where none does."""
        waiting = sum(job.state == "waiting" for job in self.jobs)
        if not waiting:
            return ""
        many = f"{waiting} of {len(self.jobs)} jobs are not with the scheduler yet"
        return f"{many}, which took no more just now: {self.refusal}" if self.refusal else f"{many}: they wait for room"


class CancelPreview(Noun):
    """What is asked before jobs are stopped; it depends on the plan alone, for jobs may end while the user thinks."""

    experiment: str
    """Name of the experiment."""
    runs: tuple[RunId, ...]
    """Runs that were named; empty for all."""
    planned: int
    """Runs of the plan."""

    @property
    def question(self) -> str:
        """Return the question put to the user."""
        what = f"{len(self.runs)} runs ({_first(self.runs)})" if self.runs else f"all {self.planned} runs"
        return f"Stop every job of {what} of {self.experiment} that has not ended, and hand over no more of them?"


class CancelReceipt(Noun):
    """What was cancelled."""

    job_ids: tuple[str, ...]
    """Jobs that were asked to stop."""
    left_alone: tuple[str, ...]
    """Runs that had nothing to stop."""


def _first(runs: tuple[RunId, ...]) -> str:
    return ", ".join(runs[:5]) + (", …" if len(runs) > 5 else "")
