"""The page *Decide*: probabilities of one sample become a set, costs and a verdict, and what is guaranteed of them."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.serving import ModelChoice
from cruijff_kit.schema.verdict import DecisionSettings, TextOrder, Verdict
from cruijff_kit.ui.asked import ask_costs, ask_levels
from cruijff_kit.ui.sight import choose_experiment, choose_run, plan_of, said, told, world_of
from cruijff_kit.ui.verdict import show_verdict
from cruijff_kit.ui.words import SIGNS, figure, plain, shown

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World
    from cruijff_kit.workflow.text_verdicts import TextJudge

__all__ = ["NO_GUARANTEE", "show_decide"]

NO_GUARANTEE = "Nothing is guaranteed here: there is no calibrator for these probabilities."
"""What stands where a guarantee would, without a calibrator."""

_TYPED, _STORED, _TEXT = "typed probabilities", "a stored sample", "a text, asked of the model"
_OWN = "no, yes"

_Made = TypeVar("_Made")
_Decide = Callable[[DecisionSettings], Verdict]


class _Case(NamedTuple):
    """What is decided on: the options, and how a verdict is made."""

    options: tuple[str, ...]
    decide: _Decide


def show_decide(opening: Opening) -> None:
    """Show the page."""
    st.title("Decide")
    if opening.model is not None:
        _show_model(opening, opening.model)
        return
    left, right = st.columns(2)
    with left:
        name = choose_experiment(opening)
    run = None
    if name is not None:
        with right:
            run = choose_run(plan_of(opening, name))
    world = world_of(opening.project, name or "", site=opening.site)
    calibrator = _calibrator(run, world=world)
    kind = st.radio("Decide on", [_TYPED, *([_STORED, _TEXT] if run is not None else [])], horizontal=True, key="kind")
    if kind == _STORED and run is not None:
        case = _stored(run, calibrator, world=world)
    elif kind == _TEXT and run is not None:
        case = _text(ModelChoice(run=run), world=world)
    else:
        case = _typed(calibrator)
    _weigh(case, calibrator)


def _show_model(opening: Opening, choice: ModelChoice) -> None:
    """Show the page for a model that belongs to no run: nothing was calibrated for it."""
    st.warning(NO_GUARANTEE, icon=":material/info:")
    _weigh(_text(choice, world=world_of(opening.project, "", site=opening.site)), None)


def _weigh(case: _Case | None, calibrator: Calibrator | None) -> None:
    if case is None:
        return
    left, right = st.columns([2, 3])
    with left:
        levels = ask_levels(calibrator)
    with right:
        costs = ask_costs(calibrator, case.options)
    with told():
        show_verdict(case.decide(DecisionSettings(costs=costs, **levels)), calibrated=calibrator is not None)


def _calibrator(run: str | None, *, world: "World") -> Calibrator | None:
    """Return the calibrator of a run, proven to be of its predictions; where there is none, say what that means."""
    why = ""
    if run is not None:
        try:
            found = workflow.checked_calibrator(run, world=world)
        except CruijffError as err:
            found, why = None, f" {said(err)}"
        if found is not None:
            _about(found, world=world)
            return found
        why = why or f" `ck calibrate {run}` fits one."
    st.warning(f"{NO_GUARANTEE}{why}", icon=":material/info:")
    return None


def _about(found: Calibrator, *, world: "World") -> None:
    """Say what the calibrator is, and how it stands on the test split."""
    st.caption(
        f"Calibrator: {found.settings.method} on {found.n} samples of split {plain(found.settings.split)}, "
        f"alpha {found.alpha:g}, temperature {found.temperature:.3g}."
    )
    try:
        figures = _kept(
            "tested", found.run, make=lambda: workflow.apply_calibrator(found.run, world=world), world=world
        )
    except CruijffError:
        # There may be no test split; its promise does not need one.
        return
    light = workflow.light_split(figures, alpha=found.alpha)
    if light is not None:
        told = figure(light.value, light.low, light.high)
        st.markdown(f"{SIGNS[light.state]} On split test its {light.name.replace('_', ' ')} is {told}: {light.words}.")


def _typed(calibrator: Calibrator | None) -> _Case | None:
    options = calibrator.options if calibrator is not None else _own_options()
    if len(options) < 2:
        st.info("Name two options at least.")
        return None
    st.caption("They are made to add up to 1, and stand for what the model said, before any temperature.")
    cells = st.columns(min(6, len(options)))
    shares = {}
    for place, option in enumerate(options):
        start = 0.6 if place == 0 else round(0.4 / (len(options) - 1), 3)
        cell, label = cells[place % len(cells)], shown(option)
        shares[option] = cell.number_input(label, 0.0, 1.0, start, 0.01, format="%.3f", key=f"share_{option}")
    total = sum(shares.values())
    if not total:
        st.info("Give an option more than 0.")
        return None
    text = json.dumps({option: share / total for option, share in shares.items()})
    return _Case(options, lambda asked: workflow.decide_shares(text, calibrator=calibrator, asked=asked))


def _own_options() -> tuple[str, ...]:
    text = st.text_input("Options, separated by commas", _OWN, key="own_options")
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _stored(run: str, calibrator: Calibrator | None, *, world: "World") -> _Case | None:
    try:
        page = _kept("samples", run, make=lambda: workflow.list_samples(run, world=world), world=world)
    except CruijffError as err:
        st.info(said(err))
        return None
    if not page.samples:
        st.info("No sample of this run was scored on a split that nothing was fitted to.")
        return None
    words = [f"{shown(each.sample_id)} · {each.task}" for each in page.samples]
    place = st.selectbox("Sample", range(len(words)), format_func=words.__getitem__, key=f"sample_{run}") or 0
    chosen = page.samples[place]
    groups = "".join(f", {plain(name)} {plain(value)}" for name, value in chosen.groups.items())
    st.caption(f"The right option of this sample is {plain(chosen.target)}{groups}.")

    def decide(asked: DecisionSettings) -> Verdict:
        return workflow.decide_sample(run, chosen.sample_id, task=chosen.task, asked=asked, world=world)

    options = calibrator.options if calibrator is not None else chosen.options
    return _Case(options, decide)


def _kept(what: str, run: str, *, make: Callable[[], _Made], world: "World") -> _Made:
    """Return what was made of a run's predictions, made again only once something was recorded since."""
    head = world.audit.head()
    key = (str(world.store.root), run, head.seq if head is not None else -1)
    kept = st.session_state.get(what)
    if kept is None or kept[0] != key:
        kept = (key, make())
        st.session_state[what] = kept
    return kept[1]


def _text(choice: ModelChoice, *, world: "World") -> _Case | None:
    """Load the model once it is wanted, and ask it of what is typed; nothing of that is kept."""
    named = _own_options() if choice.run is None else ()
    if not st.toggle("load the model on this machine", key=f"load_{choice.model_dump_json()}"):
        st.info("It takes the memory and the time that the model takes; on a login node ask before you do.")
        return None
    order = TextOrder(choice=choice, options=named)
    with st.spinner("loading the model"), told():
        judge = _judge(order, world)
        text = st.text_area("Text", key="text", placeholder="what stands in the place of a row's input")
        if not text.strip():
            return None
        return _Case(judge.options, lambda asked: judge.asked_otherwise(asked).decide(text))
    return None


@st.cache_resource(max_entries=1, show_spinner=False, hash_funcs={TextOrder: TextOrder.model_dump_json})
def _judge(order: TextOrder, _world: "World") -> "TextJudge":
    return workflow.open_judge(order, world=_world)
