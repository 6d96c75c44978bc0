from pathlib import Path

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.workflow.decide import record_decision
from tests.fakes.designed import world_at

QUESTION = "Which base model?"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world in which nothing happened yet."""
    return world_at(tmp_path / "experiment")


def test_a_decision_stores_question_options_choice_who_chose_and_why(world: World) -> None:
    receipt = record_decision(QUESTION, choice="tiny", options=("tiny", "large"), reason="it is here", world=world)
    (record,) = world.audit.records()
    assert (record.action, record.reason, record.seq) == (Action.DECIDE_CONFIG, "it is here", receipt.seq)
    assert record.inputs == {"question": QUESTION, "option 1": "tiny", "option 2": "large"}
    assert {"choice": "tiny", "chosen_by": "user", "offered": "true"}.items() <= record.outputs.items()
    assert "Which base model?" in (world.store.read_text("logs/design-experiment.log") or "")


def test_an_answer_in_the_users_own_words_is_told_as_one_that_was_not_offered(world: World) -> None:
    record_decision(QUESTION, choice="the one in my home", options=("tiny",), reason="I made it", world=world)
    assert next(iter(world.audit.records())).outputs["offered"] == "false"


def test_the_same_decision_is_recorded_once_and_another_names_the_one_it_replaces(world: World) -> None:
    first = record_decision(QUESTION, choice="tiny", reason="it is here", world=world)
    again = record_decision(QUESTION, choice="tiny", reason="it is here", world=world)
    other = record_decision(QUESTION, choice="large", reason="tiny cannot spell", chosen_by="assistant", world=world)
    assert (again.seq, again.changed) == (first.seq, False)
    assert (other.changed, other.replaces) == (True, first.seq)
    assert len(list(world.audit.records())) == 2


def test_all_that_is_missing_is_told_at_once(world: World) -> None:
    with pytest.raises(SpecError) as caught:
        record_decision("  ", choice="", options=("a", "a"), reason="because", world=world)
    assert [problem.path for problem in caught.value.problems] == ["question", "choice", "options"]
    assert list(world.audit.records()) == []
