"""Reliability, ROC and risk-coverage of a report's runs, a panel an evaluation."""

from collections.abc import Iterator, Sequence

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Stroke
from cruijff_kit.rendering.numbers import between, plain
from cruijff_kit.rendering.score_panels import Panel, Scales, draw_panels, pick_panels
from cruijff_kit.schema.diagnosis import Diagnosis, Point, ReliabilityBin
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.report import Dossier

__all__ = ["score_plots"]

_STRIP = 44.0
"""Height of the counts below a reliability diagram."""
_DOTS = 8
"""Points of a curve that tell their figures."""
_LEAST_TOP = 0.05


def score_plots(dossier: Dossier) -> Iterator[Drawing]:
    """Yield the plots that the diagnoses have data for."""
    reliable = pick_panels(dossier, lambda each: bool(each.bins))
    if reliable is not None:
        warm = any(panel.diagnosis.warmed for panel in reliable.panels)
        yield draw_panels(
            reliable,
            ("reliability", "Reliability of the probabilities"),
            words=(
                "probability of the likeliest answer, against the share that is right; bars and numbers count samples",
                "filled: as evaluated; rings: at the temperature of the run's calibrator" if warm else "",
            ),
            foot=_STRIP,
            fill=_reliability,
        )
    ranked = pick_panels(dossier, lambda each: bool(each.roc))
    if ranked is not None:
        words = "false positive rate, against true positive rate", "the broken line is chance"
        yield draw_panels(ranked, ("roc", "ROC curves of two options"), words=words, fill=_roc)
    selective = pick_panels(dossier, lambda each: len(each.risk_coverage) > 1)
    if selective is not None:
        highest = max(risk for panel in selective.panels for _, risk in panel.diagnosis.risk_coverage)
        yield draw_panels(
            selective,
            ("risk_coverage", "Risk against coverage"),
            words=(
                "share of samples acted on, surest first, against the share of them that is wrong",
                "from ten samples on; the broken line is acting on all",
            ),
            top=max(_LEAST_TOP, highest),
            fill=_risk,
        )


def _reliability(panel: Panel, scales: Scales) -> tuple[str, Sequence[Mark]]:
    each = panel.diagnosis
    heading = f"ECE {plain(_known(each, 'ece').value)}"
    if each.temperature is not None:
        heading = f"{heading}, {plain(each.warmed_ece)} at temperature {each.temperature:.2f}"
    return heading, [
        Stroke(((scales[0](0), scales[1](0)), (scales[0](1), scales[1](1))), "muted", width=1, dashed=True),
        *_strip(panel, scales),
        *(mark for each_bin in each.warmed for mark in _ring(panel, each_bin, scales=scales)),
        *(mark for each_bin in each.bins for mark in _bin(panel, each_bin, scales=scales)),
    ]


def _bin(panel: Panel, each: ReliabilityBin, *, scales: Scales) -> Iterator[Mark]:
    across, up = scales
    figure, x = each.accuracy, across(each.confidence)
    if figure.low is not None and figure.high is not None:
        yield Stroke(((x, up(figure.low)), (x, up(figure.high))), panel.role, width=2, opacity=0.55)
    yield Dot(x, up(figure.value or 0.0), panel.role, radius=4, title=_told(panel, each))


def _ring(panel: Panel, each: ReliabilityBin, *, scales: Scales) -> Iterator[Mark]:
    across, up = scales
    title = f"{_told(panel, each)}, at temperature {panel.diagnosis.temperature:.2f}"
    yield Dot(across(each.confidence), up(each.accuracy.value or 0.0), "ink", radius=4, hollow=True, title=title)


def _told(panel: Panel, each: ReliabilityBin) -> str:
    figure = each.accuracy
    return (
        f"{panel.diagnosis.run}, {each.low:g} to {each.high:g}: {plain(figure.value)} {between(figure)} right, "
        f"mean probability {plain(each.confidence)}, n {figure.n}"
    )


def _strip(panel: Panel, scales: Scales) -> Iterator[Mark]:
    """Yield a bar a bin below the axis, and how many samples it holds."""
    across, up = scales
    ground, most = up.start + 18 + _STRIP, max(each.accuracy.n for each in panel.diagnosis.bins)
    for each in panel.diagnosis.bins:
        x, height = across((each.low + each.high) / 2), (_STRIP - 22) * each.accuracy.n / most
        yield Stroke(((x, ground - 16), (x, ground - 16 - height)), panel.role, width=7, opacity=0.35)
        yield Label(x, ground, _short(each.accuracy.n), anchor="middle")


def _short(count: int) -> str:
    """Return a count in at most four characters."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1e6:.0f}M"


def _roc(panel: Panel, scales: Scales) -> tuple[str, Sequence[Mark]]:
    across, up = scales
    chance = Stroke(((across(0), up(0)), (across(1), up(1))), "muted", width=1, dashed=True)
    marks = _curve(panel, panel.diagnosis.roc, scales=scales, words=("false positive rate", "true positive rate"))
    return f"AUC {_worded(_known(panel.diagnosis, 'auc'))}", [chance, *marks]


def _risk(panel: Panel, scales: Scales) -> tuple[str, Sequence[Mark]]:
    across, up = scales
    points = panel.diagnosis.risk_coverage
    whole = Stroke(((across(0), up(points[-1][1])), (across(1), up(points[-1][1]))), "muted", width=1, dashed=True)
    marks = _curve(panel, points, scales=scales, words=("acted on", "wrong"))
    return f"AURC {_worded(_known(panel.diagnosis, 'aurc'))}", [whole, *marks]


def _curve(panel: Panel, points: Sequence[Point], *, scales: Scales, words: tuple[str, str]) -> Iterator[Mark]:
    across, up = scales
    yield Stroke(tuple((across(x), up(y)) for x, y in points), panel.role, width=1.8)
    for x, y in points[:: max(1, len(points) // _DOTS)]:
        title = f"{panel.diagnosis.run}: {words[0]} {plain(x)}, {words[1]} {plain(y)}"
        yield Dot(across(x), up(y), panel.role, radius=2.5, title=title)


def _known(each: Diagnosis, name: str) -> Interval:
    return next(figure.figure for figure in each.figures if figure.name == name)


def _worded(figure: Interval) -> str:
    return plain(figure.value) if figure.low is None else f"{plain(figure.value)} {between(figure)}"
