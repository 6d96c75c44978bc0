"""`ck data croissant`: a generated data set described for other tools."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter

__all__ = ["croissant"]


@click.command("croissant")
@click.argument("data")
@click.option("--license", "licence", metavar="URL|WORDS", help="Under which terms the data are given.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.pass_obj
def croissant(experiment: str, data: str, *, licence: str | None, as_json: bool) -> None:
    """Describe the generated data set DATA in Croissant, beside it: file, hash, splits and columns, and no cell."""
    world = enter(experiment)
    told = {} if licence is None else {"licence": licence}
    receipt = workflow.describe_dataset(data, **told, world=world)
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    rows = ", ".join(f"{count:,} {split}" for split, count in receipt.splits.items())
    click.echo(f"{receipt.path}: {rows}" + ("" if receipt.changed else "; it said so already"))
