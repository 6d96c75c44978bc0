"""Judge: every figure of every run against its band."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.data.encoding import IGNORE, Encoding, Row
from cruijff_kit.data.tokens import encode_row, prompt_sha256
from cruijff_kit.ports import Tokenizer
from cruijff_kit.sanity_checks.bands import accuracy_band, loss_band, rule_band
from cruijff_kit.sanity_checks.checks import Arm
from cruijff_kit.sanity_checks.designs import ASKED
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.sanity import Band, FigureName, JudgedFigure, PilotFigure, Pilots

__all__ = ["Evidence", "judged", "pilot_figures"]

_HELD_OUT = ("validation", "test")
_NONE = Band(low=0.0, high=0.0, low_from="splits are disjoint", high_from="splits are disjoint")
_ALL = Band(low=1.0, high=1.0, low_from="training and evaluation read rows alike", high_from="there are no more")


class Evidence(NamedTuple):
    """One run of an arm and all that it is judged by."""

    run: str
    """Id of the run."""
    seed: int
    """Its seed."""
    splits: Mapping[str, Sequence[Row]]
    """Its rows, by split."""
    encoding: Encoding
    """How its rows became tokens in training."""
    tokenizer: Tokenizer
    """The base model's tokenizer."""
    table: ResultTable
    """Results of the experiment."""


class _Seen(NamedTuple):
    """A figure as it was found."""

    value: float
    n: int
    source: str = ""


def judged(arm: Arm, found: Evidence, *, pilots: Pilots | None) -> Iterator[JudgedFigure]:
    """Yield the figures of a run, each with its band and its verdict.

    What is expected comes from the check alone, never from what the run says of itself.
    """
    known = [] if pilots is None else [each for each in pilots.figures if each.arm == arm.name]
    yield _accuracy(arm, found, pilots=[each for each in known if each.figure == "accuracy"])
    yield _loss(arm, found, pilots=[each for each in known if each.figure == "validation loss"])
    if arm.known.law is not None:
        rows = [row for split in found.splits.values() for row in split]
        kept = fmean(arm.known.law(row) for row in rows)
        yield _figure(arm, found, figure="rule kept", seen=_Seen(kept, len(rows)), band=rule_band(arm.known, len(rows)))
    trained = {row["input"] for row in found.splits["train"]}
    held_out = [row["input"] for split in _HELD_OUT for row in found.splits.get(split, ())]
    leaked = sum(question in trained for question in held_out)
    yield _figure(arm, found, figure="held-out questions trained on", seen=_Seen(leaked, len(held_out)), band=_NONE)
    yield _prompts(arm, found)


def pilot_figures(arm: Arm, found: Evidence) -> list[PilotFigure]:
    """Return the figures of a run that floors come from; missing ones are left out."""
    figures = (_accuracy(arm, found, pilots=()), _loss(arm, found, pilots=()))
    return [
        PilotFigure(
            arm=arm.name,
            seed=found.seed,
            figure=each.figure,
            value=each.value,
            n=each.n,
            successes=round(each.value * each.n) if each.figure == "accuracy" else None,
        )
        for each in figures
        if each.value is not None
    ]


def _accuracy(arm: Arm, found: Evidence, *, pilots: Sequence[PilotFigure]) -> JudgedFigure:
    rows = [row for row in found.table.rows if (row.run, row.task, row.metric) == (found.run, ASKED, "match")]
    if not rows:
        return _missing(arm, found, figure="accuracy", reason="no evaluation was planned")
    row = rows[-1]
    if row.value is None or not row.n:
        return _missing(arm, found, figure="accuracy", reason=row.reason, source=row.source)
    band = accuracy_band(arm.known, row.n, pilots=pilots)
    return _figure(arm, found, figure="accuracy", seen=_Seen(row.value, row.n, row.source), band=band)


def _loss(arm: Arm, found: Evidence, *, pilots: Sequence[PilotFigure]) -> JudgedFigure:
    rows = [row for row in found.table.rows if (row.run, row.metric) == (found.run, "val_loss")]
    validated = found.splits.get("validation", ())
    if not rows or not validated:
        return _missing(arm, found, figure="validation loss", reason="nothing was validated on")
    row = max(rows, key=lambda each: each.epoch or 0)
    if row.value is None:
        return _missing(arm, found, figure="validation loss", reason=row.reason, source=row.source)
    encoding = found.encoding.model_copy(update={"train_on_input": arm.on_input})
    learnt = [encode_row(each, encoding=encoding, tokenizer=found.tokenizer).labels for each in validated]
    tokens = fmean(sum(label != IGNORE for label in labels) for labels in learnt)
    band = loss_band(arm.known, n=len(validated), tokens=tokens, on_input=arm.on_input, pilots=pilots)
    n, source = len(validated), row.source
    return _figure(arm, found, figure="validation loss", seen=_Seen(row.value, n, source), band=band)


def _prompts(arm: Arm, found: Evidence) -> JudgedFigure:
    """Return the share of questions that were put to the model as training would have put them."""
    asked = [each for each in found.table.predictions if (each.run, each.task) == (found.run, ASKED)]
    if not asked:
        return _missing(arm, found, figure="prompts as trained", reason="no answers were collected")
    encoded = (encode_row(row, encoding=found.encoding, tokenizer=found.tokenizer) for row in found.splits["test"])
    known = {prompt_sha256(each.ids[: each.prompt_length]) for each in encoded}
    alike = fmean(each.prompt_token_sha256 in known for each in asked)
    return _figure(arm, found, figure="prompts as trained", seen=_Seen(alike, len(asked)), band=_ALL)


def _figure(arm: Arm, found: Evidence, *, figure: FigureName, seen: _Seen, band: Band) -> JudgedFigure:
    return JudgedFigure(
        arm=arm.name, run=found.run, seed=found.seed, figure=figure, value=seen.value, n=seen.n, band=band,
        verdict="inside" if band.holds(seen.value) else "outside", source=seen.source,
    )  # fmt: skip


def _missing(arm: Arm, found: Evidence, *, figure: FigureName, reason: str, source: str = "") -> JudgedFigure:
    return JudgedFigure(
        arm=arm.name, run=found.run, seed=found.seed, figure=figure, value=None, n=0, band=Band(), verdict="missing",
        reason=reason, source=source,
    )  # fmt: skip
