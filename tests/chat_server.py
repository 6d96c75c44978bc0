"""A real HTTP server on this machine that speaks chat completions, answered by a small model that stays loaded."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal, NamedTuple

from cruijff_kit.data.tokens import Encoding, encode_conversation, stop_ids
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.resident import ResidentModel

__all__ = ["Asked", "Kind", "chat_server"]

Kind = Literal["vllm", "llama.cpp", "mute", "other template"]
"""What the server tells of its prompts: ids, rendered text, nothing, or the ids of another template."""


class Asked(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class _Served:
    """The model behind the server, one answer at a time."""

    def __init__(self, base: str, kind: Kind) -> None:
        self.model = ResidentModel(base, device="cpu")
        self.kind = kind
        self.encoding = Encoding(dataset_type="chat_completion", max_seq_len=256)
        self.lock = Lock()
        self.asked: list[Asked] = []

    def ids(self, messages: list[dict[str, str]]) -> tuple[int, ...]:
        turns: Any = [{"role": each["role"], "content": each["content"]} for each in messages]
        return tuple(encode_conversation(turns, encoding=self.encoding, tokenizer=self.model.tokenizer))

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/v1/chat/completions":
            return self._chat(body)
        if path == "/tokenize" and self.kind in {"vllm", "other template"}:
            ids = list(self.ids(body["messages"]))
            return {"tokens": ids[1:] if self.kind == "other template" else ids, "count": len(ids)}
        if path == "/apply-template" and self.kind == "llama.cpp":
            return {"prompt": self.model.tokenizer.decode(self.ids(body["messages"]))}
        return None

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        limits = Limits(body.get("max_tokens") or body.get("max_completion_tokens") or 8, body.get("top_logprobs", 1))
        ends = stop_ids(encoding=self.encoding, tokenizer=self.model.tokenizer)
        prompt = self.ids(body["messages"])
        with self.lock:
            (found,) = self.model.complete([prompt], limits, adapter=None, stop_ids=ends)
        content = [
            {**_token(at[0]), "top_logprobs": [_token(each) for each in at[: limits.top_logprobs]]} for at in found.top
        ]
        return {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": found.text},
                    "finish_reason": "stop" if found.stopped else "length",
                    "logprobs": {"content": content},
                }
            ],
            "usage": {"prompt_tokens": len(prompt), "completion_tokens": len(content), "total_tokens": len(prompt)},
        }


def _token(each: Any) -> dict[str, Any]:
    return {"token": each.token, "logprob": each.logprob, "bytes": list(each.token.encode())}


@contextmanager
def chat_server(base: str, kind: Kind) -> Iterator[tuple[str, list[Asked]]]:
    """Serve a model on a free port; yield the address of its chat, and every request as it comes in."""
    served = _Served(base, kind)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(Asked(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            answer = served.answer(self.path, body)
            content = json.dumps(answer if answer is not None else {"error": "no such endpoint"}).encode()
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library calls it by this name
            """Say nothing: requests are kept in a list."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", served.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
