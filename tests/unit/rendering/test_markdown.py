"""Whatever a value holds, it stays in its cell."""

from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.rendering.markdown import as_code, as_text, byte_size, markdown_table


@given(st.text())
def test_no_value_ends_its_cell_its_line_or_the_body(value: str) -> None:
    for shown in (as_text(value), as_code(value)):
        assert len(markdown_table(("a", "b"), [(shown, "x")])) == 3
        assert len(shown.splitlines()) <= 1
        assert shown.replace("\\|", "").count("|") == 0
        assert "<!--" not in shown


def test_values_are_shown_as_a_design_writes_them() -> None:
    assert [as_code(value) for value in (True, None, "", 3e-4, (4, 16), ())] == [
        "`true`",
        "none",
        "empty",
        "`0.0003`",
        "`4`, `16`",
        "none",
    ]


def test_sizes_have_three_figures() -> None:
    assert [byte_size(count) for count in (0, 999, 1_317_376, 2 * 10**15)] == ["0 B", "999 B", "1.32 MB", "2 PB"]
