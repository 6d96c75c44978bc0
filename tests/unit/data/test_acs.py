"""Persons of the survey: told as published, drawn alike whatever the form, with chances that hold."""

import re
from typing import Any

import pytest

from cruijff_kit.data.acs.population import COLUMNS, person_cells
from cruijff_kit.data.acs.shares import CHANCE_OF
from cruijff_kit.data.acs.tasks import TASKS
from cruijff_kit.data.generators.registry import Generated, make_dataset
from cruijff_kit.errors import SpecError
from tests.person_file import DICTIONARY, SURVEY_COLUMNS, person_csv, zipped

SMALL: dict[str, Any] = {"train": 120, "validation": 30, "calibration": 20, "test": 40}
PUBLISHED = tuple(name for name in TASKS if name.startswith("ACS"))
PEOPLE = person_csv(1_500)


def told(
    content: bytes = PEOPLE, source: str = "psam_p06.csv", *, dictionary: bytes = b"", **changes: Any
) -> Generated:
    """Return what the generator makes of a file."""
    more = {"dictionary": "words.csv"} if dictionary else {}
    files = {"source": content, **({"dictionary": dictionary} if dictionary else {})}
    return make_dataset("acs", {"task": "ACSIncome", **SMALL, **more, **changes, "source": source}, files=files)


def numbers(made: Generated) -> dict[str, list[int]]:
    return {name: [row["row"] for row in rows] for name, rows in made.splits.items()}


@pytest.mark.parametrize("task", TASKS)
def test_no_task_tells_what_it_asks_for(task: str) -> None:
    known = TASKS[task]
    assert known.target not in known.features
    assert len(set(known.features)) == len(known.features)


@pytest.fixture(scope="module")
def crowd() -> list[dict[str, str]]:
    return [person_cells(number, seed=3) for number in range(1, 6_001)]


@pytest.mark.parametrize("task", PUBLISHED)
def test_answers_come_true_as_often_as_their_chances_promise(task: str, crowd: list[dict[str, str]]) -> None:
    known, column = TASKS[task], f"{CHANCE_OF}{task}"
    about = [cells for cells in crowd if all(each.holds(cells.get(each.column, "")) for each in known.keep)]
    assert len(about) > 1_000
    assert known.yes is not None
    drawn = [(float(cells[column]), known.yes.holds(cells.get(known.target, ""))) for cells in about]
    for low, high in ((0, 0.35), (0.35, 0.65), (0.65, 1.01)):
        some = [(chance, yes) for chance, yes in drawn if low <= chance < high]
        spread = sum(chance * (1 - chance) for chance, _ in some) ** 0.5
        assert abs(sum(yes for _, yes in some) - sum(chance for chance, _ in some)) <= 4 * spread + 1
    assert 0.6 < sum(max(chance, 1 - chance) for chance, _ in drawn) / len(drawn) < 0.9


def test_a_file_of_persons_made_up_tells_the_same_as_the_generator_that_makes_them() -> None:
    read = told(person_csv(1_500, columns=COLUMNS))
    made = make_dataset("acs_stand_in", {"task": "ACSIncome", **SMALL, "people": 1_500})
    assert read.content == made.content
    assert read.facts.key != made.facts.key


@pytest.mark.parametrize("changes", ({"form": "condensed"}, {"form": "terse"}, {"order": "once"}, {"order": "each"}))
def test_the_same_persons_are_drawn_whatever_the_form_and_the_order(changes: dict[str, Any]) -> None:
    plain, other = told(), told(**changes)
    assert numbers(plain) == numbers(other)
    assert plain.facts.key != other.facts.key
    pairs = list(zip(plain.splits["train"], other.splits["train"], strict=True))
    assert all(one["output"] == two["output"] and one["SEX"] == two["SEX"] for one, two in pairs)
    assert all(one["input"] != two["input"] for one, two in pairs)


def test_variables_are_shuffled_once_or_for_each_person() -> None:
    def orders(made: Generated) -> set[tuple[str, ...]]:
        return {tuple(re.findall(r"- The (.*?) is: ", row["input"])) for row in made.splits["train"]}

    (published,), (once,) = orders(told()), orders(told(order="once"))
    assert sorted(published) == sorted(once)
    assert published != once
    each = orders(told(order="each"))
    assert len(each) > 100
    assert {tuple(sorted(names)) for names in each} == {tuple(sorted(published))}


def test_a_person_reads_as_the_schema_says_in_every_form() -> None:
    rows = {form: told(form=form).splits["test"][0]["input"] for form in ("verbose", "condensed", "terse")}
    assert rows["verbose"].startswith("- The age is: ")
    assert rows["condensed"].count("; ") == 9
    assert "class of worker: " in rows["condensed"]
    assert "class of worker" not in rows["terse"]
    assert len(rows["terse"]) < len(rows["condensed"]) < len(rows["verbose"])
    question = (
        "\n\nWas this person's income in the past 12 months more than 50,000 dollars? Answer 1 for yes, 0 for no."
    )
    assert all(text.endswith(question) for text in rows.values())


def test_halves_are_as_large_as_each_other_and_their_chances_hold() -> None:
    made = make_dataset(
        "acs_stand_in",
        {"task": "ACSMobility", "balanced": True, "people": 5_000, "train": 300, "validation": 41, "test": 40},
    )
    yes = {name: sum(row["output"] == "1" for row in rows) for name, rows in made.splits.items()}
    assert yes == {"train": 150, "validation": 20, "test": 20}
    rows = [row for rows in made.splits.values() for row in rows]
    spread = sum(row["chance_1"] * row["chance_0"] for row in rows) ** 0.5
    assert abs(sum(row["chance_1"] for row in rows) - sum(yes.values())) < 4 * spread


def test_those_kept_for_judging_stay_the_same_when_more_are_trained_on() -> None:
    few, many = told(train=60), told(train=200)
    assert few.splits["test"] == many.splits["test"]
    assert few.splits["calibration"] == many.splits["calibration"]
    assert numbers(few)["train"] == numbers(many)["train"][:60]


def test_persons_who_read_the_same_stay_in_one_split() -> None:
    once = person_csv(500, columns=SURVEY_COLUMNS).splitlines(keepends=True)
    made = told(once[0] + b"".join(line for line in once[1:] for _ in range(3)))
    places = [{row["input"] for row in rows} for rows in made.splits.values()]
    assert sum(map(len, places)) == len(set().union(*places))
    assert any(len(texts) < len(rows) for texts, rows in zip(places, made.splits.values(), strict=True))


@pytest.mark.parametrize("task", ("age", "income", "hours", "commute"))
def test_numbers_are_asked_for_and_answered_with_the_cell(task: str) -> None:
    made = told(task=task)
    column = SURVEY_COLUMNS.index(TASKS[task].target)
    lines = PEOPLE.decode().splitlines()
    for row in made.splits["test"]:
        assert row["output"] == lines[row["row"]].split(",")[column]
        assert row["input"].endswith("Answer with a number.")
        assert "chance_1" not in row


@pytest.mark.parametrize("task", PUBLISHED)
def test_answers_and_persons_are_those_that_were_published(task: str) -> None:
    rules: dict[str, tuple[Any, Any]] = {
        "ACSIncome": (lambda c: c["AGEP"] > 16 and c["PINCP"] > 100 and c["WKHP"] > 0, lambda c: c["PINCP"] > 50_000),
        "ACSEmployment": (lambda c: 16 < c["AGEP"] < 90, lambda c: c["ESR"] == 1),
        "ACSMobility": (lambda c: 18 < c["AGEP"] < 35, lambda c: c["MIG"] == 1),
        "ACSPublicCoverage": (lambda c: c["AGEP"] < 65 and c["PINCP"] <= 30_000, lambda c: c["PUBCOV"] == 1),
        "ACSTravelTime": (lambda c: c["AGEP"] > 16 and c["ESR"] == 1, lambda c: c["JWMNP"] > 20),
    }
    keep, yes = rules[task]
    nothing = float("nan")
    head, *lines = PEOPLE.decode().splitlines()
    cells = [
        {
            name: float(cell) if cell.lstrip("-").isdigit() else nothing
            for name, cell in zip(head.split(","), line.split(","), strict=True)
        }
        for line in lines
    ]
    made = told(task=task)
    for row in (row for rows in made.splits.values() for row in rows):
        assert keep(cells[row["row"] - 1])
        assert row["output"] == str(int(yes(cells[row["row"] - 1])))
    there = sum(1 for each in cells if keep(each))
    with pytest.raises(SpecError, match="too few persons") as refusal:
        told(task=task, train=1_500)
    assert f"about {there:,} persons" in str(refusal.value)


def test_codes_read_the_same_however_they_are_spelt() -> None:
    def padded(column: str, cell: str) -> str:
        wide = {"SCHL": 2, "RELP": 2, "POBP": 3, "ST": 2, "OCCP": 4, "PUMA": 5, "JWTR": 2}
        return cell.zfill(wide[column]) if column in wide and cell else cell

    def floats(column: str, cell: str) -> str:
        return f"{cell}.0" if column in {"OCCP", "COW", "WKHP", "PINCP", "ESR"} and cell else cell

    plain = told()
    for spelt in (padded, floats):
        assert told(person_csv(1_500, spelt=spelt)).content == plain.content


def test_an_archive_is_read_as_the_files_in_it() -> None:
    head, *lines = PEOPLE.splitlines(keepends=True)
    parts = {"psam_pusa__csv": head + b"".join(lines[:700]), "psam_pusb__csv": head + b"".join(lines[700:])}
    made = told(zipped(**parts, README__pdf=b"%PDF"), source="csv_pus.zip")
    assert made.content == told().content
    with pytest.raises(SpecError, match=r"holds no `\.csv`"):
        told(zipped(README__pdf=b"%PDF"), source="csv_pus.zip")
    other = parts["psam_pusb__csv"].replace(b"RT,", b"RX,", 1)
    with pytest.raises(SpecError, match="has other columns"):
        told(zipped(**{**parts, "psam_pusb__csv": other}), source="csv_pus.zip")


def test_later_files_with_other_columns_and_codes_are_read_too() -> None:
    heads = {"RELP": "RELSHIPP", "JWTR": "JWTRNS", "ST": "STATE"}
    later = {"RELP": {"0": "20", "1": "21", "2": "25", "7": "30", "10": "33", "12": "34", "13": "22", "17": "38"},
             "JWTR": {"4": "3"}}  # fmt: skip
    content = person_csv(1_500, heads=heads, spelt=lambda column, cell: later.get(column, {}).get(cell, cell))
    for task in ("ACSIncome", "ACSTravelTime"):
        plain, made = told(task=task), told(content, task=task)
        assert len(made.splits["test"]) == len(plain.splits["test"])
        texts = " ".join(row["input"] for row in made.splits["train"])
        assert "relationship to the reference person of the household is: reference person" in texts
    assert "subway or elevated rail" in texts


def test_the_surveys_dictionary_gives_words_for_occupations() -> None:
    plain, made = told(train=300), told(train=300, dictionary=DICTIONARY)
    both = list(zip(plain.splits["train"], made.splits["train"], strict=True))
    named = [two["input"] for _, two in both if "occupation is: software developers" in two["input"]]
    assert named
    assert all("CMM" not in text and "code 1021" not in text for text in named)
    assert any("computers and mathematics (code 1021)" in row["input"] for row in plain.splits["train"])
    with pytest.raises(SpecError, match="is no data dictionary of the survey"):
        told(dictionary=b"a,b\n1,2\n")


def test_codes_that_are_not_known_are_told_by_row_and_never_quoted() -> None:
    content = person_csv(1_500, spelt=lambda column, cell: "77" if (column, cell) == ("COW", "2") else cell)
    with pytest.raises(SpecError, match="holds what is not known") as refusal:
        told(content)
    assert re.search(r"psam_p06\.csv row \d+: a cell of `COW` does not fit", str(refusal.value))
    assert "77" not in re.sub(r"row \d+", "", str(refusal.value))
    assert str(refusal.value).count("a cell of `COW`") == 20


def test_a_column_of_chances_that_are_none_is_refused() -> None:
    column = f"{CHANCE_OF}ACSIncome"
    content = person_csv(
        1_500, columns=(*SURVEY_COLUMNS, column), spelt=lambda name, cell: "1.5" if name == column and cell else cell
    )
    with pytest.raises(SpecError, match=f"a cell of `{column}` is no probability"):
        told(content)


def test_a_file_of_households_is_refused_with_what_it_lacks() -> None:
    lacking = tuple(name for name in SURVEY_COLUMNS if name not in {"OCCP", "PWGTP"})
    with pytest.raises(SpecError, match="does not fit its schema") as refusal:
        told(person_csv(100, columns=lacking))
    assert "column `OCCP` is not in the table" in str(refusal.value)
    assert "column `PWGTP` is not in the table" in str(refusal.value)


@pytest.mark.parametrize(
    "changes,path,fact",
    (
        ({"task": "hours", "balanced": True}, "balanced", "answers with a number"),
        ({"answers": ["yes", "Yes "]}, "answers", "not two words that can be told apart"),
        ({"groups": ["PINCP"]}, "groups", "is the answer"),
        ({"groups": ["WEIGHT"]}, "groups", "no variable of the schema"),
        ({"task": "ACSIncom"}, "task", "is not a valid `task`"),
        ({"train": 0}, "train", "is not a valid `train`"),
    ),
)
def test_arguments_that_do_not_fit_are_refused_at_their_place(changes: dict[str, Any], path: str, fact: str) -> None:
    with pytest.raises(SpecError) as refusal:
        told(**changes)
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert fact in problem.message
    assert problem.hint


def test_groups_and_answers_are_written_as_asked() -> None:
    made = told(groups="SEX,MAR", answers="no,yes")
    row = made.splits["train"][0]
    assert set(row) == {"input", "output", "SEX", "MAR", "row"}
    assert {row["output"] for row in made.splits["train"]} == {"no", "yes"}
    assert row["input"].endswith("Answer yes for yes, no for no.")
