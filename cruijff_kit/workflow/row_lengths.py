"""Measure rows in the tokens of the model that will train on them."""

from collections.abc import Mapping, Sequence

from cruijff_kit.data.tokens import IGNORE, Row, encode_row
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.lengths import RowLengths, row_lengths
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.mask_gate import Reading, reading_of
from cruijff_kit.workflow.plan import Planned

__all__ = ["measure_rows"]

# Enough for a mean within a few per cent, few enough to be done while somebody waits.
_EVENLY = 200
_LONGEST = 20


def measure_rows(
    spec: ExperimentSpec, planned: Planned, *, runs: Sequence[PlannedRun] | None = None, world: World
) -> Mapping[str, RowLengths]:
    """Return the lengths of each training run's rows, by run id.

    Some hundred rows of each data set are tokenised: evenly taken ones for the mean, and
    those of most bytes for the longest. A run is left out where its tokenizer cannot be
    loaded, or cannot read any of its rows.

    Args:
        spec: the design.
        planned: its plan and data.
        runs: runs to measure for, where others than those planned.
        world: the models; only read.
    """
    splits = {dataset.facts.key: dataset.splits for dataset in planned.datasets}
    tokenizers: dict[str, Tokenizer | None] = {}
    known: dict[Reading, RowLengths | None] = {}
    found: dict[str, RowLengths] = {}
    for run in planned.plan.runs if runs is None else runs:
        if run.type == "control" or run.dataset not in splits:
            continue
        reading = reading_of(run, spec)
        if reading not in known:
            tokenizer = _tokenizer(reading.model_path, tokenizers, world=world)
            rows = splits[run.dataset].get("train", ())
            known[reading] = _measured(rows, reading, tokenizer=tokenizer) if tokenizer is not None else None
        lengths = known[reading]
        if lengths is not None:
            found[run.id] = lengths
    return found


def _tokenizer(path: str, loaded: dict[str, Tokenizer | None], *, world: World) -> Tokenizer | None:
    if path not in loaded:
        try:
            loaded[path] = world.hub.tokenizer(path)
        except SiteError:
            # Checking the design tells of it; here lengths stay unknown.
            loaded[path] = None
    return loaded[path]


def _measured(rows: Sequence[Row], reading: Reading, *, tokenizer: Tokenizer) -> RowLengths | None:
    step = max(1, len(rows) // _EVENLY)
    longest = sorted(rows, key=_bytes, reverse=True)[:_LONGEST]
    even, long = (_counts(part, reading, tokenizer=tokenizer) for part in (rows[::step], longest))
    return row_lengths(even, long)


def _counts(rows: Sequence[Row], reading: Reading, *, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    counts = []
    for row in rows:
        try:
            encoded = encode_row(row, encoding=reading.encoding, tokenizer=tokenizer, place="train")
        except SpecError:
            continue
        counts.append((len(encoded.ids), sum(label != IGNORE for label in encoded.labels[1:])))
    return counts


def _bytes(row: Row) -> int:
    return sum(len(str(value)) for value in row.values())
