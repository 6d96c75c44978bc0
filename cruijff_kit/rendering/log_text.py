"""Text views of the audit record: one block an event, one line a fact."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from cruijff_kit.schema.audit import AuditRecord

__all__ = ["VIEWS", "log_text"]

VIEWS: Mapping[str, frozenset[str]] = {
    "design": frozenset({"design", "amend", "import", "reproduce"}),
    "scaffold": frozenset({"scaffold", "adopt", "setup-finetune"}),
    "run": frozenset({"submit", "retry", "watch", "cancel", "logs", "sweep"}),
    "summarize": frozenset({"archive", "audit-model", "calibrate", "collect", "export", "groups"})
    | frozenset({"lesson", "quiz", "report", "sanity", "spot_check", "sync", "unarchive"}),
}
"""Each view's name and the verbs it tells of; other verbs are told in every view."""

_KNOWN = frozenset[str]().union(*VIEWS.values())
_ABBREVIATIONS = {"id": "ID", "ids": "IDs", "gpu": "GPU", "sha256": "SHA-256"}
# Whatever ends a line for some reader, hides, or turns the direction of text.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def log_text(records: Iterable[AuditRecord], *, verbs: Collection[str]) -> str:
    """Return the blocks of these verbs' records, and of verbs that have no view of their own."""
    told = (record for record in records if record.verb in verbs or record.verb not in _KNOWN)
    return "\n".join("".join(f"{line}\n" for line in _lines(record)) for record in told)


def _lines(record: AuditRecord) -> Iterator[str]:
    yield f"[{record.ts:%Y-%m-%d %H:%M:%S}] {record.action}: {_one_line(record.subject)}"
    yield f"Actor: {_one_line(record.actor.name)} ({record.actor.kind})"
    if record.reason is not None:
        yield f"Reason: {_one_line(record.reason)}"
    for name, value in (*record.inputs.items(), *record.outputs.items()):
        yield f"{_label(name)}: {_one_line(value)}"
    if record.error is not None:
        yield f"Error: {_one_line(record.error)}"
    if record.duration_ms is not None:
        yield f"Duration: {record.duration_ms / 1000:.3f} s"
    yield f"Result: {record.result}"


def _label(name: str) -> str:
    """Return `job_id` as `Job ID`; other names, such as paths, as they are, never as a label of ours."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return f"`{_one_line(name)}`"
    words = [_ABBREVIATIONS.get(word, word) for word in name.split("_")]
    label = " ".join([words[0] if words[0] in _ABBREVIATIONS.values() else words[0].capitalize(), *words[1:]])
    return f"`{name}`" if label in {"Actor", "Reason", "Error", "Duration", "Result"} else label


def _one_line(text: str) -> str:
    """Return the text with every character escaped that could forge a line or hide one."""
    return _UNSEEN.sub(lambda found: _SHORT.get(found[0]) or f"\\u{{{ord(found[0]):x}}}", text)
