"""Documents and tables held against those made anew from the raw files; only reads what it is handed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from cruijff_kit.ports import World
from cruijff_kit.rendering.differing import document_differences
from cruijff_kit.rendering.references import DOCUMENTS
from cruijff_kit.rendering.table_values import same_value, table_differences
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.verification import Difference, Origin
from cruijff_kit.workflow.recomputed import Recomputed, read_references

__all__ = ["Compared", "check_report", "read_shown"]

_TEXTS = (*DOCUMENTS, ExperimentLayout.traces, ExperimentLayout.references)
_AGAIN = "`ck report` writes it anew"


class Compared(NamedTuple):
    """What comparing a report with the raw files found."""

    differences: tuple[Difference, ...] = ()
    """What differs."""
    notes: tuple[str, ...] = ()
    """What differs in looks alone."""


def read_shown(recomputed: Recomputed, *, world: World) -> dict[str, bytes | None]:
    """Return the bytes on disk of every file of results and report; None for one that is not there."""
    paths = (*recomputed.tables, *recomputed.files, *recomputed.written.files)
    return {path: world.store.read(path) for path in dict.fromkeys(paths)}


def check_report(shown: Mapping[str, bytes | None], recomputed: Recomputed) -> Compared:
    """Return every difference between files on disk and what follows from the raw files.

    A report whose figures all agree, and which lies as it was written, was laid out by another version, or what
    it tells of beside figures was changed: that is a note and no difference.

    Args:
        shown: path to bytes of every file of results and report.
        recomputed: the same made anew.
    """
    tables = [each for path in recomputed.tables for each in _table(path, shown[path], recomputed=recomputed)]
    differing = [path for path in _TEXTS if path in shown and shown[path] != recomputed.files[path]]
    touched = [path for path in differing if not _as_written(path, shown[path], recomputed=recomputed)]
    figures = tuple(_figures(shown, recomputed)) if differing else ()
    if differing and not touched and not figures:
        return Compared((*tables, *_others(shown, recomputed)), (_other_words(recomputed),))
    texts = [each for path in differing for each in _text(path, shown[path], figures=figures, recomputed=recomputed)]
    return Compared((*tables, *texts, *_others(shown, recomputed)))


def _other_words(recomputed: Recomputed) -> str:
    """Return why a report that lies as it was written says in other words what its figures say."""
    version = recomputed.written.version
    if version == recomputed.dossier.version:
        return f"its figures agree, but something else that the report tells of was changed since; {_AGAIN}"
    written_by = version or "an earlier version"
    return f"the report was written by cruijff-kit {written_by}; its figures agree, its layout differs"


def _as_written(path: str, content: bytes | None, *, recomputed: Recomputed) -> bool:
    """Return whether a file is what the record says was written; one of which it tells nothing must not be there."""
    recorded = recomputed.written.files.get(path)
    return (None if content is None else sha256(content).hexdigest()) == recorded


def _table(path: str, content: bytes | None, *, recomputed: Recomputed) -> Iterator[Difference]:
    made = recomputed.tables[path]
    if content == made:
        return
    if content is None:
        yield Difference(kind="value", path=path, words="the table is missing; `ck collect` writes it")
        return
    recorded = sha256(content).hexdigest() == recomputed.written.made_of.get(path)
    differences = list(table_differences(path, content, made=made, exact=not recorded))
    yield from differences
    if not differences and not recorded:
        words = "every value agrees, but its bytes are not those that the report was made of"
        yield Difference(
            kind="file", path=path, shown=sha256(content).hexdigest(), made=recomputed.written.made_of.get(path, ""),
            words=words,
        )  # fmt: skip


def _text(
    path: str, content: bytes | None, *, figures: Sequence[Difference], recomputed: Recomputed
) -> Iterator[Difference]:
    if content is None:
        yield Difference(kind="file", path=path, words=f"the file is missing; {_AGAIN}")
        return
    try:
        text = content.decode()
    except UnicodeDecodeError as err:
        yield Difference(kind="text", path=path, words=f"the file is damaged: {err.reason} at byte {err.start}")
        return
    if path == ExperimentLayout.traces and figures:
        yield from figures
        return
    yield from document_differences(path, text, rendered=recomputed.rendered)


def _others(shown: Mapping[str, bytes | None], recomputed: Recomputed) -> Iterator[Difference]:
    """Yield the files of a report that are not what was written, by the record; those named otherwise apart."""
    for path, recorded in recomputed.written.files.items():
        content = shown.get(path)
        digest = None if content is None else sha256(content).hexdigest()
        named = path in recomputed.files and content != recomputed.files[path]
        if digest != recorded and not named:
            words = f"the file is missing; {_AGAIN}" if digest is None else "the file is not what was written"
            source = Origin(file=ExperimentLayout.audit, pointer=f"line {recomputed.written.seq + 1}")
            yield Difference(
                kind="file", path=path, shown=digest or "missing", made=recorded, origins=(source,), words=words
            )


def _figures(shown: Mapping[str, bytes | None], recomputed: Recomputed) -> Iterator[Difference]:
    """Yield the figures that are others than follow from the raw files: those traced, and those printed."""
    before, after = (_traced(files.get(ExperimentLayout.traces)) for files in (shown, recomputed.files))
    if before is None or after is None:
        words = f"no figures can be read from it; {_AGAIN}"
        yield Difference(kind="file", path=ExperimentLayout.traces, words=words)
        return
    if recomputed.written.version == recomputed.dossier.version or not _shared(before, after):
        for name in before:
            if name not in after:
                words = "the figure follows from no raw file any more"
                yield Difference(kind="number", path=ExperimentLayout.traces, place=f"`{name}`", words=words)
    for name in _shared(before, after):
        yield from _of_figure(name, before[name], anew=after[name], recomputed=recomputed)
    kept = read_references(shown.get(ExperimentLayout.references))
    printed = {each.key: each for each in recomputed.references.printed}
    for each in kept.printed if kept is not None else ():
        anew = printed.get(each.key)
        for column in _shared(each.text, anew.text) if anew is not None and "/" in each.key else ():
            old, new = each.text[column], anew.text[column] if anew is not None else ""
            if column != "text" and old != new:
                yield Difference(
                    kind="number", path=ExperimentLayout.references, place=f"`{each.key}`, column {column}",
                    shown=old, made=new, origins=anew.origins if anew else (),
                    words=f"`{old}` was printed, `{new}` follows from the raw files",
                )  # fmt: skip


def _of_figure(
    name: str, figure: Mapping[str, Any], *, anew: Mapping[str, Any], recomputed: Recomputed
) -> Iterator[Difference]:
    origins = recomputed.rendered.origins
    named = tuple(origins[label] for label in anew["references"] if label in origins)
    for part in ("value", "low", "high", "n"):
        old, new = figure.get(part), anew.get(part)
        if not same_value(old, new, exact=False):
            yield Difference(
                kind="number", path=ExperimentLayout.traces, place=f"{part} of `{name}`", shown=repr(old),
                made=repr(new), origins=named,
                words=f"`{old!r}` stands there, `{new!r}` follows from the raw files",
            )  # fmt: skip


def _traced(content: bytes | None) -> dict[str, Mapping[str, Any]] | None:
    try:
        return {each["figure"]: each for each in json.loads(content or b"")["figures"]}
    except (ValueError, KeyError, TypeError):
        return None


def _shared(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    return [name for name in before if name in after]
