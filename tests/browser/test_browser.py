"""The pages in a real browser: opened, followed, filtered, decided on and taken away, with nothing asked of the net."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from cruijff_kit.bootstrap import open_world
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.exhibit import make_exhibit

pytestmark = pytest.mark.pages

NAMES = ("Experiments", "Run", "Compare", "Decide", "Audit")
PATIENCE = 60_000
"""Milliseconds that anything may take on a machine that is busy."""


class Served(NamedTuple):
    """Pages that are served."""

    address: str
    """Where."""
    project: Path
    """What of."""
    plan: Plan
    """The plan of its one experiment."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield the pages of a made-up experiment, served by the command itself."""
    project = tmp_path_factory.mktemp("project")
    state = {"CRUIJFF_STATE_DIR": str(project.parent / "state"), "CRUIJFF_CACHE_DIR": str(project.parent / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in state.items():
            patch.setenv(name, value)
        (project / "triage").mkdir()
        make_exhibit(world=open_world(project / "triage", root=project, kind="human", name="ada", client="ck"))
    command = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(project / "triage"), "ui", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **state}, encoding="utf-8") as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        found = re.match(r"pages at (http://127\.0\.0\.1:\d+);", said)
        assert found, said
        yield Served(found[1], project, Plan.model_validate_json((project / "triage/plan.json").read_bytes()))
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Yield a page that is open; whatever it complains of, or asks of others, fails its test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    opened, complaints = context.new_page(), list[str]()
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: complaints.append(asked.url) if _is_foreign(asked.url, served.address) else None)
    opened.goto(served.address)
    expect(opened.get_by_role("heading", name="Experiments", exact=True)).to_be_visible(timeout=PATIENCE)
    yield opened
    context.close()
    assert not complaints, complaints


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith((f"{address}/", "data:", "blob:"))


def go(page: Page, name: str) -> None:
    """Go to a page by its name."""
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=PATIENCE)


def choose(page: Page, label: str, *, option: str) -> None:
    """Choose from a list by typing."""
    field = page.get_by_role("combobox", name=re.compile(label))
    field.click()
    field.fill(option)
    page.get_by_role("option", name=option).first.click()


def taken(page: Page, click: Callable[[], None], folder: Path) -> Path:
    """Return the file that a click brings."""
    with page.expect_download() as held:
        click()
    path = folder / held.value.suggested_filename
    held.value.save_as(path)
    return path


def test_every_page_opens_without_a_word_of_complaint_and_asks_nothing_of_the_net(page: Page) -> None:
    for name in NAMES:
        go(page, name)
        expect(page.get_by_text("read only, on this machine alone")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_runs_are_filtered_by_what_is_typed(page: Page) -> None:
    expect(page.get_by_role("heading", name="8 of 8 runs")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Filter").fill("rank8 seed2")
    page.get_by_label("Filter").press("Enter")
    expect(page.get_by_role("heading", name="2 of 8 runs")).to_be_visible(timeout=PATIENCE)


def test_a_run_that_trains_is_followed_without_a_reload_and_taken_away(
    page: Page, served: Served, tmp_path: Path
) -> None:
    run = served.plan.runs[-1].id
    go(page, "Run")
    choose(page, "Run", option=run)
    step = page.get_by_test_id("stMetric").filter(has_text="step").first
    expect(step).to_contain_text("150", timeout=PATIENCE)
    metrics = served.project / "triage" / RunLayout(run).metrics
    with metrics.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 173, "epoch": 0, "loss": 0.25}) + "\n")
    expect(step).to_contain_text("173", timeout=PATIENCE)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=PATIENCE)
    rows = taken(page, page.get_by_role("button", name="CSV").first.click, tmp_path).read_text(encoding="utf-8")
    assert rows.splitlines()[-1].startswith("173.0,0.0,0.25")
    html = taken(page, page.get_by_role("button", name="HTML").click, tmp_path).read_text(encoding="utf-8")
    assert "Plotly.newPlot" in html
    assert not re.search(r"<(?:script|link)[^>]+(?:src|href)=.https?:", html)
    chart = page.locator(".js-plotly-plot").first
    chart.hover()
    image = taken(page, chart.locator("[data-title^='Download plot']").click, tmp_path)
    assert image.read_bytes().startswith(b"\x89PNG")


def test_a_decision_follows_the_slider_and_is_taken_away(page: Page, served: Served, tmp_path: Path) -> None:
    go(page, "Decide")
    choose(page, "Run", option=served.plan.runs[0].id)
    promise = page.get_by_test_id("stAlert").filter(has_text="Of the set")
    expect(promise).to_contain_text("alpha 0.1)", timeout=PATIENCE)
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(promise).to_contain_text("alpha 0.15)", timeout=PATIENCE)
    found = json.loads(taken(page, page.get_by_role("button", name="JSON").click, tmp_path).read_text(encoding="utf-8"))
    assert {promise["of"]: promise["alpha"] for promise in found[0]["promises"]}["set"] == pytest.approx(0.15)
    choose(page, "Run", option=served.plan.runs[2].id)
    expect(page.get_by_text("Nothing is guaranteed here")).to_be_visible(timeout=PATIENCE)
    expect(promise).to_have_count(0, timeout=PATIENCE)


def test_a_stranger_who_gave_its_name_this_address_is_not_answered(served: Served) -> None:
    own = urlsplit(served.address).netloc
    assert _answer(served, host=own, origin=served.address) == 101
    assert _answer(served, host="evil.example", origin="http://evil.example") == 403
    assert _answer(served, host=own, origin="http://evil.example") == 403


def _answer(served: Served, *, host: str, origin: str) -> int:
    """Return how the server answers a browser that wants to be told what a page shows."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection = HTTPConnection(urlsplit(served.address).netloc, timeout=60)
    connection.request("GET", "/_stcore/stream", headers={**upgrade, **key, "Host": host, "Origin": origin})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_port_that_is_taken_is_told_in_words(served: Served) -> None:
    port = served.address.rpartition(":")[2]
    command = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(served.project), "ui", "--port", port]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 3
    assert f"error: port {port} of 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr
