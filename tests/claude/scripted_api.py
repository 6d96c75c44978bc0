"""A Messages API on loopback that says what a script says, and keeps what it was asked."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple

__all__ = ["Model", "Step", "scripted_model"]

_USAGE = {"input_tokens": 1, "output_tokens": 1}


class Step(NamedTuple):
    """What the model says in one turn: a call of a tool."""

    tool: str
    """Name of the tool, as the host calls it."""
    arguments: Mapping[str, Any]
    """What it is called with."""


class Model:
    """Takes the steps of a script one by one, then says that it is done."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Keep the script."""
        self.requests: list[dict[str, Any]] = []
        self.strays: list[str] = []
        self._steps = list(steps)
        self._ids = itertools.count()
        self._lock = Lock()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the next message; a request without tools is the host's own question and takes no step."""
        with self._lock:
            asked = bool(body.get("tools"))
            if asked:
                self.requests.append(body)
            step = self._steps.pop(0) if asked and self._steps else None
            number = next(self._ids)
        block: dict[str, Any] = {"type": "text", "text": "done"}
        if step is not None:
            block = {"type": "tool_use", "id": f"toolu_{number}", "name": step.tool, "input": dict(step.arguments)}
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "scripted"),
            "content": [block],
            "stop_reason": "end_turn" if step is None else "tool_use",
            "stop_sequence": None,
            "usage": _USAGE,
        }

    def heard(self) -> str:
        """Return everything the host sent with its last request, as one text."""
        return json.dumps(self.requests[-1], ensure_ascii=False)


@contextmanager
def scripted_model(steps: Sequence[Step]) -> Iterator[tuple[Model, str]]:
    """Yield a model that follows a script, and the address at which it is asked."""
    model = Model(steps)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield model, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send(b"")

        def do_GET(self) -> None:
            self._send(b'{"data": []}')

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
            if "count_tokens" in self.path:
                self._send(b'{"input_tokens": 100}')
            elif "/v1/messages" not in self.path:
                model.strays.append(self.path)
                self._send(b"{}")
            else:
                message = model.answer(body)
                streamed = bool(body.get("stream"))
                kind = "text/event-stream" if streamed else "application/json"
                self._send(_events(message) if streamed else json.dumps(message).encode(), kind=kind)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's own name
            return

        def _send(self, content: bytes, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _events(message: dict[str, Any]) -> bytes:
    """Return a message as the events that it is streamed in."""
    (block,) = message["content"]
    if block["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events = (
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": _USAGE},
        {"type": "message_stop"},
    )
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)
