"""A hub of models on the loopback, and `ck models pull` from it in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["COMMIT", "REPO", "Hub", "pull"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "lab/tiny-llama"


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


def pull(hub: Hub, root: Path, repo: str = REPO, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `ck models pull` in a process of its own: the hub's library reads its settings once."""
    root.mkdir(exist_ok=True)
    (root / "site.yaml").write_text(f"models_dir: {root / 'models'}\n", encoding="utf-8")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(root / "hf"), "HF_HUB_DISABLE_XET": "1", **environment}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "cruijff_kit.cli.main",
            "-C",
            str(root / "experiment"),
            "models",
            "pull",
            repo,
            *options,
        ],
        capture_output=True,
        text=True,
        env={**surroundings, "NO_PROXY": "127.0.0.1", **own},
        timeout=120,
        check=False,
    )
