"""`ck data structure`: labelled texts as rows of structured answers, and training rows multiplied."""

from collections.abc import Iterator

import click

from cruijff_kit import workflow
from cruijff_kit.cli.listed import listed
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.structured_rows import Augmentation, StructureReceipt, Structuring

__all__ = ["structure"]

_DEFAULTS, _COPIES = Structuring(), Augmentation()


@click.command("structure")
@click.argument("source")
@click.option("-o", "--output", required=True, help="File to write: `.json` or `.jsonl`.")
@click.option("--text-column", default=_DEFAULTS.text_column, show_default=True, help="Column of the text.")
@click.option("--label-column", default=_DEFAULTS.label_column, show_default=True,
              help="Column of the label; null makes an abstain example.")  # fmt: skip
@click.option("--rationale-column", help="Column of the reason to teach; none is taught if absent.")
@click.option("--id-column", help="Column of the ids; SPLIT-NUMBER if absent.")
@click.option("--metadata-column", "metadata_columns", multiple=True, help="Column for the metadata; may be repeated.")
@click.option("--options", default="", metavar="A,B,…", help="Labels there may be; any if absent.")
@click.option("--augment", "methods", multiple=True, metavar="METHOD",
              help="Multiply training rows: synonym_replacement, random_insertion, random_swap or random_deletion; "
              "may be repeated.")  # fmt: skip
@click.option("--aug-p", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=_COPIES.aug_p,
              show_default=True, help="Part of a text's words that change.")  # fmt: skip
@click.option("--copies", type=click.IntRange(1, 20), default=_COPIES.copies, show_default=True,
              help="Changed copies of a training row.")  # fmt: skip
@click.option("--synonyms", metavar="FILE", help="Synonyms, a group a line; the shipped ones if absent.")
@click.option("--seed", type=click.IntRange(0), default=_DEFAULTS.seed, show_default=True, help="Fixes what changes.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def structure(
    experiment: str,
    *,
    source: str,
    output: str,
    options: str,
    methods: tuple[str, ...],
    aug_p: float,
    copies: int,
    synonyms: str | None,
    force: bool,
    as_json: bool,
    **columns: object,
) -> None:
    """Write the labelled texts of SOURCE as rows that teach structured answers, and count them."""
    multiplied = Augmentation(methods=methods, aug_p=aug_p, copies=copies, synonyms=synonyms) if methods else None
    asked = Structuring.model_validate({**columns, "options": listed(options), "augmentation": multiplied})
    with ProgressBar("structure") as bar:
        receipt = workflow.structure_data(
            source, output, asked=asked, force=force, progress=bar, world=enter(experiment)
        )
    click.echo(receipt.model_dump_json(indent=2) if as_json else "\n".join(_told(receipt)))


def _told(receipt: StructureReceipt) -> Iterator[str]:
    splits = ", ".join(f"{count:,} {split}" for split, count in receipt.splits.items())
    yield f"{receipt.target}: {receipt.rows:,} rows ({splits})\nsha256 {receipt.sha256}"
    yield f"{receipt.original:,} read, {receipt.augmented:,} made of training rows"
    if receipt.not_augmented:
        yield f"{receipt.not_augmented:,} copies not made: nothing would have changed, or a text of another split came"
    yield from (f"  {count:,} {label}" for label, count in receipt.labels.items())
    words = receipt.words
    yield f"words a text: mean {words.mean:.1f}, median {words.median:g}, {words.least} to {words.greatest}"
