"""Pulling a model, from a hub of the test's own on the loopback: whole, at one commit, and never by accident."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from tests.training_runs import random_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "lab/tiny-llama"
EXTRA = {"modeling_tiny.py": b"raise SystemExit\n", "original/params.safetensors": b"x", "README.md": b"a model\n"}


class Hub:
    """Serves one repository as the hub does: its description, and its files at one commit."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.gated = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(path)
        if self.gated:
            self.send(request, 403, b"", headers={"X-Error-Code": "GatedRepo"})
        elif path.startswith(f"/api/models/{REPO}") and "/tree/" not in path:
            self.send(request, 200, json.dumps(self.description()).encode(), body=body)
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            self.send(request, 200, json.dumps(self.tree()).encode(), body=body)
        else:
            self.file(request, path, body=body)

    def file(self, request: BaseHTTPRequestHandler, path: str, *, body: bool) -> None:
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        content = self.files.get(name)
        if content is None:
            self.send(request, 404, b"", headers={"X-Error-Code": "RepoNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        self.send(request, 200, content, headers=headers, body=body)

    def description(self) -> dict[str, Any]:
        siblings = [{"rfilename": name, "size": len(content)} for name, content in self.files.items()]
        return {"id": REPO, "modelId": REPO, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}

    def tree(self) -> list[dict[str, Any]]:
        sizes = {name: len(content) for name, content in self.files.items()}
        return [{"type": "file", "path": name, "size": size, "oid": f"{size:040x}"} for name, size in sizes.items()]

    def send(
        self,
        request: BaseHTTPRequestHandler,
        code: int,
        content: bytes,
        *,
        headers: dict[str, str] | None = None,
        body: bool = True,
    ) -> None:
        request.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    base = random_base(tmp_path_factory.mktemp("published"))
    return {path.name: path.read_bytes() for path in base.iterdir()} | EXTRA


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    served = Hub(dict(files))
    yield served
    served.server.shutdown()
    served.server.server_close()


def pull(hub: Hub, root: Path, repo: str = REPO, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `ck models pull` in a process of its own: the hub's library reads its settings once."""
    root.mkdir(exist_ok=True)
    (root / "site.yaml").write_text(f"models_dir: {root / 'models'}\n", encoding="utf-8")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(root / "hf"), "HF_HUB_DISABLE_XET": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(root / "experiment"), "models", "pull", repo],
        capture_output=True,
        text=True,
        env={**surroundings, "NO_PROXY": "127.0.0.1", **own},
        timeout=120,
        check=False,
    )


def test_a_model_is_pulled_whole_with_its_commit_beside_it_and_found_the_second_time(hub: Hub, tmp_path: Path) -> None:
    first = pull(hub, tmp_path)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "models" / "tiny-llama"
    facts = LocalHub(models_dir=str(tmp_path / "models"), cache=tmp_path / "cache").facts("tiny-llama")
    assert (facts.repo, facts.revision) == (REPO, COMMIT)
    assert facts.sha256 in first.stdout
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "pulled.json"} <= names
    assert not names & {"modeling_tiny.py", "original", "README.md", ".cache"}
    asked = len(hub.asked)
    second = pull(hub, tmp_path)
    assert second.stdout == first.stdout
    assert not [path for path in hub.asked[asked:] if "/resolve/" in path]


def test_another_model_s_directory_is_never_overwritten(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "tiny-llama"
    folder.mkdir(parents=True)
    (folder / "mine").write_text("keep", encoding="utf-8")
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "holds a model that was not pulled by this command" in refused.stderr
    assert (folder / "mine").read_text(encoding="utf-8") == "keep"


def test_offline_is_said_in_words_and_nothing_is_asked(hub: Hub, tmp_path: Path) -> None:
    refused = pull(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert refused.returncode == 3
    assert "HF_HUB_OFFLINE is set, so nothing is pulled" in refused.stderr
    assert hub.asked == []


def test_terms_that_were_not_accepted_are_told_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "is gated, and this account has no access" in refused.stderr
    assert "hf auth login" in refused.stderr


def test_a_repository_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "publishes no `*.safetensors` weights" in refused.stderr
    assert not (tmp_path / "models" / "tiny-llama").exists()


def test_the_token_stays_in_the_hub_s_own_store(hub: Hub, tmp_path: Path) -> None:
    secret = "hf" + "_" + 4 * "nosecret"
    store = tmp_path / "hf" / "token"
    store.parent.mkdir(parents=True)
    store.write_text(secret, encoding="utf-8")
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert not [path for path in written if secret.encode() in path.read_bytes()]
