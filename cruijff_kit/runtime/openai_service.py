"""One request of the OpenAI protocol under way: its answers made together, told whole or as they come."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Any, NamedTuple

import anyio

from cruijff_kit.errors import CruijffError
from cruijff_kit.runtime.answering import Answer, Desk, Following, Piece, Wish
from cruijff_kit.runtime.openai_replies import Echo, Form
from cruijff_kit.runtime.openai_requests import ChatRequest, CompletionRequest, Refusal, wishes_of
from cruijff_kit.schema.prediction import Completion

__all__ = ["Generation"]

_NOTHING = Answer(Completion(token_ids=(), text="", stopped=False), "", ended=False)


class _Told(NamedTuple):
    """Something that became of one choice."""

    at: int
    what: Piece | Answer


class Generation:
    """The answers that one request wants."""

    def __init__(self, request: ChatRequest | CompletionRequest, desk: Desk, *, name: str) -> None:
        """Read a request into wishes; long texts take a while, so this is for a thread.

        Raises:
            Refusal: a prompt cannot be encoded or answered so, or too much is asked for.
        """
        self._desk, self._name = desk, name
        self._wishes = wishes_of(request, desk)
        self._echoes = isinstance(request, CompletionRequest) and bool(request.echo)
        self._bills = request.usage_wanted
        chat = isinstance(request, ChatRequest)
        mark = "chatcmpl" if chat else "cmpl"
        number, now = f"{mark}-{secrets.token_hex(12)}", int(time.time())
        self._form = Form(number, name, now, chat, request.candidates, request.n or 1)
        self._told: dict[int, Echo] = {}
        self._followed: list[Following] = []
        self._ended = False
        self.tokens = 0

    @property
    def count(self) -> int:
        """Return how many answers are wanted."""
        return len(self._wishes)

    def end(self) -> None:
        """End every answer at its next token: nobody waits any more."""
        self._ended = True
        for following in self._followed:
            following.over = True

    async def whole(self) -> dict[str, Any]:
        """Return the reply once every answer is there.

        Raises:
            CruijffError: an answer could not be made.
            Refusal: it was ended from elsewhere, so it is none.
        """
        echoes = [await self._echo(at) for at in range(self.count)]
        answers = [_NOTHING] * self.count

        async def make(at: int) -> None:
            answers[at], _ = await self._made(at)

        await _together([partial(make, at) for at in range(self.count)])
        self._refuse_ended()
        return self._form.whole(self._wishes, answers, echoes=echoes)

    async def tell(self, say: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Tell every choice as it comes, the pieces of all of them mixed.

        Raises:
            CruijffError: an answer could not be made; what was told before stays.
            Refusal: it was ended from elsewhere, so it is none.
        """
        sender, told = anyio.create_memory_object_stream[_Told](inf)
        loop = asyncio.get_running_loop()

        async def make(at: int) -> None:
            def heard(piece: Piece) -> None:
                loop.call_soon_threadsafe(sender.send_nowait, _Told(at, piece))

            answer, rest = await self._made(at, heard)
            sender.send_nowait(_Told(at, rest))
            sender.send_nowait(_Told(at, answer))

        with sender, told:
            relay = partial(self._relay, told, say)
            await _together([relay, *(partial(make, at) for at in range(self.count))])
        self._refuse_ended()

    async def _relay(self, told: Any, say: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        answers: dict[int, Answer] = {}
        starts = [0] * self.count
        for at in range(self.count):
            echo = await self._echo(at)
            starts[at] = len(echo.text) if echo is not None else 0
            for chunk in self._form.opening(at, echo):
                await say(chunk)
        while len(answers) < self.count:
            at, what = await told.receive()
            if self._ended:
                return
            if isinstance(what, Answer):
                answers[at] = what
                await say(self._form.closing(at, what))
                continue
            if what.text or what.tokens:
                await say(self._form.piece(at, what, desk=self._desk, start=starts[at]))
            starts[at] += len(what.text)
        if self._bills:
            await say(self._form.bill(self._wishes, [answers[at] for at in range(self.count)]))

    def _refuse_ended(self) -> None:
        if self._ended:
            raise Refusal("the server is ending, and the answer with it", status=503, code="ending")

    async def _made(self, at: int, heard: Callable[[Piece], None] | None = None) -> tuple[Answer, Piece]:
        """Return one answer, and what its listener was not told before."""
        wish = self._wishes[at]
        if wish.max_tokens == 0:
            return _NOTHING, Piece("", ())
        following = self._desk.follow(wish, heard)
        following.over = self._ended
        self._followed.append(following)
        answer = await self._desk.answer(wish, following, name=self._name)
        self.tokens += len(answer.completion.token_ids)
        return answer, following.finish(answer.completion.text)

    async def _echo(self, at: int) -> Echo | None:
        """Return what is told of a prompt before an answer, which was read for the first of its answers; or None."""
        if not self._echoes:
            return None
        first = at - at % self._form.choices
        if first not in self._told:
            self._told[first] = await self._read(self._wishes[first])
        return self._told[first]

    async def _read(self, wish: Wish) -> Echo:
        steps = []
        if self._form.candidates is not None:
            steps = await self._desk.likelihoods(wish.prompt, count=max(1, wish.top_logprobs), name=self._name)
        return self._form.echo(wish, steps, desk=self._desk)


async def _together(calls: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all this at once; the first error that a user can mend ends the others and is raised as it is."""
    failed: list[CruijffError] = []

    async def tried(call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except CruijffError as err:
            failed.append(err)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(tried, call)
    if failed:
        raise failed[0]
