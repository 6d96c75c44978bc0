"""Compute nouns: what jobs took, as `compute.json` keeps it for later estimates."""

from typing import Literal

from cruijff_kit.schema.job import JobState, JobUsage, Step
from cruijff_kit.schema.noun import Noun, RunId, Sha256

__all__ = ["ComputeReport", "ComputeView", "GpuUse", "JobCompute", "Speed"]


class GpuUse(Noun):
    """What one GPU of a job did, from samples taken while it ran."""

    index: int
    """Number of the GPU on its node."""
    samples: int
    """Samples taken."""
    utilisation: float | None = None
    """Mean utilisation in percent; None where the GPU does not tell, as slices of one do not."""
    utilisation_max: float | None = None
    """Highest utilisation in percent."""
    memory_mib: float | None = None
    """Most memory in use, in MiB."""


class Speed(Noun):
    """The speed a training reached: processed tokens a second, prompts included, padding left out."""

    model_sha256: Sha256
    """Base model it trained."""
    middle: float
    """Median of its steps after warm-up."""
    slow: float
    """First quartile."""
    fast: float
    """Third quartile."""
    tokens: int
    """Tokens processed in all."""
    beside: float
    """Seconds of the job outside of optimiser steps: loading, validating, saving."""
    on_gpu: bool
    """Whether it computed on GPUs, whatever was asked for."""


class JobCompute(Noun):
    """What one attempt of one job took."""

    run_id: RunId
    """The run."""
    step: Step
    """Which of its jobs."""
    attempt: int
    """Which attempt, from 1."""
    job_id: str
    """The scheduler's id."""
    state: JobState
    """How it ended."""
    limit_seconds: int
    """Its time limit."""
    gpus: int
    """GPUs it had, or asked for where the scheduler does not tell."""
    usage: JobUsage
    """What it took."""
    gpu: tuple[GpuUse, ...] = ()
    """What each GPU did, where samples were taken."""
    speed: Speed | None = None
    """The speed of a training that ended well."""


class ComputeReport(Noun):
    """`compute.json`: what an experiment took, attempts that failed among it."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    experiment: str
    """Name of the experiment."""
    jobs: tuple[JobCompute, ...]
    """Every attempt that has ended, in design order."""
    hours: float
    """Hours of all jobs."""
    gpu_hours: float
    """GPU-hours of all jobs: time that GPUs were held."""
    cpu_hours: float | None = None
    """CPU-hours of the jobs that tell them; None where none does."""
    energy_kwh: float | None = None
    """Energy of the jobs that tell it, in kWh; None where none does."""
    most_gpu_hours: float
    """GPU-hours that the planned jobs may take by their time limits, each once."""
    estimated: dict[str, str] = {}
    """What was expected when the design was written, by figure, each with its source."""


class ComputeView(Noun):
    """What an experiment took, and the table a person is shown of it."""

    report: ComputeReport
    """The figures."""
    columns: tuple[str, ...]
    """Headings."""
    rows: tuple[tuple[str, ...], ...]
    """Cells as text."""
    note: str
    """What was used in all, against what was estimated."""
