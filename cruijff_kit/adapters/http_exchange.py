"""One HTTP request and its reply, over ASGI: a bounded body in, JSON or server-sent events out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from cruijff_kit.runtime.openai_replies import to_json
from cruijff_kit.runtime.openai_requests import Refusal

__all__ = ["Exchange", "GoneError", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
"""What ASGI tells of a request."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""Gives the next part of it."""
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""Takes a part of the reply."""

_LARGEST = 16 * 1024 * 1024
_SECONDS = 60.0


class GoneError(Exception):
    """The client hung up."""


class Exchange:
    """A request, and what is answered to it."""

    def __init__(self, scope: Scope, receive: Receive, *, send: Send) -> None:
        """Take the three parts of ASGI."""
        self._receive, self._send = receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.status = 0
        self.note = ""

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            GoneError: the client hung up.
            Refusal: it is too large, or does not arrive.
        """
        too_large = Refusal(f"the body is larger than {_LARGEST // 2**20} MiB", status=413, code="body_too_large")
        told = self.headers.get("content-length", "0")
        if told.isdecimal() and int(told) > _LARGEST:
            raise too_large
        try:
            with anyio.fail_after(_SECONDS):
                content = b"".join([part async for part in self._parts(most=_LARGEST)])
        except TimeoutError as err:
            raise Refusal(f"the body did not arrive within {_SECONDS:.0f} s", status=408) from err
        if len(content) > _LARGEST:
            raise too_large
        return content

    async def _parts(self, *, most: int) -> AsyncIterator[bytes]:
        """Yield the body, and stop once it is larger than it may be."""
        more, size = True, 0
        while more and size <= most:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            part = message.get("body", b"")
            size += len(part)
            yield part
            more = message.get("more_body", False)

    @asynccontextmanager
    async def watched(self, hung_up: Callable[[], None]) -> AsyncIterator[None]:
        """Do something for the client for as long as it is there; call this after its body was read.

        Raises:
            GoneError: it hung up; `hung_up` was called at once.
        """
        gone, scope = False, anyio.CancelScope()

        async def watch() -> None:
            nonlocal gone
            while (await self._receive())["type"] != "http.disconnect":
                pass
            gone = True
            hung_up()
            scope.cancel()

        watcher = asyncio.create_task(watch())
        try:
            with scope:
                yield
        finally:
            watcher.cancel()
        if gone:
            raise GoneError

    async def reply(self, body: Any, *, status: int = 200) -> None:
        """Answer with JSON."""
        content = to_json(body)
        await self._start(status, b"application/json", length=len(content))
        await self._send({"type": "http.response.body", "body": content})

    async def event(self, body: Any) -> None:
        """Answer with one more server-sent event; the first begins the reply."""
        if not self.status:
            await self._start(200, b"text/event-stream; charset=utf-8")
        await self._more(b"data: " + to_json(body) + b"\n\n")

    async def end(self) -> None:
        """End a reply of events as clients of OpenAI expect it."""
        await self._more(b"data: [DONE]\n\n")
        await self._close()

    async def fail(self, body: Any, *, status: int) -> None:
        """Answer with an error; as a last event where the reply has begun."""
        if not self.status:
            await self.reply(body, status=status)
            return
        await self.event(body)
        await self._close()

    async def _close(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _more(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def _start(self, status: int, kind: bytes, *, length: int | None = None) -> None:
        self.status = status
        headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
