"""The first system's `experiment_summary`: what its prose, or its later YAML, says of an experiment."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import Problem, SpecError

__all__ = ["SUMMARIES", "FirstSummary", "SummaryRun", "read_first_summary"]

SUMMARIES = ("experiment_summary.md", "experiment_summary.yaml")
"""Names of the file, the earlier form first."""

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_FACT = re.compile(r"^\s*(?:[-*]\s+)?\*\*(?P<key>[^*:]+?)\s*:?\s*\*\*\s*:?\s*(?P<value>.+?)\s*$")
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAMELESS = {"experiment", "experiment summary", "summary"}
_NAMES = ("run name", "run", "name")


class SummaryRun(NamedTuple):
    """One run as the summary lists it."""

    name: str
    """Its name."""
    model: str = ""
    """Its base model; empty where the table does not say."""
    type: str = ""
    """`fine-tuned` or `control`; empty where the table does not say."""


class FirstSummary(NamedTuple):
    """What was said of an experiment; what was not is empty."""

    name: str = ""
    """Title."""
    type: str = ""
    """`sanity_check` or `experiment`."""
    question: str = ""
    """The question."""
    hypothesis: str = ""
    """What was expected."""
    created: str = ""
    """ISO-8601 day."""
    runs: tuple[SummaryRun, ...] = ()
    """Runs, in the order listed."""
    models: Mapping[str, str] = MappingProxyType({})
    """Base model to its directory."""
    data: str = ""
    """Where the data lay."""
    ours: bool = False
    """Whether it is the design of an experiment of this package, of which nothing else is to be said."""


def read_first_summary(text: str, *, name: str) -> tuple[FirstSummary, list[Problem]]:
    """Return what a summary says, and what is wrong with it; prose is read for what can be found in it.

    Args:
        text: the file.
        name: its name, which tells its form.
    """
    if name.endswith(".yaml"):
        return _of_yaml(text, name)
    if text.startswith("---\n") and "\nschema_version:" in text:
        fact = "this is an experiment of this package already"
        hint = "use it as it is: nothing needs importing"
        return FirstSummary(ours=True), [Problem(fact, place=f"{name}:1", hint=hint)]
    return _of_prose(text), []


def _of_prose(text: str) -> FirstSummary:
    title, sections = _sections(text)
    facts = {key: value for lines in sections.values() for key, value in _facts(lines)}
    listed = next((lines for head, lines in sections.items() if "runs" in head and _rows(lines)), [])
    models = {row.get("model", "").strip("`"): _path(" ".join(row.values())) for row in _all_rows(sections, "model")}
    models |= {name: path for name, path in _bullets(sections, "model") if name not in models}
    kind = facts.get("type", "").lower().replace(" ", "_").strip("`")
    named = title.removeprefix("Experiment:").removeprefix("Experiment Summary:").strip(" `")
    # A heading of the form itself names nothing; then the directory does.
    named = named if named.casefold() not in _NAMELESS else facts.get("experiment") or facts.get("name") or ""
    return FirstSummary(
        name=named,
        type="sanity_check" if "sanity" in kind else "experiment" if kind else "",
        question=facts.get("question") or facts.get("scientific question") or facts.get("research question") or "",
        hypothesis=facts.get("hypothesis", ""),
        created=_day(facts.get("created") or facts.get("date") or ""),
        runs=tuple(_run(row) for row in _rows(listed) if any(row.get(each) for each in _NAMES)),
        models={name: path for name, path in models.items() if name and path},
        data=next((_path(value) for key, value in facts.items() if key.startswith("dataset")), "")
        or next((path for _, path in _bullets(sections, "dataset")), ""),
    )


def _of_yaml(text: str, name: str) -> tuple[FirstSummary, list[Problem]]:
    try:
        found = load_yaml(text, name=name).value
    except SpecError as err:
        return FirstSummary(), list(err.problems) or [Problem(str(err).partition("\n")[0], place=name)]
    if not isinstance(found, dict) or not isinstance(found.get("experiment"), dict):
        fact = "it has no section `experiment`"
        return FirstSummary(), [Problem(fact, "experiment", name, "name the directory of a first-system experiment")]
    about = found["experiment"]
    return (
        FirstSummary(
            name=str(about.get("name") or ""),
            question=str(about.get("question") or ""),
            hypothesis=str(about.get("hypothesis") or ""),
            created=_day(str(about.get("date") or "")),
            runs=tuple(
                SummaryRun(str(each["name"]), str(each.get("model") or ""), _kind(str(each.get("type") or "")))
                for each in _named(found, "runs")
            ),
            models={str(each["name"]): str(each.get("path") or "") for each in _named(found, "models", "base")},
            data=str(_at(found, "data", "training", "path") or ""),
        ),
        [],
    )


def _named(found: Any, *keys: str) -> Iterator[dict[str, Any]]:
    """Yield what has a name in the list at a place; nothing where there is no list."""
    listed = _at(found, *keys)
    yield from (
        each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict) and each.get("name")
    )


def _at(found: Any, *keys: str) -> Any:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _sections(text: str) -> tuple[str, dict[str, list[str]]]:
    """Return the title, and the lines below each heading, headings in small letters."""
    title, current, found = "", "", dict[str, list[str]]()
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading is None:
            found.setdefault(current, []).append(line)
        elif len(heading[1]) == 1 and not title:
            title = heading[2]
        else:
            current = heading[2].casefold()
    return title, found


def _facts(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what `**Key**: value` lines say, keys in small letters."""
    for line in lines:
        fact = _FACT.match(line)
        if fact is not None:
            yield fact["key"].strip().casefold(), fact["value"].strip()


def _rows(lines: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of the first table, by column in small letters."""
    tables = [line for line in lines if line.lstrip().startswith("|")]
    if len(tables) < 2 or not _RULE.match(tables[1]):
        return []
    heads = [each.casefold() for each in _cells(tables[0])]
    return [dict(zip(heads, _cells(line), strict=False)) for line in tables[2:]]


def _cells(line: str) -> list[str]:
    return [each.strip().strip("*`").strip() for each in line.strip().strip("|").split("|")]


def _all_rows(sections: Mapping[str, Sequence[str]], word: str) -> Iterator[dict[str, str]]:
    for head, lines in sections.items():
        if word in head and "runs" not in head:
            yield from _rows(lines)


def _bullets(sections: Mapping[str, Sequence[str]], word: str) -> Iterator[tuple[str, str]]:
    """Yield name and path of list items below headings of that word, such as `- **Llama**: `/models/llama` (…)`."""
    lines = [line for head, each in sections.items() if word in head for line in each]
    for name, value in ((fact["key"], fact["value"]) for line in lines if (fact := _FACT.match(line))):
        if _path(value):
            yield name.strip(), _path(value)


def _run(row: Mapping[str, str]) -> SummaryRun:
    name = next(row[each] for each in _NAMES if row.get(each))
    return SummaryRun(name, row.get("model") or row.get("base model") or "", _kind(row.get("type", "")))


def _kind(text: str) -> str:
    said = text.casefold()
    if "control" in said or "base" in said or "eval-only" in said:
        return "control"
    return "fine-tuned" if "tun" in said else ""


def _path(text: str) -> str:
    found = re.search(r"`?(~?/[^\s`|,)]+)`?", text)
    return found[1] if found else ""


def _day(text: str) -> str:
    found = _DAY.search(text)
    return found[0] if found else ""
