"""`ck setup-inspect`: one evaluation's files from an adapter or a base model, without a design."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.setup_flags import kinds, laid, listed, shown, with_flags
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.inspect_keys import INSPECT
from cruijff_kit.schema.receipt import InspectReceipt

__all__ = ["setup_inspect"]


@click.command("setup-inspect")
@with_flags(INSPECT)
@click.pass_obj
def setup_inspect(
    experiment: str, *, show: bool, dry_run: bool, force: bool, as_json: bool, list_keys: bool, **flags: str | None
) -> None:
    """Write eval.yaml and inspect.slurm that evaluate an adapter, or a base model as control.

    Data, prompts and base model are those of the adapter's own training, where its configuration is
    found; a flag overrides them. Precedence: defaults, the site, the training, setup_inspect.yaml, flags.
    """
    if list_keys:
        click.echo(listed(INSPECT))
        return
    given = {name: text for name, text in flags.items() if text is not None}
    receipt = workflow.write_inspect(flags=given, force=force, dry_run=dry_run or show, world=enter(experiment))
    click.echo(receipt.model_dump_json(indent=2) if as_json else _told(receipt, show=show))


def _told(receipt: InspectReceipt, *, show: bool) -> str:
    if show:
        return shown(receipt.values)
    verb = "would be written" if receipt.dry_run else "set up"
    found = receipt.trained_by or "no training configuration was found"
    done = f"evaluation of {receipt.run_id} {verb}: {kinds(receipt.changes)}"
    start = f"start it: sbatch {receipt.cell_dir}/inspect.slurm"
    return "\n".join([*laid(receipt.changes), done, f"data and prompts: {found}", start])
