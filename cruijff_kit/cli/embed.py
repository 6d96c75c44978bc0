"""`ck embed`: hidden states of texts, streamed to HDF5."""

from typing import get_args

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.embedding import EmbedOrder, EmbedReceipt, EmbedWork, Layers, Pool

__all__ = ["embed"]

_DEFAULTS = EmbedWork()


@click.command()
@click.argument("model", required=False)
@click.option(
    "--data", metavar="FILE", help="JSON, JSON Lines, parquet or CSV file, or folder; the run's own if absent."
)
@click.option(
    "--out", required=True, metavar="FILE", help="HDF5 file to write; one an epoch, named after it, if several."
)
@click.option("--adapter", metavar="DIR", help="LoRA adapter; MODEL may then be left out.")
@click.option("--run", help="Run of the experiment, or the start of its id: its base, adapters and prompts.")
@click.option(
    "--epoch", "epochs", multiple=True, help="Of that run: N, best, base, or all; may be repeated. The last if absent."
)
@click.option("--split", help="Split to embed; every row if absent.")
@click.option("--text-column", help="Column of the text; `input`, or the run's own, if absent.")
@click.option("--id-column", help="Column of the ids; SPLIT-NUMBER if absent.")
@click.option(
    "--dataset-type",
    type=click.Choice(["chat_completion", "text_completion", "chat"]),
    help="Chat template or plain text; plain, or as the run does, if absent.",
)
@click.option("--prompt", metavar="TEMPLATE", help="Template around the text, such as `Q: {input}`.")
@click.option("--system-prompt", help="System message.")
@click.option(
    "--pool",
    type=click.Choice(get_args(Pool)),
    default=_DEFAULTS.pool,
    show_default=True,
    help="How a text's tokens become one vector.",
)
@click.option(
    "--layers", default="last", show_default=True, help="last, all, or numbers such as 0,-1: 0 enters the first block."
)
@click.option(
    "--dtype", type=click.Choice(["fp32", "bf16"]), default=_DEFAULTS.dtype, show_default=True, help="Arithmetic."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=_DEFAULTS.batch_size,
    show_default=True,
    help="Texts of one forward pass.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default=_DEFAULTS.device,
    show_default=True,
    help="Where to compute.",
)
@click.option("--truncate", is_flag=True, help="Cut texts that the model cannot read whole.")
@click.option("--force", is_flag=True, help="Replace a file of other embeddings.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def embed(experiment: str, *, layers: str, as_json: bool, epochs: tuple[str, ...], **options: object) -> None:
    """Write hidden states of texts to HDF5, by MODEL, an adapter or epochs of a run.

    Killed at any moment, the same command goes on where it was.
    """
    work = EmbedWork.model_validate({name: options.pop(name) for name in _OF_WORK} | {"layers": _layers(layers)})
    order = EmbedOrder.model_validate({**options, "epochs": epochs, "work": work})
    with ProgressBar("embed") as progress:
        receipt = workflow.embed_texts(order, progress=progress, world=enter(experiment))
    click.echo(receipt.model_dump_json(indent=2) if as_json else _table(receipt))


_OF_WORK = ("pool", "dtype", "batch_size", "device", "truncate")


def _layers(text: str) -> Layers:
    match text:
        case "last" | "all":
            return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as err:
        hint = "write `last`, `all`, or numbers such as `0,-1`"
        raise SpecError(f"`--layers {text}` names no layers", hint=hint) from err


def _table(receipt: EmbedReceipt) -> str:
    heads = ("model", "file", "texts", "shape", "embedded now")
    rows = [
        (each.label, each.path, f"{each.rows:,}", " x ".join(map(str, each.shape)), f"{each.embedded:,}")
        for each in receipt.files
    ]
    return f"{aligned(heads, rows)}\n\ntier {receipt.tier}: keep these files as closely as the texts"
