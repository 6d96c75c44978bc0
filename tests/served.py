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
from typing import Any, NamedTuple

from cruijff_kit.adapters.http_app import ServingApp
from cruijff_kit.adapters.http_gate import Gate
from cruijff_kit.adapters.http_server import HttpServer, bind
from cruijff_kit.runtime.answering import Desk
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.runtime.served_model import load_desk
from cruijff_kit.schema.serving import Address, Place, ServedModel

__all__ = ["Here", "command", "record_base", "served_here", "served_model"]


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
