"""Tokens of questions and answers as bars beside each other."""

from collections.abc import Iterator, Mapping

from cruijff_kit.rendering.drawing import Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.dataset_report import TextTokens, TokenCounts

__all__ = ["token_bars"]

_WIDTH, _TOP, _BOTTOM, _LEFT = 720.0, 64.0, 320.0, 64.0
# More places than these are put together, so that their names stay apart.
_MOST = 16
# Lines end half their width beyond their points: an area is laid out by thin ones.
_THIN = 2.0


def token_bars(texts: TextTokens, *, title: str) -> Drawing:
    """Return the share of questions and of answers that take so many tokens.

    Args:
        texts: the counts.
        title: what was counted.
    """
    both = {**texts.questions.counts, **texts.answers.counts}
    least, greatest = min(both), max(both)
    step = -(-(greatest - least + 1) // _MOST)
    parts = [(_shares(each, least=least, step=step), role) for each, role in _roles(texts)]
    most = max(share for shares, _ in parts for share in shares.values())
    height = Scale(0.0, most, _BOTTOM, _TOP)
    places = (greatest - least) // step + 1
    slot = (_WIDTH - _LEFT) / places
    marks = [*_frame(height, title), *_legend(texts)]
    for index in range(places):
        middle = _LEFT + (index + 0.5) * slot
        low = least + index * step
        marks.append(Label(middle, _BOTTOM + 18, str(low) if step == 1 else f"{low}+", anchor="middle"))
        for side, (shares, role) in zip((-1, 1), parts, strict=True):
            marks.extend(_bar(middle + side * slot / 5, shares.get(index, 0.0), height=height, look=(role, slot / 2.8)))
    marks.append(Label((_LEFT + _WIDTH) / 2, _BOTTOM + 40, "tokens of a text", anchor="middle"))
    told = f"Share of questions and answers of {clean_line(title)} by tokens"
    return Drawing("token_distribution", told, _WIDTH, _BOTTOM + 46, tuple(marks))


def _roles(texts: TextTokens) -> tuple[tuple[TokenCounts, str], ...]:
    return (texts.questions, "c0"), (texts.answers, "c1")


def _shares(counted: TokenCounts, *, least: int, step: int) -> Mapping[int, float]:
    total = sum(counted.counts.values())
    found: dict[int, float] = {}
    for tokens, count in counted.counts.items():
        place = (tokens - least) // step
        found[place] = found.get(place, 0.0) + count / total
    return found


def _bar(x: float, share: float, *, height: Scale, look: tuple[str, float]) -> Iterator[Mark]:
    """Yield an area as one thin line that goes up and down."""
    role, width = look
    if not share:
        return
    low, high = height(0.0) - _THIN / 2, min(height(share) + _THIN / 2, height(0.0) - _THIN / 2)
    steps = max(1, round(width / (_THIN * 0.75)))
    points = []
    for step in range(steps + 1):
        at = x + (step / steps - 0.5) * (width - _THIN)
        points += [(at, low), (at, high)] if step % 2 else [(at, high), (at, low)]
    yield Stroke(tuple(points), role, width=_THIN)


def _frame(height: Scale, title: str) -> Iterator[Mark]:
    yield Label(0, 12, clean_line(title)[:90], role="ink", bold=True)
    for value in ticks(0.0, height.high):
        yield Stroke(((_LEFT, height(value)), (_WIDTH, height(value))), "grid", width=1)
        yield Label(_LEFT - 10, height(value) + 4, f"{100 * value:g} %", anchor="end")


def _legend(texts: TextTokens) -> Iterator[Mark]:
    x = 0.0
    for name, (counted, role) in zip(("questions", "answers"), _roles(texts), strict=True):
        yield Stroke(((x + 5, 30), (x + 11, 30)), role, width=10)
        yield Label(x + 22, 34, f"{name}: mean {counted.spread.mean:.2f}, {counted.per_word:.2f} a word", role="ink")
        x += 300
