"""`ck data allow`: a person lets yellow data go one way out, on record."""

import getpass

import click

from cruijff_kit import workflow
from cruijff_kit.cli.mirror import allows_inputs, is_mirrored
from cruijff_kit.cli.world import confirm, enter, enter_around
from cruijff_kit.schema.consent import AllowReceipt, Way

__all__ = ["allow"]


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--way",
    type=click.Choice(["show", "api", "host"]),
    required=True,
    help="show: by tools, to a model too; api: to models behind an API; host: to another machine.",
)
@click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")
@click.option("--withdraw", is_flag=True, help="Take back what was allowed.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.pass_obj
def allow(experiment: str, paths: tuple[str, ...], *, way: Way, reason: str, withdraw: bool, as_json: bool) -> None:
    """Let yellow data go one way out: PATHs, or all data of the design; asked at the terminal, and recorded.

    It holds for the content the data have now. Red data goes nowhere, green data needs no leave.
    """
    inputs = allows_inputs(experiment, paths, way=way) and is_mirrored(experiment)
    world = enter_around(experiment) if inputs else enter(experiment)
    asked = workflow.preview_allow(paths, way=way, world=world)
    if asked.question and not withdraw:
        confirm(asked.question, "allow", unattended=False, world=world)
    receipt = workflow.allow_data(asked, reason=reason, who=getpass.getuser(), withdraw=withdraw, world=world)
    click.echo(receipt.model_dump_json(indent=2) if as_json else _lines(receipt))


def _lines(receipt: AllowReceipt) -> str:
    def stands(tier: str, is_open: bool) -> str:
        return "green, free" if tier == "green" else "allowed" if is_open else "not allowed"

    return "\n".join(f"{each.data}: {stands(each.tier, each.open)} ({receipt.way})" for each in receipt.data)
