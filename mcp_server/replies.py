"""Replies about designs and jobs: receipts cut to a size a model can afford, with a cursor to the rest."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from cruijff_kit.schema.receipt import (
        CancelReceipt,
        DesignReceipt,
        DesignReview,
        ScaffoldReceipt,
        SubmitReceipt,
    )
    from cruijff_kit.schema.run import ExperimentStatus
    from cruijff_kit.schema.site import ModelFacts

__all__ = [
    "CancelReply",
    "DesignReply",
    "FileReply",
    "JobReply",
    "ModelReply",
    "ScaffoldReply",
    "StatusReply",
    "SubmitReply",
    "WrittenReply",
]

_TEXT = 3_000
_Item = TypeVar("_Item")


class DesignReply(BaseModel):
    """A design that was checked; nothing was written."""

    runs: int
    """How many runs it implies."""
    first_runs: list[str]
    """The first run ids."""
    estimates: list[str]
    """Each estimate with its source."""
    warnings: list[str]
    """What is worth a second look."""

    @classmethod
    def of(cls, review: "DesignReview") -> "DesignReply":
        """Cut a review to size."""
        figures = [
            f"{each.name}: {each.source if each.value is None else f'{each.value:g} {each.unit} ({each.source})'}"
            for each in review.estimates
        ]
        ids = [run.id for run in review.plan.runs[:20]]
        return cls(runs=len(review.plan.runs), first_runs=ids, estimates=figures, warnings=list(review.warnings[:20]))


class WrittenReply(BaseModel):
    """A design that was written."""

    path: str
    """The file, relative to the experiment."""
    sha256: str
    """Its hash."""
    runs: int
    """How many runs it implies."""
    changed: bool
    """Whether its bytes changed."""
    warnings: list[str]
    """What is worth a second look."""

    @classmethod
    def of(cls, receipt: "DesignReceipt") -> "WrittenReply":
        """Cut a receipt to size."""
        return cls(
            path=receipt.path,
            sha256=receipt.sha256,
            runs=len(receipt.runs),
            changed=receipt.changed,
            warnings=list(receipt.warnings[:20]),
        )


class FileReply(BaseModel):
    """One file that scaffolding shows."""

    path: str
    """Relative to the experiment."""
    kind: str
    """create, unchanged, edited, overwrite or removed."""
    text: str
    """Its diff where it was edited, else its planned content, cut at 3,000 characters."""


class ScaffoldReply(BaseModel):
    """What was scaffolded, or would be."""

    plan_id: str
    """Give this to `job_submit`."""
    dry_run: bool
    """Whether nothing was written."""
    runs: int
    """How many runs."""
    files: dict[str, int]
    """Files by what happens to them."""
    shown: list[FileReply]
    """Edited files, and in a dry run the files of one run."""

    @classmethod
    def of(cls, receipt: "ScaffoldReceipt") -> "ScaffoldReply":
        """Cut a receipt to size: every edit, and one run as an example."""
        edited = [change for change in receipt.changes if change.kind in ("edited", "overwrite", "removed")]
        example = f"runs/{receipt.runs[0]}/" if receipt.runs else "runs/"
        sample = [change for change in receipt.changes if change.content and change.path.startswith(example)]
        shown = [
            FileReply(path=change.path, kind=change.kind, text=(change.diff or change.content)[:_TEXT])
            for change in (*edited[:10], *sample[:6])
        ]
        counts = Counter(change.kind for change in receipt.changes)
        return cls(
            plan_id=receipt.plan_id, dry_run=receipt.dry_run, runs=len(receipt.runs), files=dict(counts), shown=shown
        )


class JobReply(BaseModel):
    """One job."""

    run: str
    """Run id."""
    step: str
    """`train` or `eval`."""
    job_id: str
    """The scheduler's id, empty where it has none."""
    state: str
    """Where it stands, or what the submission did."""
    note: str = ""
    """Progress, or why it ended so."""


class SubmitReply(BaseModel):
    """What became of a submission."""

    submitted: bool
    """Whether the user agreed; without that nothing was queued."""
    plan_id: str
    """The sealed plan."""
    jobs: int
    """Jobs of the plan now with the scheduler, or that have been."""
    states: dict[str, int]
    """Jobs by what happened to them."""
    first_jobs: list[JobReply]
    """The first jobs; `job_status` lists all."""
    note: str = ""
    """What to do next."""

    @classmethod
    def of(cls, receipt: "SubmitReceipt") -> "SubmitReply":
        """Cut a receipt to size."""
        first = [
            JobReply(run=job.run_id, step=job.step.value, job_id=job.job_id, state=job.state)
            for job in receipt.jobs[:20]
        ]
        return cls(
            submitted=True,
            plan_id=receipt.plan_id,
            jobs=len(receipt.jobs),
            states=dict(Counter(job.state for job in receipt.jobs)),
            first_jobs=first,
            note="follow with job_watch",
        )

    @classmethod
    def refused(cls, plan_id: str) -> "SubmitReply":
        """Tell that the user did not agree."""
        note = "the user did not agree; nothing was submitted. Ask what to change."
        return cls(submitted=False, plan_id=plan_id, jobs=0, states={}, first_jobs=[], note=note)


class StatusReply(BaseModel):
    """Where the jobs of an experiment stand."""

    finished: bool
    """Whether every job has a verdict."""
    moving: bool
    """Whether anything may still change by itself."""
    phases: dict[str, int]
    """Jobs by phase."""
    jobs: list[JobReply]
    """A page of jobs, in design order; failed ones first."""
    next_cursor: int | None
    """Pass as `cursor` for the next page; None at the end."""

    @classmethod
    def of(cls, status: "ExperimentStatus", *, cursor: int, limit: int) -> "StatusReply":
        """Cut a status to one page."""
        order = sorted(status.steps, key=lambda entry: entry.phase.value != "failed")
        page, following = _page(order, cursor, limit)
        jobs = [
            JobReply(
                run=entry.run_id,
                step=entry.step.value,
                job_id=(entry.attempts[-1].job_id or "") if entry.attempts else "",
                state=entry.phase.value,
                note=(entry.reason or (f"{entry.own.step}/{entry.own.total}" if entry.own else ""))[:300],
            )
            for entry in page
        ]
        return cls(
            finished=status.finished,
            moving=status.moving,
            phases=dict(Counter(entry.phase.value for entry in status.steps)),
            jobs=jobs,
            next_cursor=following,
        )


def _page(items: Sequence[_Item], cursor: int, limit: int) -> tuple[Sequence[_Item], int | None]:
    end = cursor + limit
    return items[cursor:end], end if end < len(items) else None


class ModelReply(BaseModel):
    """A base model directory."""

    path: str
    """Absolute directory; goes into `models` of a design."""
    sha256: str
    """Content hash."""
    architecture: str
    """Architecture named in its configuration."""
    parameters: int
    """Number of parameters."""

    @classmethod
    def of(cls, facts: "ModelFacts") -> "ModelReply":
        """Cut the facts to what a design needs."""
        return cls(path=facts.path, sha256=facts.sha256, architecture=facts.architecture, parameters=facts.parameters)


class CancelReply(BaseModel):
    """What was stopped."""

    asked: list[str]
    """Ids of the jobs asked to stop."""
    left_alone: int
    """Runs that had nothing to stop."""

    @classmethod
    def of(cls, receipt: "CancelReceipt") -> "CancelReply":
        """Cut a receipt to size."""
        return cls(asked=list(receipt.job_ids[:50]), left_alone=len(receipt.left_alone))
