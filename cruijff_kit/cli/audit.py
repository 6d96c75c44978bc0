"""`ck audit`: the record, whether it holds, a decision put on it, and the proof that one line is in it."""

from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.schema.audit import AuditRecord
from cruijff_kit.workflow.user_text import user_text

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Read or verify the audit log, record a decision, or prove that one line is in it."""


@audit.command("show")
@click.option("--after", default=0, help="Show records after this line.")
@click.option("-n", "--limit", default=50, show_default=True, help="Records to show.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.pass_obj
def show(experiment: str, after: int, limit: int, as_json: bool) -> None:
    """Show the record, oldest first."""
    page = workflow.read_audit(after=after - 1, limit=limit, world=enter(experiment))
    if not page.total:
        raise ResultError("there is no audit log here", hint="name the experiment: `ck -C DIR`")
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
    click.echo(f"line {receipt.seq + 1} of the audit log" + ("" if receipt.changed else " says so already"))


@audit.command("root")
@click.option("--lines", type=int, help="Over the first so many lines; all where absent.")
@click.option("--out", metavar="FILE", help="Write it to a file, for `ck audit check-proof --anchor`.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def root(experiment: str, lines: int | None, out: str | None, as_json: bool) -> None:
    """Show the root of the record as `LINES:HEX`: who has it from you can check proofs that lines are in it."""
    found = workflow.log_root(lines=lines, world=enter(experiment))
    text = found.model_dump_json(indent=2)
    if out is not None:
        _write(out, text)
    click.echo(text if as_json else found.token)


@audit.command("prove")
@click.argument("line", type=int)
@click.option("--lines", type=int, help="Over as many lines as the root that the reader has; all where absent.")
@click.option("--out", metavar="FILE", help="Write the proof to a file; printed where absent.")
@click.pass_obj
def prove(experiment: str, line: int, lines: int | None, out: str | None) -> None:
    """Prove that LINE is in the record: the proof holds that line and hashes, nothing of other lines.

    LINE is its number as `ck audit show` tells it, from 1.
    """
    proof = workflow.prove_line(line, lines=lines, world=enter(experiment))
    text = proof.model_dump_json(indent=2)
    if out is None:
        click.echo(text)
        return
    _write(out, text)
    click.echo(f"line {line} of {proof.lines}, {len(proof.path)} hashes: {out}\nroot {proof.lines}:{proof.root}")


@audit.command("check-proof")
@click.argument("proof")
@click.option("--root", metavar="LINES:HEX", help="The root as `ck audit root` printed it, from a place you trust.")
@click.option("--anchor", metavar="FILE", help="A file with the root, from a place you trust; an export holds one.")
def check(proof: str, root: str | None, anchor: str | None) -> None:
    """Check the file PROOF against a root known from elsewhere; no experiment is needed."""
    anchored = None if anchor is None else _read(anchor)
    verdict = workflow.check_proof(_read(proof), root=root, anchor=anchored)
    click.echo(f"line {verdict.number} of {verdict.lines} is in the log with root {verdict.lines}:{verdict.root}")
    click.echo(verdict.line)


def _read(path: str) -> str:
    return user_text(Path(path), name=path, hint="mend the path")


def _write(path: str, text: str) -> None:
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as err:
        raise SiteError(
            f"`{path}` cannot be written: {err.strerror}", hint="name a new file in a folder of yours"
        ) from err


def _line(record: AuditRecord) -> str:
    who = record.actor.client or record.actor.kind
    why = f" ({record.reason})" if record.reason else ""
    what = f"{record.action} {record.subject}{why}"
    return f"{record.seq + 1:>6}  {record.ts:%Y-%m-%d %H:%M:%S}  {who:24}  {record.result.value:7}  {what}"
