"""The table of what jobs took, as text cells; the terminal and the report show the same."""

from cruijff_kit.rendering.numbers import NONE, duration
from cruijff_kit.schema.compute import ComputeReport, JobCompute

__all__ = ["COMPUTE_COLUMNS", "compute_note", "compute_rows"]

COMPUTE_COLUMNS = ("run", "job", "attempt", "state", "elapsed", "of limit", "CPU time", "memory", "GPU use", "tokens/s")


def compute_rows(report: ComputeReport) -> list[tuple[str, ...]]:
    """Return one row for each attempt that has ended."""
    return [_row(job) for job in report.jobs]


def compute_note(report: ComputeReport) -> str:
    """Return what was used in all, against what was estimated."""
    used = [f"{report.hours:.3g} h of jobs", f"{report.gpu_hours:.3g} GPU-hours"]
    used += [] if report.cpu_hours is None else [f"{report.cpu_hours:.3g} CPU-hours"]
    used += [] if report.energy_kwh is None else [f"{report.energy_kwh:.3g} kWh"]
    most = f"at most {report.most_gpu_hours:.3g} GPU-hours by the time limits of the planned jobs"
    expected = [f"{name} {text}" for name, text in report.estimated.items()]
    return f"Used {', '.join(used)}; expected {'; '.join([most, *expected])}."


def _row(job: JobCompute) -> tuple[str, ...]:
    usage = job.usage
    elapsed = usage.elapsed_seconds
    return (
        job.run_id,
        job.step.value,
        str(job.attempt),
        job.state.value,
        duration(elapsed),
        NONE if elapsed is None else f"{100 * elapsed / job.limit_seconds:.0f} %",
        duration(usage.cpu_seconds),
        NONE if usage.max_memory_bytes is None else f"{usage.max_memory_bytes / 1024**3:.2f} GiB",
        _gpus(job),
        NONE if job.speed is None else f"{job.speed.middle:.0f} ({job.speed.slow:.0f} to {job.speed.fast:.0f})",
    )


def _gpus(job: JobCompute) -> str:
    """Return each GPU by itself: a mean over several would hide one that idles."""
    told = [
        f"{each.index}: {NONE if each.utilisation is None else f'{each.utilisation:.0f} %'}"
        + ("" if each.memory_mib is None else f", {each.memory_mib / 1024:.1f} GiB")
        for each in job.gpu
    ]
    return "; ".join(told) or NONE
