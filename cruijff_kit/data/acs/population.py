"""A population made up: persons with the survey's columns and codes, none of whom lives; no datum of it was used.

A stand-in until one's own file is at hand, and a test whose answer is known. Each person is
drawn from the seed and their number alone, every variable from some drawn before it:

    AGEP SEX RAC1P ST PUMA        age falls off above 60; no other variable of these depends on another
    NATIVITY POBP CIT ANC         from RAC1P
    SCHL MAR RELP MIL ESP FER     from AGEP, SEX
    DEAR DEYE DREM DIS GCL        from AGEP
    MIG                           from AGEP, MAR, SCHL; nothing depends on it
    ESR                           from AGEP, SEX, SCHL, DIS, MAR
    COW OCCP WKHP JWTR POWPUMA    from ESR, SCHL, SEX, AGEP, PUMA
    JWMNP                         from JWTR, PUMA, POWPUMA; nothing depends on it
    PINCP POVPIP                  from AGEP, SEX, SCHL, OCCP, WKHP
    PUBCOV                        from AGEP, DIS, ESR, CIT, PINCP; nothing depends on it

So for each published task the probability of yes, given all that is told and that the person
passes the task's filter, follows from one formula; it stands in `chance_<task>`. RAC1P makes
no difference to any answer but through variables that are told; SEX makes one to ESR and PINCP
(`SEX_GAP`). The shares are round numbers of about the right size, no estimates.
"""

import math
from collections.abc import Iterator, Sequence

from cruijff_kit.data.acs.shares import CHANCE_OF
from cruijff_kit.data.dice import NORMAL, Dice
from cruijff_kit.data.tabular.readers import Table

__all__ = ["COLUMNS", "SEX_GAP", "VERSION", "person_cells", "population"]

VERSION = "1"
SEX_GAP = 0.2
"""By how much the logarithm of a woman's income lies below a man's of the same kind."""

_CHANCES = ("ACSIncome", "ACSEmployment", "ACSMobility", "ACSPublicCoverage", "ACSTravelTime")
COLUMNS = (
    "RT", "SERIALNO", "SPORDER", "PUMA", "ST", "PWGTP", "AGEP", "CIT", "COW", "DEAR", "DEYE", "DREM", "FER", "GCL",
    "JWMNP", "JWTR", "MAR", "MIG", "MIL", "RELP", "SCHL", "SEX", "WKHP", "ANC", "DIS", "ESP", "ESR", "NATIVITY", "OCCP",
    "PINCP", "POBP", "POVPIP", "POWPUMA", "PUBCOV", "RAC1P", *(f"{CHANCE_OF}{task}" for task in _CHANCES),
)  # fmt: skip
"""Columns in the survey's order, chances behind them."""

_STATES = {"6": 0.3, "48": 0.25, "36": 0.2, "12": 0.15, "39": 0.1}
_RACES = {"1": 0.62, "2": 0.12, "6": 0.09, "8": 0.08, "9": 0.07, "3": 0.015, "7": 0.005}
_ABROAD = {"1": 0.06, "2": 0.1, "6": 0.65, "8": 0.45, "9": 0.1, "3": 0.02, "7": 0.2}
_BIRTH = {
    "6": ("207", "210", "233", "247", "217"),
    "8": ("303", "312", "313", "364"),
    "2": ("333", "332", "440", "416"),
}
_MANNERS = {"1": 0.83, "2": 0.04, "4": 0.03, "9": 0.01, "10": 0.03, "11": 0.06}
_MINUTES = {"1": 3.1, "2": 3.7, "4": 3.7, "9": 2.8, "10": 2.3}
# Occupation: years of schooling it asks for as a level, logarithm of what it adds to income.
_JOBS = (
    (("4020", "4760", "4220", "9620", "4720", "3602"), -0.25),
    (("5240", "6230", "9130", "5400", "7000", "3500"), 0.0),
    (("3255", "2310", "5000", "800", "3421", "4850"), 0.2),
    (("1021", "120", "3090", "2100", "1410", "2205"), 0.5),
)


def population(people: int, *, seed: int) -> Table:
    """Return persons as a table, made while they are read."""
    return Table(COLUMNS, _rows(people, seed))


def _rows(people: int, seed: int) -> Iterator[Sequence[str]]:
    for number in range(1, people + 1):
        cells = person_cells(number, seed=seed)
        yield [cells.get(column, "") for column in COLUMNS]


def person_cells(number: int, *, seed: int) -> dict[str, str]:
    """Return the cells of a person by column; those that do not apply are left out."""
    dice = Dice(f"person/{number}", seed=seed)
    cells = {"RT": "P", "SERIALNO": f"STANDIN{number:07d}", "SPORDER": "1", "PWGTP": str(20 + int(dice.roll() * 180))}
    age = _age(dice)
    cells |= {"AGEP": str(age), "SEX": dice.one_of("12"), "RAC1P": dice.among(_RACES), "ST": dice.among(_STATES)}
    cells["PUMA"] = str(100 * (1 + int(dice.roll() * 5)))
    _origin(cells, dice)
    _household(cells, dice, age=age)
    _health(cells, dice, age=age)
    _move(cells, dice, age=age)
    _work(cells, dice, age=age)
    _income(cells, dice, age=age)
    _coverage(cells, dice, age=age)
    return cells


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _tell(cells: dict[str, str], task: str, *, chance: float) -> None:
    cells[f"{CHANCE_OF}{task}"] = f"{chance:.6f}"


def _age(dice: Dice) -> int:
    # Even up to 60, above it ever fewer.
    place = dice.roll()
    return int(place * 75) if place < 0.8 else 60 + int(35 * (1 - math.sqrt((1 - place) / 0.2)))


def _origin(cells: dict[str, str], dice: Dice) -> None:
    race = cells["RAC1P"]
    abroad = dice.yes(_ABROAD[race])
    if abroad:
        place, citizen = dice.one_of(_BIRTH.get(race, ("303", "110", "138", "301"))), dice.one_of("45")
    else:
        home = dice.yes(0.6)
        place, citizen = cells["ST"] if home else dice.one_of(("6", "17", "36", "39", "42", "48", "13")), "1"
    cells |= {"NATIVITY": "2" if abroad else "1", "POBP": place, "CIT": citizen}
    cells["ANC"] = dice.among({"1": 0.55, "2": 0.25, "4": 0.2})


def _household(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    cells["MAR"] = "5"
    if age >= 3:
        cells["SCHL"] = _school(dice, age)
    if age >= 18:
        wed = _logistic((age - 29) / 6)
        cells["MAR"] = dice.among({"5": 1.05 - wed, "1": 0.72 * wed, "3": 0.17 * wed, "4": 0.03 * wed,
                                   "2": 0.35 * _logistic((age - 78) / 6)})  # fmt: skip
    else:
        cells["ESP"] = dice.among({"1": 0.42, "2": 0.2, "3": 0.05, "5": 0.07, "7": 0.19, "8": 0.07})
    partnered = cells["MAR"] == "1"
    cells["RELP"] = (
        dice.among({"0": 0.5, "1": 0.5} if partnered else {"0": 0.6, "13": 0.14, "2": 0.12, "12": 0.08, "17": 0.06})
        if age >= 18
        else dice.among({"2": 0.88, "7": 0.08, "10": 0.04})
    )
    if age >= 17:
        cells["MIL"] = dice.among({"4": 0.92, "2": 0.06 if age > 21 else 0.0, "3": 0.015, "1": 0.005})
    if 15 <= age <= 50 and cells["SEX"] == "2":
        cells["FER"] = "1" if dice.yes(0.08 if 20 <= age <= 38 else 0.01) else "2"
    if age >= 30:
        cells["GCL"] = "1" if dice.yes(0.05 if age >= 45 else 0.005) else "2"


def _school(dice: Dice, age: int) -> str:
    if age < 18:
        return str(min(15, max(1, age - 2)))
    highest = {"12": 0.08, "16": 0.28, "17": 0.04, "19": 0.2, "20": 0.08}
    if age >= 22:
        highest |= {"21": 0.2, "22": 0.09, "23": 0.02, "24": 0.015}
    return dice.among(highest)


def _health(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    old = _logistic((age - 80) / 9)
    for column, chance in (("DEAR", 0.01 + 0.3 * old), ("DEYE", 0.01 + 0.12 * old), ("DREM", 0.03 + 0.15 * old)):
        if column != "DREM" or age >= 5:
            cells[column] = "1" if dice.yes(chance) else "2"
    hindered = any(cells.get(column) == "1" for column in ("DEAR", "DEYE", "DREM"))
    cells["DIS"] = "1" if hindered or dice.yes(0.02 + 0.3 * old) else "2"


def _schooling(cells: dict[str, str]) -> int:
    """Return a level from 0, no diploma, to 3, a degree beyond a bachelor's."""
    code = int(cells.get("SCHL", "1"))
    return (code >= 16) + (code >= 20) + (code >= 22)


def _move(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    if age < 1:
        return
    stays = _logistic(0.9 + (age - 24) / 12 + 0.7 * (cells["MAR"] == "1") - 0.5 * (_schooling(cells) >= 2))
    cells["MIG"] = "1" if dice.yes(stays) else dice.among({"3": 0.94, "2": 0.06})
    _tell(cells, "ACSMobility", chance=stays)


def _work(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    if age < 16:
        return
    works = _logistic(
        0.5 + 0.55 * _schooling(cells) - ((age - 42) / 17) ** 2 - 1.6 * (cells["DIS"] == "1")
        - 0.45 * (cells["SEX"] == "2") + 0.3 * (cells["MAR"] == "1")
    )  # fmt: skip
    cells["ESR"] = "1" if dice.yes(works) else dice.among({"6": 0.85, "3": 0.12, "2": 0.03})
    _tell(cells, "ACSEmployment", chance=works)
    if cells["ESR"] in {"1", "2", "3"}:
        _job(cells, dice)
    if cells["ESR"] == "1":
        _travel(cells, dice)


def _job(cells: dict[str, str], dice: Dice) -> None:
    level = min(3, max(0, _schooling(cells) + (dice.roll() < 0.2) - (dice.roll() < 0.25)))
    cells["OCCP"] = dice.one_of(_JOBS[level][0])
    cells["COW"] = dice.among({"1": 0.66, "2": 0.09, "3": 0.07, "4": 0.05, "5": 0.03, "6": 0.06, "7": 0.04})
    if cells["ESR"] != "3":
        cells["WKHP"] = str(_hours(cells, dice, level=level))


def _hours(cells: dict[str, str], dice: Dice, *, level: int) -> int:
    age = int(cells["AGEP"])
    full = dice.yes(_logistic(2.4 - 0.6 * (cells["SEX"] == "2") - 2.2 * (age < 21) - 2.0 * (age >= 66)))
    own = 5 * (cells["COW"] in {"6", "7"})
    return round(40 + own + level + 4 * dice.normal()) if full else max(4, round(20 + 6 * dice.normal()))


def _travel(cells: dict[str, str], dice: Dice) -> None:
    cells["JWTR"] = dice.among(_MANNERS)
    near = dice.yes(0.6)
    cells["POWPUMA"] = cells["PUMA"] if near else str(100 * (1 + int(dice.roll() * 5)))
    if cells["JWTR"] == "11":
        _tell(cells, "ACSTravelTime", chance=0.0)
        return
    far = abs(int(cells["PUMA"]) - int(cells["POWPUMA"])) / 100
    mean, spread = _MINUTES[cells["JWTR"]] - 0.25 + 0.3 * far, 0.55
    minutes = math.exp(mean + spread * dice.normal())
    cells["JWMNP"] = str(min(200, max(1, math.floor(minutes))))
    _tell(cells, "ACSTravelTime", chance=1 - NORMAL.cdf((math.log(21) - mean) / spread))


def _income(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    if age < 15:
        return
    hours = int(cells.get("WKHP", "0"))
    if not hours:
        amount = 0 if dice.yes(0.4) else math.floor(math.exp(9.4 + 0.8 * dice.normal()))
    else:
        extra = next(gain for jobs, gain in _JOBS if cells["OCCP"] in jobs)
        mean = 10.15 + extra + 0.22 * _schooling(cells) + 1.0 * math.log(hours / 40) - ((age - 50) / 32) ** 2
        mean, spread = mean + 0.3 - SEX_GAP * (cells["SEX"] == "2"), 0.55
        amount = math.floor(math.exp(mean + spread * dice.normal()))
        above, kept = (1 - NORMAL.cdf((math.log(least) - mean) / spread) for least in (50_001, 101))
        _tell(cells, "ACSIncome", chance=above / kept)
    cells |= {"PINCP": str(amount), "POVPIP": str(min(501, round(100 * amount / 15_000)))}


def _coverage(cells: dict[str, str], dice: Dice, *, age: int) -> None:
    earned = int(cells.get("PINCP", "0"))
    covered = _logistic(
        -0.4 + 0.9 * (age < 19) + 3.5 * (age >= 65) + 1.4 * (cells["DIS"] == "1") - 0.8 * (cells.get("ESR") == "1")
        - 0.6 * (cells["CIT"] == "5") - earned / 20_000
    )  # fmt: skip
    cells["PUBCOV"] = "1" if dice.yes(covered) else "2"
    _tell(cells, "ACSPublicCoverage", chance=covered)
