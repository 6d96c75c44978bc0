"""`ck audit show`, `verify` and `record`: the record, whether it holds, and a decision put on it."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.audit import AuditRecord

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Read or verify the audit log, or record a decision."""


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
    if not verdict.lines:
        raise ResultError("there is no audit log here, so nothing is proven", hint="name the experiment: `ck -C DIR`")
    anchor = "chain and anchors hold" if verdict.anchored else "the chain holds; no anchor outside it was found"
    click.echo("\n".join([f"{verdict.lines} lines: {anchor}", *(f"note: {note}" for note in verdict.notes)]))


@audit.command("record")
@click.argument("question")
@click.option("--choice", required=True, help="What was chosen.")
@click.option("--option", "options", multiple=True, help="What was offered; once for each.")
@click.option("--reason", required=True, help="Why, in your words.")
@click.pass_obj
def record(experiment: str, question: str, choice: str, options: tuple[str, ...], reason: str) -> None:
    """Put a decision on record: QUESTION, what was offered, what was chosen and why."""
    receipt = workflow.record_decision(question, choice=choice, options=options, reason=reason, world=enter(experiment))
    click.echo(f"line {receipt.seq} of the audit log" + ("" if receipt.changed else " says so already"))


def _line(record: AuditRecord) -> str:
    who = record.actor.client or record.actor.kind
    why = f" ({record.reason})" if record.reason else ""
    what = f"{record.action} {record.subject}{why}"
    return f"{record.seq:>6}  {record.ts:%Y-%m-%d %H:%M:%S}  {who:24}  {record.result.value:7}  {what}"
