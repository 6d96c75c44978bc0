"""The server as a process of its own, spoken to line by line: what it writes is seen as it is."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

__all__ = ["Era", "Wire"]

Era = Literal["2026-07-28", "2025-11-25"]
"""Revision of the protocol: one without a handshake, or the last with one."""
_PATIENCE = 120.0
"""Seconds after which a server that says nothing is taken for stuck."""
_META = "io.modelcontextprotocol/"
_CLIENT = {"name": "wire", "version": "1"}
_ABLE = {"elicitation": {"form": {}}}


class Wire:
    """One server over stdio and a client that keeps every line of both."""

    def __init__(
        self,
        root: Path,
        *,
        era: Era = "2026-07-28",
        command: Sequence[str] = ("-m", "cruijff_kit.mcp_server.server"),
        environment: Mapping[str, str] | None = None,
        read: Sequence[Path] = (),
    ) -> None:
        """Start the server over a project root and, in the older era, shake hands.

        Args:
            root: the project.
            era: how it is spoken to.
            command: arguments of the interpreter that start the server.
            environment: variables beside those of this process.
            read: directories outside the project that designs may name.
        """
        self.era = era
        self.lines: list[str] = []
        self.answer: Callable[[str], dict[str, Any]] = lambda question: {"action": "decline"}
        self.asked: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.errors = root.parent / "stderr.txt"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *command,
                    "--root",
                    str(root),
                    *(word for each in read for word in ("--read", str(each))),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
            )
        self._heard: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._next = 0
        self.welcome = self._greeted()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> list[str]:
        """Leave as a client leaves; return every line that the server ever wrote."""
        assert self.process.stdin
        assert self.process.stdout
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(_PATIENCE)
        while (line := self._heard.get(timeout=_PATIENCE)) is not None:
            self.lines.append(line)
        self._heard.put(None)
        self.process.stdout.close()
        return self.lines

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return the answer to it; questions of the server's are answered on the way."""
        return self.wait(self.send(method, **params))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its result; in the newer era a question is answered by calling again."""
        answer = self.request("tools/call", name=tool, arguments=arguments)
        result: dict[str, Any] = answer.get("result", answer)
        if result.get("resultType") != "input_required":
            return result
        responses = {name: self._told(each["params"]["message"]) for name, each in result["inputRequests"].items()}
        again = {"inputResponses": responses, "requestState": result["requestState"]}
        answer = self.request("tools/call", name=tool, arguments=arguments, **again)
        return answer.get("result", answer)

    def send(self, method: str, **params: Any) -> int:
        """Send a request without waiting; return its id."""
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": self._with_meta(params)})
        return self._next

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._write({"jsonrpc": "2.0", "method": method, "params": self._with_meta(params)})

    def wait(self, number: int) -> dict[str, Any]:
        """Return the answer to a request that was sent."""
        while True:
            message = self.hear()
            if "method" in message and "id" in message:
                told = self._told(message["params"]["message"])
                self._write({"jsonrpc": "2.0", "id": message["id"], "result": told})
            elif message.get("id") == number:
                return message

    def hear(self) -> dict[str, Any]:
        """Return the next message; whatever the server writes is one of the protocol, or this fails."""
        line = self._heard.get(timeout=_PATIENCE)
        assert line is not None, self.errors.read_text(encoding="utf-8")
        self.lines.append(line)
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0", line
        if "method" in message and "id" not in message:
            self.notes.append(message)
        return message

    def _greeted(self) -> dict[str, Any]:
        if self.era == "2026-07-28":
            return self.request("server/discover")["result"]
        hello = {"protocolVersion": self.era, "capabilities": _ABLE, "clientInfo": _CLIENT}
        answer = self.request("initialize", **hello)["result"]
        self.notify("notifications/initialized")
        return answer

    def _with_meta(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.era != "2026-07-28":
            return params
        meta = {f"{_META}protocolVersion": self.era, f"{_META}clientInfo": _CLIENT, f"{_META}clientCapabilities": _ABLE}
        return {**params, "_meta": {**meta, **params.get("_meta", {})}}

    def _told(self, question: str) -> dict[str, Any]:
        self.asked.append(question)
        return self.answer(question)

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._heard.put(line.decode("utf-8"))
        self._heard.put(None)
