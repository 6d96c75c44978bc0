"""Estimate nouns: what a run will need, part by part, before anything is spent."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun, RunId
from cruijff_kit.schema.plan import Estimate

__all__ = ["BatchSplit", "EstimateReport", "MemoryParts", "Probe", "Remedy", "RunEstimate"]


class MemoryParts(Noun):
    """Memory at the moment of a training step when it is highest, in bytes, for one process."""

    weights: int = Field(ge=0)
    """Frozen weights of the base model."""
    adapter: int = Field(ge=0)
    """Weights that are trained."""
    optimizer: int = Field(ge=0)
    """The two moments that AdamW keeps of each trained weight."""
    gradients: int = Field(ge=0)
    """Gradients of trained weights that stand at that moment."""
    activations: int = Field(ge=0)
    """What the blocks keep for the backward pass."""
    logits: int = Field(ge=0)
    """Logits held at a time, and the gradient by the hidden states they leave."""
    working: int = Field(ge=0)
    """Gradients passed from layer to layer, and a block computed again."""
    overhead: int = Field(ge=0)
    """The process, the device's context and scratch memory inside of kernels."""

    @property
    def tensors(self) -> int:
        """Return the bytes of all tensors: everything but the overhead."""
        return self.total - self.overhead

    @property
    def total(self) -> int:
        """Return the bytes of all parts."""
        return sum(getattr(self, name) for name in MemoryParts.model_fields)


class BatchSplit(Noun):
    """One way of taking an effective batch: so many rows at a time, so many times."""

    batch_size: int = Field(ge=1)
    """Rows per forward pass."""
    gradient_accumulation_steps: int = Field(ge=1)
    """Forward passes per optimiser step."""
    bytes: int = Field(ge=0)
    """Memory that it needs."""
    fits: bool | None = None
    """Whether that is within the memory asked about; None where none was."""


class Remedy(Noun):
    """One change that needs less memory and leaves the effective batch as it is; never made unasked."""

    kind: Literal["split", "activation_checkpointing", "packed", "more_memory"]
    """What is changed."""
    settings: dict[str, int | bool]
    """Settings of the run after the change, by their names; empty where the job asks for more."""
    bytes: int = Field(ge=0)
    """Memory that the run needs then."""
    fact: str
    """What it does, in words."""
    command: str
    """Command or edit that applies it, once somebody decided so."""


class Probe(Noun):
    """What the first steps of a run were measured to take, apart from the run."""

    run_id: RunId
    """The run whose settings were tried."""
    steps: int = Field(ge=1)
    """Optimiser steps taken, the first of them warm-up."""
    tokens_per_second: float | None
    """Processed tokens per second: median after warm-up; None where no step was left."""
    low: float | None = None
    """Slowest step."""
    high: float | None = None
    """Fastest step."""
    peak_memory_bytes: int | None
    """Most memory: allocated on the GPU, else resident in the process, imports included."""
    device: str
    """Where it ran, such as `cpu` or `cuda:0 NVIDIA H200`."""


class RunEstimate(Noun):
    """What one run will need."""

    run_id: RunId
    """The run."""
    device: Literal["cpu", "gpu"]
    """Which memory its training is held in."""
    memory: MemoryParts
    """Peak memory, part by part."""
    splits: tuple[BatchSplit, ...]
    """Every way to take the same effective batch, largest pass first."""
    limit: int | None = None
    """Memory it was compared with, in bytes."""
    limit_source: str = ""
    """Who set that limit."""
    remedies: tuple[Remedy, ...] = ()
    """What would need less, in the order to try; empty where the run fits."""
    figures: tuple[Estimate, ...]
    """Time, GPU-hours and disk, each with its source."""

    @property
    def fits(self) -> bool | None:
        """Return whether the run is within the limit; None without one."""
        return None if self.limit is None else self.memory.total <= self.limit


class EstimateReport(Noun):
    """What the runs of an experiment will need."""

    experiment: str
    """Name of the experiment."""
    runs: tuple[RunEstimate, ...]
    """Runs that train, in design order; runs alike in all that matters here are told once."""
    alike: dict[RunId, tuple[RunId, ...]] = {}
    """Run told to the further runs that it stands for."""
    probe: Probe | None = None
    """First steps that were measured for this answer."""
