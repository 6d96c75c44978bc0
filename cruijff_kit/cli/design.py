"""`ck design` and `ck schema`: from a design file to `experiment_summary.md`."""

import json
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.receipt import DesignReceipt, DesignReview
from cruijff_kit.schema.spec import Level

__all__ = ["design", "schema"]

_REASON = click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")


@click.group()
def design() -> None:
    """Check, write or amend the design of the experiment."""


@design.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the review as JSON.")
@click.pass_obj
def check(experiment: str, file: Path, as_json: bool) -> None:
    """Check and cost a design FILE (YAML, or a whole summary); write nothing."""
    review = workflow.check_design(file.read_text(encoding="utf-8"), world=enter(experiment))
    click.echo(review.model_dump_json(indent=2) if as_json else _review(review))


@design.command("write")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_REASON
@click.pass_obj
def write(experiment: str, file: Path, reason: str) -> None:
    """Check a design FILE and write experiment_summary.md from it."""
    receipt = workflow.write_design(file.read_text(encoding="utf-8"), reason=reason, world=enter(experiment))
    click.echo(_receipt(receipt))


@design.command("amend")
@click.option("--seed", "seeds", multiple=True, type=int, help="A further replicate seed.")
@click.option("--level", "levels", multiple=True, metavar="FACTOR=VALUE", help="A further level of a factor.")
@_REASON
@click.pass_obj
def amend(experiment: str, seeds: tuple[int, ...], levels: tuple[str, ...], reason: str) -> None:
    """Add seeds or levels to the design; runs that exist keep their ids."""
    receipt = workflow.amend_design(seeds=seeds, levels=_levels(levels), reason=reason, world=enter(experiment))
    click.echo(_receipt(receipt))


@click.command()
def schema() -> None:
    """Print the JSON Schema of a design, for editors and assistants."""
    click.echo(json.dumps(workflow.spec_json_schema(), indent=2))


def _levels(pairs: tuple[str, ...]) -> dict[str, list[Level]]:
    found: dict[str, list[Level]] = {}
    for pair in pairs:
        factor, equals, value = pair.partition("=")
        if not equals:
            raise SpecError(f"`{pair}` is not FACTOR=VALUE", hint="for example `--level lora_rank=8`")
        found.setdefault(factor, []).append(_scalar(value))
    return found


def _scalar(text: str) -> Level:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, (str, int, float, bool)) else text


def _review(review: DesignReview) -> str:
    rows = [
        (entry.name, "not assessed" if entry.value is None else f"{entry.value:g} {entry.unit}", entry.source)
        for entry in review.estimates
    ]
    parts = [
        f"{review.spec.name}: {len(review.plan.runs)} runs",
        *(f"  {run.id}" for run in review.plan.runs),
        aligned(("estimate", "value", "source"), rows) if rows else "",
        *(f"warning: {text}" for text in review.warnings),
        *(f"earlier: {text}" for text in review.earlier),
    ]
    return "\n".join(part for part in parts if part)


def _receipt(receipt: DesignReceipt) -> str:
    state = "written" if receipt.changed else "unchanged"
    warnings = [f"warning: {text}" for text in receipt.warnings]
    return "\n".join([f"{receipt.path} {state}, {len(receipt.runs)} runs", *warnings])
