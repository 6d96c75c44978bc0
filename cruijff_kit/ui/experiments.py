"""The page *Experiments*: every experiment of the project and every run of it, as they stand now."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import streamlit as st

from cruijff_kit.schema.job import Step
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.schema.search import Card
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.sight import Standing, project_cards, standing_of
from cruijff_kit.ui.words import PHASES, plain, shown

__all__ = ["RunLine", "filtered", "run_lines", "show_experiments"]

_EVERY = 3.0
_HEIGHT = 560
_ALL = "all experiments"


class _Wanted(TypedDict):
    words: str
    states: Sequence[str]


class RunLine(NamedTuple):
    """One run in the table."""

    experiment: str
    """The experiment."""
    run: str
    """The run."""
    training: Phase | None
    """Where its training stands; None where it has none."""
    evaluation: Phase | None
    """Where its evaluation stands; None where it has none."""
    done: float | None
    """Share of the steps of the job under way, or last under way."""
    loss: float | None
    """Loss of the last step, while it trains."""
    note: str
    """Why it stands so."""


def run_lines(status: ExperimentStatus, experiment: str) -> Iterator[RunLine]:
    """Yield a line a run, in design order."""
    runs: dict[str, dict[Step, StepStatus]] = {}
    for entry in status.steps:
        runs.setdefault(entry.run_id, {})[entry.step] = entry
    for run, steps in runs.items():
        training, evaluation = steps.get(Step.TRAIN), steps.get(Step.EVAL)
        told = [entry for entry in (training, evaluation) if entry is not None and entry.reason]
        moving = next((entry for entry in (training, evaluation) if entry and entry.phase is Phase.RUNNING), training)
        own = moving.own if moving is not None else None
        yield RunLine(
            experiment=experiment,
            run=run,
            training=training.phase if training is not None else None,
            evaluation=evaluation.phase if evaluation is not None else None,
            done=own.step / own.total if own is not None and own.total else None,
            loss=training.last.get("loss") if training is not None else None,
            note="; ".join(f"{entry.step.value}: {entry.reason}" for entry in told),
        )


def filtered(lines: Iterable[RunLine], *, words: str, states: Sequence[str]) -> list[RunLine]:
    """Return the runs that hold all words and are in one of these states; in any where none is named."""
    wanted = words.casefold().split()
    return [
        line
        for line in lines
        if all(word in f"{line.experiment} {line.run} {line.note}".casefold() for word in wanted)
        and (not states or {str(phase.value) for phase in (line.training, line.evaluation) if phase} & set(states))
    ]


def show_experiments(opening: Opening) -> None:
    """Show the page."""
    st.title("Experiments")
    left, middle, right = st.columns([3, 3, 2])
    words = left.text_input("Filter", placeholder="words of a run, an experiment or a reason", key="filter_words")
    states = middle.multiselect("States", [phase.value for phase in Phase], key="filter_states", placeholder="any")
    only = right.selectbox("Of", [_ALL, *_names(opening)], index=_index(opening), key="filter_experiment")

    wanted: _Wanted = {"words": words, "states": states}

    @st.fragment(run_every=_EVERY)
    def live() -> None:
        _tables(opening, only=str(only), wanted=wanted)

    live()
    # Apart from what is drawn anew, which would take back what was offered.
    offer("runs", lambda: [line._asdict() for line in filtered(_known(_seen(opening, str(only))), **wanted)])


def _names(opening: Opening) -> list[str]:
    return [card.experiment for card in project_cards(opening.project, site=opening.site).hits]


def _index(opening: Opening) -> int:
    names = _names(opening)
    return names.index(opening.experiment) + 1 if opening.experiment in names else 0


def _tables(opening: Opening, *, only: str, wanted: _Wanted) -> None:
    standing, page = _seen(opening, only), project_cards(opening.project, site=opening.site)
    cards = [card for card in page.hits if card.experiment in standing]
    st.subheader(f"{len(cards)} experiments" if len(cards) != 1 else "1 experiment")
    st.dataframe(_experiments(cards, standing), hide_index=True, width="stretch", key="experiments")
    if page.total > len(page.hits):
        st.caption(f"Of {page.total:,} experiments the latest are here; `ck search` finds the others.")
    for text in page.damaged:
        st.error(plain(text))
    known = _known(standing)
    found = filtered(known, **wanted)
    st.subheader(f"{len(found)} of {len(known)} runs")
    _runs(found)


def _seen(opening: Opening, only: str) -> dict[str, Standing]:
    """Return where the experiments that are looked at stand, by name."""
    cards = project_cards(opening.project, site=opening.site).hits
    chosen = [card for card in cards if only in (_ALL, card.experiment)]
    return {card.experiment: _standing(card, opening, ask=len(chosen) == 1) for card in chosen}


def _known(standing: Mapping[str, Standing]) -> list[RunLine]:
    return [line for name, each in standing.items() if each.status is not None for line in run_lines(each.status, name)]


def _standing(card: Card, opening: Opening, *, ask: bool) -> Standing:
    if card.stage == "designed":
        return Standing(None, "not scaffolded yet")
    return standing_of(opening.project, card.experiment, ask=ask, site=opening.site)


def _experiments(cards: Sequence[Card], standing: dict[str, Standing]) -> dict[str, list[Any]]:
    return {
        "experiment": [shown(card.experiment) for card in cards],
        "stage": [card.stage for card in cards],
        "runs": [card.runs for card in cards],
        "states": [_states(standing[card.experiment]) for card in cards],
        "question": [shown(card.question or (f"withheld: {card.withheld}" if card.withheld else "")) for card in cards],
        "models": [shown(", ".join(each.name for each in card.models)) for card in cards],
        "tasks": [shown(", ".join(card.tasks)) for card in cards],
        "last recorded": [card.changed[:19].replace("T", " ") or card.created for card in cards],
    }


def _states(found: Standing) -> str:
    if found.status is None:
        return shown(found.why)
    counts = Counter(entry.phase for entry in found.status.steps)
    return ", ".join(f"{PHASES[phase]} {count} {phase.value}" for phase, count in counts.items())


def _runs(found: list[RunLine]) -> None:
    table = {
        "experiment": [shown(line.experiment) for line in found],
        "run": [line.run for line in found],
        "training": [_phase(line.training) for line in found],
        "evaluation": [_phase(line.evaluation) for line in found],
        "done": [line.done for line in found],
        "loss": ["" if line.loss is None else f"{line.loss:.4f}" for line in found],
        "why": [shown(line.note) for line in found],
    }
    picked = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=min(_HEIGHT, 38 + 35 * max(1, len(found))),
        column_config={
            "done": st.column_config.ProgressColumn("done", min_value=0, max_value=1, format="percent"),
        },
        on_select="rerun",
        selection_mode="single-row",
        key="runs",
    )
    st.caption("Choose a row to look at its run.")
    rows = picked["selection"]["rows"] if picked else []
    if rows and rows[0] < len(found):
        st.session_state["seen_experiment"], st.session_state["seen_run"] = found[rows[0]][:2]
        st.switch_page(st.session_state["pages"]["run"])


def _phase(phase: Phase | None) -> str:
    return "" if phase is None else f"{PHASES[phase]} {phase.value}"
