"""`ck export`: an experiment as a crate of files and linked data."""

from pathlib import Path
from typing import cast

import click

from cruijff_kit import workflow
from cruijff_kit.cli.disk import size_words
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.crate import ExportPart

__all__ = ["export"]

_SHOWN = 12


@click.command()
@click.option("--ro-crate", "crate", is_flag=True, help="As an RO-Crate, by the profile Provenance Run Crate.")
@click.option("--into", metavar="FILE.zip|DIR", help="Where to; EXPERIMENT.crate.zip beside it where absent.")
@click.option("--with", "parts", multiple=True, type=click.Choice(["adapters", "data", "logs"]), help="Put in too.")
@click.option("--license", "licence", metavar="URL|WORDS", help="Under which terms it is given.")
@click.option("--reason", default="", help="Why, in your words; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.pass_obj
def export(
    experiment: str,
    *,
    crate: bool,
    into: str | None,
    parts: tuple[str, ...],
    licence: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Write design, seal, configurations, manifests, figures and report as one file that other tools read.

    Adapters, data and logs go in only if asked for, and only of green data, or of yellow data by consent
    (`ck data allow --way host`). What is left out is told by its hash.
    """
    if not crate:
        raise SpecError("nothing says in which form to export", hint="`ck export --ro-crate` is the one there is")
    place = None if into is None else str(Path(into).absolute())
    told = {} if licence is None else {"licence": licence}
    with ProgressBar("export") as progress:
        receipt = workflow.export_crate(
            into=place,
            parts=cast("tuple[ExportPart, ...]", parts),
            **told,
            reason=reason,
            progress=progress,
            world=enter(experiment),
        )
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"{receipt.place}: {receipt.files} files, {size_words(receipt.bytes)}")
    for line in receipt.left_out[:_SHOWN]:
        click.echo(f"left out: {line}")
    if len(receipt.left_out) > _SHOWN:
        click.echo(f"and {len(receipt.left_out) - _SHOWN} more")
    click.echo(f"root of the record {receipt.root.token}")
