"""Person files of the survey as its users have them, filled with persons made up."""

import csv
import io
import zipfile
from collections.abc import Callable, Sequence

from cruijff_kit.data.acs.population import COLUMNS, population
from cruijff_kit.data.acs.shares import CHANCE_OF

__all__ = ["DICTIONARY", "SURVEY_COLUMNS", "person_csv", "zipped"]

SURVEY_COLUMNS = tuple(name for name in COLUMNS if not name.startswith(CHANCE_OF))
"""Columns that the survey has."""

DICTIONARY = (
    b"NAME,RT,C,1,Record Type\n"
    b'NAME,OCCP,C,4,"Occupation recode"\n'
    b'VAL,OCCP,C,4,bbbb,bbbb,"N/A (less than 16 years old)"\n'
    b'VAL,OCCP,C,4,1021,1021,"CMM-Software Developers"\n'
    b'VAL,OCCP,C,4,3255,3255,"MED-Registered Nurses"\n'
    b'VAL,POBP,C,3,006,006,"California/CA"\n'
    b'VAL,POBP,C,3,303,303,"Mexico"\n'
)
"""The survey's own dictionary, a few lines of it."""


def person_csv(
    people: int,
    *,
    columns: Sequence[str] = SURVEY_COLUMNS,
    heads: dict[str, str] | None = None,
    spelt: Callable[[str, str], str] = lambda _, cell: cell,
) -> bytes:
    """Return a person file.

    Args:
        people: persons in it.
        columns: its columns, as they are made up.
        heads: what some of them are called instead.
        spelt: column and cell to the cell as it is written.
    """
    table, out = population(people, seed=0), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([(heads or {}).get(name, name) for name in columns])
    at = [table.columns.index(name) for name in columns]
    for row in table.rows:
        writer.writerow([spelt(table.columns[place], row[place]) for place in at])
    return out.getvalue().encode()


def zipped(**files: bytes) -> bytes:
    """Return an archive, `__` in a name standing for the point."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()
