"""What pages see: the experiments of a project, opened as one who may be told least, and never written to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_world
from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.metric_view import MetricRow, MetricsMark
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.run import ExperimentStatus
from cruijff_kit.schema.search import Query, SearchPage
from cruijff_kit.ui.words import plain

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = [
    "MOST",
    "Followed",
    "Standing",
    "choose_experiment",
    "choose_run",
    "following",
    "plan_of",
    "project_cards",
    "said",
    "standing_of",
    "told",
    "world_of",
]

MOST = 500
"""Experiments that pages hold."""
_CLIENT = "ck ui"


@contextmanager
def told() -> Iterator[None]:
    """Show an error that a user can mend in its words, in place of what would have been shown."""
    try:
        yield
    except CruijffError as err:
        st.error(said(err), icon=":material/error:")


def said(err: CruijffError) -> str:
    """Return the words of an error as Markdown that formats nothing but their lines."""
    return plain(str(err)).replace("\n", "  \n")


@st.cache_resource(max_entries=2_000, show_spinner=False)
def world_of(project: str, name: str, *, site: str | None = None) -> "World":
    """Return the world of an experiment of a project, or of the project itself where the name is empty."""
    root = Path(project)
    return open_world(root / name, root=root, kind="assistant", name="pages", client=_CLIENT, site=site)


@st.cache_resource(ttl=2, max_entries=2_000, show_spinner=False)
def project_cards(project: str, *, site: str | None = None) -> SearchPage:
    """Return what is told of the experiments of a project, the latest first."""
    world = world_of(project, "", site=site)
    return workflow.search_experiments(Query(), limit=MOST, projects=[project], world=world)


class Standing(NamedTuple):
    """Where an experiment stands, or why nobody can tell."""

    status: ExperimentStatus | None
    """Its steps; None where they cannot be told."""
    why: str = ""
    """Why not."""


@st.cache_resource(ttl=2, max_entries=2_000, show_spinner=False)
def standing_of(project: str, name: str, *, ask: bool = False, site: str | None = None) -> Standing:
    """Return where the steps of an experiment stand; words of jobs are left out where its data may not be shown."""
    try:
        world = world_of(project, name, site=site)
        # A queue of this machine is a file; another's is asked for the one experiment that is looked at.
        asked = ask or world.site.scheduler != "slurm"
        found = workflow.glance_status(ask=asked, world=world)
        return Standing(workflow.status_without_texts(found, world=world))
    except CruijffError as err:
        return Standing(None, str(err).partition("\n")[0])


def plan_of(opening: Opening, name: str) -> Plan:
    """Return the plan of an experiment as it was sealed.

    Raises:
        PlanError: it is not scaffolded, or the record of it is damaged.
    """
    return workflow.recorded_plan(world=world_of(opening.project, name, site=opening.site))[0]


def choose_experiment(opening: Opening) -> str | None:
    """Return the experiment that is chosen, of those of the project; the address of the page keeps it."""
    names = [card.experiment for card in project_cards(opening.project, site=opening.site).hits]
    if not names:
        st.info("There is no experiment in this directory yet: `ck design` begins one.")
        return None
    return _chosen("experiment", names, first=opening.experiment)


def choose_run(plan: Plan) -> str | None:
    """Return the run of a plan that is chosen; the address of the page keeps it."""
    names = [run.id for run in plan.runs]
    return _chosen("run", names) if names else None


def _chosen(key: str, names: list[str], *, first: str | None = None) -> str:
    wanted = st.session_state.get(f"seen_{key}") or st.query_params.get(key) or first
    index = names.index(wanted) if wanted in names else 0
    chosen = st.selectbox(key.capitalize(), names, index=index) or names[0]
    st.session_state[f"seen_{key}"] = chosen
    if st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    return chosen


class Followed:
    """The metrics of one file, of which each look reads what is new."""

    def __init__(self, world: "World", path: str) -> None:
        """Begin with nothing read."""
        self._world, self._path = world, path
        self._lock = threading.Lock()
        self._mark: MetricsMark | None = None
        self._rows: list[MetricRow] = []
        self.damaged = 0

    def look(self) -> list[MetricRow]:
        """Return every line there is by now, in order."""
        with self._lock:
            news = workflow.follow_metrics(self._path, since=self._mark, world=self._world)
            if news.anew:
                self._rows, self.damaged = [], 0
            self._rows = [*self._rows, *news.rows] if news.rows else self._rows
            self._mark = news.mark
            self.damaged += news.damaged
            return self._rows


@st.cache_resource(max_entries=500, show_spinner=False)
def following(project: str, name: str, path: str, *, site: str | None = None) -> Followed:
    """Return what follows a file of metrics, the same for every look."""
    return Followed(world_of(project, name, site=site), path)
