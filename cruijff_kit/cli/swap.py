"""`ck data swap`: rows with terms for a person's group swapped, to be evaluated beside those they were made of."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.dataset_report import TermSwap

__all__ = ["swap"]


@click.command("swap")
@click.argument("source")
@click.argument("target")
@click.option("--terms", multiple=True, required=True, metavar="LIST", help="gender, age, …, or a YAML file of pairs.")
@click.option("--split", default="test", show_default=True, help="Split to read.")
@click.option("--column", "columns", multiple=True, help="Column whose terms are swapped; all but the answer's else.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def swap(
    experiment: str,
    source: str,
    target: str,
    *,
    terms: tuple[str, ...],
    split: str,
    columns: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write rows of SOURCE that hold a term, terms swapped as whole words, as split `swapped` of TARGET.

    Evaluate it as a task of its own, with `dataset: TARGET` and `split: swapped`; `ck audit-model`
    then pairs the answers.
    """
    asked = TermSwap(terms=terms, split=split, columns=columns)
    receipt = workflow.swap_data(source, target, asked=asked, force=force, world=enter(experiment))
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"{receipt.target}: {receipt.swapped:,} of {receipt.rows:,} rows of {receipt.split} hold a term")
    if receipt.unclear:
        click.echo(f"left out: {receipt.unclear:,} rows with a term of several counterparts, such as `her`")
    click.echo(f"sha256 {receipt.sha256}")
