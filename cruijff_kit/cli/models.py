"""`ck models`: list base models, look at one, check it, pull it, convert it, remove it, or make the small one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, confirm, enter, enter_project
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.machine import ModelNeeds
from cruijff_kit.schema.registry import ConvertedModel, ModelEntry, ModelListing, ModelReport, ModelTrait
from cruijff_kit.schema.site import ModelFacts

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["models"]


@click.group()
def models() -> None:
    """List, look at, check, pull, convert or remove base models, or make the small one."""


@models.command("list")
@click.option("--here", is_flag=True, help="Only those on this machine, as --source local.")
@click.option(
    "--source",
    type=click.Choice(["all", "huggingface", "local"]),
    default="all",
    show_default=True,
    help="Those of the registry, which lie on the hub, or those in the models directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_obj
def listing(experiment: str, here: bool, source: str, as_json: bool) -> None:
    """List the models of the registry, and those in the site's models directory."""
    found = [each for each in workflow.list_models(world=_enter(experiment)) if _is_of(each, source, here=here)]
    if as_json:
        click.echo("[" + ",\n".join(each.model_dump_json() for each in found) + "]")
        return
    heads = ("model", "parameters", "on disk", "a job asks for", "GPU memory", "tokenizer", "licence", "here")
    click.echo(aligned(heads, [_line(each) for each in found]))


@models.command("info")
@click.argument("model")
@click.option("-m", "--memory", is_flag=True, help="Show what training it takes instead, part by part.")
@click.option("--batch-size", default=4, show_default=True, help="Rows a pass, for --memory.")
@click.option("--max-seq-len", default=2048, show_default=True, help="Tokens of each row, for --memory.")
@click.option("--lora-rank", default=8, show_default=True, help="Rank of the update, for --memory.")
@click.option("--backend", default="auto", show_default=True, help="What would train, for --memory; as of `ck train`.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def info(experiment: str, model: str, memory: bool, as_json: bool, **shape: Any) -> None:
    """Show what a directory says of itself, or what the registry says of MODEL."""
    if memory:
        needs = workflow.look_up_needs(model, world=_enter(experiment), **shape)
        click.echo(needs.model_dump_json(indent=2) if as_json else _needs(needs))
        return
    found = workflow.look_up_model(model, world=_enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else _facts(found))


@models.command("check")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def check(experiment: str, path: str, as_json: bool) -> None:
    """Check the model directory PATH part by part, and against the registry."""
    report = workflow.check_model(path, world=_enter(experiment))
    click.echo(report.model_dump_json(indent=2) if as_json else _report(report))
    wrong = [trait for trait in report.traits if trait.ok is False]
    if wrong:
        raise ResultError(f"`{report.path}` is not usable: {wrong[0].name}: {wrong[0].found}", hint=wrong[0].hint)


@models.command("pull")
@click.argument("repo")
@click.option("-r", "--revision", help="Branch, tag or commit; the default branch where absent.")
@click.option(
    "-q", "--quantize", type=click.Choice(["4bit", "8bit"]), help="Write it in fewer bits beside it too, for MLX."
)
@click.pass_obj
def pull(experiment: str, repo: str, revision: str | None, quantize: str | None) -> None:
    """Pull REPO from the hub into the site's models directory, signed in as the hub's own tool is.

    Asked for in fewer bits, it is kept whole too, and what `ck models convert` makes of it lies
    beside it as NAME-4bit or NAME-8bit.
    """
    world = _enter(experiment)
    receipt = workflow.pull_model(repo, revision=revision, quantized=quantize is not None, world=world)
    size = f"{receipt.files} files, {receipt.bytes / 1e9:.3g} GB"
    click.echo(f"{receipt.repo} at {receipt.revision}: {size} in {receipt.path}\nsha256 {receipt.sha256}")
    if quantize is not None:
        bits = int(quantize.removesuffix("bit"))
        made = workflow.convert_model(receipt.path, f"{receipt.path}-{quantize}", to="mlx", bits=bits, world=world)
        click.echo(_made(made))


@models.command("rm")
@click.argument("model")
@click.option("--yes", is_flag=True, help="Skip the question, where your own site file allows it.")
@click.pass_obj
def remove(experiment: str, model: str, yes: bool) -> None:
    """Remove MODEL from the site's models directory, once you have said so; nothing elsewhere is touched."""
    world = _enter(experiment)
    found = workflow.remove_model(model, dry_run=True, world=world)
    again = f"`ck models pull {found.repo}` brings it back" if found.repo else "it was not pulled by this command"
    size = f"{found.bytes / 1e9:.3g} GB"
    confirm(f"Remove `{found.path}`, {size}? {again}.", "remove", unattended=yes, world=world)
    workflow.remove_model(model, world=world)
    click.echo(f"{found.path} removed, {size} freed")


@models.command("convert")
@click.argument("model")
@click.option(
    "--output-format", "form", type=click.Choice(["mlx", "hf"]), default="mlx", show_default=True, help="Form."
)
@click.option("--out", "output", required=True, metavar="DIR", help="Directory to make.")
@click.option("--bits", type=click.Choice(["4", "8"]), help="Bits a weight, for mlx; as they lie there where absent.")
@click.pass_obj
def convert(experiment: str, model: str, *, form: Literal["mlx", "hf"], output: str, bits: str | None) -> None:
    """Write MODEL as mlx-lm reads it, or a model of mlx-lm as transformers does, to DIR; MODEL stays as it is.

    Nothing needs converting to be trained here: `--backend mlx` reads Hugging Face directories as they lie.
    """
    few = None if bits is None else int(bits)
    made = workflow.convert_model(model, output, to=form, bits=few, world=_enter(experiment))
    click.echo(_made(made))


@models.command("make-tiny")
@click.option("--force", is_flag=True, help="Train it again even where it is cached.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def make_tiny(experiment: str, force: bool, as_json: bool) -> None:
    """Train the small base model of the demo on this machine's CPU, or find it cached."""
    with ProgressBar("base model") as progress:
        facts = workflow.make_tiny_model(force=force, progress=progress, world=_enter(experiment))
    click.echo(facts.model_dump_json(indent=2) if as_json else _facts(facts))


def _enter(experiment: str) -> "World":
    """Return the world of an experiment, or of a project where that is what the directory is."""
    folder = Path(experiment).resolve()
    project = (folder / "site.yaml").is_file() and not (folder / ExperimentLayout.summary).is_file()
    return enter_project(experiment) if project else enter(experiment)


def _needs(needs: ModelNeeds) -> str:
    parts = [(name, f"{size / 2**30:.3f} GiB") for name, size in needs.memory.model_dump().items()]
    shape = (
        f"{needs.batch_size} rows of {needs.max_seq_len} tokens, rank {needs.lora_rank}, {needs.dtype}, by "
        f"{needs.backend}"
    )
    fits = "no limit is known" if needs.most_rows is None else f"at most {needs.most_rows} rows a pass fit here"
    if needs.most_rows == 0:
        fits = "not even one row a pass fits here"
    total = ("in all", f"{needs.memory.total / 2**30:.3f} GiB")
    table = aligned(("part", "memory"), [*parts, total])
    return "\n".join([f"{needs.model}: {shape}", table, f"the formula is {needs.formula}", fits])


def _is_of(each: ModelListing, source: str, *, here: bool) -> bool:
    """Return whether a model is one of those asked for."""
    there = each.path is not None
    return (there or not here) and {"all": True, "huggingface": each.entry is not None, "local": there}[source]


def _made(made: ConvertedModel) -> str:
    packed = f" in {made.bits} bits a weight" if made.bits else ""
    size = f"{made.bytes / 1e9:.3g} GB"
    return f"{made.source} is in {made.path} in the form of {made.form}{packed}, {size}\nsha256 {made.sha256}"


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
