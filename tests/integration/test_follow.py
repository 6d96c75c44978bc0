"""Following a training reads what is new, whatever happens to its file meanwhile."""

import json
from pathlib import Path

import pytest

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.metric_view import MetricsMark
from cruijff_kit.workflow.follow import follow_metrics, light_metrics
from tests.fakes.designed import world_at

METRICS = "metrics.jsonl"


class CountingStore:
    """A run store that keeps how many bytes were asked for."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self.bytes = 0

    def read_from(self, path: str, start: int) -> bytes | None:
        found = self._store.read_from(path, start)
        self.bytes += len(found or b"")
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_at(tmp_path)


def line(step: int, **figures: object) -> str:
    return json.dumps({"step": step, "epoch": 0, "loss": 1 / step, **figures}) + "\n"


def append(world: World, text: str) -> None:
    with (world.store.root / METRICS).open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_second_look_reads_only_the_bytes_that_were_appended(world: World) -> None:
    append(world, "".join(line(step) for step in range(1, 2_001)))
    first = follow_metrics(METRICS, world=world)
    append(world, line(2_001))
    counted = CountingStore(world)
    second = follow_metrics(METRICS, since=first.mark, world=world._replace(store=counted))
    assert [row["step"] for row in second.rows] == [2_001]
    assert not second.anew
    assert counted.bytes < 200


def test_a_line_that_is_being_written_waits_for_its_end(world: World) -> None:
    whole = line(2)
    append(world, line(1) + whole[:9])
    first = follow_metrics(METRICS, world=world)
    append(world, whole[9:])
    second = follow_metrics(METRICS, since=first.mark, world=world)
    assert [row["step"] for row in (*first.rows, *second.rows)] == [1, 2]
    assert first.damaged == second.damaged == 0


@pytest.mark.parametrize(
    "text", (line(1), line(1, note="x" * 500), "", line(1) * 40), ids=("short", "long", "empty", "many")
)
def test_a_training_that_begins_anew_is_read_from_its_start(world: World, text: str) -> None:
    append(world, "".join(line(step) for step in range(5, 9)))
    first = follow_metrics(METRICS, world=world)
    (world.store.root / METRICS).write_text(text, encoding="utf-8")
    second = follow_metrics(METRICS, since=first.mark, world=world)
    assert second.anew
    assert len(second.rows) == text.count("\n")


def test_a_file_that_is_not_there_yet_and_one_that_went_are_no_errors(world: World) -> None:
    assert follow_metrics(METRICS, world=world).rows == ()
    gone = follow_metrics(METRICS, since=MetricsMark(offset=3, last="616263"), world=world)
    assert (gone.anew, gone.mark, gone.rows) == (True, None, ())


def test_lines_that_are_no_records_are_counted_and_left_out(world: World) -> None:
    append(
        world,
        line(1) + "no json\n[1]\n" + '{"loss": 2}\n' + '{"step": NaN}\n' + '{"step": 1' + "0" * 400 + "}\n\n" + line(2),
    )
    found = follow_metrics(METRICS, world=world)
    assert [row["step"] for row in found.rows] == [1, 2]
    assert found.damaged == 5


def test_custom_figures_stand_beside_the_known_ones_and_their_names_hold_no_control_characters(world: World) -> None:
    append(world, line(1, custom={"zeal\x1b[31m": 0.5}, flag=True, note="words"))
    (row,) = follow_metrics(METRICS, world=world).rows
    assert set(row) - {"step", "epoch", "loss"} == {next(name for name in row if name.startswith("zeal"))}
    assert all(name.isprintable() for name in row)


def test_an_array_of_the_older_layout_is_read_whole_and_again_only_once_it_changed(world: World) -> None:
    path = world.store.root / "training_metrics.json"
    path.write_text(json.dumps([{"step": 1, "train_loss": 2.0, "brier_score": 0.4}]), encoding="utf-8")
    first = follow_metrics(path.name, world=world)
    assert first.rows == ({"step": 1.0, "loss": 2.0, "brier": 0.4},)
    assert follow_metrics(path.name, since=first.mark, world=world).rows == ()
    path.write_text(json.dumps([{"step": 1}, {"step": 2}]), encoding="utf-8")
    second = follow_metrics(path.name, since=first.mark, world=world)
    assert (second.anew, len(second.rows)) == (True, 2)


def test_a_json_file_without_an_array_is_refused_in_words(world: World) -> None:
    (world.store.root / "other.json").write_text('"words"', encoding="utf-8")
    with pytest.raises(ResultError, match="holds no array of metrics"):
        follow_metrics("other.json", world=world)


def test_lights_take_the_debiased_error_and_the_last_look_at_each_figure() -> None:
    rows = [
        {"step": 1.0, "ece_debiased": 0.2, "ece_debiased_low": 0.15, "ece_debiased_high": 0.25, "ece": 0.3},
        {"step": 2.0, "ece_debiased": 0.01, "ece_debiased_low": 0.0, "ece_debiased_high": 0.03, "ece": 0.09},
        {"step": 3.0, "loss": 1.0},
    ]
    (light,) = light_metrics(rows, alpha=0.1)
    assert (light.name, light.value, light.state) == ("ece", 0.01, "good")
    (plain,) = light_metrics([{"step": 1.0, "ece": 0.3, "ece_low": 0.2, "ece_high": 0.4}])
    assert plain.state == "open"
