"""Answers to exact prompt ids, and how likely each of some options is.

Nothing here knows text on the way in: a prompt is a tuple of ids and is fed as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.branches import repeats_rows
from cruijff_kit.runtime.devices import give_back, is_out_of_memory
from cruijff_kit.runtime.guides import Guide, allowed_tokens
from cruijff_kit.runtime.key_values import Cache, Network, Prefix, Reading, read_on, read_prompts, shared_prefix
from cruijff_kit.runtime.memory_budget import SHARE, footprint, free_bytes
from cruijff_kit.runtime.next_token import Step, given_tokens, next_tokens, uniforms
from cruijff_kit.runtime.option_scores import OptionScores, OptionTable, option_table, score_options
from cruijff_kit.runtime.token_names import TokenNames
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["Aside", "Decoder", "Limits"]

_STRETCH = 256
"""Tokens of a text whose logits are in memory at once while it is read."""

_TABLES = 1024
"""Sets of options whose spellings are kept; a task whose samples all have their own would fill the memory."""


class Limits(NamedTuple):
    """How far one call generates, and how."""

    max_tokens: int
    """Longest answer in tokens."""
    top_logprobs: int = 0
    """Candidates kept per generated position; 0 keeps none."""
    batch_size: int = 64
    """Most prompts per forward pass; memory may allow fewer."""
    temperature: float | None = None
    """Divides the logits before a token is drawn; None, or 0, takes the most likely one."""
    top_p: float = 1.0
    """Mass of the most likely tokens that are drawn from."""
    seed: int = 0
    """Decides, together with the prompt's ids, what is drawn."""


class Aside(NamedTuple):
    """What one prompt of a call has to itself."""

    seed: int | None = None
    """Decides what is drawn in place of the seed of the limits."""
    hear: Callable[[int, Step], bool] | None = None
    """Told each position, from 0, and what was given there; returns whether the answer goes on.

    A batch that is tried again tells its first positions again.
    """
    done: Callable[[Completion], None] | None = None
    """Told the answer as soon as it has ended, while neighbours go on."""
    guide: Guide | None = None
    """Says which tokens may be given, and when the answer is whole; anything may where None."""


class _Asked(NamedTuple):
    """A prompt, and the options to score behind it."""

    prompt: PromptIds
    table: OptionTable | None
    aside: Aside = Aside()

    @property
    def nodes(self) -> int:
        """Return the tokens read behind this prompt for its options."""
        return len(self.table.nodes) if self.table else 0


class Decoder:
    """A network in evaluation mode and the tokenizer that reads its answers."""

    def __init__(
        self, network: Network, tokenizer: Tokenizer, *, vocabulary: int, max_positions: int | None, ends: Sequence[int]
    ) -> None:
        """Take a network as it stands.

        Args:
            network: causal language model, with or without adapters.
            tokenizer: its tokenizer.
            vocabulary: ids the tokenizer knows; the model may have more rows.
            max_positions: longest sequence the model was made for.
            ends: ids that end an answer, whatever the encoding.
        """
        self._network = network
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._max_positions = max_positions
        self._ends = frozenset(ends)
        self._names = TokenNames(tokenizer, vocabulary=vocabulary)
        self._tables: dict[tuple[str, ...], OptionTable] = {}
        self._footprint = footprint(network.config, network.dtype)
        self._repeats = repeats_rows(network)

    def complete(
        self,
        prompts: Sequence[PromptIds],
        limits: Limits,
        *,
        stop_ids: Sequence[int] = (),
        options: Sequence[Sequence[str] | OptionTable] = (),
        asides: Sequence[Aside] = (),
    ) -> list[Completion]:
        """Return the answer to each prompt, in the order given.

        Prompts of like length share a batch, as many as `limits` and the free memory allow; what
        does not fit a GPU after all is tried again in halves. What all prompts begin with is read once.

        Args:
            prompts: ids as the model reads them, at least one each.
            limits: how far to generate.
            stop_ids: further ids that end an answer.
            options: for each prompt the labels to score behind it, or how they are spelt there; none where absent.
            asides: for each prompt its own seed, listener and guide; none at all where absent.

        Raises:
            PlanError: a prompt is empty, two options are one, prompt and answer exceed the
                model's positions, or a single prompt exceeds the memory.
            ResultError: the model's logits are not numbers, as after a diverged training.
        """
        tables = [self._table(each) if each else None for each in options or [()] * len(prompts)]
        own = asides or [Aside()] * len(prompts)
        asked = [_Asked(*each) for each in zip(prompts, tables, own, strict=True)]
        self._check(asked, limits)
        # The longest go first, so that what does not fit shows at once.
        left = sorted(range(len(asked)), key=lambda index: len(prompts[index]), reverse=True)
        answers: dict[int, Completion] = {}
        ends = self._ends.union(stop_ids)
        with torch.inference_mode():
            prefix = shared_prefix(self._network, prompts)
            budget = SHARE * free_bytes(self._network.device)
            while left:
                size = self._fitting([asked[index] for index in left[: limits.batch_size]], limits, budget=budget)
                chosen = left[:size]
                batch = [asked[index] for index in chosen]
                found = self._tried(batch, limits, prefix=prefix, ends=ends)
                if found is None:
                    budget = self._bytes(batch, limits) / 2
                    continue
                answers.update(zip(chosen, found, strict=True))
                left = left[size:]
        return [answers[index] for index in range(len(prompts))]

    def read(self, ids: PromptIds, *, count: int) -> list[Step]:
        """Return, for every token of a text but the first, how likely it was, and the likeliest `count` there.

        Raises:
            PlanError: the text exceeds the model's positions.
            ResultError: the model's logits are not numbers.
        """
        self._check([_Asked(ids, None)], Limits(0))
        steps: list[Step] = []
        cache: Cache | None = None
        with torch.inference_mode():
            for start in range(0, len(ids) - 1, _STRETCH):
                own = ids[start : min(start + _STRETCH, len(ids) - 1)]
                given = torch.tensor([own], device=self._network.device)
                positions = torch.arange(start, start + len(own), device=given.device)[None]
                mask = given.new_ones(1, start + len(own))
                logits, cache = read_on(
                    self._network, given, mask=mask, positions=positions, cache=cache, keep=len(own)
                )
                steps += given_tokens(logits[0], ids[start + 1 : start + 1 + len(own)], count=count)
        return steps

    def _table(self, asked: Sequence[str] | OptionTable) -> OptionTable:
        if isinstance(asked, OptionTable):
            return asked
        options = tuple(asked)
        if options not in self._tables:
            if len(self._tables) >= _TABLES:
                self._tables.clear()
            self._tables[options] = option_table(options, tokenizer=self._tokenizer)
        return self._tables[options]

    def _check(self, asked: Sequence[_Asked], limits: Limits) -> None:
        longest = max((len(each.prompt) for each in asked), default=1)
        room = max([limits.max_tokens, *(len(ids) for each in asked if each.table for ids in each.table.spellings)])
        if not all(each.prompt for each in asked):
            raise PlanError("a prompt has no tokens", hint="give the prompt template text, or use a tokenizer with BOS")
        if self._max_positions is not None and longest + room > self._max_positions:
            raise PlanError(
                f"a prompt of `{longest}` tokens and an answer of `{room}` exceed "
                f"the model's `{self._max_positions}` positions",
                hint="lower `evaluation.generation.max_tokens`, or shorten the prompt",
            )

    def _fitting(self, asked: Sequence[_Asked], limits: Limits, *, budget: float) -> int:
        """Return how many of these prompts, the longest first, fit a budget together; one at least."""
        sizes = range(len(asked), 1, -1)
        return next((size for size in sizes if self._bytes(asked[:size], limits) <= budget), 1)

    def _bytes(self, batch: Sequence[_Asked], limits: Limits) -> int:
        """Return what a batch is estimated to take, its options with it."""
        tokens, nodes = len(batch[0].prompt) + limits.max_tokens, sum(each.nodes for each in batch)
        rows = len(batch) + (nodes if self._repeats else 0)
        return self._footprint.of(rows, tokens=tokens, logits=len(batch) + nodes)

    def _tried(
        self, batch: Sequence[_Asked], limits: Limits, *, prefix: Prefix | None, ends: frozenset[int]
    ) -> list[Completion] | None:
        """Return a batch's answers; None where a GPU's memory did not do for several prompts."""
        try:
            return self._answered(batch, limits, prefix=prefix, ends=ends)
        except RuntimeError as err:
            if not is_out_of_memory(err):
                raise
            if len(batch) == 1:
                raise PlanError(
                    f"a prompt of `{len(batch[0].prompt)}` tokens alone exceeds the memory of `{self._network.device}`",
                    hint="lower `evaluation.generation.max_tokens`, or ask for a larger GPU by `resources.constraint`",
                ) from err
        # Out here the failed pass holds none of its tensors any more.
        give_back(self._network.device)
        return None

    def _answered(
        self, batch: Sequence[_Asked], limits: Limits, *, prefix: Prefix | None, ends: frozenset[int]
    ) -> list[Completion]:
        """Return a batch's answers, each made and told as its row ends."""
        reading = read_prompts(self._network, [each.prompt for each in batch], prefix=prefix)
        scores = score_options(self._network, reading, tables=[each.table for each in batch])
        rows: list[list[Step]] = [[] for _ in batch]
        found: dict[int, Completion] = {}
        for each, own in zip(batch, scores, strict=True):
            if each.aside.guide is not None:
                each.aside.guide.begin(own.logprobs if own else ())
        for index in self._walk(batch, reading, rows=rows, limits=limits, ends=ends):
            whole = _is_whole(batch[index])
            found[index] = self._completion(rows[index], scores[index], limits=limits, ends=ends, whole=whole)
            done = batch[index].aside.done
            if done is not None:
                done(found[index])
        return [found[index] for index in range(len(batch))]

    def _walk(
        self,
        batch: Sequence[_Asked],
        reading: Reading,
        *,
        rows: Sequence[list[Step]],
        limits: Limits,
        ends: frozenset[int],
    ) -> Iterator[int]:
        """Add each prompt's steps to its row; yield the number of a row that ends, which leaves the batch."""
        logits, cache, mask, positions = reading
        active = list(range(len(batch)))
        cold = not limits.temperature
        draws = [] if cold else [_draws(each, limits) for each in batch]
        if limits.max_tokens == 0:
            yield from active
        for at in range(limits.max_tokens):
            steps = next_tokens(
                logits,
                max(1, limits.top_logprobs),
                draws=None if cold else [draws[index][at] for index in active],
                temperature=limits.temperature or 1.0,
                top_p=limits.top_p,
                allowed=allowed_tokens(
                    [batch[index].aside.guide for index in active], logits, left=limits.max_tokens - at
                ),
            )
            for index, step in zip(active, steps, strict=True):
                rows[index].append(step)
            last = at + 1 == limits.max_tokens
            on = [_goes_on(batch[index], rows[index], ends=ends) and not last for index in active]
            yield from (index for index, going in zip(active, on, strict=True) if not going)
            keep = [place for place, going in enumerate(on) if going]
            if not keep:
                break
            kept = torch.tensor(keep, device=mask.device)
            if len(keep) < len(active):
                cache.batch_select_indices(kept)
                active = [active[place] for place in keep]
                mask, positions = mask[kept], positions[kept]
            ids = torch.tensor([[steps[place].token] for place in keep], device=mask.device)
            mask = torch.cat([mask, mask.new_ones(len(keep), 1)], dim=-1)
            positions = positions + 1
            found, cache = read_on(self._network, ids, mask=mask, positions=positions, cache=cache)
            logits = found[:, -1]

    def _completion(
        self, steps: Sequence[Step], scores: OptionScores | None, *, limits: Limits, ends: frozenset[int], whole: bool
    ) -> Completion:
        ids = tuple(step.token for step in steps)
        ended = bool(ids) and ids[-1] in ends
        spoken = [token for token in (ids[:-1] if ended else ids) if token < self._vocabulary]
        told = [self._names.of(step) for step in steps] if limits.top_logprobs else []
        return Completion(
            token_ids=ids,
            text=self._tokenizer.decode(spoken, skip_special_tokens=True),
            stopped=ended or whole,
            given=tuple(own for own, _ in told),
            top=tuple(top for _, top in told),
            option_logprobs=scores.logprobs if scores else (),
            option_mass=scores.mass if scores else None,
        )


def _draws(asked: _Asked, limits: Limits) -> list[float]:
    own = asked.aside.seed
    return uniforms(asked.prompt, limits.max_tokens, seed=limits.seed if own is None else own)


def _goes_on(asked: _Asked, row: Sequence[Step], *, ends: frozenset[int]) -> bool:
    """Tell a row's newest step to whoever listens, and return whether another may follow."""
    (_, hear, _, guide), newest = asked.aside, row[-1]
    if guide is not None:
        guide.take(newest.token)
    wanted = hear is None or hear(len(row) - 1, newest)
    return wanted and newest.token not in ends and not _is_whole(asked)


def _is_whole(asked: _Asked) -> bool:
    """Return whether nothing may follow an answer any more."""
    return asked.aside.guide is not None and asked.aside.guide.finished
