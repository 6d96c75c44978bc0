"""`ck models`: list base models, look at one, check it, pull it, or make the small one."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.registry import ModelEntry, ModelListing, ModelReport, ModelTrait
from cruijff_kit.schema.site import ModelFacts

__all__ = ["models"]


@click.group()
def models() -> None:
    """List, look at, check or pull base models, or make the small one."""


@models.command("list")
@click.option("--here", is_flag=True, help="Only those on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_obj
def listing(experiment: str, here: bool, as_json: bool) -> None:
    """List the models of the registry, and those in the site's models directory."""
    found = [each for each in workflow.list_models(world=enter(experiment)) if each.path is not None or not here]
    if as_json:
        click.echo("[" + ",\n".join(each.model_dump_json() for each in found) + "]")
        return
    heads = ("model", "parameters", "on disk", "a job asks for", "GPU memory", "tokenizer", "licence", "here")
    click.echo(aligned(heads, [_line(each) for each in found]))


@models.command("info")
@click.argument("model")
@click.pass_obj
def info(experiment: str, model: str) -> None:
    """Show what a directory says of itself, or what the registry says of MODEL."""
    click.echo(_facts(workflow.look_up_model(model, world=enter(experiment))))


@models.command("check")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def check(experiment: str, path: str, as_json: bool) -> None:
    """Check the model directory PATH part by part, and against the registry."""
    report = workflow.check_model(path, world=enter(experiment))
    click.echo(report.model_dump_json(indent=2) if as_json else _report(report))
    wrong = [trait for trait in report.traits if trait.ok is False]
    if wrong:
        raise ResultError(f"`{report.path}` is not usable: {wrong[0].name}: {wrong[0].found}", hint=wrong[0].hint)


@models.command("pull")
@click.argument("repo")
@click.option("--revision", help="Branch, tag or commit; the default branch where absent.")
@click.pass_obj
def pull(experiment: str, repo: str, revision: str | None) -> None:
    """Pull REPO from the hub into the site's models directory, signed in as the hub's own tool is."""
    receipt = workflow.pull_model(repo, revision=revision, world=enter(experiment))
    size = f"{receipt.files} files, {receipt.bytes / 1e9:.3g} GB"
    click.echo(f"{receipt.repo} at {receipt.revision}: {size} in {receipt.path}\nsha256 {receipt.sha256}")


@models.command("make-tiny")
@click.option("--force", is_flag=True, help="Train it again even where it is cached.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def make_tiny(experiment: str, force: bool, as_json: bool) -> None:
    """Train the small base model of the demo on this machine's CPU, or find it cached."""
    with ProgressBar("base model") as progress:
        facts = workflow.make_tiny_model(force=force, progress=progress, world=enter(experiment))
    click.echo(facts.model_dump_json(indent=2) if as_json else _facts(facts))


def _line(each: ModelListing) -> tuple[str, ...]:
    here = "" if each.path is None else (each.revision or "yes")[:12]
    entry = each.entry
    if entry is None:
        return each.name, "", "", "", "", "", "", here
    shards = "" if entry.shards is None else f" in {entry.shards}"
    asks = f"{entry.mem}, {entry.gpus} GPU, {entry.cpus} CPU"
    terms = f"{entry.licence}, gated" if entry.gated else entry.licence
    size = f"{entry.bytes / 1e9:.1f} GB{shards}"
    return each.name, f"{entry.parameters / 1e9:.2f} B", size, asks, entry.min_gpu_memory, entry.tokenizer, terms, here


def _facts(facts: ModelFacts | ModelEntry) -> str:
    told = {name: value for name, value in facts.model_dump().items() if value is not None}
    return aligned(("fact", "value"), [(name, str(value)) for name, value in told.items()])


def _report(report: ModelReport) -> str:
    rows = [(_mark(trait), trait.name, trait.found) for trait in report.traits]
    return "\n".join([f"{report.name}: {report.path}", aligned(("", "part", "found"), rows)])


def _mark(trait: ModelTrait) -> str:
    return {True: "ok", False: "WRONG", None: "-"}[trait.ok]
