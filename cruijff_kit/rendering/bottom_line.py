"""The bottom line: plain sentences, each made of figures that stand in the tables."""

from collections.abc import Iterator, Sequence

from cruijff_kit.rendering.numbers import between, factor_words, p_text, percent, plain, signed
from cruijff_kit.schema.claims import VERDICTS
from cruijff_kit.schema.report import CellFigure, Comparison, Deviation, Effect, Finding, Findings, Interval
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["bottom_line", "compared", "completeness", "exploratory"]

# More sentences than these are a table.
_EFFECTS = 4


def bottom_line(findings: Findings, spec: ExperimentSpec, *, deviations: Sequence[Deviation] = ()) -> tuple[str, ...]:
    """Return what was found in a few sentences: deviations, claims, then the best figures and effects."""
    opening = (*exploratory(deviations), *_exceeded(findings), *_claims(findings))
    if findings.verdict == "empty":
        return (*exploratory(deviations), "No planned result is there yet.", completeness(findings))
    alpha = spec.analysis.alpha
    trains = spec.tools.preparation != "none"
    beside = _base(findings, alpha) if trains else _first(findings, alpha)
    closing = (*_effects(findings, alpha), *_reached(findings), completeness(findings))
    sentences = (*opening, _best(findings, spec), *beside, *closing)
    return tuple(sentence for sentence in sentences if sentence)


def exploratory(deviations: Sequence[Deviation]) -> tuple[str, ...]:
    """Return the sentence that warns of deviations, where there are any."""
    if not deviations:
        return ()
    kinds = dict.fromkeys(each.kind for each in deviations)
    places = "1 place" if len(deviations) == 1 else f"{len(deviations)} places"
    stated = "the design stated before the first job"
    return (f"EXPLORATORY: in {places} this report deviates from {stated} ({', '.join(kinds)}).",)


def _claims(findings: Findings) -> Iterator[str]:
    """Yield how many claims came out which way, where any could be tested."""
    tested = [each for each in findings.claims if each.verdict != "not testable"]
    if not tested:
        return
    counts = {verdict: sum(each.verdict == verdict for each in findings.claims) for verdict in VERDICTS}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    late = sum(each.exploratory for each in tested)
    yield f"Claims: {told}{f'; {late} of them EXPLORATORY' if late else ''}."


def _exceeded(findings: Findings) -> Iterator[str]:
    """Yield that figures lie above what is possible: whatever follows cannot be believed before that is explained."""
    yield from (_capital(each.words) for each in findings.checks if each.kind == "ceiling" and each.flagged)


def _reached(findings: Findings) -> Iterator[str]:
    """Yield how near figures came to the best possible ones, where these are known."""
    yield from (_capital(each.words) for each in findings.checks if each.kind == "ceiling" and not each.flagged)


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def completeness(findings: Findings) -> str:
    """Return how much of the plan has results."""
    count = f"{findings.complete} of {findings.planned} runs have every planned result"
    return f"{count}; the report lists what is missing." if findings.incomplete else f"{count}."


def compared(comparisons: tuple[Comparison, ...], alpha: float, *, reference: str = "the base model") -> str:
    """Return how many runs differ from what each is set beside, in either direction."""
    clear = [each for each in comparisons if each.p_adjusted < alpha]
    test = f"{comparisons[0].test}, Holm-adjusted"
    better = sum(each.gained > each.lost for each in clear)
    worse, largest = len(clear) - better, max(each.p_adjusted for each in comparisons)
    p_value = p_text(largest) if largest < 0.001 else f"at most {p_text(largest)}"
    if len(comparisons) == 1:
        shown = "a gain" if better else "a loss" if worse else f"neither gain nor loss at alpha {alpha:g}"
        return f"The comparison with {reference} shows {shown} on the same samples ({test}, p {p_text(largest)})."
    if better == len(comparisons):
        return f"All {better} comparisons with {reference} show a gain on the same samples ({test}, p {p_value})."
    return (
        f"Of {len(comparisons)} comparisons with {reference} on the same samples, {better} show a gain and "
        f"{worse} a loss at alpha {alpha:g} ({test}); the others show neither."
    )


def _best(findings: Findings, spec: ExperimentSpec) -> str:
    """Return the sentence on the best combination of levels, by its mean over seeds."""
    figures = [cell for cell in findings.cells if cell.figure.value is not None]
    if not figures:
        return ""
    best = (min if findings.lower_is_better else max)(figures, key=_value)
    runs = "run" if spec.tools.preparation == "none" else "seed"
    seeds = runs if best.figure.n == 1 else f"{runs}s"
    words = factor_words(best.factors) or "the one design point"
    none = f" (no interval: {f'one {runs}' if best.figure.n == 1 else f'no spread between {seeds}'})"
    mean = f"{plain(best.figure.value)} over {best.figure.n} {seeds}{_brackets(best.figure) or none}"
    tied = _tied([cell.figure for cell in figures], best.figure)
    return f"Best setting: {words}, with a mean {findings.outcome} of {mean}{tied}."


def _tied(figures: Sequence[Interval], best: Interval) -> str:
    """Return how many others are as good as the one that is named, which it is by its place alone."""
    others = sum(each.value == best.value for each in figures) - 1
    return f", tied with {others} other{'s' if others > 1 else ''}" if others > 0 else ""


def _base(findings: Findings, alpha: float) -> Iterator[str]:
    """Yield the sentence that sets the best run beside its base model."""
    last = _last(findings)
    pairs = [(last.get(each.run), last.get(each.base)) for each in findings.comparisons]
    known = [
        (run, base) for run, base in pairs if run is not None and base is not None and run.figure.value is not None
    ]
    if known:
        best = min if findings.lower_is_better else max
        run, base = best(known, key=lambda pair: pair[0].figure.value or 0.0)
        before = f"{plain(base.figure.value)}{_brackets(base.figure, samples=True)}"
        tied = _tied([each.figure for each in {each.run: each for each, _ in known}.values()], run.figure)
        yield (
            f"Best run: {run.run} with {plain(run.figure.value)}{_brackets(run.figure, samples=True)}{tied}; its base "
            f"model has {'no such figure' if base.figure.value is None else before}."
        )
        yield f"{_whose(findings)}{compared(findings.comparisons, alpha)}"


def _whose(findings: Findings) -> str:
    """Return what the comparisons are of, where that is not the outcome."""
    return "By right answers: " if "/" in findings.metric else ""


def _first(findings: Findings, alpha: float) -> Iterator[str]:
    """Yield the sentence on runs set beside the first one, where nothing is trained."""
    if findings.comparisons:
        yield compared(findings.comparisons, alpha, reference=f"the first run, {findings.comparisons[0].base},")


def _effects(findings: Findings, alpha: float) -> Iterator[str]:
    known = [each for each in findings.effects if each.figure.value is not None and each.p_adjusted is not None]
    clear = sorted((each for each in known if _p(each) < alpha), key=_p)
    for effect in clear[:_EFFECTS]:
        yield _effect(effect, findings)
    unclear = [each.factor for each in known if _p(each) >= alpha]
    if unclear and len(unclear) <= _EFFECTS:
        yield f"No clear effect of {' and '.join(dict.fromkeys(unclear))} at alpha {alpha:g} after adjustment."
    if findings.effects and not known:
        yield "The effects of the factors have no intervals; the table says why."


def _effect(effect: Effect, findings: Findings) -> str:
    figure = effect.figure
    span = f"{percent(figure.level)} interval {between(figure, sign=True)}, adjusted p {p_text(effect.p_adjusted)}"
    if " x " in effect.factor:
        first, second = effect.factor.split(" x ")
        return f"The effect of {first} depends on {second}: {effect.contrast} is {signed(figure.value)} ({span})."
    verb = "raises" if (figure.value or 0.0) > 0 else "lowers"
    high, low = effect.contrast.split(" - ", 1)
    what = "the loss" if findings.task == "training" else findings.outcome if "/" in findings.metric else "accuracy"
    return f"{effect.factor} {high} instead of {low} {verb} {what} by {plain(abs(figure.value or 0.0))} ({span})."


def _brackets(figure: Interval, *, samples: bool = False) -> str:
    if figure.low is None:
        return ""
    count = f", n {figure.n}" if samples else ""
    return f" ({percent(figure.level)} interval {between(figure)}{count})"


def _last(findings: Findings) -> dict[str, Finding]:
    """Return the figure of the outcome of each run at its last epoch."""
    last: dict[str, Finding] = {}
    for each in findings.findings:
        if (each.task, each.metric) == (findings.task, findings.metric):
            known = last.setdefault(each.run, each)
            last[each.run] = each if _order(each) > _order(known) else known
    return last


def _order(each: Finding) -> int:
    return -1 if each.epoch is None else each.epoch


def _value(cell: CellFigure) -> float:
    return cell.figure.value or 0.0


def _p(effect: Effect) -> float:
    return 1.0 if effect.p_adjusted is None else effect.p_adjusted
