"""One table reads the same from a file of every format, and what is no table is refused with its place."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.tabular.cells import cell_text, number_of, number_text, one_line
from cruijff_kit.data.tabular.readers import open_table
from cruijff_kit.errors import SpecError
from tests.table_files import COLUMNS, ENDINGS, TEXT_ROWS, write_table


def rows_of(path: Path) -> list[tuple[str, ...]]:
    with path.open("rb") as file:
        table = open_table(file, path.name)
        assert table.columns == COLUMNS
        return [tuple(row) for row in table.rows]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_same_text_of_every_cell(ending: str, tmp_path: Path) -> None:
    assert rows_of(write_table(tmp_path, ending)) == TEXT_ROWS


def test_a_stata_file_tells_its_labels(tmp_path: Path) -> None:
    with write_table(tmp_path, ".dta").open("rb") as file:
        table = open_table(file, "people.dta")
    assert table.labels == {"age": "age at interview"}
    assert table.values == {"code": {"1": "man", "2": "woman"}}


def test_a_sheet_is_read_by_its_name_and_no_other_format_has_one(tmp_path: Path) -> None:
    with write_table(tmp_path, ".xlsx").open("rb") as file:
        assert open_table(file, "people.xlsx", sheet="notes").columns == ("who",)
    with write_table(tmp_path, ".xlsx").open("rb") as file, pytest.raises(SpecError, match="it has `Sheet`, `notes`"):
        open_table(file, "people.xlsx", sheet="other")
    with write_table(tmp_path, ".csv").open("rb") as file, pytest.raises(SpecError, match="has no sheets"):
        open_table(file, "people.csv", sheet="notes")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("damage", (lambda content: b"", lambda content: b"\xff\x00nonsense" * 40))
def test_a_file_that_is_torn_or_of_another_format_is_refused_in_words(
    ending: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = write_table(tmp_path, ending)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SpecError, match="people"):
        rows_of(path)


@pytest.mark.parametrize(
    "content,told",
    (
        ("a,b\n1,2,3\n", "people.csv:2: a row of 3 cells under 2 columns"),
        ('a,b\n1,"2\n', "people.csv: cannot be read"),
        ("a,a\n1,2\n", "two columns are named `a`"),
        ("a,\n1,2\n", "column 2 has no name"),
    ),
)
def test_rows_and_names_that_do_not_fit_are_told_with_their_line(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(content, encoding="utf-8")
    with pytest.raises(SpecError) as caught, (tmp_path / "people.csv").open("rb") as file:
        list(open_table(file, "people.csv").rows)
    assert told in str(caught.value)
    assert "hint:" in str(caught.value)


def test_a_format_that_is_not_known_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "people.sav").write_bytes(b"x")
    with (tmp_path / "people.sav").open("rb") as file, pytest.raises(SpecError, match=r"tables are `\.csv`, `\.tsv`"):
        open_table(file, "people.sav")
    with (tmp_path / "people.sav").open("rb") as file, pytest.raises(SpecError) as refusal:
        open_table(file, "people.XLS")
    assert refusal.value.hint == "open it and save it as `.xlsx`"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_spelt_in_full_and_reads_back(value: float) -> None:
    text = cell_text(value)
    assert "e" not in text
    assert float(text) == value
    number = number_of(text)
    assert number is not None
    assert number_text(number) == text


@given(st.text(max_size=40))
def test_a_cell_stays_on_one_line_and_keeps_its_words(text: str) -> None:
    line = one_line(text)
    assert line == line.strip()
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line
    assert [word for word in line.split(" ") if word] == (line.split(" ") if line else [])


@pytest.mark.parametrize(
    "text,decimals,shown", (("2.50", None, "2.5"), ("1e3", None, "1000"), ("0.125", 2, "0.12"), ("-0.001", 1, "0.0"))
)
def test_numbers_have_one_spelling(text: str, decimals: int | None, shown: str) -> None:
    number = number_of(text)
    assert number is not None
    assert number_text(number, decimals=decimals) == shown
