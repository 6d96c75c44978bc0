"""A member is put into a JSON file, and every other byte stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.rendering.json_edit import parse_json, with_member

PATH = ("mcpServers", "cruijff")
OURS = {"command": "python", "args": ["-m", "x"]}
COMMENTED = """\
{
    // what I use
    "theme": "dark", /* really */
    "mcpServers": {
        "other": {"command": "uvx", "args": ["a, b", "// no comment"]}, // mine
        // the end
    },
}
"""


def put(text: str, *, comments: bool = False) -> str:
    return with_member(text, PATH, value=OURS, comments=comments)


def test_comments_order_and_indents_stay_and_a_comment_stays_with_its_line() -> None:
    new = put(COMMENTED, comments=True)
    added = [line for line in new.splitlines() if line not in COMMENTED.splitlines()]
    assert "".join(added).replace(" ", "") == json.dumps({"cruijff": OURS}).replace(" ", "")[1:-1].replace("\n", "")
    assert [line for line in new.splitlines() if line in COMMENTED.splitlines()] == COMMENTED.splitlines()
    assert parse_json(new, comments=True)["mcpServers"] == {
        "other": {"command": "uvx", "args": ["a, b", "// no comment"]},
        "cruijff": OURS,
    }


@pytest.mark.parametrize(
    "before,after",
    (
        ("{}", '{\n  "mcpServers": {\n    "cruijff": 1\n  }\n}'),
        ('{"a": 1}', '{"a": 1, "mcpServers": {"cruijff": 1}}'),
        ('{\n\t"a": 1\n}\n', '{\n\t"a": 1,\n\t"mcpServers": {\n\t\t"cruijff": 1\n\t}\n}\n'),
        ('{"mcpServers": {}}', '{"mcpServers": {\n  "cruijff": 1\n}}'),
        ('{\r\n  "a": 1\r\n}\r\n', '{\r\n  "a": 1,\r\n  "mcpServers": {\r\n    "cruijff": 1\r\n  }\r\n}\r\n'),
        ('{"mcpServers": {"cruijff": [2, {}], "b": 2}}', '{"mcpServers": {"cruijff": 1, "b": 2}}'),
    ),
)
def test_what_is_added_looks_as_what_is_there(before: str, after: str) -> None:
    assert with_member(before, PATH, value=1, comments=False) == after


@pytest.mark.parametrize(
    "text,fault",
    (
        ("", "a value is expected"),
        ("{", "a name and a colon"),
        ('{"a": 1,}', "comma stands after the last"),
        ('{"a": 1 "b": 2}', "a comma or `}`"),
        ('{"a": 1} x', "follows the end"),
        ('{"a": 1, "a": 2}', "said twice"),
        ('{"a": 1 // c\n}', "a comma or `}`"),
        ('{"a": NaN}', "is no JSON"),
        ("[]", "is not an object"),
        ('{"mcpServers": 3}', "`mcpServers` is not an object"),
        ("[" * 5000, "too deep"),
    ),
)
def test_what_is_no_json_is_refused_with_the_line(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        put(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(
    said=st.dictionaries(st.text(max_size=8) | st.just("mcpServers"), VALUES, max_size=4),
    servers=st.dictionaries(st.text(max_size=8) | st.just("cruijff"), VALUES, max_size=3),
    indent=st.sampled_from((None, 1, 2, 4, "\t")),
    ascii_only=st.booleans(),
)
def test_any_file_says_afterwards_what_it_said_and_the_member(
    said: dict[str, object], servers: dict[str, object], indent: int | str | None, ascii_only: bool
) -> None:
    said["mcpServers"] = servers
    text = json.dumps(said, indent=indent, ensure_ascii=ascii_only)
    new = put(text)
    assert json.loads(new) == {**said, "mcpServers": {**servers, "cruijff": OURS}}
    assert put(new) == new
    assert put(text, comments=True) == new
