"""Words for the survey's codes: our schema of a person file, and the survey's own dictionary for what it leaves open.

The schema is a schema of tables like any other (`data/tabular`), so whoever wants other words
tells the file with the generator `tabular` and a schema of their own.
"""

import csv
import pkgutil
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import IO

from cruijff_kit.data.tabular.cells import number_of, number_text, one_line
from cruijff_kit.data.tabular.schema_text import parse_schema
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import TableSchema

__all__ = ["code_of", "person_schema", "read_codes"]

_SCHEMA, _LATER = "acs.schema.yaml", "acs_later.schema.yaml"
_OPEN = ("OCCP", "POBP")
# Census occupation codes ascend by major group; each ends at the code named.
_GROUPS = (
    (440, "management"), (750, "business operations"), (960, "finance"), (1240, "computers and mathematics"),
    (1560, "architecture and engineering"), (1980, "science"), (2060, "community and social service"), (2180, "law"),
    (2555, "education"), (2920, "arts, sports and media"), (3550, "health care"), (3655, "health care support"),
    (3960, "protective service"), (4160, "food preparation and serving"), (4255, "cleaning and maintenance"),
    (4655, "personal care"), (4965, "sales"), (5940, "office and administration"), (6130, "farming, fishing, forestry"),
    (6765, "construction"), (6950, "extraction"), (7640, "installation and repair"), (8990, "production"),
    (9760, "transportation"), (9830, "military"), (9920, "none, unemployed for five years or more"),
)  # fmt: skip


def person_schema(columns: Sequence[str], codes: Mapping[str, Mapping[str, str]]) -> TableSchema:
    """Return the schema of a person file with these columns.

    Later files call some columns and codes otherwise; what they have replaces the earlier.

    Args:
        columns: of the file.
        codes: words by column and code, as `read_codes` gives them.
    """
    schema, later = (_parsed(name) for name in (_SCHEMA, _LATER))
    variables = dict(schema.variables)
    newer = {name: each for name, each in later.variables.items() if name not in columns and each.column in columns}
    variables.update(newer)
    variables["OCCP"] = variables["OCCP"].model_copy(update={"value_map": _occupations(codes.get("OCCP", {}))})
    places = {**variables["POBP"].value_map, **codes.get("POBP", {})}
    variables["POBP"] = variables["POBP"].model_copy(update={"value_map": _apart(places)})
    return schema.model_copy(update={"variables": variables})


def code_of(cell: str) -> str:
    """Return a cell in the one spelling of its code: files write `06`, `6` and `6.0` for the same."""
    number = number_of(cell)
    return cell if number is None else number_text(number)


def read_codes(file: IO[bytes], name: str) -> dict[str, dict[str, str]]:
    """Return the words for occupations and places of birth that the survey's data dictionary gives.

    Args:
        file: the dictionary as the Census Bureau publishes it as CSV, open for reading.
        name: its name.

    Raises:
        SpecError: it is no such dictionary.
    """
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        # Older dictionaries are in the code page of the machine they were made on.
        file.seek(0)
        text = file.read().decode("cp1252", "replace")
    found: dict[str, dict[str, str]] = {column: {} for column in _OPEN}
    for line in csv.reader(StringIO(text)):
        if len(line) >= 7 and line[0] == "VAL" and line[1] in found:
            number = number_of(line[4].strip())
            if number is not None:
                found[line[1]][number_text(number)] = one_line(_plain(line[6], line[1]))
    if not any(found.values()):
        hint = "name `PUMS_Data_Dictionary_<year>.csv`, which is published beside the data, or leave it out"
        problem = Problem(f"`{name}` names no code of {' or '.join(_OPEN)}", "dictionary", hint=hint)
        raise SpecError(f"`{name}` is no data dictionary of the survey", problems=[problem])
    return {column: _apart(words) for column, words in found.items()}


def _parsed(name: str) -> TableSchema:
    content = pkgutil.get_data("cruijff_kit.data.acs", name) or b""
    return parse_schema(content.decode(), name=name)


def _plain(words: str, column: str) -> str:
    """Return an occupation without the letters of its group, a state without its own."""
    if column == "OCCP":
        group, dash, rest = words.partition("-")
        return rest.lower() if dash and len(group) == 3 and group.isupper() else words.lower()
    state, slash, letters = words.partition("/")
    return state if slash and len(letters) == 2 else words


def _apart(words: Mapping[str, str]) -> dict[str, str]:
    """Return words by code, the code beside them where two codes share them."""
    said = list(words.values())
    return {code: each if said.count(each) == 1 else f"{each} (code {code})" for code, each in words.items()}


def _occupations(codes: Mapping[str, str]) -> dict[str, str]:
    """Return words for every code: those of the dictionary, for others the major group and the code."""
    found, least = dict(codes), 1
    for most, group in _GROUPS:
        for code in range(least, most + 1):
            found.setdefault(str(code), f"{group} (code {code})")
        least = most + 1
    return found
