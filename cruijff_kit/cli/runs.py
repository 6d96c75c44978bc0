"""`ck scaffold` and `ck adopt`: from the design to run directories."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.receipt import FileChange, ScaffoldReceipt

__all__ = ["adopt", "scaffold"]

_ROWS = 12


@click.command()
@click.option("--dry-run", is_flag=True, help="Print every file; write nothing.")
@click.option("--overwrite", multiple=True, metavar="PATH", help="An edited file to replace.")
@click.option("--reason", default=None, help="Why, in your words; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.pass_obj
def scaffold(experiment: str, dry_run: bool, overwrite: tuple[str, ...], reason: str | None, as_json: bool) -> None:
    """Write every run's configurations and job scripts from the design."""
    with ProgressBar("scaffold") as progress:
        receipt = workflow.scaffold_runs(
            dry_run=dry_run, overwrite=overwrite, reason=reason, progress=progress, world=enter(experiment)
        )
    click.echo(receipt.model_dump_json(indent=2) if as_json else _summary(receipt))


@click.command()
@click.argument("run")
@click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")
@click.pass_obj
def adopt(experiment: str, run: str, reason: str) -> None:
    """Record a hand edit of RUN's files, so that the edited files are what runs."""
    click.echo(_summary(workflow.adopt_edit(run, reason=reason, world=enter(experiment))))


def _summary(receipt: ScaffoldReceipt) -> str:
    kinds = [change.kind for change in receipt.changes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    verb = "would be scaffolded" if receipt.dry_run else "scaffolded"
    lines = [f"{len(receipt.runs)} runs {verb}: {counts}", f"plan {receipt.plan_id}"]
    return "\n".join([*(text for change in receipt.changes if (text := _shown(change))), *lines])


def _shown(change: FileChange) -> str:
    """Return what a person wants to see of one file: its text in a dry run, its diff when edited."""
    if change.diff:
        return f"{change.kind} {change.path}\n{change.diff}"
    if not change.content:
        return ""
    lines = change.content.splitlines()
    # Rows of data by the thousand would hide what is to be read.
    if not change.path.startswith("data/") or len(lines) <= _ROWS:
        return f"── {change.path}\n{change.content}"
    return "\n".join([f"── {change.path}", *lines[:_ROWS], f"… {len(lines) - _ROWS:,} more lines"])
