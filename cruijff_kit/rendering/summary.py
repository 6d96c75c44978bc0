"""`experiment_summary.md` as text: front matter, rendered body, people's notes.

The front matter is the design. The body below it is rendered from the design and what
was found on disk, and ends in a seal: a comment with the hash of what it was rendered
from and the hash of its own text, by which an edit of it is seen. `## Notes` follows
the seal and belongs to people.
"""

import difflib
import hashlib
import re
from typing import NamedTuple

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Seal", "SummaryText", "body_diff", "front_matter", "is_current", "join_summary", "parse_summary"]

_FENCE = "---"
_NOTES = "## Notes"
_SEAL = re.compile(r"<!-- rendered from the front matter; source ([0-9a-f]{16}), text ([0-9a-f]{16}) -->")


class Seal(NamedTuple):
    """What a body says of itself."""

    source: str
    """Hash of what it was rendered from."""
    text: str
    """Hash of its text."""


class SummaryText(NamedTuple):
    """A summary taken apart; a plain YAML design has front matter alone."""

    front: str
    """The design as YAML."""
    first_line: int
    """Line of the file at which the YAML starts."""
    body: str
    """What stands between front matter and notes, without the seal."""
    seal: Seal | None
    """The seal of the body, absent where there is none or it was removed."""
    notes: str
    """Everything after the `## Notes` line, as people wrote it."""

    @property
    def edited(self) -> bool:
        """Return whether the body is not what was rendered."""
        written = self.body.strip()
        return bool(written) and (self.seal is None or self.seal.text != _hash(self.body))


def parse_summary(text: str) -> SummaryText:
    """Take a summary apart; plain YAML, with or without a leading `---`, is all front matter."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        return SummaryText("".join(lines), 1, "", None, "")
    end = next((at for at, line in enumerate(lines) if at and line.rstrip() == _FENCE), len(lines))
    below = lines[end + 1 :]
    heading = next((at for at, line in enumerate(below) if line.rstrip() == _NOTES), len(below))
    body, seal = _unsealed("".join(below[:heading]))
    return SummaryText("".join(lines[1:end]), 2, body, seal, "".join(below[heading + 1 :]))


def front_matter(spec: ExperimentSpec) -> str:
    """Return a design as YAML: what was set, in the order of the form, nothing else."""
    return dump_yaml({"schema_version": spec.schema_version, **spec.model_dump(mode="json", exclude_unset=True)})


def join_summary(spec: ExperimentSpec, body: str, *, source: str, notes: str = "") -> str:
    """Return the whole text of a summary.

    Args:
        spec: the design.
        body: the rendered sections, ending in a newline.
        source: whatever the body was rendered from; its hash tells whether it is still so.
        notes: what people wrote below `## Notes`, kept to the byte.
    """
    text = f"\n{body}\n"
    seal = f"<!-- rendered from the front matter; source {_hash(source)}, text {_hash(text)} -->"
    return f"{_FENCE}\n{front_matter(spec)}{_FENCE}\n{text}{seal}\n\n{_NOTES}\n{notes}"


def is_current(summary: SummaryText, spec: ExperimentSpec, *, source: str) -> bool:
    """Return whether a summary is what would be rendered, so that its bytes can stay."""
    sealed = summary.seal is not None and summary.seal.source == _hash(source)
    return sealed and not summary.edited and summary.front == front_matter(spec)


def body_diff(summary: SummaryText, body: str) -> str:
    """Return what separates the body on disk from the one that would be written."""
    found, wanted = summary.body.strip().splitlines(), body.strip().splitlines()
    return "\n".join(difflib.unified_diff(found, wanted, "on disk", "rendered", lineterm="", n=1))


def _unsealed(body: str) -> tuple[str, Seal | None]:
    found = list(_SEAL.finditer(body))
    if not found:
        return body, None
    last = found[-1]
    return body[: last.start()] + body[last.end() :].rstrip(), Seal(last[1], last[2])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
