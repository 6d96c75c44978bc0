"""Division of a table's rows into splits: no entity and no text on two sides, every answer's share kept.

Rows that share an entity, or read the same, form a block. Blocks are ordered by a hash that
a seed fixes and cut within each answer, so a split holds its share of the rows of each
answer to within half a block, and a smaller `limit` takes rows of a larger one. Eight
bytes a row and column are held, whatever the rows say.
"""

import hashlib
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import Tabular

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NONE", "SPLITS", "Marks", "digest", "divide"]

SPLITS = ("train", "validation", "test")
"""Splits by their code in a division."""

NONE = 255
"""Code of a row in no split."""

_UNUSED = (1 << 32) - 1
_FEW_ANSWERS = 50


class Marks(NamedTuple):
    """What is kept of each row until all have been seen."""

    texts: "array[int]"
    """Digest of its text, unperturbed."""
    entities: "array[int]"
    """Digest of its entity; nothing where no column tells entities."""
    answers: "array[int]"
    """Number of its answer."""

    @classmethod
    def empty(cls) -> "Marks":
        """Return marks of no row."""
        return cls(array("Q"), array("Q"), array("I"))

    def add(self, text: int, *, entity: int | None, answer: int) -> None:
        """Keep a row."""
        self.texts.append(text)
        self.answers.append(answer)
        if entity is not None:
            self.entities.append(entity)

    def skip(self, entity: bool) -> None:
        """Keep the place of a row that is not used."""
        self.add(0, entity=0 if entity else None, answer=_UNUSED)


def digest(text: str, *, seed: int) -> int:
    """Return eight bytes of a seeded hash as a number."""
    return int.from_bytes(hashlib.sha256(f"{seed}/rows/{text}".encode()).digest()[:8], "big")


def divide(marks: Marks, arguments: Tabular, *, answers: int) -> "np.ndarray[Any, Any]":
    """Return the code of each row's split.

    Args:
        marks: what is known of each row.
        arguments: shares, limit and how rows stay together.
        answers: how many different answers there are.

    Raises:
        SpecError: a split that has a share gets no row.
    """
    import numpy as np

    labels = np.frombuffer(marks.answers, dtype=np.uint32)
    used = labels != _UNUSED
    if not used.any():
        raise SpecError("no row of the table can be used", hint="see what was skipped with `ck data schema --check`")
    # Digests are random already and `unique` sorts by them, so blocks come in an order that the seed fixes.
    apart = _apart(marks, used, arguments=arguments)
    first, block, counts = _blocks(apart)
    del apart
    strata = labels[used][first] if arguments.stratify and answers <= _FEW_ANSWERS else np.zeros(len(first), np.uint32)
    drawn = slice(None) if arguments.limit is None else np.cumsum(counts) <= arguments.limit
    fate = np.full(len(counts), NONE, dtype=np.uint8)
    for stratum in np.unique(strata[drawn]):
        chosen = strata == stratum
        if arguments.limit is not None:
            chosen &= drawn
        fate[chosen] = _cut(counts[chosen], arguments)
    codes = np.full(len(labels), NONE, dtype=np.uint8)
    codes[used] = fate[block]
    _refuse_empty(codes, arguments)
    return codes


def _apart(marks: Marks, used: Any, *, arguments: Tabular) -> Any:
    """Return for each row the number of what it may not be parted from."""
    import numpy as np

    together = arguments.same_text == "together"
    texts = np.frombuffer(marks.texts, dtype=np.uint64)[used] if together else None
    if not marks.entities:
        return _each(used, arguments) if texts is None else texts
    entities = np.frombuffer(marks.entities, dtype=np.uint64)[used]
    return entities if texts is None else _joined(entities, texts)


def _each(used: Any, arguments: Tabular) -> Any:
    """Return a digest of its place for each row: without entity or text every row stands alone."""
    import numpy as np

    places = (digest(f"row {at}", seed=arguments.seed) for at in np.flatnonzero(used))
    return np.fromiter(places, dtype=np.uint64)


def _joined(first: Any, second: Any) -> Any:
    """Return the least digest among all rows that are linked by either of two, over any number of steps."""
    import numpy as np

    links = [np.unique(each, return_inverse=True)[1] for each in (first, second)]
    least = first.copy()
    while True:
        before = least
        for link in links:
            lowest = np.full(int(link.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
            np.minimum.at(lowest, link, least)
            least = lowest[link]
        if np.array_equal(before, least):
            return least


def _blocks(marks: Any) -> tuple[Any, Any, Any]:
    """Return each block's first row, each row's block, and each block's size; blocks in the order of their marks."""
    import numpy as np

    order = np.argsort(marks, kind="stable").astype(np.uint32)
    ranked = marks[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    counts = np.diff(np.append(starts, len(marks))).astype(np.uint32)
    del ranked
    block = np.empty(len(marks), dtype=np.uint32)
    block[order] = np.repeat(np.arange(len(starts), dtype=np.uint32), counts)
    return order[starts], block, counts


def _cut(counts: Any, arguments: Tabular) -> Any:
    import numpy as np

    middle = np.cumsum(counts) - counts / 2
    total = counts.sum()
    fate = np.zeros(len(counts), dtype=np.uint8)
    fate[middle < (arguments.test + arguments.validation) * total] = SPLITS.index("validation")
    fate[middle < arguments.test * total] = SPLITS.index("test")
    return fate


def _refuse_empty(codes: Any, arguments: Tabular) -> None:
    shares = {"train": 1.0, "validation": arguments.validation, "test": arguments.test}
    empty = [name for code, name in enumerate(SPLITS) if shares[name] > 0 and not (codes == code).any()]
    if not empty:
        return
    hint = "tell more variables, so that fewer rows read the same, set `same_text: spread`, or set its share to 0"
    facts = [Problem("no row is left for it", name, hint=hint) for name in empty]
    raise SpecError("rows that belong together leave a split empty", problems=facts)
