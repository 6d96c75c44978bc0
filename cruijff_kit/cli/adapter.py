"""`ck adapter`: what a trained adapter does, and where it goes."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.adapter import AdapterForm, AdapterLimits
from cruijff_kit.workflow.adapters import PROMPT

__all__ = ["adapter"]

_DEFAULTS = AdapterLimits()


@click.group()
def adapter() -> None:
    """Check, merge, convert or port a trained adapter."""


@adapter.command()
@click.argument("folder", metavar="DIR")
@click.option("--base", default=None, metavar="PATH", help="Base model directory; the one that DIR names where absent.")
@click.option("--prompt", default=PROMPT, show_default=True, help="Text that base and adapter are compared on.")
@click.option(
    "--ppl-threshold",
    type=click.FloatRange(min=0),
    default=_DEFAULTS.ppl_threshold,
    show_default=True,
    help="Change of its perplexity that counts as an effect.",
)
@click.option(
    "--mse-threshold",
    type=click.FloatRange(min=0),
    default=_DEFAULTS.mse_threshold,
    show_default=True,
    help="Mean squared difference of logits that counts as one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def check(
    experiment: str,
    folder: str,
    *,
    base: str | None,
    prompt: str,
    ppl_threshold: float,
    mse_threshold: float,
    as_json: bool,
) -> None:
    """Tell whether the adapter DIR changes anything, on one text with and without it."""
    limits = AdapterLimits(ppl_threshold=ppl_threshold, mse_threshold=mse_threshold)
    found = workflow.check_adapter(folder, base=base, prompt=prompt, limits=limits, world=enter(experiment))
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    facts = found.model_dump(exclude={"limits", "verdict", "warnings"})
    click.echo(aligned(("fact", "value"), [(name, str(value)) for name, value in facts.items()]))
    click.echo("\n".join(["", found.verdict, *(f"warning: {warning}" for warning in found.warnings)]))


@adapter.command()
@click.argument("folder", metavar="DIR")
@click.option("--out", "output", required=True, metavar="DIR2", help="Directory to make.")
@click.option("--base", default=None, metavar="PATH", help="Base model directory; the one that DIR names where absent.")
@click.pass_obj
def merge(experiment: str, folder: str, output: str, base: str | None) -> None:
    """Write the adapter DIR and its base as one model to DIR2; DIR stays as it is."""
    receipt = workflow.merge_adapter(folder, output=output, base=base, world=enter(experiment))
    click.echo(f"{receipt.layers} weights of {receipt.base} merged into {receipt.output}")
    click.echo(f"nothing to unmerge: the adapter is still in {receipt.adapter}")


@adapter.command()
@click.argument("folder", metavar="DIR")
@click.option("--to", "form", required=True, type=click.Choice(["mlx", "peft"]), help="Library whose form is written.")
@click.option("--out", "output", required=True, metavar="DIR2", help="Directory to make.")
@click.option("--base", default=None, metavar="PATH", help="Base model directory; the one that DIR names where absent.")
@click.pass_obj
def convert(experiment: str, folder: str, *, form: AdapterForm, output: str, base: str | None) -> None:
    """Write the adapter DIR of peft as one of mlx-lm to DIR2, or the other way round; DIR stays as it is."""
    receipt = workflow.convert_adapter(folder, output=output, to=form, base=base, world=enter(experiment))
    click.echo(f"{receipt.layers} layers of {receipt.adapter} are in {receipt.output} in the form of {receipt.form}")


@adapter.command()
@click.argument("folder", metavar="DIR")
@click.option("--base", default=None, metavar="PATH", help="Directory of the base model.")
@click.option("--repo-id", default=None, metavar="ID", help="Its repository, `owner/name`.")
@click.pass_obj
def port(experiment: str, folder: str, base: str | None, repo_id: str | None) -> None:
    """Let the adapter DIR, or those in `epoch_*` and `best` below it, name another base.

    Without an option they name the repository that they record.
    """
    receipt = workflow.port_adapter(folder, base=base, repo_id=repo_id, world=enter(experiment))
    click.echo("\n".join([*receipt.files, f"{len(receipt.files)} files now name {receipt.base}"]))
