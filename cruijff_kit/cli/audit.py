"""`ck audit show` and `ck audit verify`: the record, and whether it holds."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.audit import AuditRecord

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Read or verify the audit log."""


@audit.command("show")
@click.option("--after", default=-1, help="Show records after this position.")
@click.option("-n", "--limit", default=50, show_default=True, help="Records to show.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.pass_obj
def show(experiment: str, after: int, limit: int, as_json: bool) -> None:
    """Show the record, oldest first."""
    page = workflow.read_audit(after=after, limit=limit, world=enter(experiment))
    click.echo(page.model_dump_json(indent=2) if as_json else "\n".join(_line(record) for record in page.records))


@audit.command("verify")
@click.pass_obj
def verify(experiment: str) -> None:
    """Check the chain and its anchors; name the first line that does not hold."""
    verdict = workflow.verify_audit(world=enter(experiment))
    if not verdict.ok:
        place = f" at line {verdict.line}" if verdict.line is not None else ""
        raise ResultError(f"the audit log does not hold{place}: {verdict.problem}")
    anchor = "chain and anchors hold" if verdict.anchored else "the chain holds; no anchor outside it was found"
    click.echo("\n".join([f"{verdict.lines} lines: {anchor}", *(f"note: {note}" for note in verdict.notes)]))


def _line(record: AuditRecord) -> str:
    who = record.actor.client or record.actor.kind
    why = f" ({record.reason})" if record.reason else ""
    what = f"{record.action} {record.subject}{why}"
    return f"{record.seq:>6}  {record.ts:%Y-%m-%d %H:%M:%S}  {who:24}  {record.result.value:7}  {what}"
