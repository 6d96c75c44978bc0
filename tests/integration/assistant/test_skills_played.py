"""Skills do what they say: their examples are played in order over stdio, and leave files, figures and decisions."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.cli.skill_script import filled, read_calls
from tests.assistant_player import SKILLS, Played, Player
from tests.random_model import random_adapter
from tests.traced import untraced

pytestmark = pytest.mark.once

RECIPE = Path(__file__).parents[2] / "adapter_recipe.py"
NAME = "capitalization_rank_lr"
LOOP = (
    "ck-setup", "design-experiment", "scaffold-experiment", "run-experiment", "summarize-experiment",
    "explore-experiment", "audit-experiment", "archive-experiment",
)  # fmt: skip
BY_COMMAND = {
    "create-inspect-task": "film_moods",
    "create-tabular-schema": "people_in_words",
    "convert-tabular-to-text": "people_in_words",
}


@pytest.fixture(scope="session")
def trained(base: str) -> str:
    """Return the base model, an adapter for it beside it."""
    random_adapter(Path(base).parent / "adapter", base)
    return base


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return an empty project whose trainings end well."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "mood").write_text("go", encoding="utf-8")
    return root


def must_be_on_record(player: Player, skill: str, *, experiment: str = NAME, optional: bool = False) -> None:
    """Assert that each decision of a skill's examples is in the log, with all that was said of it."""
    decided = [each for each in player.records(experiment) if each["verb"] == "decide"]
    assert all(each["actor"]["kind"] == "assistant" for each in decided)
    by_question = {each["inputs"]["question"]: each for each in decided}
    for call in read_calls(SKILLS / skill):
        if call.tool != "decision_record" or call.optional > optional:
            continue
        said = filled(call.arguments, player.variables, call.skill)
        event = by_question[said["question"]]
        options = [event["inputs"][f"option {n}"] for n in range(1, len(said["options"]) + 1)]
        assert (options, event["reason"]) == (said["options"], said["reason"])
        chosen = {"choice": said["choice"], "chosen_by": said["chosen_by"], "offered": "true"}
        # The first record of a log tells which log it is, too.
        assert event["outputs"].items() >= chosen.items()


@pytest.mark.parametrize(
    "killed",
    (
        pytest.param(False, id="one server a skill"),
        pytest.param(True, id="killed between all steps", marks=pytest.mark.soak),
    ),
)
def test_the_whole_loop_is_played_from_the_skills(killed: bool, project: Path, trained: str) -> None:
    player = Player(project, model=trained, recipe=RECIPE, killed=killed)
    player.changes["seeds: [1, 2]"] = "seeds: [1]"
    told = {skill: player.play(skill) for skill in LOOP}
    for skill in LOOP:
        must_be_on_record(player, skill)

    trainings = 4
    experiment = project / NAME
    assert told["run-experiment"][-2].reply.content["phases"] == {"completed": 2 * trainings + 1}
    question, put_away, brought_back = player.user.asked
    assert f"{trainings} training" in question
    assert (put_away.partition(" ")[0], brought_back.partition(" ")[0]) == ("Move", "Bring")
    events = player.records(NAME)
    actions = [each["action"] for each in events]
    assert (actions.count("SUBMIT_JOB"), actions.count("SUBMIT_EVAL")) == (trainings, trainings + 1)
    for name in ("experiment_summary.md", "design.lock.json", "summary.md", "report/index.html", "results.parquet"):
        assert (experiment / name).stat().st_size > 0, name
    assert len(list(experiment.glob("runs/*/DONE"))) == trainings

    (answers,) = [each.reply for each in told["summarize-experiment"] if each.arguments.get("view") == "answers"]
    assert answers.content["answers"]
    for skill in ("summarize-experiment", "audit-experiment", "archive-experiment"):
        (verified,) = [each.reply for each in told[skill] if each.arguments.get("view") == "verification"]
        assert verified.content["verified"], verified.text
        assert verified.content["differences"] == []
    (record,) = [each.reply for each in told["audit-experiment"] if each.arguments.get("verify")]
    assert record.content["verdict"]["ok"]
    (figures,) = [each.reply for each in told["audit-experiment"] if each.arguments.get("match")]
    for figure in figures.content["figures"]:
        for path, start in (source.rsplit(" ", 1) for source in figure["source"]):
            assert hashlib.sha256((experiment / path).read_bytes()).hexdigest().startswith(start), path
    assert not untraced(experiment)
    assert "chain and anchors hold" in next(each.reply.text for each in told["audit-experiment"] if each.tool == "ck")
    must_have_been_away(told["archive-experiment"], events)


def must_have_been_away(steps: list[Played], events: list[dict[str, Any]]) -> None:
    """Assert that an experiment was told of, put away, found and read as archived, and brought back on record."""
    figures, verified = [each.reply.text for each in steps if each.tool == "ck"]
    assert "accuracy/" in figures
    assert verified.endswith("no difference\n")
    first, away, shown, back = [each.reply.content for each in steps if each.tool == "experiment_archive"]
    assert [each["done"] for each in (first, away, shown, back)] == [False, True, False, True]
    assert first["place"].endswith(f"archive/{NAME}")
    assert first["dropped"] == {}
    assert first["moves"].keys() >= {"adapters", "records", "results"}
    assert (away["files"], away["bytes"]) == (shown["files"], shown["bytes"]) == (back["files"], back["bytes"])
    assert "by every hash" in shown["note"]
    (found,) = [each.reply.content["hits"] for each in steps if each.tool == "experiments_search"]
    assert [(hit["experiment"], bool(hit["archived"])) for hit in found] == [(NAME, True)]
    told = [(each["verb"], each["action"], each["actor"]["kind"]) for each in events if "archive" in each["verb"]]
    assert told == [
        ("archive", "ARCHIVE", "assistant"),
        ("archive", "COMPLETE", "assistant"),
        ("unarchive", "UNARCHIVE", "assistant"),
        ("unarchive", "COMPLETE", "assistant"),
    ]


def test_what_a_skill_does_off_the_straight_path_is_played_where_it_makes_sense(project: Path, trained: str) -> None:
    player = Player(project, model=trained, recipe=RECIPE)
    player.changes["seeds: [1, 2]"] = "seeds: [1]"
    player.changes["runs:\n  - name: base\n    type: control\n"] = "tools: {evaluation: none}\n"
    player.only_to = "evaluation:\n"
    mood = project / "mood"

    # A disk is full; the first run is tried again when there is room.
    mood.write_text("no space left on device", encoding="utf-8")
    for skill in ("design-experiment", "scaffold-experiment", "run-experiment"):
        player.play(skill)
    *_, log = player.played
    assert "OSError: no space left on device" in "\n".join(log.reply.content["lines"])
    mood.write_text("wait", encoding="utf-8")
    player.play("run-experiment", optional=True, only=("decision_record",))
    (again,) = player.play("run-experiment", optional=True, only=("job_submit",))
    assert (again.reply.content["submitted"], again.reply.content["jobs"]) == (True, 1)

    # The run waits; the user has it stopped, and tried once more.
    (stopped,) = player.play("run-experiment", optional=True, only=("job_cancel",))
    assert len(stopped.reply.content["asked"]) == 1
    watched = player.play("run-experiment", only=("job_watch",))[-1]
    assert watched.reply.content["phases"] == {"failed": 3, "cancelled": 1}
    mood.write_text("go", encoding="utf-8")
    player.play("run-experiment", optional=True, only=("job_submit",))
    watched = player.play("run-experiment", only=("job_watch",))[-1]
    assert watched.reply.content["phases"] == {"failed": 3, "completed": 1}
    must_be_on_record(player, "run-experiment", optional=True)
    _, second, third, fourth = player.user.asked
    assert "again" in second
    assert "stop" in third.lower()
    assert "again" in fourth

    must_add_and_put_back(player)


def must_add_and_put_back(player: Player) -> None:
    """Assert that an added seed makes four runs new, none of the old run again, and that an edited file is put back."""
    written = player.play("design-experiment", optional=True)[-1]
    assert (written.reply.content["runs"], written.reply.content["changed"]) == (8, True)
    edited = f"runs/{player.variables['run']}/finetune.slurm"
    script = player.root / NAME / edited
    sealed = script.read_bytes()
    script.write_bytes(sealed + b"echo tried\n")
    player.variables["edited"] = edited
    shown = player.play("scaffold-experiment", only=("runs_scaffold",))[0].reply
    assert any(file["path"] == edited and "echo tried" in file["text"] for file in shown.content["shown"])
    put_back = player.play("scaffold-experiment", optional=True)[-1]
    assert put_back.reply.content["runs"] == 8
    assert script.read_bytes() == sealed
    must_be_on_record(player, "scaffold-experiment", optional=True)
    actions = [each["action"] for each in player.records(NAME)]
    assert actions.count("SUBMIT_JOB") == 6


@pytest.mark.parametrize("skill,experiment", BY_COMMAND.items())
def test_a_skill_that_acts_by_commands_leaves_its_files_and_its_decisions(
    skill: str, experiment: str, project: Path
) -> None:
    player = Player(project, model="", recipe=RECIPE)
    player.play(skill)
    must_be_on_record(player, skill, experiment=experiment)
    made = {path.name for path in (project / experiment).rglob("*") if path.is_file()}
    assert made > {path.name for path in (SKILLS / skill / "assets").iterdir()}


def test_every_skill_is_played() -> None:
    assert {*LOOP, *BY_COMMAND} == {path.parent.name for path in SKILLS.glob("*/SKILL.md")}
