"""How likely a model finds each answer option: the log-probability of its tokens right behind the prompt.

    P(option) = P(the answer begins with a spelling of the option, and of no longer option)

An option has several spellings (`data/labels.py`); as token sequences they exclude each other, so
their probabilities add. Where a spelling is the beginning of another option's, as `1` is
of `10` when digits are tokens, its probability would hold the other's too: what goes on to
the longer one counts there alone. So every answer belongs to one option at most, and the
options' mass is a probability. Nothing is normalised; log-probabilities are natural.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cruijff_kit.data.labels import label_spellings
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.branches import read_branches
from cruijff_kit.runtime.key_values import Network, Reading
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["OptionScores", "OptionTable", "decision_table", "option_table", "score_options", "spelt_options"]

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
    nodes: tuple[PromptIds, ...]
    """What a model must have read behind a prompt to know them all, shorter ones first; none if the prompt will do."""
    later: tuple[tuple[int, int, int], ...]
    """What is read off the nodes: node, spelling, and the token of it that follows there."""

    def pool(self, logprobs: Sequence[float]) -> OptionScores:
        """Return the options' scores from the log-probability of every spelling.

        Raises:
            ResultError: one is not a number.
        """
        if any(map(math.isnan, logprobs)):
            raise ResultError(
                "the model's logits are not numbers: its training diverged",
                hint="look at the loss in `metrics.jsonl`, and lower `controls.lr`",
            )
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
    return spelt_options(options, owned)


def decision_table(decisions: Sequence[PromptIds], *, names: Sequence[str]) -> OptionTable:
    """Return the table of decisions inside a structured answer, each spelt in the one way that training teaches.

    Args:
        decisions: ids of each behind what all of them begin with; none begins another.
        names: what they are called, in the same order.
    """
    return spelt_options(names, {ids: at for at, ids in enumerate(decisions)})


def spelt_options(options: Sequence[str], owned: Mapping[PromptIds, int]) -> OptionTable:
    """Return how options lie in each other.

    Args:
        options: their names.
        owned: every spelling, and the position of the option that it is one of.
    """
    spellings = tuple(owned)
    longer = [[at for at, other in enumerate(spellings) if _goes_on(other, ids)] for ids in spellings]
    direct = tuple(
        tuple(at for at in each if not any(at in longer[between] for between in each if between != at))
        for each in longer
    )
    nodes = tuple(
        sorted({ids[:end] for ids in spellings for end in range(1, len(ids))}, key=lambda ids: (len(ids), ids))
    )
    places = {ids: at for at, ids in enumerate(nodes)}
    later = tuple((places[ids[:end]], at, ids[end]) for at, ids in enumerate(spellings) for end in range(1, len(ids)))
    return OptionTable(tuple(options), spellings, tuple(owned.values()), direct, nodes, later)


def score_options(
    network: Network, reading: Reading, *, tables: Sequence[OptionTable | None]
) -> list[OptionScores | None]:
    """Return the scores of each prompt's options; None for a prompt that has none.

    Spellings of one token are read off what the network said behind the prompts. All others
    take one more pass (`runtime/branches.py`); keys and values of the prompts stay as they are.

    Args:
        network: the model.
        reading: where it stands behind the prompts.
        tables: one for each prompt of the batch.

    Raises:
        ResultError: a log-probability is not a number.
    """
    found = [[0.0] * len(table.spellings) if table else [] for table in tables]
    asked = [(row, at, ids[0]) for row, table in enumerate(tables) if table for at, ids in enumerate(table.spellings)]
    if asked:
        rows, spellings, tokens = map(list, zip(*asked, strict=True))
        total = reading.logits.float().logsumexp(-1)
        said = reading.logits[rows, tokens].float() - total[rows]
        _add(found, said, rows=rows, spellings=spellings)
    if any(table.nodes for table in tables if table):
        logits, place = read_branches(network, reading, nodes=[table.nodes if table else () for table in tables])
        wanted = [
            (*place[row, node], row, at, token)
            for row, table in enumerate(tables)
            if table
            for node, at, token in table.later
        ]
        lines, steps, rows, spellings, tokens = map(list, zip(*wanted, strict=True))
        total = logits.float().logsumexp(-1)
        said = logits[lines, steps, tokens].float() - total[lines, steps]
        _add(found, said, rows=rows, spellings=spellings)
    return [table.pool(own) if table else None for table, own in zip(tables, found, strict=True)]


def _add(found: list[list[float]], said: Tensor, *, rows: Sequence[int], spellings: Sequence[int]) -> None:
    """Add log-probabilities, one for each row and spelling named, to what is known of that spelling."""
    for row, at, logprob in zip(rows, spellings, said.tolist(), strict=True):
        found[row][at] += logprob


def _goes_on(longer: PromptIds, ids: PromptIds) -> bool:
    return len(longer) > len(ids) and longer[: len(ids)] == ids


def _logsumexp(values: Sequence[float]) -> float:
    most = max(values)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(each - most) for each in values))
