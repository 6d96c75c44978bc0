"""`ck quiz`: questions on a finished experiment, in a page that grades itself."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter

__all__ = ["quiz"]


@click.command("quiz")
@click.argument("directory", required=False, type=click.Path(exists=True, file_okay=False))
@click.option("-n", "--count", default=10, show_default=True, help="Questions at most.")
@click.option("--seed", default=14, show_default=True, help="Decides what is asked, and the order of answers.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def quiz(experiment: str, directory: str | None, *, count: int, seed: int, as_json: bool) -> None:
    """Write quiz/index.html: questions whose right answers are figures of the report of DIRECTORY.

    The page works offline and grades itself; each answer names the figure and file that it was read from.
    """
    receipt = workflow.write_quiz(count=count, seed=seed, world=enter(directory or experiment))
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"{receipt.path} {'written' if receipt.changed else 'says so already'}, {receipt.questions} questions")
