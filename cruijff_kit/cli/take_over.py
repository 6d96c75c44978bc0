"""`ck import`: a first-system experiment becomes one of ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.refusals import refusal
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.imported import ImportOrder, ImportReceipt

__all__ = ["take_over"]

_FOLDER = click.Path(exists=True, file_okay=False)


@click.command("import")
@click.argument("directory", type=_FOLDER)
@click.option("--into", metavar="DIR", help="Where the experiment goes; `./<name of DIRECTORY>` where absent.")
@click.option("--name", help="Its name; the title of its summary where absent.")
@click.option("--outputs", multiple=True, type=_FOLDER, help="A further directory that holds `ck-out-<run>` folders.")
@click.option("--tier", type=click.Choice(get_args(Tier)), default="yellow", show_default=True,
              help="How freely its data may be shown.")  # fmt: skip
@click.option("--adapters/--no-adapters", default=True, help="Copy adapters, or keep their hashes alone.")
@click.option("--reason", default="", help="Why, in your words; kept in the audit log.")
@click.option("--check", is_flag=True, help="Tell what would be imported and print the design; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def take_over(
    experiment: str,
    *,
    directory: str,
    into: str | None,
    name: str | None,
    outputs: tuple[str, ...],
    tier: Tier,
    adapters: bool,
    reason: str,
    check: bool,
    as_json: bool,
) -> None:
    """Make an experiment from DIRECTORY, one of the first system (cruijff_kit of 2025), which is never changed.

    Its logs are copied byte for byte and read as they are, its configurations become a design and a plan, and
    whatever nobody can know is marked so with the reason. It can be reported, compared and searched.
    """
    place = into or (experiment if experiment != "." else Path(directory).resolve().name)
    try:
        order = ImportOrder(name=name, outputs=outputs, tier=tier, adapters=adapters, check=check)
    except ValidationError as err:
        hint = "a name has letters, digits, `.`, `_` and `-`, 64 at most, and begins with a letter or a digit"
        raise refusal("nothing can be imported under such a name", err, hint=hint) from err
    with ProgressBar("import") as bar:
        receipt = workflow.import_experiment(directory, order=order, reason=reason, progress=bar, world=enter(place))
    lines = (workflow.safe_text(line) for line in _lines(receipt))
    click.echo(receipt.model_dump_json(indent=2) if as_json else "\n".join(lines))


def _lines(receipt: ImportReceipt) -> Iterator[str]:
    if receipt.design:
        yield from (receipt.design.rstrip(), "")
    done = "imported" if receipt.written else "would be imported"
    yield f"{receipt.path}: {receipt.files} files {done}, {len(receipt.runs)} runs, {receipt.evaluations} evaluations"
    yield from (f"  {old} -> {new}" for old, new in receipt.runs.items())
    yield from (
        f"set aside: {each.run}, {each.key}: {each.outcome.removeprefix('set aside: ')}" for each in receipt.keys
    )
    yield from (f"unknown: {each.what}: {each.reason}" for each in receipt.unknown)
    yield from (f"left: {each}" for each in receipt.left)
    if receipt.written:
        yield f"next: ck -C {receipt.path} report"
