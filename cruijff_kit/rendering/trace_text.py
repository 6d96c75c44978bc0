"""`report/trace.json`: which bytes each figure was computed from, as indented JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence

from cruijff_kit.schema.report import Reference, Trace

__all__ = ["trace_text"]

# The standard library indents in Python, a character at a time; flat objects it writes in C, and a separator may be a
# line break, which stands in no string.
_ITEM = json.JSONEncoder(ensure_ascii=False, separators=(",\n   ", ": ")).encode


def trace_text(references: Iterable[Reference], traces: Sequence[Trace]) -> str:
    """Return the text of `trace.json`, just as `json.dumps(..., indent=1)` would write it.

    Args:
        references: files, of which those are told that a figure comes from.
        traces: the figures.
    """
    used = {label for each in traces for label in each.references}
    parts = {
        "references": [_reference(each) for each in references if each.label in used],
        "figures": list(_figures(traces)),
    }
    return "{\n" + ",\n".join(f' "{name}": {_list(texts, " ")}' for name, texts in parts.items()) + "\n}\n"


def _reference(reference: Reference) -> str:
    return "{\n   " + _ITEM(reference.model_dump(mode="json"))[1:-1] + "\n  }"


def _figures(traces: Iterable[Trace]) -> Iterator[str]:
    for each in traces:
        told = each.model_dump(mode="json", exclude={"references"})
        labels = _list([_ITEM(label) for label in each.references], "   ")
        yield "{\n   " + _ITEM(told)[1:-1] + f',\n   "references": {labels}\n  }}'


def _list(texts: Sequence[str], margin: str) -> str:
    if not texts:
        return "[]"
    return "[\n" + ",\n".join(f"{margin} {text}" for text in texts) + f"\n{margin}]"
