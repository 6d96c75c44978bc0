"""Inclusion nouns: the root of a record's tree, and the proof that one line is in it."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["LineProof", "LogRoot", "ProofVerdict"]


class LogRoot(Noun):
    """The root of the tree over the first lines of an audit log: it binds every one of them and shows none."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    kind: Literal["audit-root"] = "audit-root"
    """What the file is."""
    lines: int = Field(ge=1)
    """How many lines of the log the tree is over, from the first on."""
    root: Sha256
    """Merkle tree hash of the raw lines (RFC 9162, section 2.1.1, SHA-256)."""
    last: Sha256
    """SHA-256 of the last of them, as the next line and the seal name it."""

    @property
    def token(self) -> str:
        """Return it as one word, `LINES:HEX`: the hash alone does not fix how many lines there are."""
        return f"{self.lines}:{self.root}"


class LineProof(Noun):
    """One line of an audit log, and the hashes that lead from it to a root; nothing of any other line."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    kind: Literal["audit-proof"] = "audit-proof"
    """What the file is."""
    leaf_index: int = Field(ge=0)
    """Position of the line as the tree counts, from 0 (RFC 9162, section 2.1.3); people count one more."""
    lines: int = Field(ge=1)
    """How many lines the tree is over."""
    line: str
    """The raw line, without its newline."""
    path: tuple[Sha256, ...]
    """Hashes of the neighbours on the way to the root, the line's own first (RFC 9162, section 2.1.3)."""
    root: Sha256
    """The root they lead to; it proves nothing unless it is known from elsewhere."""


class ProofVerdict(Noun):
    """A proof that holds."""

    number: int
    """Number of the line, from 1."""
    lines: int
    """How many lines the tree is over."""
    root: Sha256
    """The root that was known from elsewhere, and that the proof leads to."""
    line: str
    """The raw line."""
