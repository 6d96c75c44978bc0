"""The walk of a new user: every step of `docs/first-experiment.md` is taken, and what it quotes is said."""

import re
from pathlib import Path

import pytest

from cruijff_kit.cli.main import COMMANDS
from cruijff_kit.cli.skill_script import Call, Command, read_document, read_files
from tests.assistant_player import SKILLS, Played, Player
from tests.quoted import unlike
from tests.traced import untraced

pytestmark = pytest.mark.once

pytest_plugins = ["tests.tiny_base"]

ROOT = Path(__file__).resolve().parents[2]
WALK = ROOT / "docs" / "first-experiment.md"
NAME = "first_look"


@pytest.fixture
def player(fresh_project: Path) -> Player:
    """Return a new user in an empty project, the files saved that the walk tells to save."""
    for name, text in read_files(WALK).items():
        (fresh_project / name).write_text(text, encoding="utf-8")
    player = Player(fresh_project, model="", recipe=fresh_project)
    player.changes.clear()
    return player


def steps_of(player: Player, kind: type[Call | Command]) -> list[Call | Command]:
    """Return the steps of a reader who takes calls, or commands."""
    steps = read_document(WALK, folder=player.root)
    return [step for step in steps if isinstance(step, kind) or (isinstance(step, Command) and step.shared)]


def must_say_what_is_quoted(steps: list[Call | Command], played: list[Played]) -> None:
    """Assert that each step was told what the text quotes below it; of a watch its last look counts."""
    ended = [each for each in played if not (each.tool == "job_watch" and each.reply.content["moving"])]
    assert len(ended) == len(steps)
    for step, each in zip(steps, ended, strict=True):
        assert not unlike(step.shows, each.reply.text), f"{each.tool} {each.arguments}\n{each.reply.text}"
        assert each.tool == "ck" or each.reply.tokens <= 2_000


def must_be_whole(player: Player) -> None:
    """Assert that the experiment is there, and no number in its report that no file holds."""
    experiment = player.root / NAME
    assert len(list(experiment.glob("runs/*/DONE"))) == 4
    assert len(list(experiment.glob("runs/*/eval/*/DONE"))) == 5
    assert not untraced(experiment)
    assert "lora_rank 16" in (experiment / "findings.md").read_text(encoding="utf-8")


def test_the_walk_with_an_assistant_is_as_it_is_told(player: Player) -> None:
    steps = steps_of(player, Call)
    must_say_what_is_quoted(steps, player.take(steps))
    (asked,) = (step.asks for step in steps if step.asks)
    assert len(player.user.asked) == 1
    assert not unlike(asked, player.user.asked[0])
    must_be_whole(player)


# Minutes for what the walk with an assistant trains too; the words of its commands are looked at below all the same.
@pytest.mark.soak
def test_the_walk_by_hand_is_as_it_is_told(player: Player) -> None:
    steps = steps_of(player, Command)
    model, *rest = steps
    played = player.take([model])
    design = player.root / "design.yaml"
    told = design.read_text(encoding="utf-8").replace("${tiny_model}", player.variables["tiny_model"])
    design.write_text(told, encoding="utf-8")
    must_say_what_is_quoted(steps, [*played, *player.take(rest)])
    assert player.user.asked == []
    must_be_whole(player)


def test_the_walk_names_skills_commands_and_targets_that_exist() -> None:
    text = WALK.read_text(encoding="utf-8")
    skills = {path.parent.name for path in SKILLS.glob("*/SKILL.md")}
    named = set(re.findall(r"`/(?:cruijff-kit:)?([a-z-]+)`", text))
    assert named <= skills
    assert named >= {f"{verb}-experiment" for verb in ("design", "scaffold", "run", "summarize", "explore", "audit")}
    assert set(re.findall(r"\bck (?:-C \w+ )?([a-z-]+)", text)) - {"alone"} <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"\bmake (?:-C \S+ )?([a-z]+)\b", re.sub(r"so make a", "", text))
    assert targets
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize(
    "quoted,said,wrong",
    (
        ("accuracy 0.250", "accuracy   0.375", []),
        ("plan 7c7e28fc", "plan fcfeedaf266f572e", []),
        ("one\n…\nthree", "one\ntwo\nthree", []),
        ("the rest …", "the rest is left out", []),
        ("three\none", "one\ntwo\nthree", ["one"]),
        ("4 failed", "4 completed", ["4 failed"]),
        ('"ok": true', '"ok": false', ['"ok": true']),
    ),
)
def test_quotations_are_held_against_words_and_order_and_not_against_numbers(
    quoted: str, said: str, wrong: list[str]
) -> None:
    assert unlike(quoted, said) == wrong
