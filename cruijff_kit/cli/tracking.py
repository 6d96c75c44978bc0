"""`ck wandb`: offline runs of Weights & Biases."""

import click

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_tracking
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter

__all__ = ["wandb"]


@click.group()
def wandb() -> None:
    """Send offline runs to Weights & Biases."""


@wandb.command()
@click.argument("directory", required=False, metavar="[EXP]")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.pass_obj
def sync(experiment: str, directory: str | None, dry_run: bool) -> None:
    """Send the runs of EXP, the experiment in hand where absent, with the account that `wandb login` keeps."""
    world = enter(directory or experiment)
    receipt = workflow.sync_wandb(dry_run=dry_run, tracking=open_tracking(), world=world)
    rows = [(run.run_id, run.project, f"{run.points}", f"{run.bytes / 1e3:,.0f} kB") for run in receipt.runs]
    if rows:
        click.echo(aligned(("run", "project", "points", "size"), rows))
    for run_id in receipt.without:
        click.echo(f"{run_id}: no offline run yet")
    if not rows and not receipt.without:
        click.echo("no run of this experiment names a project; set `output.wandb_project` in its design")
    elif rows:
        what = "numbers by step, settings, prompts and names; no rows, answers or output"
        click.echo(f"sent: {what}" if receipt.sent else f"nothing was sent: this is what would be ({what})")
