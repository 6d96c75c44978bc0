"""Probabilities by hand and by the line: read as they are meant, refused in words, and never a crash."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.chance_rows import chances_of, read_chance_row, read_shares
from cruijff_kit.errors import SpecError
from cruijff_kit.workflow import decide_lines


def row(**values: object) -> str:
    return json.dumps(values)


def test_probabilities_by_hand_are_read_as_pairs_or_as_json() -> None:
    assert read_shares("no=.2, yes=0.8") == {"no": 0.2, "yes": 0.8}
    assert read_shares('{"a, b": 0.5, "c=d": 0.5}') == {"a, b": 0.5, "c=d": 0.5}
    assert read_shares("x=y=.25,z=.75") == {"x=y": 0.25, "z": 0.75}


@pytest.mark.parametrize(
    "text,said",
    (
        ("no=.2,yes=.7", "add up to 0.9, not to 1"),
        ("no=.2,no=.8", "option `no` is there twice"),
        ("no=1.2,yes=-.2", "`1.2` is no probability"),
        ("no=nan,yes=1", "`nan` is no probability"),
        ("no,yes", "is no `option=probability`"),
        ("=.5,yes=.5", "is no `option=probability`"),
        ("no=half,yes=.5", "`half` is no probability"),
        ('{"no": "1", "yes": 0}', "`1` is no probability"),
        ('{"no": true, "yes": 0}', "`True` is no probability"),
        ("{", "the JSON cannot be read"),
    ),
)
def test_what_is_no_list_of_probabilities_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_shares(text)
    assert said in str(caught.value)


def test_one_option_is_no_choice() -> None:
    with pytest.raises(SpecError, match="there must be two at least"):
        chances_of({"yes": 1.0}, sample_id="a")


def test_a_line_may_hold_probabilities_log_probabilities_or_a_prediction() -> None:
    shares = read_chance_row(row(id="a", probabilities={"no": 0.25, "yes": 0.75}), number=1).chances
    logs = read_chance_row(row(sample_id="a", logprobs={"no": math.log(0.25), "yes": math.log(0.75)}), number=1).chances
    record = read_chance_row(
        row(id="a", options=["no", "yes"], option_logprobs=list(logs.logprobs), groups={"site": 3}, text="…",
            checkpoint_sha256="ab" * 32), number=1
    )  # fmt: skip
    assert shares == logs
    assert (record.chances.logprobs, record.chances.groups) == (logs.logprobs, {"site": "3"})
    assert record.checkpoint == "ab" * 32


def test_what_randomises_a_set_is_the_sample_s_alone() -> None:
    line = row(probabilities={"no": 0.25, "yes": 0.75})
    first, again, other = (read_chance_row(line, number=at).chances.uniform for at in (1, 1, 2))
    assert first == again != other


def test_an_impossible_option_stays_a_number_that_files_can_hold() -> None:
    found = chances_of({"no": 0.0, "yes": 1.0}, sample_id="a")
    assert found.logprobs == (-1e4, 0.0)


ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("id", "sample_id", "probabilities", "logprobs", "options", "option_logprobs", "groups", "checkpoint_sha256")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), ODD).map(json.dumps) | st.text(max_size=30), max_size=8))
def test_no_line_whatever_ends_the_others(lines: list[str]) -> None:
    wanted = [line for line in lines if line.strip()]
    good = row(probabilities={"no": 0.25, "yes": 0.75})
    found = list(decide_lines([*lines, good]))
    assert len(found) == len(wanted) + 1
    assert found[-1].action == "yes"
    for verdict in found:
        assert verdict.reason
        json.loads(verdict.model_dump_json())
