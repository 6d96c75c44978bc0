import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from tests.architecture.source import ROOT
from tests.claude.host import VERSION, Host
from tests.mcp_bench import QUICK, Bench
from tests.random_model import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a small random base model, made once."""
    return random_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def bench(tmp_path: Path, base: str) -> Bench:
    """Return an empty project whose site tells where its model lies, and the recipe of its trainings."""
    root = tmp_path / "project"
    root.mkdir()
    site = {"models_dir": str(Path(base).parent), "data_dirs": [str(QUICK.parent)]}
    (root / "site.yaml").write_text(json.dumps(site), encoding="utf-8")
    return Bench(root, base)


@pytest.fixture
def host(tmp_path: Path, bench: Bench) -> Host:
    """Return Claude Code in the bench's project; it knows nothing of us yet."""
    named = os.environ.get("CLAUDE_BINARY", "")
    binary = shutil.which(named) if named else None
    assert binary, "these tests drive the real Claude Code\nhint: `make claude` says how to get it"
    home = tmp_path / "claude-home"
    (home / "bin").mkdir(parents=True)
    host = Host(Path(binary), home, bench.root)
    found = host.call("--version").stdout.split()[0]
    assert found == VERSION, f"these tests are for Claude Code {VERSION}, and this is {found}"
    return host


@pytest.fixture
def told(host: Host, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Have the project as this repository is for Claude Code, and return the options that trust its server."""
    (host.project / ".claude").mkdir()
    (host.project / ".claude" / "skills").symlink_to(ROOT / "skills")
    monkeypatch.chdir(host.project)
    done = CliRunner().invoke(cli, ["mcp", "install", "--client", "claude", "--project", "--yes"])
    assert done.exit_code == 0, done.output
    return ("--mcp-config", str(host.project / ".mcp.json"), "--strict-mcp-config")


@pytest.fixture
def plugin() -> tuple[str, ...]:
    """Return the options that load the plugin from this checkout."""
    return ("--plugin-dir", str(ROOT))
