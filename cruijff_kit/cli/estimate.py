"""`ck estimate`: what runs will need, and a way to take their batch that fits, applied on demand."""

from collections.abc import Iterator

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.estimate import BatchSplit, EstimateReport, MemoryParts, Remedy, RunEstimate
from cruijff_kit.schema.plan import Estimate

__all__ = ["estimate", "remedy_lines"]

_SHOWN = 8


@click.command()
@click.argument("run", required=False)
@click.option("--gpu-memory", metavar="SIZE", help="Memory to hold the runs against, such as 80G.")
@click.option("--probe", is_flag=True, help="Take the first steps of RUN, apart from it, and measure them.")
@click.option("--steps", default=12, show_default=True, type=click.IntRange(2), help="Steps of a probe.")
@click.option("--apply-split", type=int, metavar="N", help="Take RUN's effective batch N rows at a time.")
@click.option(
    "--apply",
    "control",
    type=click.Choice(("activation_checkpointing", "packed")),
    help="Switch this on for RUN; its results stay the same.",
)
@click.option("--reason", default="", help="Why, in your words, where something is applied; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True, help="Print the estimates as JSON.")
@click.pass_obj
def estimate(
    experiment: str,
    run: str | None,
    *,
    gpu_memory: str | None,
    probe: bool,
    steps: int,
    apply_split: int | None,
    control: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Estimate memory, time and disk of RUN, or of every run that trains; nothing changes unless applied."""
    world = enter(experiment)
    changes = {"batch_size": apply_split} if apply_split is not None else {}
    changes |= {control: True} if control else {}
    if changes:
        if run is None or not reason:
            fact = "a change is applied to one run, for a reason"
            raise SpecError(fact, hint="`ck estimate RUN --apply-split N --reason WHY`")
        receipt = workflow.apply_remedy(run, settings=changes, reason=reason, world=world)
        click.echo(f"adopted: {', '.join(change.path for change in receipt.changes) or 'nothing changed'}")
    taken = steps if probe else 0
    report = workflow.estimate_runs(run=run, gpu_memory=gpu_memory, probe=taken, world=world)
    click.echo(report.model_dump_json(indent=2) if as_json else _text(report))


def remedy_lines(remedies: tuple[Remedy, ...]) -> Iterator[str]:
    """Yield a line for each remedy: what it does, what the run needs then, how it is applied."""
    for number, each in enumerate(remedies, start=1):
        yield f"  {number}. {each.fact}; then {_size(each.bytes)}: {each.command}"


def _text(report: EstimateReport) -> str:
    parts = [_run(each, report) for each in report.runs]
    if report.probe is not None:
        probe = report.probe
        speed = "no speed" if probe.tokens_per_second is None else f"{probe.tokens_per_second:.0f} processed tokens/s"
        peak = "" if probe.peak_memory_bytes is None else f", peak {_size(probe.peak_memory_bytes)}"
        parts.insert(0, f"probe of {probe.run_id}: {probe.steps} steps on {probe.device}, {speed}{peak}")
    return "\n\n".join(parts)


def _run(each: RunEstimate, report: EstimateReport) -> str:
    others = report.alike.get(each.run_id, ())
    also = f" (and {len(others)} more runs alike)" if others else ""
    where = "each GPU" if each.device == "gpu" else "the process"
    rows = [(name, _size(getattr(each.memory, name))) for name in MemoryParts.model_fields]
    lines = [
        f"{each.run_id}{also}: {_size(each.memory.total)} of {where}{_verdict(each)}",
        aligned(("memory", "size"), rows),
        "",
        aligned(("split", "size", "fits"), [_split(split) for split in _near(each)]),
        "",
        aligned(("figure", "value", "interval", "source"), [_figure(figure) for figure in each.figures]),
    ]
    if each.remedies:
        lines += ["", "what would need less, the effective batch kept:", *remedy_lines(each.remedies)]
    return "\n".join(lines)


def _verdict(each: RunEstimate) -> str:
    if each.limit is None:
        return "; no limit is known, see --gpu-memory"
    fits = "fits" if each.fits else "DOES NOT FIT"
    return f"; {fits} in {_size(each.limit)} ({each.limit_source})"


def _near(each: RunEstimate) -> tuple[BatchSplit, ...]:
    """Return the splits worth a look: the largest that fits and its neighbours, or the smallest ones."""
    first = next((at for at, split in enumerate(each.splits) if split.fits), None)
    start = max(0, len(each.splits) - _SHOWN if first is None else first - 1)
    return each.splits[start : start + _SHOWN]


def _split(split: BatchSplit) -> tuple[str, str, str]:
    fits = "" if split.fits is None else ("yes" if split.fits else "no")
    return f"{split.batch_size} x {split.gradient_accumulation_steps}", _size(split.bytes), fits


def _figure(each: Estimate) -> tuple[str, str, str, str]:
    if each.value is None:
        return each.name, "not assessed", "", each.source
    interval = "" if each.low is None or each.high is None else f"{each.low:.3g} to {each.high:.3g}"
    return each.name, f"{each.value:.3g} {each.unit}", interval, each.source


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
