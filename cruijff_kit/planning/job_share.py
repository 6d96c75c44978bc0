"""What one job of a plan holds, by which of its run's jobs it is: GPUs, and how long."""

from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.spec import Resources

__all__ = ["gpu_seconds", "gpus_of", "limit_of"]


def gpus_of(resources: Resources, step: Step) -> int:
    """Return the GPUs of a job: an evaluation computes on one, however many share the training."""
    return resources.all_gpus if step is Step.TRAIN else resources.eval_gpus


def limit_of(resources: Resources, step: Step) -> str:
    """Return the time limit of a job's script."""
    return resources.time if step is Step.TRAIN else resources.eval_time


def gpu_seconds(resources: Resources, step: Step, *, limit: str | None = None) -> int:
    """Return what a job holds at most, time limit x GPUs.

    Args:
        resources: what the plan asks for.
        step: which of its run's jobs it is.
        limit: its own time limit, where it is not the script's.
    """
    return seconds_of(limit or limit_of(resources, step)) * gpus_of(resources, step)
