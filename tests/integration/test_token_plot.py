"""Tokens of words before and after capitalising: counted by hand, drawn, refused where there is nothing to count."""

import json
import struct
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.drawing import Stroke
from cruijff_kit.rendering.token_bars import token_bars
from cruijff_kit.schema.dataset_report import Spread, TextTokens, TokenCounts
from cruijff_kit.workflow.data_stats import measure_data
from cruijff_kit.workflow.generate import generate_data
from cruijff_kit.workflow.token_plot import plot_tokens
from tests.fakes.designed import world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import merging

MODEL = "/models/tiny"
WORDS = {"train": 60, "validation": 10, "test": 20, "other_lengths": [], "word_length": 7}


@pytest.fixture(scope="module", params=("rows", "chat"))
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world with words in one form, and a tokenizer that has seen them in lower case."""
    root: Path = tmp_path_factory.mktemp("words")
    plain = world_at(root)
    made = generate_data("capitalization", {**WORDS, "form": request.param}, world=plain)
    (root / made.path).rename(root / "words.json")
    told = json.loads((root / "words.json").read_text())
    texts = [json.dumps(row).lower() for rows in told.values() for row in rows]
    return plain._replace(
        hub=FakeHub(model_facts(MODEL), tokenizers={MODEL: merging(texts, template="{{ messages }}")})
    )


def ck(world: World, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(world.store.root), "data", "stats", *words])


def test_tokens_of_a_word_are_those_of_its_text_before_and_after(world: World) -> None:
    found = measure_data("words.json", template="chatml", model=MODEL, world=world).texts
    assert found is not None
    tokenizer = world.hub.tokenizer(MODEL)
    rows = [row for rows in json.loads((world.store.root / "words.json").read_text()).values() for row in rows]
    pairs = [
        (row["messages"][0]["content"], row["messages"][1]["content"])
        if "messages" in row
        else (row["input"], row["output"])
        for row in rows
    ]
    counts = [tuple(len(tokenizer.encode(text, add_special_tokens=False)) for text in pair) for pair in pairs]
    assert found.questions.counts == Counter(before for before, _ in counts)
    assert found.answers.counts == Counter(after for _, after in counts)
    assert found.more == sum(after > before for before, after in counts) > 0
    assert found.fewer == sum(after < before for before, after in counts)
    assert found.questions.per_word == found.questions.spread.mean < found.answers.per_word


def test_without_a_model_there_are_no_tokens_and_no_picture(world: World) -> None:
    stats = measure_data("words.json", world=world)
    assert stats.texts is None
    with pytest.raises(SpecError, match="--model"):
        plot_tokens(stats, "tokens.png", world=world)
    counted = measure_data("words.json", template="chatml", model=MODEL, world=world)
    with pytest.raises(SpecError, match="no name for a picture"):
        plot_tokens(counted, "tokens.jpg", world=world)
    assert not list(world.store.root.glob("tokens*"))


def test_the_picture_is_the_same_bytes_and_is_not_overwritten_unless_forced(world: World) -> None:
    stats = measure_data("words.json", template="chatml", model=MODEL, world=world)
    plot_tokens(stats, "token_distribution.png", world=world)
    first = (world.store.root / "token_distribution.png").read_bytes()
    assert struct.unpack(">II", first[16:24]) >= (1500, 700)
    with pytest.raises(SpecError, match="--force"):
        plot_tokens(stats, "token_distribution.png", world=world)
    plot_tokens(stats, "token_distribution.png", force=True, world=world)
    assert (world.store.root / "token_distribution.png").read_bytes() == first


def test_the_command_tells_tokens_a_word_for_a_model_alone(world: World) -> None:
    assert "tokens a word" not in ck(world, "words.json").output
    refused = ck(world, "words.json", "--plot", "x.png")
    assert isinstance(refused.exception, SpecError)


def test_a_picture_that_cannot_be_written_is_refused_before_tokens_are_counted(world: World) -> None:
    # No such model: whoever counted first would say so.
    for name, said in (
        ("x.jpg", "no name for a picture"),
        ("words.json", "no name for a picture"),
        ("../x.png", "x.png"),
    ):
        refused = ck(world, "words.json", "--model", "nowhere", "--plot", name)
        assert isinstance(refused.exception, SpecError)
        assert said in str(refused.exception)


def test_bars_are_as_high_as_the_shares_they_stand_for() -> None:
    def counted(counts: dict[int, int]) -> TokenCounts:
        spread = Spread(mean=1.0, median=1.0, least=min(counts), greatest=max(counts))
        return TokenCounts(spread=spread, per_word=1.0, counts=counts)

    texts = TextTokens(questions=counted({1: 3, 2: 1}), answers=counted({2: 1, 60: 1}), more=1, fewer=0)
    drawing = token_bars(texts, title="words.json")
    heights: dict[str, list[float]] = {"c0": [], "c1": []}
    for mark in drawing.marks:
        if isinstance(mark, Stroke) and mark.role in heights and mark.width < 10:
            ys = [y for _, y in mark.points]
            heights[mark.role].append(max(ys) - min(ys) + mark.width)
    # The highest share fills the frame; both answers are half of theirs.
    (asked,), answered = heights["c0"], heights["c1"]
    assert asked == pytest.approx(256, abs=2)
    assert answered == [pytest.approx(128, abs=2)] * 2
