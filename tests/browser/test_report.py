"""The report in a real browser: light, dark, on paper and on a phone, with nothing asked of the net and no fault."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from cruijff_kit.bootstrap import open_world
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.workflow.exhibit import make_exhibit
from cruijff_kit.workflow.report import write_report
from tests.fakes.experiment import make_experiment, plan_of
from tests.integration.reporting.conftest import SMALL, world_at
from tests.integration.reporting.test_claims import put

pytestmark = pytest.mark.pages

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1180, "height": 900}
# What is left of A4 between its margins, in pixels.
PAPER = {"width": 680, "height": 1010}
SERIOUS = {"serious", "critical"}


class Look(NamedTuple):
    """How a page is looked at."""

    size: dict[str, int]
    """Pixels."""
    scheme: Literal["light", "dark"] = "light"
    """What the reader prefers."""


LOOKS = {"light": Look(DESK), "dark": Look(DESK, "dark"), "phone": Look(PHONE), "dark phone": Look(PHONE, "dark")}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a report of claims that deviates and lacks a result, and one of probabilities and compute."""
    folder = tmp_path_factory.mktemp("reports")
    state = {"CRUIJFF_STATE_DIR": str(folder / "state"), "CRUIJFF_CACHE_DIR": str(folder / "cache")}
    deviating = folder / "deviating"
    make_experiment(deviating)
    world, plan = world_at(deviating), plan_of(SMALL)
    put(world, runs=tuple(run.id for run in plan.runs[1:]))
    (deviating / RunLayout(plan.runs[3].id).cell_done(plan.runs[3].cells[0].name)).unlink()
    write_report(world=world)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in state.items():
            patch.setenv(name, value)
        (folder / "calibrated").mkdir()
        make_exhibit(world=open_world(folder / "calibrated", root=folder, kind="human", name="ada", client="ck"))
    return {name: folder / name / ExperimentLayout.page for name in ("deviating", "calibrated")}


def opened(browser: Browser, path: Path, look: Look) -> tuple[Page, list[str]]:
    """Open a report; return the page and the list of whatever it complains of or asks for."""
    context = browser.new_context(viewport=look.size, color_scheme=look.scheme)  # type: ignore[arg-type] -- a plain dict
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if asked.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, complaints


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ("deviating", "calibrated"))
def test_a_report_has_no_serious_fault_is_no_wider_than_the_screen_and_asks_for_nothing(
    browser: Browser, reports: dict[str, Path], name: str, look: str
) -> None:
    page, complaints = opened(browser, reports[name], LOOKS[look])
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = Axe().run(page).response["violations"]
    assert [_told(fault) for fault in found if fault["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= LOOKS[look].size["width"]
    assert complaints == []
    page.context.close()


def _told(fault: dict[str, Any]) -> str:
    return f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"


def test_axe_sees_a_fault_that_is_planted(browser: Browser, reports: dict[str, Path]) -> None:
    page, _ = opened(browser, reports["deviating"], LOOKS["light"])
    page.evaluate("document.querySelector('.note').style.color = '#ccc'; document.documentElement.lang = ''")
    found = {fault["id"] for fault in Axe().run(page).response["violations"] if fault["impact"] in SERIOUS}
    assert {"color-contrast", "html-has-lang"} <= found
    page.context.close()


@pytest.mark.parametrize("name", ("deviating", "calibrated"))
def test_on_paper_a_report_is_dark_on_white_whole_and_not_cut_off(
    browser: Browser, reports: dict[str, Path], name: str
) -> None:
    page, _ = opened(browser, reports[name], Look(PAPER, "dark"))
    page.emulate_media(media="print", color_scheme="dark")
    style = page.evaluate(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.documentElement))"
    )
    assert style == ["rgb(255, 255, 255)", "rgb(28, 27, 25)"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"]
    folded = page.locator("details table")
    assert folded.count()
    assert all(folded.nth(place).bounding_box() for place in range(folded.count()))
    assert page.pdf(format="A4", prefer_css_page_size=True).startswith(b"%PDF")
    page.context.close()


def test_a_keyboard_reaches_the_contents_and_everything_that_scrolls(
    browser: Browser, reports: dict[str, Path]
) -> None:
    page, _ = opened(browser, reports["deviating"], LOOKS["phone"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#deviations"
    hidden = page.evaluate(
        "[...document.querySelectorAll('*')].filter(each => each.scrollWidth > each.clientWidth + 1"
        " && ['auto', 'scroll'].includes(getComputedStyle(each).overflowX) && each.tabIndex < 0).length"
    )
    assert hidden == 0
    page.context.close()


def test_what_deviates_is_said_at_the_top_and_at_its_figures(browser: Browser, reports: dict[str, Path]) -> None:
    page, _ = opened(browser, reports["deviating"], LOOKS["light"])
    first = page.locator(".bottom li").first
    assert first.inner_text().startswith("EXPLORATORY")
    assert page.locator("main section").nth(1).get_attribute("id") == "deviations"
    headings = page.locator("h2:has(.stamp)")
    assert {"Evaluation results", "Effects of the factors"} <= {
        headings.nth(place).inner_text().partition("\n")[0].removesuffix("EXPLORATORY").strip()
        for place in range(headings.count())
    }
    page.context.close()
