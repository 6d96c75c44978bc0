"""Preflight: what a job's Python is, and whether its inputs resolve without a network.

    python -m cruijff_kit.runtime.preflight [--model DIR]... [--data FILE]...

Prints one JSON object: the interpreter, versions, and a fault for each input, empty
where it resolved. Connections to other machines are refused while it runs, so what
would be looked up there fails here and not on the node.
"""

import json
import platform
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cruijff_kit

__all__ = ["main", "preflight"]

_PACKAGES = ("torch", "transformers", "peft", "torchtune", "inspect-ai")


def preflight(models: list[str], data: list[str]) -> dict[str, Any]:
    """Return what this Python is, and the fault of each input; empty where it resolved."""
    _refuse_network()
    return {
        "python": sys.executable,
        "python_version": platform.python_version(),
        "package": cruijff_kit.__version__,
        "package_path": str(Path(cruijff_kit.__file__).parent),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "inputs": {**{path: _model_fault(path) for path in models}, **{path: _data_fault(path) for path in data}},
    }


def _refuse_network() -> None:
    """Let no socket of this process reach another machine; nothing here listens either."""

    def refuse(*_: object) -> None:
        raise OSError("a job has no network")

    socket.socket.connect = refuse
    socket.getaddrinfo = refuse


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _model_fault(path: str) -> str:
    """Return why a model directory does not load; its weights are named, not read."""
    folder = Path(path)
    if not (folder / "config.json").is_file():
        return "no `config.json`"
    if not list(folder.glob("*.safetensors")):
        return "no weights (`*.safetensors`)"
    try:
        from transformers import AutoConfig, AutoTokenizer

        AutoConfig.from_pretrained(path, local_files_only=True)
        AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (ImportError, OSError, ValueError) as err:
        return str(err).partition("\n")[0]
    return ""


def _data_fault(path: str) -> str:
    try:
        if Path(path).is_dir():
            return "" if any(Path(path).iterdir()) else "the directory is empty"
        with Path(path).open("rb") as file:
            return "" if file.read(1) else "the file is empty"
    except OSError as err:
        return err.strerror or str(err)


def main(arguments: list[str]) -> int:
    """Print the preflight of the inputs named on the command line."""
    named: dict[str, list[str]] = {"--model": [], "--data": []}
    for option, path in zip(arguments[::2], arguments[1::2], strict=True):
        named[option].append(path)
    sys.stdout.write(json.dumps(preflight(named["--model"], named["--data"])) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
