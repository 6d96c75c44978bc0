"""The frame of all pages: which there are, what they were opened on, and a mark on what is made up."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from cruijff_kit.schema.pages import Opening
from cruijff_kit.ui.audit import show_audit
from cruijff_kit.ui.compare import show_compare
from cruijff_kit.ui.decide import show_decide
from cruijff_kit.ui.experiments import show_experiments
from cruijff_kit.ui.run import show_metrics, show_run
from cruijff_kit.ui.sight import told
from cruijff_kit.ui.words import plain

__all__ = ["DEMO", "pages_of", "show_one", "show_pages"]

DEMO = "DEMO DATA: every figure on this page was made up"
"""What stands above every page of a demo."""

# Any other icon would be fetched from the net.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 14V2M2 14h12M4 11l3-4 3 2 4-6' fill='none' stroke='%231f5f8b' stroke-width='1.6'/%3E%3C/svg%3E"
)

_Show = Callable[[Opening], None]
_PAGES: tuple[tuple[str, str, _Show], ...] = (
    ("Experiments", "experiments", show_experiments),
    ("Run", "run", show_run),
    ("Compare", "compare", show_compare),
    ("Decide", "decide", show_decide),
    ("Audit", "audit", show_audit),
)
_STYLE = """<style>
.block-container{padding-top:4.6rem;padding-bottom:3rem;max-width:88rem}
[data-testid="stMetricValue"]{font-size:1.35rem;font-variant-numeric:tabular-nums}
h1{font-size:1.7rem!important;padding-bottom:.2rem!important}
h2{font-size:1.5rem!important}
h3{font-size:1.12rem!important;padding-top:.9rem!important}
</style>"""


def pages_of(opening: Opening) -> tuple[tuple[str, str, _Show], ...]:
    """Return title, address and function of the pages that there are: of a bare file of metrics there is one."""
    if opening.metrics is not None:
        return (("Run", "run", show_metrics),)
    return _PAGES


def show_pages(opening: Opening) -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="cruijff-kit", page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    first = "decide" if opening.model is not None else pages_of(opening)[0][1]
    pages = {
        path: st.Page(partial(show_one, path, opening), title=title, url_path=path, default=path == first)
        for title, path, _ in pages_of(opening)
    }
    st.session_state["pages"] = pages
    chosen = st.navigation(list(pages.values()), position="top")
    chosen.run()


def show_one(path: str, opening: Opening) -> None:
    """Show the page of an address in its frame."""
    show = next(show for _, address, show in pages_of(opening) if address == path)
    if opening.demo:
        st.warning(DEMO, icon=":material/warning:")
    with told():
        show(opening)
    place = opening.metrics or opening.project
    st.caption(f"{plain(str(Path(place)))} · read only, on this machine alone")
