"""Lines of the audit log: their canonical bytes, their chain, and where it breaks."""

import json
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from io import BufferedReader, BytesIO
from itertools import chain, islice, repeat
from operator import contains
from typing import Any, NamedTuple

__all__ = ["GENESIS", "Fault", "Scan", "canonical", "fields_of", "hash_of", "read_blocks", "scan"]

GENESIS = "0" * 64
"""What the first line names as the hash of the line before it."""

_BLOCK = 1 << 17
"""Bytes read at once; what stays in the processor's cache is walked faster."""
_LINK = b',"prev":"'


class Fault(NamedTuple):
    """The first line at which a log does not hold."""

    position: int
    """Of the line, from 0."""
    problem: str
    """What is wrong with it, to be read after `it`."""


class Scan(NamedTuple):
    """What one pass over a log found."""

    lines: int
    """Whole lines that hold."""
    last: str
    """Hash of the last of them; GENESIS where there is none."""
    torn: int
    """Bytes after the last newline."""
    hashes: dict[int, str]
    """Hashes of the lines asked for, by position."""
    fault: Fault | None
    """Where the chain breaks, if it does."""


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the one way to write a record: sorted keys, no spaces, UTF-8, no newline."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def hash_of(line: bytes) -> str:
    """Return the SHA-256 of a raw line, without its newline."""
    return sha256(line).hexdigest()


def fields_of(line: bytes) -> dict[str, Any] | None:
    """Return the members of a canonical line; None for anything else."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and canonical(fields) == line else None


def read_blocks(stream: BufferedReader | BytesIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the whole lines of the first `size` bytes in blocks, each time with the bytes left over."""
    rest = b""
    while size > 0 and (block := stream.read(min(_BLOCK, size))):
        size -= len(block)
        whole, newline, rest = (rest + block).rpartition(b"\n")
        yield whole + newline, rest


def scan(stream: BufferedReader | BytesIO, size: int, *, wanted: Collection[int], head: str | None = None) -> Scan:
    """Walk the chain once, parsing a line only where its bytes alone do not settle the matter.

    Args:
        stream: The log, at its start.
        size: Bytes of it to read.
        wanted: Positions whose hashes are to be kept.
        head: Hash of the last line as kept apart, to tell which of two lines was changed.
    """
    kept: dict[int, str] = {}
    # Hashes of the last two lines seen: what the next line must name, and what its neighbour had to.
    trail, count, torn = [GENESIS, GENESIS], 0, 0
    blocks = read_blocks(stream, size)
    for block, rest in blocks:
        lines = block.split(b"\n")[:-1]
        trail += [sha256(line).hexdigest() for line in lines]
        kept.update((at, trail[2 + at - count]) for at in wanted if count <= at < count + len(lines))
        settled = _all_follow(block, links=trail[1:-1]) and _stands_at(lines, count)
        wrong = None if settled else _first_wrong(lines, trail[1:-1], start=count)
        if wrong is not None:
            following = chain(lines[wrong + 1 :], *(more.split(b"\n")[:1] for more, _ in islice(blocks, 1)))
            place = _Place(count + wrong, lines[wrong], trail[wrong : wrong + 3], next(following, None), head)
            return Scan(count + wrong, trail[wrong + 1], 0, kept, _fault(place))
        trail, count, torn = trail[-2:], count + len(lines), len(rest)
    return Scan(count, trail[-1], torn, kept, None)


def _all_follow(block: bytes, *, links: list[str]) -> bool:
    """Return whether the bytes alone show that each line names the one before; False settles nothing.

    Canonical JSON escapes each quote inside a string, so the bytes `,"prev":"` can only
    open a member called prev, and every record has one at its top level. Where they cut a
    block into pieces that each hold one newline, each line has that one and no other.
    """
    named = "\n".join(links).encode().split(b"\n")
    _, *pieces = block.split(_LINK)
    return (
        len(pieces) == len(links)
        and all(map(contains, pieces, repeat(b"\n")))
        and all(map(bytes.startswith, pieces, named))
    )


def _stands_at(lines: list[bytes], start: int) -> bool:
    # Who appends counts on from the line before, so one line of a block speaks for all.
    return not lines or b',"seq":%d,' % (start + len(lines) - 1) in lines[-1]


def _first_wrong(lines: list[bytes], links: list[str], *, start: int) -> int | None:
    """Return the offset of the first line that names the wrong line before it, or the wrong position."""
    for offset, (line, link) in enumerate(zip(lines, links, strict=True)):
        fields = fields_of(line)
        if fields is None or fields.get("prev") != link or fields.get("seq") != start + offset:
            return offset
    return None


class _Place(NamedTuple):
    """A line that does not follow from the one before, and what surrounds it."""

    position: int
    line: bytes
    hashes: list[str]
    """Of the line before the one before, of the one before, and its own."""
    after: bytes | None
    """The next whole line, if there is one."""
    head: str | None
    """Hash of the log's last line, as kept apart."""


def _fault(place: _Place) -> Fault:
    """Name the line to blame: this one or the one before, told apart by what follows."""
    at, fields = place.position, fields_of(place.line)
    if fields is None:
        return Fault(at, "was changed: it is not a record in canonical form")
    seq, prev = fields.get("seq"), fields.get("prev")
    earlier, previous, _ = place.hashes
    if not isinstance(seq, int) or prev == previous:
        return Fault(at, f"was changed: its `seq` is `{seq}`, not {at}")
    if seq < at and prev == earlier:
        return Fault(at - 1, "was inserted: the next line follows from the line before it")
    if place.after is not None and prev == hash_of(place.after):
        return Fault(at, "is out of order: it stands before the line that it follows")
    after = fields_of(place.after) if place.after is not None else None
    if after is not None and after.get("prev") == previous:
        return Fault(at, "was inserted or replaced: the next line follows from the line before it")
    if seq > at:
        return _gap(place, seq, after=after)
    if seq < at:
        return Fault(at, f"is repeated or out of order: its `seq` is `{seq}`, not {at}")
    return Fault(at - 1 if at and _confirmed(place, after) else at, "was changed: hashes do not agree")


def _gap(place: _Place, seq: int, *, after: dict[str, Any] | None) -> Fault:
    at = place.position
    if after is not None and after.get("prev") != place.hashes[2]:
        return Fault(at, f"was changed: its `seq` is `{seq}`, not {at}")
    return Fault(at, f"is missing: the line found there has the `seq` `{seq}`, not {at}")


def _confirmed(place: _Place, after: dict[str, Any] | None) -> bool:
    """Whether something later vouches for this line, so that the one before it is to blame."""
    if after is not None:
        return after.get("prev") == place.hashes[2]
    return place.after is None and place.head in {place.hashes[2], None}
