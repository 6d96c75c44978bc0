"""The tables of a report about probabilities: calibration, scores, and what calibrators keep of their promises."""

from collections.abc import Iterator, Sequence

from cruijff_kit.rendering.numbers import NONE, between, percent, plain, signed
from cruijff_kit.rendering.sheet import Column, Table, source_labels
from cruijff_kit.schema.diagnosis import Diagnosis, Guarantee
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.report import Dossier

__all__ = ["calibration_table", "guarantee_table", "score_table"]

_MOST = 200
"""Longer tables are cut; all figures are in the traces."""
_REASONS = 4
_CALIBRATION = ("ece", "ece_debiased", "calibration_slope", "calibration_intercept")
_SCORES = ("brier", "log_loss", "auc", "aurc")
_NAMES = {
    "ece": "ECE",
    "ece_debiased": "debiased ECE",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    "brier": "Brier score",
    "log_loss": "log loss",
    "auc": "AUC",
    "aurc": "AURC",
}


def calibration_table(dossier: Dossier) -> Table:
    """Return how far the probabilities of every run lie from what came true."""
    columns = (
        *_heads("n", "without"),
        *(Column(_NAMES[name], "number") for name in _CALIBRATION),
        Column("source", "source"),
    )
    rows = [
        (*_cell(each), str(each.n), str(each.without), _figure(each, "ece"), _figure(each, "ece_debiased"),
         _figure(each, "calibration_slope", sign=True), _figure(each, "calibration_intercept", sign=True),
         _source(dossier, each.run))
        for each in dossier.findings.diagnoses
    ]  # fmt: skip
    note = (
        f"Of the likeliest option, or of the answer given where options were not scored; last epoch; {_level(dossier)} "
        "intervals. ECE has ten bins of equal width and is positive by chance alone, the more so at small n; the "
        "debiased one (root mean square, ten equally filled bins) has that taken off, and its interval reaches 0 where "
        "chance explains it all. Slope 1 and intercept 0 are perfect; a slope below 1 is overconfidence. `without` "
        f"counts samples that have no probability.{_clusters(dossier)}{_wanting(dossier, _CALIBRATION)}"
    )
    return _table(("calibration", "Calibration"), columns=columns, rows=rows, note=note)


def score_table(dossier: Dossier) -> Table:
    """Return how good the probabilities of every run are, and how well they tell right from wrong."""
    columns = (
        *_heads("n"),
        *(Column(_NAMES[name], "number") for name in _SCORES),
        Column("option mass", "number"),
        Column("source", "source"),
    )
    rows = [
        (*_cell(each), str(each.n), *(_figure(each, name) for name in _SCORES),
         NONE if each.mass is None else f"{each.mass:.2g}", _source(dossier, each.run))
        for each in dossier.findings.diagnoses
    ]  # fmt: skip
    note = (
        f"{_level(dossier)} intervals. The Brier score is the binary one in [0, 1] for two options, the sum over all "
        "options in [0, 2] for more; log loss in nats; AUC of two options, the second being the event; AURC is the "
        "error rate averaged over all shares of samples acted on, surest first. Smaller is better, but for the AUC. "
        "Option mass is the median probability that a model gave to all options together, before they were made to add "
        "up to 1: near 0 it would have said something else, and the figures tell only which option it preferred."
        f"{_clusters(dossier)}{_wanting(dossier, _SCORES)}"
    )
    return _table(("scores", "Scores of probabilities"), columns=columns, rows=rows, note=note)


def guarantee_table(dossier: Dossier) -> Table:
    """Return what each calibrator promises, and what its sets or decisions do on the test split."""
    columns = (
        *_heads(),
        Column("method"),
        Column("promise"),
        Column("n", "number"),
        Column("alpha", "number"),
        Column("delta", "number"),
        Column("kept on the test split"),
        Column("source", "source"),
    )
    rows = [
        (each.run, each.task or NONE, "base" if each.epoch is None else str(each.epoch), each.method, each.claim,
         str(each.n), f"{each.alpha:g}", NONE if each.delta is None else f"{each.delta:g}",
         "; ".join(_kept(each)),
         source_labels(dossier, ExperimentLayout.predictions_of(each.run), RunLayout(each.run).calibrator))
        for each in dossier.findings.guarantees
    ]  # fmt: skip
    note = (
        "n counts calibration samples. A promise is about new samples like those; the test split shows what became of "
        "it, with 95 % intervals. `delta` is the chance that a calibration set misleads; without one the promise is "
        "one on average over calibration sets, and a single one may lie a little below it."
    )
    return _table(("guarantees", "Guarantees"), columns=columns, rows=rows, note=note)


def _kept(each: Guarantee) -> Iterator[str]:
    if each.reason:
        yield f"not applied: {each.reason}"
    if each.coverage is not None:
        yield f"{plain(each.coverage.value)} {between(each.coverage)} of {each.coverage.n} sets hold the right option"
        if each.expected is not None:
            yield "[{:.3f}, {:.3f}] is to be expected of this calibration set".format(*each.expected)
        if each.lowest is not None:
            lowest = f"{plain(each.lowest.value)} {between(each.lowest)} of {each.lowest.n}"
            yield f"lowest within `{each.category}`: {lowest}"
        yield f"{each.set_size or 0:.2f} options a set"
    if each.acted is not None and each.risk is not None:
        yield f"acted on {plain(each.acted.value)} {between(each.acted)} of {each.acted.n}"
        cost = f"{plain(each.risk.value)} {between(each.risk)}, n {each.risk.n}"
        yield f"cost {cost}" if each.risk.value is not None else "no cost to speak of, as nothing was acted on"
    if each.unscored:
        yield f"{each.unscored} samples errored: no set, no action"


def _heads(*counts: str) -> tuple[Column, ...]:
    columns = (Column("run", "code"), Column("task"), Column("epoch", "number"))
    return (*columns, *(Column(name, "number") for name in counts))


def _cell(each: Diagnosis) -> tuple[str, str, str]:
    return each.run, each.task, "base" if each.epoch is None else str(each.epoch)


def _figure(each: Diagnosis, name: str, *, sign: bool = False) -> str:
    known = next((figure.figure for figure in each.figures if figure.name == name), None)
    return NONE if known is None else _worded(known, sign=sign)


def _worded(figure: Interval, *, sign: bool) -> str:
    value = signed(figure.value) if sign else plain(figure.value)
    return value if figure.low is None else f"{value} {between(figure, sign=sign)}"


def _source(dossier: Dossier, run: str) -> str:
    return source_labels(dossier, ExperimentLayout.predictions_of(run))


def _level(dossier: Dossier) -> str:
    return percent(1 - dossier.spec.analysis.alpha)


def _clusters(dossier: Dossier) -> str:
    cluster = dossier.spec.analysis.cluster
    return "" if cluster is None else f" Samples are taken as independent here: `{cluster}` is not considered."


def _wanting(dossier: Dossier, names: Sequence[str]) -> str:
    """Return why figures are missing, each reason once and few of them."""
    found = dossier.findings.diagnoses
    reasons = dict.fromkeys(each.reason for each in found if each.reason)
    reasons |= dict.fromkeys(
        f"{_NAMES[figure.name]}, where {figure.reason}"
        for each in found
        for figure in each.figures
        if figure.name in names and figure.reason
    )
    more = f" And {len(reasons) - _REASONS} more reasons." if len(reasons) > _REASONS else ""
    return "".join(f" Not shown: {reason}." for reason in list(reasons)[:_REASONS]) + more


def _table(name: tuple[str, str], *, columns: Sequence[Column], rows: Sequence[tuple[str, ...]], note: str) -> Table:
    """Return a table of a key and a title, cut where it is long."""
    if not rows:
        return Table(*name, tuple(columns), (), "")
    cut = f" The first {_MOST} of {len(rows)} rows; report/trace.json holds all." if len(rows) > _MOST else ""
    return Table(*name, tuple(columns), tuple(rows[:_MOST]), f"{note}{cut}")
