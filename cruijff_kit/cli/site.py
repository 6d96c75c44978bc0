"""`ck site`: set up this machine's settings, show where each comes from, or check that they will do."""

import json
import sys
from functools import partial
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_probe
from cruijff_kit.cli.mirror import check_there
from cruijff_kit.cli.site_env import env
from cruijff_kit.cli.site_report import reported, unreached
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter_site
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.site_facts import SiteProposal
from cruijff_kit.schema.site_reading import SiteLevel, SiteReading

__all__ = ["site"]


@click.group()
def site() -> None:
    """Set up, show or check the settings of this machine."""


@site.command("list")
@click.pass_obj
def list_all(experiment: str) -> None:
    """List the sites that have a file of their own, for `ck --site NAME`."""
    names = workflow.list_sites(world=enter_site(experiment))
    click.echo("\n".join(names) if names else "there is one site, without a name: that of site.yaml")


@site.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
@click.pass_obj
def show(experiment: str, as_json: bool) -> None:
    """Show every setting and the file and line that says it."""
    reading = workflow.show_site(world=enter_site(experiment))
    click.echo(reading.model_dump_json(indent=2) if as_json else _shown(reading))


@site.command("setup")
@click.option(
    "--from-script", "script", metavar="OLD.slurm", help="Read the directives and activation of a job script."
)
@click.option("--login-host", "host", metavar="HOST", help="Look at the cluster behind a host that `ssh` reaches.")
@click.option("--project", is_flag=True, help="Write the file beside the experiments, instead of your own.")
@click.option(
    "--yes", is_flag=True, help="Take what was found without asking; a file that differs is still not replaced."
)
@click.option("--dry-run", is_flag=True, help="Print what would be written; write nothing.")
@click.pass_obj
def setup(experiment: str, *, script: str | None, host: str | None, project: bool, yes: bool, dry_run: bool) -> None:
    """Find this machine's settings, ask about each, and write them into site.yaml.

    The change is shown before it is written. What else the file says stays as it is.
    """
    world = enter_site(experiment, new=True)
    if host is not None:
        world = world._replace(probe=open_probe(host))
    level: SiteLevel = "project" if project else "user"
    found = workflow.propose_site(script=script, login_host=host, world=world)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    told = {each.key: each.value for each in found.proposals if each.value}
    settings = told if yes or dry_run else _asked(found.proposals)
    planned = workflow.write_site(settings, level=level, dry_run=True, world=world)
    if not planned.diff:
        click.echo(f"{planned.path} says all of it already")
        return
    click.echo(planned.diff.rstrip("\n"))
    replaces = any(line.startswith("-") and not line.startswith("---") for line in planned.diff.splitlines())
    if dry_run:
        return
    if (not yes or replaces) and not _agreed(f"Write {planned.path}?"):
        raise SiteError("not confirmed; nothing was written")
    written = workflow.write_site(settings, level=level, world=world)
    click.echo(f"wrote {written.path}; `ck site check` tries it")


@site.command("check")
@click.option("--job", is_flag=True, help="Submit one short job too, wait for it, and tell what a node sees.")
@click.option("--limit", default=600.0, show_default=True, metavar="SECONDS", help="Longest wait for that job.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def check(experiment: str, job: bool, limit: float, as_json: bool) -> None:
    """Try everything that jobs need of this machine; exit 3 if something fails.

    With --job a node is asked as well. An interrupt cancels that job.
    """
    world = enter_site(experiment)
    report = workflow.check_site(world=world)
    if job:
        with ProgressBar("waiting for a node") as progress:
            nodes = workflow.check_nodes(limit=limit, progress=progress, world=world)
        report = report.model_copy(update={"traits": (*report.traits, *nodes.traits)})
    # Experiments may lie on a login host: then the rest is tried there, by the package there.
    there = None if as_json or unreached(report) else partial(check_there, experiment)
    reported(report, as_json=as_json, there=there)


site.add_command(env)


def _asked(proposals: tuple[SiteProposal, ...]) -> dict[str, str]:
    """Ask about each setting at the terminal; an empty answer takes what was found, `-` leaves it out.

    Raises:
        SiteError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise SiteError("settings cannot be asked for: there is no terminal", hint="take what was found with `--yes`")
    click.echo("Enter takes the value in brackets; `-` leaves it out.", err=True)
    settings = {}
    for each in proposals:
        choices = f" ({', '.join(each.choices)})" if each.choices else ""
        question = f"{each.question}{choices} Found: {each.source}"
        answer = click.prompt(question, default=each.value, show_default=bool(each.value), err=True)
        if answer not in {"", "-"}:
            settings[each.key] = answer
    return settings


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise SiteError(f"there is no terminal to ask at: {question}", hint="run the command in a terminal")
    return click.confirm(question, err=True)


def _shown(reading: SiteReading) -> str:
    rows = [(each.key, _text(each.value), each.place or each.source) for each in reading.values]
    return aligned(("setting", "value", "said by"), rows)


def _text(value: Any) -> str:
    """Return a value on one line, as YAML takes it back."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
