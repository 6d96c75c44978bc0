import pytest

from cruijff_kit.rendering.untrusted import clean_line


@pytest.mark.parametrize(
    "line,shown",
    (
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("step 1/9\rstep 9/9\n", "step 9/9"),
        ("a\u202eb\u200bc\U000e0041d", "abcd"),
        ("tab\tstays, ünïcödé too", "tab\tstays, ünïcödé too"),
    ),
)
def test_what_could_fool_a_reader_is_removed_and_text_stays(line: str, shown: str) -> None:
    assert clean_line(line) == shown


def test_a_line_of_ten_megabytes_is_cut_and_its_length_told() -> None:
    shown = clean_line("x" * 10_000_000)
    assert len(shown) < 2_100
    assert shown.endswith("(10000000 characters)")
