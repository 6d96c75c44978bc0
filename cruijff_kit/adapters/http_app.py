"""The OpenAI protocol over HTTP, as an ASGI application; no text of a request or an answer is kept or logged."""

import time
from collections.abc import Callable
from pathlib import PurePath
from traceback import extract_tb

import anyio.to_thread

from cruijff_kit.adapters.http_exchange import Exchange, GoneError, Receive, Scope, Send
from cruijff_kit.adapters.http_gate import Gate
from cruijff_kit.errors import CruijffError
from cruijff_kit.runtime.answering import Desk
from cruijff_kit.runtime.openai_replies import error_body, models_body
from cruijff_kit.runtime.openai_requests import (
    ChatRequest,
    CompletionRequest,
    Refusal,
    TokenizeRequest,
    read_body,
    turns_of,
)
from cruijff_kit.runtime.openai_service import Generation

__all__ = ["ServingApp"]

_MOST_WAITING = 512
_ROUTES = "there are `/v1/chat/completions`, `/v1/completions`, `/v1/models`, `/tokenize` and `/health`"


class ServingApp:
    """Answers the requests that a gate lets in."""

    def __init__(self, desk: Desk, gate: Gate, *, length: int, log: Callable[[str], None]) -> None:
        """Take what answers.

        Args:
            desk: the model.
            gate: who may ask.
            length: longest text the model reads, in tokens.
            log: told one line a request.
        """
        self._desk = desk
        self._gate = gate
        self._length = length
        self._log = log
        self._since = int(time.time())
        self._stopped = False
        self._running: set[Generation] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange, started = Exchange(scope, receive, send=send), time.monotonic()
        try:
            await self._answer(exchange)
        except GoneError:
            exchange.note = "the client hung up"
        except Refusal as err:
            body = error_body(str(err), status=err.status, code=err.code, param=err.param)
            await exchange.fail(body, status=err.status)
        except CruijffError as err:
            await exchange.fail(error_body(str(err), status=500, code="generation_failed"), status=500)
        except Exception as err:  # noqa: BLE001 -- a fault in one request must not end the others, nor show their text
            exchange.note = _place(err)
            told = "the server failed at this request; its own output names the place"
            await exchange.fail(error_body(told, status=500, code="internal_error"), status=500)
        self._log(_line(exchange, time.monotonic() - started))

    def stop(self) -> None:
        """End every answer at its next token, and begin no more."""
        self._stopped = True
        for generation in tuple(self._running):
            generation.end()

    async def _answer(self, exchange: Exchange) -> None:
        self._gate.admit(exchange.method, exchange.path, headers=exchange.headers)
        match exchange.method, exchange.path:
            case "GET", "/health":
                await exchange.reply({"status": "ok"})
            case "GET", "/v1/models":
                await exchange.reply(models_body(self._desk.names, created=self._since, length=self._length))
            case "GET", path if path.startswith("/v1/models/"):
                name = self._known(path.removeprefix("/v1/models/"))
                await exchange.reply(models_body([name], created=self._since, length=self._length)["data"][0])
            case "POST", "/v1/chat/completions":
                await self._generate(exchange, read_body(ChatRequest, await exchange.body()))
            case "POST", "/v1/completions":
                await self._generate(exchange, read_body(CompletionRequest, await exchange.body()))
            case "POST", "/tokenize":
                await self._tokenize(exchange, read_body(TokenizeRequest, await exchange.body()))
            case _:
                raise Refusal(f"there is no `{exchange.method} {exchange.path}`; {_ROUTES}", status=404)

    def _known(self, name: str | None) -> str:
        """Return the name of a model that is served; the first where a request names none."""
        names = self._desk.names
        if name is not None and name not in names:
            served = ", ".join(f"`{each}`" for each in names)
            told = f"there is no model `{name}` here; served: {served}"
            raise Refusal(told, status=404, code="model_not_found", param="model")
        return name or names[0]

    async def _tokenize(self, exchange: Exchange, request: TokenizeRequest) -> None:
        """Tell the ids of a conversation or a text, as they are read before an answer."""
        self._known(request.model)
        turns, text = turns_of(request), request.prompt
        if bool(turns) == (text is not None):
            raise Refusal("send either `messages` or `prompt`")
        try:
            ids = self._desk.text_ids(text) if text is not None else self._desk.chat_ids(turns)
        except CruijffError as err:
            raise Refusal(str(err)) from err
        await exchange.reply({"tokens": list(ids), "count": len(ids), "max_model_len": self._length})

    async def _generate(self, exchange: Exchange, request: ChatRequest | CompletionRequest) -> None:
        name = self._known(request.model)
        # Rendered and tokenised in a thread: one long text must not hold up everybody.
        generation = await anyio.to_thread.run_sync(lambda: Generation(request, self._desk, name=name))
        if self._stopped:
            raise Refusal("the server is ending", status=503, code="ending")
        waiting = sum(each.count for each in self._running)
        if waiting and waiting + generation.count > _MOST_WAITING:
            told = f"{waiting} answers are being waited for; ask again later"
            raise Refusal(told, status=429, code="too_many_requests")
        self._running.add(generation)
        try:
            async with exchange.watched(generation.end):
                await _told(exchange, generation, streamed=bool(request.stream))
        finally:
            self._running.discard(generation)
        exchange.note = f"{generation.tokens} tokens"


async def _told(exchange: Exchange, generation: Generation, *, streamed: bool) -> None:
    if not streamed:
        await exchange.reply(await generation.whole())
        return
    await generation.tell(exchange.event)
    await exchange.end()


def _place(err: Exception) -> str:
    """Return what went wrong where, without its message, which may quote a prompt."""
    while isinstance(err, ExceptionGroup):
        err = err.exceptions[0]
    last = extract_tb(err.__traceback__)[-1]
    return f"{type(err).__name__} at {PurePath(last.filename).name}:{last.lineno}"


def _line(exchange: Exchange, seconds: float) -> str:
    """Return what is logged of a request; its path is a stranger's text."""
    path = "".join(char for char in exchange.path[:80] if char.isprintable())
    note = f" {exchange.note}" if exchange.note else ""
    return f"{exchange.method} {path} {exchange.status or '-'} {seconds:.2f} s{note}"
