"""What is remembered of experiments: which match a question, what may be told, what a report says first."""

from collections.abc import Iterator, Mapping, Sequence

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.report import Reference, Trace
from cruijff_kit.schema.search import Card, CardFigure, CardModel, Query

__all__ = ["card_figure", "covered", "headline", "matches"]

_FIRST = {"effect": 4, "mean": 4, "base": 2, "accuracy": 2, "training": 1}
"""Kinds of figures that are remembered, and how many of each."""
_SHORTEST_HASH = 6


def covered(card: Card, why: str, *, tier: Tier) -> Card:
    """Return a card that tells of an experiment only its name, stage, counts and hashes."""
    return Card(
        experiment=card.experiment,
        project=card.project,
        stage=card.stage,
        archived=card.archived,
        tier=tier,
        withheld=why,
        models=tuple(CardModel(name="", sha256=each.sha256) for each in card.models),
        datasets=card.datasets,
        runs=card.runs,
        figures_in_all=card.figures_in_all,
        report_sha256=card.report_sha256,
        superseded=card.superseded,
        lessons_in_all=card.lessons_in_all,
        record=card.record,
        problems=card.problems,
    )


def matches(card: Card, query: Query) -> bool:
    """Return whether an experiment is one that is looked for.

    One that is withheld is found by its name and the hash of its model only: what else matched
    would tell what is in it.
    """
    words = query.words.casefold().split()
    text = _text(card)
    return all(
        (
            all(word in text for word in words),
            query.model is None or _has_model(card, query.model),
            query.task is None or query.task in card.tasks,
            query.factor is None or _has_factor(card, query.factor),
            query.metric is None or query.metric in card.metrics,
        )
    )


def headline(traces: Sequence[Trace], references: Mapping[str, Reference]) -> tuple[CardFigure, ...]:
    """Return the figures that a report is remembered by, each with the first file it was computed from."""
    return tuple(
        card_figure(each, references) for kind, most in _FIRST.items() for each in _of_kind(traces, kind)[:most]
    )


def card_figure(trace: Trace, references: Mapping[str, Reference]) -> CardFigure:
    """Return a figure with the first file it was computed from."""
    source = references.get(trace.references[0]) if trace.references else None
    return CardFigure(
        figure=trace.figure,
        value=trace.value,
        low=trace.low,
        high=trace.high,
        n=trace.n,
        path=source.path if source else "",
        sha256=source.sha256 if source else None,
    )


def _of_kind(traces: Sequence[Trace], kind: str) -> list[Trace]:
    return [each for each in traces if each.figure.startswith(f"{kind}/") and each.value is not None]


def _text(card: Card) -> str:
    return " \n".join(_texts(card)).casefold()


def _texts(card: Card) -> Iterator[str]:
    yield card.experiment
    yield card.question
    yield from (model.name for model in card.models)
    yield from (*card.tasks, *card.metrics)
    for name, levels in card.factors.items():
        yield name
        yield from (f"{name}={level}" for level in levels)
    yield from (lesson.text for lesson in card.lessons)


def _has_model(card: Card, wanted: str) -> bool:
    starts = wanted.lower() if len(wanted) >= _SHORTEST_HASH else " "
    return any(wanted == each.name or (each.sha256 or "").startswith(starts) for each in card.models)


def _has_factor(card: Card, wanted: str) -> bool:
    name, equals, level = wanted.partition("=")
    if name not in card.factors:
        return False
    return not equals or any(_same(each, level) for each in card.factors[name])


def _same(level: object, wanted: str) -> bool:
    if str(level) == wanted:
        return True
    try:
        return not isinstance(level, bool) and isinstance(level, int | float) and float(wanted) == level
    except ValueError:
        return False
