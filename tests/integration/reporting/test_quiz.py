"""`ck quiz`: every right answer is a figure of the experiment, and the page grades itself with nothing fetched."""

import base64
import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.analysis.questions import Material, make_questions
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Resolved
from cruijff_kit.schema.quiz import Question
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.schema.report import Trace
from cruijff_kit.workflow.collect import gather_results
from cruijff_kit.workflow.lesson_evidence import read_report
from cruijff_kit.workflow.quiz import write_quiz
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import recorded_plan
from tests.integration.reporting.conftest import world_at

MANY = 200


@pytest.fixture
def quizzed(reported: tuple[World, ReportReceipt], tmp_path: Path) -> World:
    return world_at(Path(shutil.copytree(reported[0].store.root, tmp_path / "quizzed")))


def asked(world: World, *, seed: int = 14) -> tuple[Question, ...]:
    report = read_report(world)
    assert report is not None
    material = Material(read_design(world), recorded_plan(world=world)[0], report.figures, report.references, {})
    return make_questions(material, count=MANY, seed=seed)


def page_of(world: World, **options: Any) -> str:
    write_quiz(world=world, **options)
    return world.store.read_text(ExperimentLayout.quiz) or ""


def answers_in(page: str) -> list[dict[str, Any]]:
    key, packed = re.findall(r'data-key="(\w+)" data-answers="([^"]+)"', page)[0]
    mixed = base64.b64decode(packed)
    return json.loads(bytes(byte ^ ord(key[at % len(key)]) for at, byte in enumerate(mixed)))


def test_every_answer_that_counts_as_right_is_what_the_figures_say(quizzed: World) -> None:
    report = read_report(quizzed)
    assert report is not None
    known = {each.figure: each for each in report.figures}
    questions = asked(quizzed)
    kinds = {each.text.split()[0] for each in questions}
    assert {"Which", "What", "How", "accuracy", "With"} <= kinds
    assert all(len(set(each.options)) == len(each.options) >= 3 for each in questions)
    shares = [each for each in questions if each.text.startswith(("How large is the accuracy", "How large is the ECE"))]
    assert shares
    assert all(float(option) <= 1 for each in shares for option in each.options)
    wrong = [each.text for each in questions if each.source in known and not _agrees(each, known[each.source])]
    assert not wrong, wrong


def _agrees(question: Question, trace: Trace) -> bool:
    """Return whether the right answer alone is what a figure says."""
    right, value = question.options[question.right], trace.value or 0.0
    if question.text.startswith("Which run"):
        return right == trace.figure.split("/")[1]
    if question.text.startswith("What does the interval"):
        low, high = trace.low, trace.high
        if low is None or high is None:
            return "no interval" in right
        return ("above" if low > 0 else "below" if high < 0 else "includes") in right
    if question.text.startswith("How many samples"):
        return right == str(trace.n)
    if question.text.endswith("by its interval?"):
        inside = [each for each in question.options if (trace.low or 0) <= float(each) <= (trace.high or 1)]
        return inside == [right]
    return [each for each in question.options if each == f"{value:.3f}"] == [right]


def test_the_best_run_is_the_best_one_of_the_logs(quizzed: World) -> None:
    table = gather_results(recorded_plan(world=quizzed)[0], world=quizzed)
    for each in (each for each in asked(quizzed) if each.text.startswith("Which run")):
        _, _, task, epoch, metric = each.source.split("/", 4)
        rows = [row for row in table.rows if (row.task, row.metric) == (task, metric)]
        best = max(rows, key=lambda row: row.value or 0.0)
        assert (each.options[each.right], epoch) == (best.run, str(best.epoch))


def test_what_was_varied_and_held_fixed_is_told_from_the_plan(quizzed: World) -> None:
    plan, _ = recorded_plan(world=quizzed)
    held = {name: Resolved(value=value, source="design") for name, value in (("batch_size", 4), ("weight_decay", 0.1))}
    runs = tuple(run.model_copy(update={"settings": {**run.settings, **held}}) for run in plan.runs)
    material = Material(read_design(quizzed), plan.model_copy(update={"runs": runs}), (), {}, {})
    found = {each.text: each for seed in range(8) for each in make_questions(material, count=MANY, seed=seed)}
    right = {text.partition("`")[2].partition("` ")[2]: each for text, each in found.items() if "of these" in text}
    assert right["vary?"].options[right["vary?"].right] in {"lora_rank", "lr"}
    assert len(set(right["vary?"].options) & {"lora_rank", "lr"}) == 1
    assert right["hold fixed?"].options[right["hold fixed?"].right] in {"epochs", "batch_size", "weight_decay"}
    assert set(right["hold fixed?"].options) >= {"lora_rank", "lr"}


def test_a_seed_decides_the_page_and_never_what_is_right(quizzed: World) -> None:
    page = page_of(quizzed, seed=1)
    assert page == page_of(quizzed, seed=1)
    assert page != page_of(quizzed, seed=2)
    one, other = (
        {each.source: each.options[each.right] for each in asked(quizzed, seed=seed) if "Which run" in each.text}
        for seed in (1, 2)
    )
    assert one == other != {}


def test_the_page_asks_nothing_of_the_net_and_shows_no_answer(quizzed: World) -> None:
    page = page_of(quizzed, count=10)
    assert "://" not in page.replace("http://www.w3.org", "")
    assert "default-src 'none'" in page
    assert page.count("<fieldset>") == page.count("<legend>") == 10
    answers = answers_in(page)
    for at, each in enumerate(answers):
        options = [unescape(text) for text in re.findall(rf'name="q{at}" value="\d">([^<]*)<', page)]
        assert options[each["right"]] == each["text"]
        assert each["why"] not in page
    assert any("sha256" in each["source"] for each in answers)


def test_a_quiz_is_recorded_once_with_the_figures_it_was_made_of(quizzed: World) -> None:
    write_quiz(world=quizzed)
    assert not write_quiz(world=quizzed).changed
    (event,) = [each for each in quizzed.audit.records() if each.action is Action.GENERATE_QUIZ]
    assert event.inputs[ExperimentLayout.traces] == quizzed.store.digest(ExperimentLayout.traces)
    assert event.outputs[ExperimentLayout.quiz] == quizzed.store.digest(ExperimentLayout.quiz)


def test_nothing_is_asked_without_a_report_or_of_an_old_one(world: World, quizzed: World) -> None:
    with pytest.raises(ResultError, match="nothing was reported yet"):
        write_quiz(world=world)
    with pytest.raises(SpecError, match="`count` is `2`"):
        write_quiz(count=2, world=quizzed)
    quizzed.store.write(ExperimentLayout.results, b"collected since")
    with pytest.raises(ResultError, match="was made of another"):
        write_quiz(world=quizzed)


def test_the_command_says_where_the_page_lies(quizzed: World) -> None:
    done = CliRunner().invoke(cli, ["quiz", str(quizzed.store.root), "--count", "5"])
    assert done.exit_code == 0, done.output
    assert done.output == "quiz/index.html written, 5 questions\n"
