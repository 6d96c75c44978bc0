"""`ck sync`, and every other command where an experiment lies on a login host: it runs there."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_mirror
from cruijff_kit.cli.world import chosen
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.consent import Way

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import Mirror

__all__ = ["allows_inputs", "check_there", "is_mirrored", "sync", "there"]

_HERE = frozenset({"info", "init", "mcp", "schema", "site", "sync", "train"})
"""Commands that run here wherever experiments lie: what they make or tell is this machine's."""
_HELP = frozenset({"-h", "--help"})


@click.command()
@click.option("--adapters", is_flag=True, help="Fetch what trainings made too, whatever its size.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.pass_obj
def sync(experiment: str, adapters: bool, as_json: bool) -> None:
    """Send inputs to the login host, fetch results from there, and verify them."""
    mirror = _mirror(experiment, chosen())
    if mirror is None:
        hint = "set `login_host` and `remote.dir` in site.yaml where experiments lie on a cluster"
        raise SiteError("the experiments of this site lie here", hint=hint)
    receipt = workflow.sync_mirror(adapters=adapters, mirror=mirror)
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    came = f"sent {len(receipt.sent)}, fetched {len(receipt.fetched)}"
    click.echo(f"{receipt.home}: {came}; {receipt.verified} hashes and {receipt.lines} lines of the record hold")
    if receipt.withheld:
        _tell(receipt.withheld)
    for path in receipt.left[:20]:
        click.echo(f"too large to come by itself: {path}", err=True)


def check_there(experiment: str) -> int:
    """Try a site where its experiments lie; return the exit code of that check, 0 where they lie here."""
    mirror = _mirror(experiment, chosen())
    if mirror is None:
        return 0
    click.echo(f"\n{mirror.home.words}:")
    return workflow.run_there(("site", "check"), mirror=mirror)


def there(command: str, arguments: Sequence[str], *, root: click.Context) -> click.Command | None:
    """Return the command that runs another one where the experiment lies; None where that is here."""
    words = (command, *arguments)
    if command in _HERE or not _HELP.isdisjoint(arguments) or root.resilient_parsing:
        return None
    if words[:2] == ("data", "allow") and _agrees_here(root.params["experiment"], arguments[1:]):
        return None
    mirror = _mirror(root.params["experiment"], root.params["site"])
    if mirror is None:
        return None

    @click.pass_context
    def run(ctx: click.Context) -> None:
        ctx.exit(workflow.run_there(words, tell=_tell, mirror=mirror))

    return click.Command(command, callback=run)


def allows_inputs(experiment: str, paths: Sequence[str], *, way: Way | None) -> bool:
    """Return whether somebody agrees that files of the project here be copied: they go to the host as inputs."""
    root = Path(experiment).resolve().parent
    return way == "host" and any(_is_file(root / path) for path in paths)


def is_mirrored(experiment: str) -> bool:
    """Return whether an experiment lies on a login host."""
    return _mirror(experiment, chosen()) is not None


def _is_file(path: Path) -> bool:
    # What is too long to name a file is an error to the system.
    with suppress(OSError):
        return path.is_file()
    return False


def _agrees_here(experiment: str, arguments: Sequence[str]) -> bool:
    from cruijff_kit.cli.allow import allow

    said = allow.make_context("allow", list(arguments), resilient_parsing=True).params
    return allows_inputs(experiment, said["paths"], way=said["way"])


def _tell(withheld: str) -> None:
    click.echo(withheld, err=True)


def _mirror(experiment: str, site: str | None) -> "Mirror | None":
    folder = Path(experiment).resolve()
    return open_mirror(folder, root=folder.parent, site=site)
