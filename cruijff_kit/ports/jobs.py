"""Where jobs run."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cruijff_kit.schema.estimate import Probe
from cruijff_kit.schema.job import ArrayRequest, JobReport, JobRequest, JobUsage

__all__ = ["Prober", "Scheduler"]


class Scheduler(Protocol):
    """A queue that runs job scripts: Slurm, or the one embedded here."""

    name: str
    """Short name recorded with each attempt: `local`, `slurm`."""

    def submit(self, request: JobRequest) -> str:
        """Queue a script and return its job id; a tag already queued returns its id.

        Raises:
            SchedulerError: the scheduler refused or could not be reached.
        """
        ...

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue one script once an element and return the job ids by tag, `<array tag>.<index>`.

        Elements whose tag is queued already are not queued again; each waits for its own
        jobs alone, and is found, reported and cancelled by itself from then on.

        Raises:
            SchedulerError: the scheduler refused or could not be reached; some elements may be queued all the same.
        """
        ...

    def most_elements(self) -> int:
        """Return how many jobs one array may have, with indices from 0; 0 where there are no arrays.

        Raises:
            SchedulerError: the scheduler could not be asked.
        """
        ...

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the job ids of those tags that the scheduler holds, one query."""
        ...

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return what is known of each id, one query; absent ids report UNKNOWN. Never writes.

        Args:
            job_ids: ids that `submit` or `submit_array` returned.
            tags: what each was submitted under, where known; an id that was given to another job is absent.
        """
        ...

    def usage(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobUsage]:
        """Return what ended jobs took, as far as the scheduler knows, one query; others are left out. Never writes.

        Args:
            job_ids: ids that `submit` returned.
            tags: what each was submitted under, where known; what another job took under an id is left out.
        """
        ...

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """Ask for these jobs to stop; ended or unknown ones, and those of another tag, are left alone."""
        ...

    def revive(self) -> None:
        """Start whatever must run for the queue to move; only submit and watch call it."""
        ...


class Prober(Protocol):
    """Takes the first steps of a run apart from the run, to see what they take."""

    def probe(self, config: str, *, command: Sequence[str], steps: int) -> Probe:
        """Train a few steps as a `finetune.yaml` says, in a folder that is thrown away.

        Args:
            config: text of the run's `finetune.yaml`.
            command: program and arguments of the run's job; the word after `--config` is replaced.
            steps: optimiser steps to take.

        Raises:
            RunError: the steps could not be taken; the recipe's last words are told.
        """
        ...
