"""The manifests by which assistants find skills and server, all rendered from one table."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cruijff_kit import __version__

__all__ = ["LINKS", "main", "render_manifests"]

_NAME = "cruijff-kit"
_TITLE = "Cruijff Kit"
_WHAT = "Design, run and report LLM fine-tuning experiments, on a laptop or a Slurm cluster, with every step on record."
_SHORT = "LLM fine-tuning experiments, every step on record"
_AUTHOR = {"name": "the cruijff-kit authors"}
_SKILLS = "./skills/"
_START = "mcp_server/start.sh"
_IDENTITY: dict[str, Any] = {"name": _NAME, "version": __version__, "description": _WHAT}
_PAPERS: dict[str, Any] = {"license": "MIT", "author": _AUTHOR}

LINKS = {".agents/skills": "../skills", ".claude/skills": "../skills", "AGENTS.md": "CLAUDE.md"}
"""Links that give each client the same skills, and the same words about the code, to what they lead to."""

_MANIFESTS: dict[str, dict[str, Any]] = {
    # Inside this repository; a client starts it in the repository.
    ".mcp.json": {"mcpServers": {"cruijff": {"command": "sh", "args": [_START]}}},
    ".vscode/mcp.json": {
        "servers": {
            "cruijff": {
                "type": "stdio",
                "command": "sh",
                "args": [f"${{workspaceFolder}}/{_START}", "--root", "${workspaceFolder}"],
            }
        }
    },
    # As a plugin; the client copies the repository elsewhere and says where.
    ".claude-plugin/plugin.json": {
        **_IDENTITY,
        **_PAPERS,
        "mcpServers": {
            "cruijff": {
                "command": "sh",
                "args": [f"${{CLAUDE_PLUGIN_ROOT}}/{_START}"],
                "env": {"CRUIJFF_ROOT": "${CLAUDE_PROJECT_DIR}"},
            }
        },
    },
    ".claude-plugin/marketplace.json": {
        "name": _NAME,
        "description": _WHAT,
        "owner": _AUTHOR,
        "plugins": [{**_IDENTITY, "source": "./"}],
    },
    # Codex replaces no variable and starts servers in the project: only a program on PATH is found from there.
    ".codex-plugin/plugin.json": {
        **_IDENTITY,
        **_PAPERS,
        "skills": _SKILLS,
        "mcpServers": {"cruijff": {"command": "cruijff-mcp", "args": []}},
        "interface": {
            "displayName": _TITLE,
            "shortDescription": _SHORT,
            "longDescription": _WHAT,
            "developerName": _AUTHOR["name"],
            "category": "Research",
            "capabilities": ["Interactive", "Read", "Write"],
        },
    },
    ".agents/plugins/marketplace.json": {
        "name": _NAME,
        "interface": {"displayName": _TITLE},
        "plugins": [
            {
                "name": _NAME,
                "source": {"source": "local", "path": "./"},
                "policy": {"installation": "AVAILABLE", "authentication": "ON_INSTALL"},
                "category": "Research",
            }
        ],
    },
    ".cursor-plugin/plugin.json": {
        **_IDENTITY,
        **_PAPERS,
        "displayName": _TITLE,
        "skills": _SKILLS,
        "mcpServers": "./.cursor-plugin/mcp.json",
    },
    ".cursor-plugin/mcp.json": {
        "mcpServers": {"cruijff": {"command": "cruijff-mcp", "args": ["--root", "${workspaceFolder}"]}}
    },
    "gemini-extension.json": {
        **_IDENTITY,
        "mcpServers": {
            "cruijff": {"command": "sh", "args": [f"${{extensionPath}}/{_START}", "--root", "${workspacePath}"]}
        },
    },
}
"""Path in the repository to what the file says."""


def render_manifests() -> dict[str, str]:
    """Return every manifest, its path in the repository to its text."""
    return {path: json.dumps(says, indent=2, ensure_ascii=False) + "\n" for path, says in _MANIFESTS.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every manifest and link below the directory named, the current one where none is."""
    words = sys.argv[1:] if arguments is None else arguments
    root = words[0] if words else "."
    for path, text in render_manifests().items():
        place = Path(root) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for path, target in LINKS.items():
        place = Path(root) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)


if __name__ == "__main__":
    main()
