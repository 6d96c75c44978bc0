"""A quiz in a real browser: answered and graded by the keyboard alone, from a file, offline."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cruijff_kit.bootstrap import open_world
from cruijff_kit.ports import World
from cruijff_kit.schema.quiz import Question
from cruijff_kit.workflow.exhibit import make_exhibit
from cruijff_kit.workflow.quiz import write_quiz
from tests.integration.reporting.test_quiz import asked

pytestmark = pytest.mark.pages

COUNT = 10


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a made-up experiment with its quiz."""
    root = tmp_path_factory.mktemp("project") / "triage"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRUIJFF_STATE_DIR", str(root.parent / "state"))
        world = open_world(root, root=root.parent, kind="human", name="ada", client="ck")
        make_exhibit(world=world)
        write_quiz(count=COUNT, world=world)
    return world


@pytest.fixture
def page(browser: Browser, quiz: World) -> Iterator[Page]:
    """Yield the page, opened from its file without a network; whatever it complains of fails its test."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
    opened, complaints, wanted = context.new_page(), list[str](), f"file://{quiz.store.root}/quiz/index.html"
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda sent: complaints.append(sent.url) if sent.url != wanted else None)
    opened.goto(wanted)
    yield opened
    context.close()
    assert not complaints, complaints


def chosen(page: Page, questions: tuple[Question, ...], *, wrong: bool = False) -> None:
    """Answer every question by Tab, Space and the arrows, then grade by Enter."""
    for each in questions:
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        place = (each.right + wrong) % len(each.options)
        for _ in range(place):
            page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Grade my answers")).to_be_focused()
    page.keyboard.press("Enter")


def test_right_answers_are_graded_as_right_by_the_keyboard_alone(page: Page, quiz: World) -> None:
    questions = asked(quiz)[:COUNT]
    chosen(page, questions)
    expect(page.get_by_role("status")).to_have_text(f"{COUNT} of {COUNT} right.")
    expect(page.get_by_role("status")).to_be_focused()
    expect(page.locator(".answer.right")).to_have_count(COUNT)
    expect(page.locator(".answer").first).to_contain_text(questions[0].source)


def test_wrong_answers_are_told_with_the_right_one_and_a_new_start_hides_it(page: Page, quiz: World) -> None:
    questions = asked(quiz)[:COUNT]
    chosen(page, questions, wrong=True)
    expect(page.get_by_role("status")).to_have_text(f"0 of {COUNT} right.")
    expect(page.locator(".answer.wrong").first).to_contain_text(questions[0].options[questions[0].right])
    page.get_by_role("button", name="Begin again").click()
    expect(page.locator(".answer").first).to_be_hidden()
    page.get_by_role("button", name="Grade my answers").click()
    expect(page.get_by_role("status")).to_have_text(f"0 of {COUNT} right, {COUNT} not answered yet.")


def test_the_page_fits_a_phone_and_names_every_group_of_answers(page: Page, tmp_path: Path) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    groups = page.get_by_role("group")
    expect(groups).to_have_count(COUNT)
    assert all(groups.nth(at).get_attribute("disabled") is None for at in range(COUNT))
    page.screenshot(path=tmp_path / "quiz.png", full_page=True)
