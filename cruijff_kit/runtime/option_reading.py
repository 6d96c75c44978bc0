"""Options read by the very passes that train: the log-probability of each behind its prompt.

A prompt and the beginnings of its options are rows like any other, of the same tokens, batched,
padded or packed as in training; labels mark the places whose logits are wanted. What is
read there is pooled as an evaluation pools it (`runtime/option_scores.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from torch import Tensor

from cruijff_kit.data.tokens import IGNORE, Encoded
from cruijff_kit.runtime.batches import Batch, batches
from cruijff_kit.runtime.option_scores import OptionScores, OptionTable
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["Batching", "longest_reading", "read_options"]

# Any id at all: a token stands behind the last place that is read, and no place sees it.
_MARK = 0

_Hear = Callable[[Iterable[Batch]], Iterator[Tensor]]
"""Passes to the logits where each has labels."""


class Batching(NamedTuple):
    """How rows become passes."""

    size: int
    """Rows a pass."""
    packed: bool = False
    """Whether they lie end to end."""
    ranks: Ranks = Ranks()
    """The processes that share them."""


class _Line(NamedTuple):
    """One row that is read: a prompt and the beginning of an option."""

    prompt: int
    path: PromptIds


class _Told(NamedTuple):
    """The log-probability of a token behind a prompt and what stands between them."""

    prompt: int
    ids: PromptIds
    logprob: float


def longest_reading(prompts: Sequence[PromptIds], table: OptionTable) -> int:
    """Return the tokens of the longest row that reading takes."""
    return max(map(len, prompts), default=0) + max(map(len, table.spellings))


def read_options(
    prompts: Sequence[PromptIds], table: OptionTable, *, hear: _Hear, batching: Batching
) -> list[OptionScores]:
    """Return the scores of the options behind each prompt, the same in every process.

    Args:
        prompts: token ids, as an evaluation sends them.
        table: the options.
        hear: passes to logits, as the model stands.
        batching: how prompts become passes.

    Raises:
        ResultError: a log-probability is not a number.
    """
    asked = {path: _asked(path, table) for path in _paths(table)}
    lines = [_Line(at, path) for at in range(len(prompts)) for path in asked]
    ranks, size, packed = batching.ranks, batching.size, batching.packed
    # Rows of like length share a pass; packed ones are put in this order by themselves.
    mine = sorted(ranks.share(lines), key=lambda line: -len(prompts[line.prompt]) - len(line.path))
    rows = [_marked(prompts[line.prompt], line.path) for line in mine]
    made = list(batches(rows, size=size, packed=packed))
    idle = -(-ranks.most(len(lines)) // size) - len(made)
    # Each process makes equally many passes, of which some tell nothing new.
    made += list(batches([_marked(prompts[0], ())], size=1, packed=packed)) * idle
    found: list[_Told] = []
    heard = iter(hear(made))
    for start in range(0, len(mine), size):
        found += _parted(next(heard), mine[start : start + size], asked=asked)
    for _ in heard:
        continue
    return _pooled(ranks.everyone(found), table, count=len(prompts))


def _paths(table: OptionTable) -> tuple[PromptIds, ...]:
    """Return the beginnings of options that are read to their ends; the prompt alone where all are single tokens."""
    inner = {node[:end] for node in table.nodes for end in range(len(node))}
    longest = [node for node in table.nodes if node not in inner]
    return tuple(longest) or ((),)


def _marked(prompt: PromptIds, path: PromptIds) -> Encoded:
    ids = (*prompt, *path, _MARK)
    return Encoded(ids, (*(IGNORE,) * len(prompt), *(_MARK,) * (len(path) + 1)), len(prompt))


def _asked(path: PromptIds, table: OptionTable) -> list[PromptIds]:
    """Return the beginnings of spellings whose last token is read along a path, behind all their others."""
    begun = dict.fromkeys(ids[:end] for ids in table.spellings for end in range(1, len(ids) + 1))
    return [ids for ids in begun if path[: len(ids) - 1] == ids[:-1]]


def _parted(
    logits: Tensor, lines: Sequence[_Line], *, asked: Mapping[PromptIds, Sequence[PromptIds]]
) -> Iterator[_Told]:
    """Yield what was read in a pass."""
    said = logits.float()
    total = said.logsumexp(-1)
    start, steps, tokens = 0, list[int](), list[int]()
    keys: list[tuple[int, PromptIds]] = []
    for line in lines:
        for ids in asked[line.path]:
            steps.append(start + len(ids) - 1)
            tokens.append(ids[-1])
            keys.append((line.prompt, ids))
        start += len(line.path) + 1
    values = (said[steps, tokens] - total[steps]).double().tolist()
    for (prompt, ids), value in zip(keys, values, strict=True):
        yield _Told(prompt, ids, value)


def _pooled(told: Sequence[Sequence[_Told]], table: OptionTable, *, count: int) -> list[OptionScores]:
    read: list[dict[PromptIds, float]] = [{} for _ in range(count)]
    for each in chain.from_iterable(told):
        # What several paths begin with is read several times; the first one counts.
        read[each.prompt].setdefault(each.ids, each.logprob)
    return [
        table.pool([sum(each[ids[: end + 1]] for end in range(len(ids))) for ids in table.spellings]) for each in read
    ]
