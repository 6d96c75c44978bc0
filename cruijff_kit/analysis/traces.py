"""Traces: which bytes each figure of a report was computed from."""

from collections.abc import Iterator, Mapping

from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.report import Findings, Interval, Reference, Trace
from cruijff_kit.schema.result import ResultTable

__all__ = ["PLAN", "figure_key", "labelled", "trace_all"]

PLAN = "d2"
"""Label of the sealed plan."""


def figure_key(*parts: object) -> str:
    """Return the name under which a figure is traced: its kind and what it is about."""
    return "/".join(str(part) for part in parts)


def trace_all(
    table: ResultTable, findings: Findings, *, hashes: Mapping[str, str]
) -> tuple[tuple[Reference, ...], tuple[Trace, ...]]:
    """Return the files that figures come from, and the way from each figure to them.

    Args:
        table: what was collected.
        findings: the figures computed from it.
        hashes: path to SHA-256 of `results.parquet`, of each predictions file and each calibrator.
    """
    known = _References(table, hashes)
    traces = (*_losses(findings, known), *_accuracies(findings, known), *_bests(findings), *_derived(findings, known))
    return known.all, traces


class _References:
    """References by path, labelled by kind in the order of the table."""

    def __init__(self, table: ResultTable, hashes: Mapping[str, str]) -> None:
        training = {result.source: result.source_sha256 for result in table.runs}
        logs = {row.source: row for row in table.rows if row.source and row.source not in training}
        calibrators = {path: sha for path, sha in hashes.items() if path.endswith("calibrator.json")}
        derived = {path: sha for path, sha in hashes.items() if path not in {ExperimentLayout.results, *calibrators}}
        results = {ExperimentLayout.results: hashes.get(ExperimentLayout.results)}
        self.all = (
            *labelled("t", training, pointer="`loss`, `val_loss` and `tokens_per_second` of each line"),
            *labelled("e", {path: row.source_sha256 for path, row in logs.items()}, pointer="`samples/*.json#/scores`"),
            *labelled(
                "p",
                derived,
                pointer="`correct`, `confidence` and `option_logprobs` by `task`, `epoch`, `sample_id` and `groups`",
            ),
            *labelled("c", calibrators, pointer="`thresholds` or `threshold`, and `temperature`"),
            *labelled("r", results, pointer="column `value` by `run`, `task`, `epoch` and `metric`"),
        )
        self._labels = {reference.path: reference.label for reference in self.all}

    def labels(self, *paths: str) -> tuple[str, ...]:
        """Return the labels of those paths that are known."""
        return tuple(self._labels[path] for path in paths if path in self._labels)


def labelled(letter: str, files: Mapping[str, str | None], *, pointer: str) -> Iterator[Reference]:
    """Yield a reference a file, path to hash, numbered from 1 behind the letter of its kind."""
    for number, (path, sha256) in enumerate(files.items(), start=1):
        yield Reference(label=f"{letter}{number}", path=path, sha256=sha256, pointer=pointer)


def _losses(findings: Findings, known: _References) -> Iterator[Trace]:
    for each in findings.losses:
        labels = known.labels(each.source)
        for name in ("first", "final", "validation", "seconds", "tokens_per_second"):
            yield Trace(figure=figure_key("training", each.run, name), value=getattr(each, name), references=labels)


def _accuracies(findings: Findings, known: _References) -> Iterator[Trace]:
    for each in findings.findings:
        key = figure_key("accuracy", each.run, each.task, _epoch(each.epoch), each.metric)
        labels = known.labels(each.source)
        yield _trace(key, each.figure, labels=labels)
        if each.at_best is not None:
            yield Trace(figure=figure_key(key, "at_best"), value=each.at_best, references=labels)


def _bests(findings: Findings) -> Iterator[Trace]:
    """Yield what can be known of the answers of each split that is asked, as the plan holds it."""
    bests = {(each.best.dataset, each.best.split): each.best for each in findings.findings if each.best is not None}
    for key, best in bests.items():
        name = figure_key("ceiling", *key)
        yield Trace(figure=name, value=best.accuracy, references=(PLAN,))
        for part in ("entropy", "commonest", "on_rows"):
            yield Trace(figure=figure_key(name, part), value=getattr(best.ceiling, part), references=(PLAN,))


def _derived(findings: Findings, known: _References) -> Iterator[Trace]:
    """Yield what was computed from the collected tables."""
    results = known.labels(ExperimentLayout.results)
    for cell in findings.cells:
        levels = ",".join(f"{name}={level}" for name, level in cell.factors.items())
        yield _trace(figure_key("mean", levels), cell.figure, labels=results)
    for effect in findings.effects:
        key = figure_key("effect", effect.factor, effect.contrast)
        yield _trace(key, effect.figure, labels=results)
        yield from _tests(key, {"p": effect.p_value, "adjusted_p": effect.p_adjusted}, labels=results)
    for pair in findings.comparisons:
        labels = known.labels(ExperimentLayout.predictions_of(pair.run), ExperimentLayout.predictions_of(pair.base))
        key = figure_key("base", pair.run, pair.task)
        yield _trace(key, pair.difference, labels=labels)
        yield _trace(figure_key(key, "bootstrap"), pair.bootstrap, labels=labels)
        tests = {"p": pair.p_value, "mid_p": pair.mid_p, "adjusted_p": pair.p_adjusted}
        yield from _tests(key, tests, labels=labels)
    yield from _claims(findings, known)
    yield from _checks(findings, known)
    for each in findings.diagnoses:
        for score in each.figures:
            key = figure_key("probability", each.run, each.task, _epoch(each.epoch), score.name)
            yield _trace(key, score.figure, labels=known.labels(ExperimentLayout.predictions_of(each.run)))
    for promise in findings.guarantees:
        labels = known.labels(ExperimentLayout.predictions_of(promise.run), RunLayout(promise.run).calibrator)
        for name, figure in (("coverage", promise.coverage), ("acted", promise.acted), ("risk", promise.risk)):
            if figure is not None:
                yield _trace(figure_key("guarantee", promise.run, promise.task, name), figure, labels=labels)
    for group in findings.groups:
        key = figure_key("group", group.run, group.task, group.group, group.level)
        yield _trace(key, group.figure, labels=known.labels(ExperimentLayout.predictions_of(group.run)))


def _checks(findings: Findings, known: _References) -> Iterator[Trace]:
    """Yield what a look across all cells computed for itself: chance from the answers, all else from the results."""
    for each in findings.checks:
        samples = map(ExperimentLayout.predictions_of, each.runs) if each.kind == "floor" else ()
        labels = known.labels(*samples) or known.labels(ExperimentLayout.results)
        for name, value in each.figures.items():
            yield Trace(figure=figure_key("check", each.kind, name), value=value, references=labels)


def _claims(findings: Findings, known: _References) -> Iterator[Trace]:
    """Yield figure and p-value of each claim that was tested, by its place in the design."""
    for place, claim in enumerate(findings.claims, start=1):
        if claim.figure is not None:
            seeds = claim.test.startswith("t over seeds")
            samples = () if seeds else known.labels(*map(ExperimentLayout.predictions_of, claim.runs))
            labels = samples or known.labels(ExperimentLayout.results)
            key = figure_key("claim", place)
            yield _trace(key, claim.figure, labels=labels)
            yield from _tests(key, {"adjusted_p": claim.p_adjusted}, labels=labels)


def _tests(key: str, values: Mapping[str, float | None], *, labels: tuple[str, ...]) -> Iterator[Trace]:
    """Yield the p-values that are told of a figure."""
    for name, value in values.items():
        if value is not None:
            yield Trace(figure=figure_key(key, name), value=value, references=labels)


def _trace(key: str, figure: Interval, *, labels: tuple[str, ...]) -> Trace:
    return Trace(figure=key, value=figure.value, low=figure.low, high=figure.high, n=figure.n, references=labels)


def _epoch(epoch: int | None) -> str:
    return "base" if epoch is None else str(epoch)
