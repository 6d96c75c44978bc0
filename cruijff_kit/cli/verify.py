"""`ck verify`: every number of the report, recomputed from the raw files."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.verification import Difference, Origin, Verification

__all__ = ["verify"]

_SHOWN = 40
_ORIGINS = 2
_HASH = 16


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, every difference and hash whole.")
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Recompute a report from the raw files, hash adapters, name each digit that differs; exits with 1 if any does."""
    with ProgressBar("verify") as progress:
        found = workflow.verify_experiment(progress=progress, world=enter(ctx.obj))
    click.echo(found.model_dump_json(indent=2) if as_json else workflow.safe_text(_told(found)))
    if not found.ok:
        ctx.exit(1)


def _told(found: Verification) -> str:
    looked = (
        f"{found.files} files, {found.adapters} adapters among them, {found.values:,} values of tables, "
        f"{found.figures:,} figures and {found.numbers:,} printed numbers compared with the raw files"
    )
    count = len(found.differences)
    verdict = "no difference" if found.ok else f"{count} difference{'s' if count > 1 else ''}"
    lines = [line for each in found.differences[:_SHOWN] for line in _lines(each)]
    more = [f"and {count - _SHOWN} more; `ck verify --json` names all"] if count > _SHOWN else []
    return "\n".join([*lines, *more, *(f"note: {note}" for note in found.notes), f"{looked}: {verdict}"])


def _lines(each: Difference) -> list[str]:
    place = f", {each.place}" if each.place else ""
    lines = [f"{each.path}{place}: {each.words}"]
    if each.kind == "file" and each.shown and each.made:
        lines.append(f"    is {each.shown[:_HASH]}, recorded {each.made[:_HASH]}")
    if each.origins:
        more = f"; and {len(each.origins) - _ORIGINS} more" if len(each.origins) > _ORIGINS else ""
        lines.append(f"    source: {'; '.join(map(_origin, each.origins[:_ORIGINS]))}{more}")
    return lines


def _origin(each: Origin) -> str:
    place = f"{each.file}#{each.pointer}" if each.pointer else each.file
    return f"{place} (sha256 {each.sha256[:_HASH]})" if each.sha256 else place
