"""Tokenizers of model directories, loaded by the class that transformers chose for the same files before.

To choose it transformers loads torch and configurations of whole models, which takes longer
than all else that is done before a small training is handed over. So what it chose is
kept, under the hash of whatever it may look at and its own version.
"""

import importlib
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.files import file_sha256, write_aside
from cruijff_kit.runtime.model_files import load_tokenizer, model_files

__all__ = ["known_tokenizer"]


def known_tokenizer(folder: Path, *, cache: Path) -> Tokenizer:
    """Return a directory's tokenizer, the same one while its files stay as they are.

    Args:
        folder: model directory.
        cache: where the names of classes are kept.

    Raises:
        OSError: there is none.
        ValueError: transformers cannot load it.
        ImportError: transformers, or what it needs for this one, is not installed.
    """
    return _loaded(folder, cache=cache, key=_key(folder))


@lru_cache(maxsize=4)
def _loaded(folder: Path, *, cache: Path, key: str) -> Tokenizer:
    """Return the tokenizer of a directory; in the cache of calls it counts with what its files hold."""
    note = cache / "tokenizers" / key
    chosen = _class(note)
    if chosen is not None:
        return chosen.from_pretrained(str(folder), local_files_only=True)
    tokenizer = load_tokenizer(folder)
    _keep(note, type(tokenizer))
    return tokenizer


def _key(folder: Path) -> str:
    """Return the hash of what the choice may depend on: small files by content, all others by name."""
    names = sorted(path.name for path in folder.iterdir())
    read = [path for path in model_files(folder) if ".safetensors" not in path.name]
    told = [f"transformers {version('transformers')}", *names, *(f"{path.name} {file_sha256(path)}" for path in read)]
    return sha256("\n".join(told).encode()).hexdigest()[:32]


def _class(note: Path) -> Any:
    """Return the class that is noted; None where none is, or this transformers has none of that name."""
    try:
        module, _, name = note.read_text(encoding="ascii").strip().rpartition(".")
        found = getattr(importlib.import_module(module), name) if module.startswith("transformers.") else None
    except (OSError, ValueError, ImportError, AttributeError):
        return None
    return found if hasattr(found, "from_pretrained") else None


def _keep(note: Path, chosen: type) -> None:
    if not chosen.__module__.startswith("transformers."):
        return
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_aside(note, f"{chosen.__module__}.{chosen.__name__}\n")
    except OSError:
        # A cache that cannot be written only costs the time of choosing again.
        return
