"""`ck site env`: build the environment that jobs run in, lock it, or check it against its lock."""

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.listed import listed
from cruijff_kit.cli.site_report import reported
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.environment import BuildReceipt, BuildWish
from cruijff_kit.schema.site_reading import SiteLevel

__all__ = ["env"]

_PROJECT = click.option("--project", is_flag=True, help="Name it in the site file beside the experiments.")


@click.group()
def env() -> None:
    """Build, lock or check the environment that jobs run in."""


@env.command("build")
@click.option("--into", metavar="DIR", help="Where it shall lie; below `scratch_dir`, or beside the site file, else.")
@click.option("--python", metavar="PYTHON", help="Interpreter to make it with; with --conda a version such as 3.12.")
@click.option("--conda", is_flag=True, help="Have conda make it, where a cluster has no Python of its own.")
@click.option("--cuda", metavar="VERSION", help="Build of torch for this CUDA, such as 12.8.")
@click.option("--cpu", is_flag=True, help="Build of torch for CPUs alone.")
@click.option("--extras", metavar="A,B", default="", help="Extras to install; those that are complete here, else.")
@click.option("--index", "indexes", multiple=True, metavar="URL", help="A further package index, such as torch's own.")
@click.option("--wheels", metavar="DIR", help="Install from these wheels alone; no network is used.")
@click.option("--dry-run", is_flag=True, help="Say what would be built; write nothing, ask no network.")
@_PROJECT
@click.pass_obj
def build(
    experiment: str, *, cuda: str | None, cpu: bool, extras: str, dry_run: bool, project: bool, **said: object
) -> None:
    """Build an environment with this very package and the versions that run here, and name it in site.yaml.

    pip asks its usual index, unless --wheels says where all files lie. An interrupted build is made anew.
    """
    if cuda and cpu:
        raise SpecError("`--cuda` and `--cpu` exclude each other", hint="give one of them")
    tag = "cpu" if cpu else f"cu{cuda.replace('.', '')}" if cuda else None
    wish = _wish({**said, "build": tag, "extras": listed(extras)})
    with ProgressBar("build") as progress:
        receipt = workflow.build_environment(
            wish, level=_level(project), dry_run=dry_run, progress=progress, world=enter(experiment)
        )
    click.echo(_told(receipt, dry_run=dry_run))


@env.command("lock")
@click.option("--into", metavar="FILE", help="Where the lock shall lie; beside the site file, else.")
@_PROJECT
@click.pass_obj
def lock(experiment: str, into: str | None, project: bool) -> None:
    """Lock the environment of jobs as it is: versions without hashes, no network."""
    receipt = workflow.lock_environment(into=into, level=_level(project), world=enter(experiment))
    click.echo(f"locked {receipt.packages} packages in {receipt.path}")
    if receipt.site:
        click.echo(f"{receipt.diff.rstrip()}\nwrote {receipt.site}")


@env.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def check(experiment: str, as_json: bool) -> None:
    """Hold the environment of jobs against its lock; exit 3 if it is another."""
    reported(workflow.check_environment(world=enter(experiment)), as_json=as_json)


def _wish(said: dict[str, object]) -> BuildWish:
    """Return what was asked for.

    Raises:
        SpecError: a value has a form that nothing could be made of; all of them at once.
    """
    try:
        return BuildWish.model_validate(said)
    except ValidationError as err:
        options = {"build": "--cuda", "indexes": "--index"}
        problems = [
            Problem(f"`{each['input']!a}` has a form that is not taken", options.get(name, f"--{name}"))
            for each in err.errors()
            for name in (str(each["loc"][0]),)
        ]
        hint = "`--cuda` takes a version such as 12.8; no value may hold a control character"
        raise SpecError("this environment cannot be built", problems=problems, hint=hint) from err


def _level(project: bool) -> SiteLevel | None:
    return "project" if project else None


def _told(receipt: BuildReceipt, *, dry_run: bool) -> str:
    order = receipt.order
    extras = f" with {', '.join(order.extras)}" if order.extras else ""
    what = f"{order.kind} of Python {order.version}{extras} in {order.folder}"
    source = f"wheels in {order.wheels}" if order.wheels else "pip's index"
    if dry_run:
        there = {"unfinished": "; an unfinished one there is removed first", "whole": "; it is there already"}
        return f"would build: {what}\nfrom {source}, {len(order.pins)} versions as here{there.get(receipt.state, '')}"
    torch = f", torch {receipt.torch}" if receipt.torch else ""
    fact = f"{'built' if receipt.built else 'there already'}: {what}"
    fact += f"\n{receipt.packages} packages{torch}, locked in {receipt.lock}"
    anew = "an unfinished build was removed first\n" if receipt.state == "unfinished" else ""
    site = f"\n{receipt.diff.rstrip()}\nwrote {receipt.site}" if receipt.site else ""
    return f"{anew}{fact}{site}\n`ck site env check` holds it against its lock"
