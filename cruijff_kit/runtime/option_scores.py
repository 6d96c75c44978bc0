"""How likely a model finds each answer option: the log-probability of its tokens right behind the prompt.

    P(option) = P(the answer begins with a spelling of the option, and of no longer option)

An option has several spellings (`data/labels.py`); as token sequences they exclude each other, so
their probabilities add. Where a spelling is the beginning of another option's, as `1` is
of `10` when digits are tokens, its probability would hold the other's too: what goes on to
the longer one counts there alone. So every answer belongs to one option at most, and the
options' mass is a probability. Nothing is normalised; log-probabilities are natural.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cruijff_kit.data.labels import label_spellings
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.key_values import Network, Reading, branch, read_on
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["OptionScores", "OptionTable", "option_table", "score_options"]

_LEAST = -1e4
"""Log-probability of what cannot be; files hold no infinity."""

_FINEST = torch.finfo(torch.float32).eps
"""Smallest part of a spelling's probability that can be told from none."""


class OptionScores(NamedTuple):
    """The options of one prompt, as the model sees them."""

    logprobs: tuple[float, ...]
    """Natural log-probability of each option, in the order asked; not normalised."""
    mass: float
    """Probability that the answer begins with any of them, in [0, 1]."""


class OptionTable(NamedTuple):
    """The spellings of a set of options, and how they lie in each other."""

    options: tuple[str, ...]
    """The options."""
    spellings: tuple[PromptIds, ...]
    """Every spelling of every option."""
    owners: tuple[int, ...]
    """For each spelling the position of its option."""
    longer: tuple[tuple[int, ...], ...]
    """For each spelling those that go on from it, but not from one between."""
    inputs: tuple[PromptIds, ...]
    """What a model must read behind a prompt to know them all; empty where the prompt is enough."""
    later: tuple[tuple[tuple[int, int, int], ...], ...]
    """For each input what is read off it: spelling, step of the input, and the token that follows there."""

    def pool(self, logprobs: Sequence[float]) -> OptionScores:
        """Return the options' scores from the log-probability of every spelling."""
        apart = [self._alone(at, logprobs) for at in range(len(logprobs))]
        pooled = [
            max(_LEAST, _logsumexp([each for each, owner in zip(apart, self.owners, strict=True) if owner == option]))
            for option in range(len(self.options))
        ]
        return OptionScores(tuple(pooled), min(1.0, math.fsum(map(math.exp, pooled))))

    def _alone(self, at: int, logprobs: Sequence[float]) -> float:
        """Return the log-probability of a spelling that goes on to no longer one."""
        own = logprobs[at]
        if not self.longer[at] or own == -math.inf:
            return own
        gone = math.fsum(math.exp(logprobs[each] - own) for each in self.longer[at])
        return own + math.log(max(1 - gone, _FINEST))


class _Read(NamedTuple):
    """One input to read behind one prompt."""

    row: int
    ids: PromptIds
    later: tuple[tuple[int, int, int], ...]


def option_table(options: Sequence[str], *, tokenizer: Tokenizer) -> OptionTable:
    """Return how a tokenizer spells these options.

    Raises:
        PlanError: there are none, one is blank, or two are the same to the tokenizer.
    """
    if not options:
        raise PlanError("there are no options to score", hint="name at least one label")
    owned: dict[PromptIds, int] = {}
    for at, option in enumerate(options):
        spelt = label_spellings(option, tokenizer=tokenizer)
        if not spelt:
            raise PlanError(f"option `{option}` has no tokens", hint="give every option a text of its own")
        for ids in spelt:
            other = options[owned.setdefault(ids, at)]
            if owned[ids] != at:
                raise PlanError(
                    f"options `{other}` and `{option}` are the same tokens, so no model can tell them apart",
                    hint="name every option once, and let options differ by more than outer blanks",
                )
    spellings = tuple(owned)
    longer = [[at for at, other in enumerate(spellings) if _goes_on(other, ids)] for ids in spellings]
    direct = tuple(
        tuple(at for at in each if not any(at in longer[between] for between in each if between != at))
        for each in longer
    )
    inputs = sorted({ids[:-1] for ids in spellings if len(ids) > 1})
    needed = tuple(ids for ids in inputs if not any(_goes_on(other, ids) for other in inputs))
    return OptionTable(tuple(options), spellings, tuple(owned.values()), direct, needed, _later(spellings, needed))


def score_options(
    network: Network, reading: Reading, tables: Sequence[OptionTable | None], *, rows_at_once: int
) -> list[OptionScores | None]:
    """Return the scores of each prompt's options; None for a prompt that has none.

    Spellings of one token are read off what the network said behind the prompts. All
    others share one more pass over the keys and values at hand, which stay as they are.

    Args:
        network: the model.
        reading: where it stands behind the prompts.
        tables: one for each prompt of the batch.
        rows_at_once: rows that may be read side by side.

    Raises:
        ResultError: a log-probability is not a number.
    """
    found = [[0.0] * len(table.spellings) if table else [] for table in tables]
    asked = [(row, at, ids[0]) for row, table in _there(tables) for at, ids in enumerate(table.spellings)]
    if asked:
        total = reading.logits.float().logsumexp(-1)
        rows = torch.tensor([row for row, _, _ in asked], device=total.device)
        tokens = torch.tensor([token for _, _, token in asked], device=total.device)
        first = (reading.logits[rows, tokens].float() - total[rows]).tolist()
        for (row, at, _), logprob in zip(asked, first, strict=True):
            found[row][at] = logprob
    reads = [_Read(row, *each) for row, table in _there(tables) for each in zip(table.inputs, table.later, strict=True)]
    for start in range(0, len(reads), rows_at_once):
        _add_rest(network, reading, reads=reads[start : start + rows_at_once], found=found)
    return [table.pool(_numbers(own)) if table else None for table, own in zip(tables, found, strict=True)]


def _add_rest(network: Network, reading: Reading, *, reads: Sequence[_Read], found: list[list[float]]) -> None:
    """Read some inputs behind their prompts and add what they say about later tokens."""
    device = reading.mask.device
    width = max(len(read.ids) for read in reads)
    rows = torch.tensor([read.row for read in reads], device=device)
    given = torch.tensor([[*read.ids, *[0] * (width - len(read.ids))] for read in reads], device=device)
    real = torch.tensor([[1] * len(read.ids) + [0] * (width - len(read.ids)) for read in reads], device=device)
    logits, _ = read_on(
        network,
        given,
        mask=torch.cat([reading.mask[rows], real], dim=-1),
        positions=reading.positions[rows] + torch.arange(1, width + 1, device=device),
        cache=branch(reading.cache, rows),
        keep=width,
    )
    total = logits.float().logsumexp(-1)
    wanted = [(line, *each) for line, read in enumerate(reads) for each in read.later]
    lines, spellings, steps, tokens = (list(each) for each in zip(*wanted, strict=True))
    said = (logits[lines, steps, tokens].float() - total[lines, steps]).tolist()
    for line, at, logprob in zip(lines, spellings, said, strict=True):
        found[reads[line].row][at] += logprob


def _later(spellings: Sequence[PromptIds], inputs: Sequence[PromptIds]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """Return for each input the later tokens that are read off it; each spelling is read off one."""
    found: list[list[tuple[int, int, int]]] = [[] for _ in inputs]
    for at, ids in enumerate(spellings):
        known = ids[:-1]
        if known:
            reader = next(which for which, read in enumerate(inputs) if read[: len(known)] == known)
            found[reader].extend((at, step, token) for step, token in enumerate(ids[1:]))
    return tuple(map(tuple, found))


def _there(tables: Sequence[OptionTable | None]) -> Iterator[tuple[int, OptionTable]]:
    for row, table in enumerate(tables):
        if table is not None:
            yield row, table


def _goes_on(longer: PromptIds, ids: PromptIds) -> bool:
    return len(longer) > len(ids) and longer[: len(ids)] == ids


def _numbers(logprobs: list[float]) -> list[float]:
    if any(map(math.isnan, logprobs)):
        raise ResultError(
            "the model's logits are not numbers: its training diverged",
            hint="look at the loss in `metrics.jsonl`, and lower `controls.lr`",
        )
    return logprobs


def _logsumexp(values: Sequence[float]) -> float:
    most = max(values)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(each - most) for each in values))
