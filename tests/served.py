"""Servers of `ck serve` for tests: in a thread of this process, or as the command itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.adapters.http_app import ServingApp
from cruijff_kit.adapters.http_gate import Gate
from cruijff_kit.adapters.http_server import HttpServer, bind
from cruijff_kit.data.tokens import Encoding, encode_conversation, stop_ids
from cruijff_kit.runtime.answering import Desk
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.runtime.served_model import load_desk
from cruijff_kit.schema.prediction import Completion
from cruijff_kit.schema.serving import Address, Place, ServedModel

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["ENCODING", "Here", "asked", "assert_is", "command", "own", "record_base", "served_here", "served_model"]

ENCODING = Encoding(dataset_type="chat_completion", max_seq_len=256)
"""How the evaluator puts the questions that a server is asked."""


class Here(NamedTuple):
    """A server in a thread of this process."""

    url: str
    port: int
    log: "SimpleQueue[str]"
    end: Callable[[], None]


def served_model(base: str, *, adapter: str | None = None, **changes: Any) -> ServedModel:
    """Return a model to serve: `tiny`, or `tuned` and `tiny` where there is an adapter."""
    digest = file_sha256(Path(adapter) / "adapter_model.safetensors") if adapter else None
    told = {
        "name": "tuned" if adapter else "tiny", "base_name": "tiny", "base": base, "adapter": adapter,
        "base_sha256": model_sha256(Path(base)), "adapter_sha256": digest, "dataset_type": "chat_completion",
        "max_positions": 256, "device": "cpu", "max_concurrent": 8,
    }  # fmt: skip
    return ServedModel.model_validate({**told, **changes})


def own(model: Resident, text: str, *, adapter: str | None = None, top: int = 1, longest: int = 8) -> Completion:
    """Return the evaluator's answer to one question."""
    prompt = encode_conversation([{"role": "user", "content": text}], encoding=ENCODING, tokenizer=model.tokenizer)
    ends = stop_ids(encoding=ENCODING, tokenizer=model.tokenizer)
    return model.complete([prompt], Limits(longest, top), adapter=adapter, stop_ids=ends)[0]


def asked(client: "OpenAI", text: str, **options: Any) -> Any:
    """Return what a client is told when it asks `tuned` one question."""
    settings: Any = {"model": "tuned", "max_tokens": 8, **options}
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], **settings)


def assert_is(choice: Any, expected: Completion) -> None:
    """Hold a choice that a client was told against the evaluator's answer, to the last bit."""
    assert choice.message.content == expected.text
    content = choice.logprobs.content
    assert [(at.token, at.logprob) for at in content] == [(at.token, at.logprob) for at in expected.given]
    told = [[(each.token, each.logprob) for each in at.top_logprobs] for at in content]
    assert told == [[(each.token, each.logprob) for each in at] for at in expected.top]


def record_base(adapter: str, base: str) -> None:
    """Write beside an adapter which base it was trained on."""
    told = {"name": "tiny", "path": base, "sha256": model_sha256(Path(base))}
    (Path(adapter) / "base_model.json").write_text(json.dumps(told), encoding="utf-8")


@contextmanager
def served_here(served: ServedModel, *, token: str | None = None, desk: Desk | None = None) -> Iterator[Here]:
    """Serve a model on a free port of loopback until the block ends; by a desk of one's own where one is given."""
    desk, lines, ready = desk or load_desk(served), SimpleQueue[str](), Event()
    listener = bind(Place(port=0))
    port = listener.getsockname()[1]
    app = ServingApp(desk, Gate("127.0.0.1", token=token), length=served.max_positions, log=lines.put)
    server = HttpServer(app, ready=ready.set)
    thread = Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        assert ready.wait(timeout=60)
        yield Here(f"http://127.0.0.1:{port}/v1", port, lines, server.end)
    finally:
        server.end()
        thread.join(timeout=60)
        listener.close()
    assert not thread.is_alive()


class Started(NamedTuple):
    """The command itself, ready."""

    process: subprocess.Popen[str]
    address: Address

    def ended(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return exit code and stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextmanager
def command(arguments: Sequence[str], *, folder: Path, **environment: str) -> Iterator[Started]:
    """Run `ck serve` on a free port until it is ready; it is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cruijff_kit.cli.main", "serve", *arguments, "--port", "0", "--json"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise AssertionError(process.communicate()[1])
        yield Started(process, Address.model_validate_json(line))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
