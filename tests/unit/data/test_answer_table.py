"""Tables of answers: what their probabilities are of is said, and checked."""

import pytest

from cruijff_kit.data.answer_table import Meaning, read_answers
from cruijff_kit.errors import SpecError

HEAD = "INPUT,TRUE_LABEL,PREDICTION,P(TRUE LABEL),SEX\n"
# Rows of a model that leans to its prediction: label, prediction, P(class 1).
ROWS = ((1, 1, 0.9), (0, 1, 0.7), (1, 0, 0.2), (0, 0, 0.1))


def _table(meaning: Meaning) -> bytes:
    share = {
        "1": lambda y, q, p: p,
        "true": lambda y, q, p: p if y else 1 - p,
        "predicted": lambda y, q, p: p if q else 1 - p,
    }[meaning]
    lines = [f"row {at},{y},{q},{share(y, q, p)},a" for at, (y, q, p) in enumerate(ROWS)]
    return (HEAD + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("meaning", ("1", "true", "predicted"))
def test_each_meaning_gives_the_probability_of_class_one(meaning: Meaning) -> None:
    table = read_answers(_table(meaning), name="a.csv", by="SEX", meaning=meaning)
    assert table.probabilities == pytest.approx([p for _, _, p in ROWS])
    assert table.targets == (1, 0, 1, 0)
    assert table.predictions == (1, 1, 0, 0)


@pytest.mark.parametrize("declared, true", (("1", "true"), ("true", "1"), ("1", "predicted")))
def test_probabilities_that_plainly_mean_something_else_are_refused(declared: Meaning, true: Meaning) -> None:
    with pytest.raises(SpecError, match=f"--probability-of {true}"):
        read_answers(_table(true), name="a.csv", by="SEX", meaning=declared)


def test_a_probability_column_is_not_read_until_its_meaning_is_said() -> None:
    with pytest.raises(SpecError, match="read as P\\(class 1\\) only when what it holds is said"):
        read_answers(_table("1"), name="a.csv", by="SEX", meaning=None)


def test_a_table_without_probabilities_needs_no_meaning() -> None:
    content = b"TRUE_LABEL,PREDICTION,SEX\n1,1,a\n0,,b\n"
    table = read_answers(content, name="a.csv", by="SEX", meaning=None)
    assert table.predictions == (1, None)
    assert table.probabilities == (None, None)


def test_abstentions_and_prediction_sets_are_read_where_they_are_given() -> None:
    content = b"TRUE_LABEL,PREDICTION,SEX,ABSTAIN,PREDICTION_SET\n1,1,a,0,0|1\n0,1,b,1,1\n1,0,a,,\n"
    table = read_answers(content, name="a.csv", by="SEX", meaning=None)
    assert table.abstained == (False, True, False)
    assert table.covered == (True, False, False)


def test_every_bad_cell_is_told_at_once_with_its_line() -> None:
    content = (HEAD + 'a,1,1,0.9,x\nb,yes,1,1.2,x\n"two\nlines",0,2,nan,\n').encode()
    with pytest.raises(SpecError) as caught:
        read_answers(content, name="a.csv", by="SEX", meaning="1")
    said = [(problem.place, problem.path) for problem in caught.value.problems]
    assert said == [
        ("a.csv:3", "TRUE_LABEL"),
        ("a.csv:5", "PREDICTION"),
        ("a.csv:3", "P(TRUE LABEL)"),
        ("a.csv:5", "P(TRUE LABEL)"),
        ("a.csv:5", "SEX"),
    ]


def test_cells_that_may_not_be_shown_are_not_quoted() -> None:
    content = b"TRUE_LABEL,PREDICTION,SEX\nsecret,1,a\n"
    with pytest.raises(SpecError) as caught:
        read_answers(content, name="a.csv", by="SEX", meaning=None, shown=False)
    assert "secret" not in str(caught.value)
    assert "a.csv:2" in str(caught.value)


@pytest.mark.parametrize(
    "content, fact",
    (
        (b"\xff\xfe", "not UTF-8"),
        (b"TRUE_LABEL,PREDICTION,SEX\n", "no rows"),
        (b"TRUE_LABEL,PREDICTION,SEX\n1,1\n", "2 cells, the header 3"),
        (b"TRUE_LABEL,PREDICTION,SEX,SEX\n1,1,a,a\n", "there twice"),
        (b'TRUE_LABEL,PREDICTION,SEX\n1,1,"a\n', "not a valid CSV"),
        (b"TRUE_LABELS,PREDICTION,SEX\n1,1,a\n", "is it `TRUE_LABELS`"),
    ),
)
def test_a_file_that_is_no_such_table_is_refused_in_words(content: bytes, fact: str) -> None:
    with pytest.raises(SpecError, match=fact):
        read_answers(content, name="a.csv", by="SEX", meaning=None)
