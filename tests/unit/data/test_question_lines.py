"""Lines of questions: each is one, or the reason why it is none."""

import json
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data import question_lines as module
from cruijff_kit.data.question_lines import question_lines, read_question
from tests.malformed import malformed_lines


@given(st.lists(st.binary(max_size=40)))
def test_whatever_the_bytes_there_is_one_question_a_line(lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    found = list(question_lines(BytesIO(content)))
    assert [each.line for each in found] == list(range(1, len(found) + 1))
    assert len(found) == content.count(b"\n") + (not content.endswith(b"\n") and content != b"")


def test_a_sound_line_is_asked_with_its_metadata_and_id() -> None:
    line = {"text": "hello", "metadata": {"a": 1}, "example_id": "x7"}
    found = read_question(json.dumps(line).encode(), 3)
    assert (found.text, found.metadata, found.id, found.line, found.problem) == ("hello", {"a": 1}, "x7", 3, "")
    prepared = {**line, "metadata": '{"a": 1}', "label": "no", "output": "…"}
    assert read_question(json.dumps(prepared).encode(), 3) == found


def test_no_malformed_line_raises_and_short_ones_have_a_reason() -> None:
    for line in malformed_lines(1000, seed=1):
        found = read_question(line, 2)
        assert found.problem or len(found.text) > 10_000
        found.model_dump_json().encode()


def test_a_line_of_any_length_is_told_and_the_next_is_asked() -> None:
    most = module._LONGEST
    file = BytesIO(b'{"text": "' + b"x" * (2 * most) + b'"}\n{"text": "short"}\n')
    long, short = question_lines(file)
    assert (long.line, long.problem) == (1, f"the line is longer than {most:,} bytes")
    assert (short.line, short.text) == (2, "short")


def test_half_a_character_in_an_id_is_no_reason_to_stop() -> None:
    found = read_question(b'{"text": "a", "id": "\\ud800"}', 1)
    assert (found.id, found.problem) == ("?", "")
