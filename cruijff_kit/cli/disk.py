"""`ck disk`: what an experiment takes, and what of it may go."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import confirm, enter
from cruijff_kit.schema.disk import DiskReport

__all__ = ["disk", "size_words"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


@click.command("disk")
@click.option("--prune", is_flag=True, help="Remove what is proposed, once you typed `prune`.")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def disk(experiment: str, *, prune: bool, reason: str, as_json: bool) -> None:
    """Show what an experiment takes on disk and propose what may go: never adapters, logs or records."""
    world = enter(experiment)
    report = workflow.list_disk(world=world)
    click.echo(report.model_dump_json(indent=2) if as_json else _told(report))
    if not prune or not report.prunable:
        return
    confirm(f"Remove {size_words(report.prunable)}? It cannot be undone.", "prune", unattended=False, world=world)
    receipt = workflow.prune_disk(reason=reason, world=world)
    click.echo(f"removed {receipt.files} files, {size_words(receipt.bytes)}", err=as_json)


def _told(report: DiskReport) -> str:
    rows = [
        (item.run_id or "(experiment)", item.kind, str(item.files), size_words(item.bytes), item.prunable)
        for item in sorted(report.items, key=lambda item: -item.bytes)
    ]
    total = f"{size_words(report.bytes)} in all, {size_words(report.prunable)} may go"
    return "\n".join([aligned(("run", "kind", "files", "takes", "may go because"), rows), total])


def size_words(count: int) -> str:
    """Return bytes as people read them."""
    power = next((index for index in range(len(_UNITS)) if count < 1000 ** (index + 1)), len(_UNITS) - 1)
    return f"{count / 1000**power:.3g} {_UNITS[power]}"
