"""Charts: panels of curves drawn by plotly, with bands for intervals."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from cruijff_kit.schema.metric_view import Curve, Panel

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

__all__ = ["bars", "chart", "config_of", "overlay", "page_of"]

_COLOURS = ("#1f5f8b", "#c2571a", "#2f7d5b", "#8a3b72", "#a07d12", "#4b4fa6")
_MUTED, _GRID, _INK = "#6b6862", "#e6e2d9", "#1c1b19"
_HEIGHT = 270


def config_of(name: str) -> dict[str, Any]:
    """Return how a chart behaves in the browser: it can be taken away as PNG, which the browser makes by itself."""
    image = {"format": "png", "filename": name, "scale": 2}
    return {"displaylogo": False, "toImageButtonOptions": image, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}


def chart(panel: Panel) -> "Figure":
    """Return a panel as a figure: a line for each curve, a band where it has an interval."""
    drawn = [
        trace
        for place, curve in enumerate(panel.curves)
        for trace in _traces(curve, colour=_COLOURS[place % len(_COLOURS)])
    ]
    return _figure(panel, drawn, legend=len(panel.curves) > 1)


def overlay(title: str, curves: Mapping[str, Curve], *, unit: str = "", logarithmic: bool = False) -> "Figure":
    """Return one figure of several runs on the same axes, each under its name."""
    drawn = [
        trace
        for place, (name, curve) in enumerate(curves.items())
        for trace in _traces(curve.model_copy(update={"title": name}), colour=_COLOURS[place % len(_COLOURS)])
    ]
    panel = Panel(title=title, unit=unit, curves=(), logarithmic=logarithmic)
    return _figure(panel, drawn, legend=True)


def bars(shares: Mapping[str, float], *, chosen: Sequence[str] = ()) -> "Figure":
    """Return probabilities as bars, those of the chosen options in full colour."""
    from plotly.graph_objects import Bar, Figure

    names = list(shares)
    colours = [_COLOURS[0] if name in chosen or not chosen else "#c9c4ba" for name in names]
    figure = Figure(
        Bar(
            x=list(shares.values()),
            y=[escape(name) for name in names],
            orientation="h",
            marker_color=colours,
            text=[f"{value:.3f}" for value in shares.values()],
            textposition="auto",
        )
    )
    figure.update_layout(_layout("", legend=False), height=70 + 38 * max(2, len(names)))
    figure.update_xaxes(range=[0, 1], gridcolor=_GRID, title="probability")
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    return figure


def page_of(title: str, figures: Sequence["Figure"]) -> str:
    """Return figures as one HTML page; the library that draws them is in it, so that it asks nothing of the net."""
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=place == 0, config=config_of("figure"))
        for place, figure in enumerate(figures)
    ]
    head = f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title><h1>{escape(title)}</h1>"
    return head + "\n".join(parts)


def _traces(curve: Curve, *, colour: str) -> "Iterator[Scatter]":
    from plotly.graph_objects import Scatter

    if curve.low:
        known = [
            (step, low, high)
            for step, low, high in zip(curve.steps, curve.low, curve.high, strict=True)
            if low is not None and high is not None
        ]
        across = [step for step, _, _ in known]
        around = [high for _, _, high in known] + [low for _, low, _ in reversed(known)]
        yield Scatter(
            x=across + across[::-1], y=around, fill="toself", fillcolor=_pale(colour), line={"width": 0},
            hoverinfo="skip", showlegend=False, mode="lines",
        )  # fmt: skip
    few = len(curve.steps) <= 60
    yield Scatter(
        x=curve.steps, y=curve.values, name=escape(curve.title), mode="lines+markers" if few else "lines",
        line={"color": colour, "width": 1.8}, marker={"size": 5}, hovertemplate="step %{x:g}: %{y:.5g}",
    )  # fmt: skip


def _figure(panel: Panel, drawn: "Sequence[Scatter]", *, legend: bool) -> "Figure":
    from plotly.graph_objects import Figure

    figure = Figure(drawn)
    figure.update_layout(_layout(panel.title, legend=legend), height=_HEIGHT)
    figure.update_xaxes(title="step", gridcolor=_GRID, zeroline=False, automargin=True)
    figure.update_yaxes(title=panel.unit or None, gridcolor=_GRID, zeroline=False, automargin=True)
    if panel.logarithmic:
        figure.update_yaxes(type="log", exponentformat="e")
    elif panel.share:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _layout(title: str, *, legend: bool) -> dict[str, Any]:
    return {
        "title": {"text": escape(title), "font": {"size": 15, "color": _INK}, "x": 0, "xanchor": "left"},
        "margin": {"l": 60, "r": 12, "t": 44 if title else 12, "b": 44},
        "showlegend": legend,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "font": {"color": _MUTED, "size": 12},
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "hovermode": "x unified",
        "uirevision": title,
    }


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
