"""References of a report: which files the numbers of each row and sentence come from, as marks in its documents."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape

from cruijff_kit.rendering.numbers import NONE
from cruijff_kit.rendering.sheet import Place, Table
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.report import Dossier, Reference
from cruijff_kit.schema.verification import Origin, Printed

__all__ = [
    "DOCUMENTS",
    "html_place",
    "html_section",
    "html_sentence",
    "markdown_section",
    "markdown_sentence",
    "origin_of",
    "printed_places",
    "table_labels",
    "with_places",
]

DOCUMENTS = (ExperimentLayout.report, ExperimentLayout.page)
"""What people read, and whose every number has a reference."""

_FALLBACK = ("r1", "d1", "d2")
_UNREFERENCED = frozenset({"sources"})
# What the page says elsewhere, or not at all.
_SUMMARY_ALONE = frozenset({"head", "figures"})
_POINTERS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "accuracy": lambda row: f"samples/*.json#/scores/{row['scorer']}",
    "figures": lambda row: f"samples/*.json#/scores/{row['scorer']}",
    "base": lambda row: f"`correct` by `sample_id`, where task = {row['task']}",
    "groups": lambda row: f"`correct`, where task = {row['task']} and groups.{row['group']} = {row['level']}",
    "calibration": lambda row: f"`confidence` and `correct`, where task = {row['task']}",
    "sanity": lambda row: f"`figures`, where run = {row['run']} and figure = {row['figure']}",
    "scores": lambda row: f"`option_logprobs` and `target`, where task = {row['task']}",
}
# Tables all of whose rows come from one file.
_WHOLE: Mapping[str, tuple[str, ...]] = {
    "data": (ExperimentLayout.plan,),
    "compute": (ExperimentLayout.compute,),
    "search": (ExperimentLayout.search,),
    "deviations": (ExperimentLayout.audit,),
    "audited": (ExperimentLayout.model_audit,),
    "audited_groups": (ExperimentLayout.model_audit,),
}


def with_places(tables: Iterable[Table], dossier: Dossier) -> tuple[Table, ...]:
    """Return tables that know of each row where its numbers come from."""
    return tuple(table._replace(places=tuple(_places(table, dossier))) for table in tables)


def printed_places(
    tables: Iterable[Table], sentences: Mapping[str, Iterable[str]], *, dossier: Dossier
) -> Iterator[Printed]:
    """Yield every place of the documents at which numbers stand.

    Args:
        tables: the tables, places and all.
        sentences: sentences by the anchor of what they stand in.
        dossier: everything the report is made of.
    """
    references = dossier.labelled
    for anchor, told in sentences.items():
        for number, sentence in enumerate(told, start=1):
            labels = dossier.cited.get(sentence, ())
            if labels:
                place = Place(f"{anchor}/{number}", anchor, {"text": sentence}, labels=labels)
                yield _printed(place, references)
    for table in tables:
        if table.note and table.places:
            labels = table_labels(table)
            note = Place(f"{table.key}/note", table.key, {"text": table.note}, labels=labels)
            yield _printed(note, references)
        yield from (_printed(place, references) for place in table.places)


def table_labels(table: Table) -> tuple[str, ...]:
    """Return the labels of all files that a table's numbers come from, those of the design last."""
    return tuple(dict.fromkeys(label for place in table.places for label in (*place.labels, "d1")))


def markdown_sentence(sentence: str, dossier: Dossier) -> str:
    """Return a sentence with the labels of the files that its numbers come from."""
    labels = " ".join(dossier.cited.get(sentence, ()))
    return f"{sentence} [{labels}](#sources)" if labels else sentence


def markdown_section(table: Table) -> str:
    """Return where the numbers of a table come from, for one none of whose rows says so; else nothing."""
    at = [place for place, column in enumerate(table.columns) if column.kind == "source"]
    shown = any(row[place] != NONE for row in table.rows for place in at)
    if shown or not table.places:
        return ""
    labels = dict.fromkeys(label for place in table.places for label in place.labels)
    return f"Sources: [{' '.join(labels)}](#sources)"


def html_sentence(sentence: str, dossier: Dossier) -> str:
    """Return the attributes of an element that holds a sentence."""
    return _attributes(dossier.cited.get(sentence, ()), dossier.labelled)


def html_section(table: Table) -> str:
    """Return the attributes of an element that holds a table, its plots and its note."""
    return f' data-source="{escape(" ".join(table_labels(table)))}"' if table.places else ""


def html_place(place: Place) -> str:
    """Return the attributes of an element that holds a row."""
    title = f' title="{escape(place.hint)}"' if place.hint else ""
    return f' id="{escape(place.anchor)}" data-source="{escape(" ".join(place.labels))}"{title}'


def _attributes(labels: tuple[str, ...], references: Mapping[str, Reference]) -> str:
    if not labels:
        return ""
    hint = _hint(labels, references)
    return f' data-source="{escape(" ".join(labels))}" title="{escape(hint)}"'


def _hint(labels: tuple[str, ...], references: Mapping[str, Reference], *, pointer: str = "") -> str:
    """Return what is told when a pointer rests on a number: the first file, where in it, and how many more."""
    label = next(iter(labels), "")
    first = references.get(label)
    if first is None:
        return ""
    more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
    return f"{label}: {first.path}, {pointer or first.pointer}{more}".replace("`", "")


def _places(table: Table, dossier: Dossier) -> Iterator[Place]:
    if table.key in _UNREFERENCED:
        return
    at = next((number for number, column in enumerate(table.columns) if column.kind == "source"), None)
    names = {column.name for column in table.columns if column.kind == "code"}
    seen: Counter[str] = Counter()
    for number, row in enumerate(table.rows):
        cells = {column.name: cell for column, cell in zip(table.columns, row, strict=True) if column.kind != "source"}
        key = "/".join((table.key, *_names(table, row)))
        seen[key] += 1
        key = key if seen[key] == 1 else f"{key}/{seen[key]}"
        labels = tuple(row[at].split()) if at is not None and row[at] != "-" else ()
        labels = (*labels, *_own(table.key, cells, dossier=dossier)) or _FALLBACK
        pointer = _POINTERS[table.key](cells) if table.key in _POINTERS else ""
        hint = _hint(labels, dossier.labelled, pointer=pointer)
        text = {name: cell for name, cell in cells.items() if name not in names and any(map(str.isdigit, cell))}
        yield Place(key, f"{table.key}-{number + 1}", text, labels=labels, pointer=pointer, hint=hint)


def _names(table: Table, row: tuple[str, ...]) -> Iterator[str]:
    """Yield the cells that a row is called by: those before its first figure, and its epoch."""
    for column, cell in zip(table.columns, row, strict=True):
        if column.kind == "number" and column.name not in ("epoch", "seed", "level"):
            return
        yield cell.replace("/", "_")


def _own(key: str, row: Mapping[str, str], *, dossier: Dossier) -> tuple[str, ...]:
    """Return the labels of files that a table's rows come from beside those they name."""
    layout = RunLayout(row.get("run", ""))
    if key in ("status", "incomplete"):
        paths: Iterable[str] = (ExperimentLayout.plan, layout.status("train"), layout.status("eval"))
    elif key == "training":
        paths = (layout.manifest,)
    elif key == "versions":
        paths = (RunLayout(each.id).manifest for each in dossier.plan.runs)
    else:
        paths = _WHOLE.get(key, ())
    return tuple(dossier.labels[path] for path in paths if path in dossier.labels)


def origin_of(reference: Reference, *, pointer: str = "") -> Origin:
    """Return a reference as documents and differences name it.

    Args:
        reference: the file, and which part of it figures come from.
        pointer: which part of it this number comes from; the reference's own where empty.
    """
    place = (pointer or reference.pointer).replace("`", "")
    return Origin(label=reference.label, file=reference.path, sha256=reference.sha256, pointer=place)


def _printed(place: Place, references: Mapping[str, Reference]) -> Printed:
    origins = tuple(
        origin_of(references[label], pointer=place.pointer if number == 0 else "")
        for number, label in enumerate(place.labels)
        if label in references
    )
    documents = DOCUMENTS[:1] if place.key.partition("/")[0] in _SUMMARY_ALONE else DOCUMENTS
    return Printed(key=place.key, documents=documents, anchor=place.anchor, text=place.text, origins=origins)
