"""Single requests become batches: whoever holds the model answers all who wait."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import anyio
import anyio.to_thread

from cruijff_kit.errors import CruijffError
from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.option_scores import OptionTable
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["Batcher", "Complete", "Query"]


class Query(NamedTuple):
    """What one request asks of a model."""

    prompt: PromptIds
    """Ids as the model reads them."""
    options: tuple[str, ...] | OptionTable = ()
    """Labels to score behind the prompt, or how they are spelt there."""
    aside: Aside = Aside()
    """Its own seed, who follows its answer, and what that is held to."""


Complete = Callable[[Sequence[Query], Limits], Sequence[Completion]]
"""Answers queries in order; called in a worker thread, one call at a time."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A query that waits, and its answer once it is there."""

    query: Query
    limits: Limits
    answer: Completion | None = None


class Batcher:
    """Collects requests that arrive together, without a thread or a timer of its own.

    Requests queue for a lock. Whoever gets it unanswered waits until no further
    request arrives for `settle` seconds in which the loop had nothing else to do, then
    answers all that wait for the same limits. Where one of them cannot be answered, it alone fails.
    """

    def __init__(
        self, complete: Complete, *, most: int | None = None, settle: float = 0.005, patience: float = 2.0
    ) -> None:
        """Take the function that answers.

        Args:
            complete: answers a batch.
            most: queries of one batch, the oldest first; all that wait where None.
            settle: seconds for which arrivals must have ceased.
            patience: seconds after which a batch starts although the loop is still busy.
        """
        self._complete = complete
        self._most = most
        self._settle = settle
        self._patience = patience
        self._waiting: list[_Ticket] = []
        self._lock = anyio.Lock()

    async def complete(self, query: Query, limits: Limits) -> Completion:
        """Return the answer to one query, computed together with its neighbours."""
        ticket = _Ticket(query, limits)
        self._waiting.append(ticket)
        try:
            async with self._lock:
                if ticket.answer is None:
                    await self._arrivals_cease()
                    await self._answer(ticket)
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.answer is None:
            raise RuntimeError("a batch left out the request that started it")
        return ticket.answer

    async def _arrivals_cease(self) -> None:
        now = anyio.current_time()
        end = now + self._patience
        quiet = False
        while not quiet and now < end:
            seen, before = len(self._waiting), now
            await anyio.sleep(self._settle)
            now = anyio.current_time()
            # A loop that wakes late is busy with samples that just ended: those that follow them are still to come,
            # and a model that ran beside it would fight for the interpreter at every step.
            quiet = len(self._waiting) == seen and now - before < 2 * self._settle

    async def _answer(self, own: _Ticket) -> None:
        batch = [ticket for ticket in self._waiting if ticket.limits == own.limits][: self._most]
        try:
            await self._put(batch, own.limits)
        except CruijffError:
            if batch == [own]:
                raise
            # Whose fault it is cannot be told, so each finds out by itself.
            await self._put([own], own.limits)
        self._waiting = [ticket for ticket in self._waiting if ticket.answer is None]

    async def _put(self, batch: Sequence[_Ticket], limits: Limits) -> None:
        answers = await anyio.to_thread.run_sync(self._complete, [ticket.query for ticket in batch], limits)
        for ticket, answer in zip(batch, answers, strict=True):
            ticket.answer = answer
