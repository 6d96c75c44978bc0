"""`ck setup-finetune`: one run's files from `setup_finetune.yaml`, without a design."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.setup_flags import kinds, laid, listed, shown, with_flags
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.receipt import SetupReceipt
from cruijff_kit.schema.setup_keys import FINETUNE

__all__ = ["setup_finetune"]


@click.command("setup-finetune")
@with_flags(FINETUNE)
@click.pass_obj
def setup_finetune(
    experiment: str, *, show: bool, dry_run: bool, force: bool, as_json: bool, list_keys: bool, **flags: str | None
) -> None:
    """Write finetune.yaml and finetune.slurm from setup_finetune.yaml; a flag overrides the file.

    Precedence: defaults, the site, base_recipe, the file, flags; whatever was said counts, also
    where it equals a default.
    """
    if list_keys:
        click.echo(listed(FINETUNE))
        return
    given = {name: text for name, text in flags.items() if text is not None}
    receipt = workflow.write_finetune(flags=given, force=force, dry_run=dry_run or show, world=enter(experiment))
    click.echo(receipt.model_dump_json(indent=2) if as_json else _told(receipt, show=show))


def _told(receipt: SetupReceipt, *, show: bool) -> str:
    if show:
        return shown(receipt.values)
    verb = "would be written" if receipt.dry_run else "set up"
    done = f"run {receipt.run_id} {verb}: {kinds(receipt.changes)}"
    return "\n".join([*laid(receipt.changes), done, f"adapters: {receipt.output_dir}"])
