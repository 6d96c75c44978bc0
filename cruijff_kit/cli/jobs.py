"""`ck submit`, `ck retry` and `ck cancel`: what costs, asked before it is done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.cli.estimate import remedy_lines
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, confirm, enter
from cruijff_kit.schema.submission import SubmitReceipt

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["cancel", "retry", "submit"]

_YES = click.option("--yes", is_flag=True, help="Skip the question, where your own site file allows it.")


@click.command()
@click.argument("plan", required=False)
@click.option("--run", "runs", multiple=True, help="A run to submit; all where absent.")
@click.option("--reason", default="", help="Why, in your words; kept in the audit log.")
@_YES
@click.pass_obj
def submit(experiment: str, plan: str | None, runs: tuple[str, ...], reason: str, yes: bool) -> None:
    """Hand the jobs of PLAN, the sealed one where absent, to the scheduler; each only once."""
    world = enter(experiment)
    plan_id = plan or _sealed_id(world)
    preview = workflow.preview_submission(plan_id, runs=runs, world=world)
    _warn(preview.warnings)
    if preview.train_jobs + preview.eval_jobs:
        confirm(preview.question, "submit", unattended=yes, world=world)
    with ProgressBar("submit") as progress:
        receipt = workflow.submit_jobs(plan_id, runs=runs, reason=reason, progress=progress, world=world)
    _tell(receipt)


@click.command()
@click.argument("run")
@click.option("--apply-proposal", is_flag=True, help="Approve what the failure policy proposed, and change it first.")
@click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")
@_YES
@click.pass_obj
def retry(experiment: str, run: str, apply_proposal: bool, reason: str, yes: bool) -> None:
    """Try the failed or cancelled jobs of RUN again."""
    world = enter(experiment)
    remedies = () if apply_proposal else workflow.propose_remedies(run, world=world)
    if remedies:
        lines = [f"`{run}` ran out of memory; what would need less, the effective batch kept:", *remedy_lines(remedies)]
        click.echo("\n".join(lines), err=True)
    preview = workflow.preview_retry(_sealed_id(world), runs=(run,), apply_proposal=apply_proposal, world=world)
    _warn(preview.asked.warnings)
    confirm(preview.question, "retry", unattended=yes, world=world)
    _tell(workflow.retry_run(run, apply_proposal=apply_proposal, reason=reason, world=world))


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")
@_YES
@click.pass_obj
def cancel(experiment: str, runs: tuple[str, ...], reason: str, yes: bool) -> None:
    """Stop the queued and running jobs of RUNS; all of the experiment where absent."""
    world = enter(experiment)
    confirm(workflow.preview_cancel(runs=runs, world=world).question, "cancel", unattended=yes, world=world)
    receipt = workflow.cancel_runs(runs=runs, reason=reason, world=world)
    click.echo(f"asked {len(receipt.job_ids)} jobs to stop; {len(receipt.left_alone)} runs had none")


def _sealed_id(world: "World") -> str:
    return workflow.sealed_plan(world=world)[1].plan_id


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _tell(receipt: SubmitReceipt) -> None:
    rows = [(job.run_id, job.step.value, job.job_id, job.state) for job in receipt.jobs]
    click.echo(aligned(("run", "job", "id", "state"), rows))
    if receipt.waits:
        click.echo(f"{receipt.waits}\n`ck watch` hands them over as soon as it can", err=True)
