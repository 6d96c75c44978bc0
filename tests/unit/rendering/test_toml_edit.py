"""A table is put into a TOML file, and every other line stays."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.rendering.toml_edit import with_table

PATH = ("mcp_servers", "cruijff")
OURS = {"command": "python", "args": ["-m", "x"], "env": {"A": "b"}}
SETTINGS = '''\
model = "m"  # the good one
notes = """
[mcp_servers.cruijff]
is not a table here
"""

[mcp_servers.other]
command = "uvx"

# about trust
[projects."/x y"]
trust_level = "trusted"
'''
OLD = """\
[mcp_servers.cruijff]
command = "old"

[mcp_servers.cruijff.env]
B = "c"
"""


def test_a_new_table_comes_last_and_every_line_stays() -> None:
    text = SETTINGS.replace("[mcp_servers.cruijff]\nis", "[mcp_servers.x]\nis")
    new = with_table(text, PATH, values=OURS)
    assert new.startswith(text.rstrip())
    assert tomllib.loads(new)["mcp_servers"] == {"other": {"command": "uvx"}, "cruijff": OURS}


def test_an_old_table_is_replaced_where_it_stands_with_the_tables_in_it() -> None:
    first, second = "# mine\nmodel = 1\n\n", "\n# about trust\n[projects]\nx = 1\n"
    new = with_table(first + OLD + second, PATH, values=OURS)
    assert new.startswith(first)
    assert new.endswith(second)
    assert tomllib.loads(new)["mcp_servers"] == {"cruijff": OURS}
    assert with_table(new, PATH, values=OURS) == new


def test_line_ends_stay() -> None:
    new = with_table(OLD.replace("\n", "\r\n"), PATH, values=OURS)
    assert new.count("\n") == new.count("\r\n") > 3


@pytest.mark.parametrize(
    "text",
    (
        'mcp_servers = {cruijff = {command = "x"}}\n',
        "[mcp_servers]\ncruijff = {command = 'x'}\n",
        "mcp_servers = 3\n",
        "[[mcp_servers.cruijff]]\n[other]\n[[mcp_servers.cruijff]]\n",
        # What looks as our table inside a string would be replaced there.
        SETTINGS,
    ),
)
def test_what_cannot_be_changed_in_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"in place|not a table"):
        with_table(text, PATH, values=OURS)


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        with_table("[", PATH, values=OURS)


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@given(text=TEXTS, name=TEXTS, number=st.integers(-(2**60), 2**60), flag=st.booleans())
def test_any_value_comes_back_as_it_was(text: str, name: str, number: int, flag: bool) -> None:
    values = {"command": text, "args": [text, number], "env": {name: text}, "flag": flag}
    assert tomllib.loads(with_table("a = 1\n", PATH, values=values))["mcp_servers"]["cruijff"] == values
