"""Model directories in Hugging Face format: their files, headers and content hash."""

import hashlib
import json
from collections.abc import Callable
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.files import file_sha256

__all__ = [
    "MODEL_FILES",
    "WeightHeader",
    "expected_bytes",
    "has_vocabulary",
    "load_tokenizer",
    "model_config",
    "model_files",
    "model_sha256",
    "weight_files",
    "weight_headers",
]

MODEL_FILES = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab.*",
    "merges.txt",
)
"""What makes a model what it is: name patterns of configuration, weights and tokenizer."""

_MAX_HEADER = 100_000_000
_THERE = "mend the path; `ck models list --here` shows those here, and `ck models make-tiny` makes a small one"
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model", "*.tiktoken", "tekken.json")


class WeightHeader(NamedTuple):
    """One tensor as a safetensors header describes it."""

    shape: tuple[int, ...]
    """Size of each dimension."""
    dtype: str
    """Element type, such as `F32` or `BF16`."""

    @property
    def elements(self) -> int:
        """Return the number of elements."""
        return prod(self.shape)


def model_config(folder: Path) -> dict[str, Any]:
    """Read a model directory's `config.json`.

    Raises:
        SiteError: the directory or the file is missing, or is no JSON object.
    """
    if not folder.is_dir():
        raise SiteError(f"model directory `{folder}` does not exist", hint=_THERE)
    path = folder / "config.json"
    if not path.is_file():
        found = ", ".join(f"`{name}`" for name in sorted(entry.name for entry in folder.iterdir())[:8])
        raise SiteError(
            f"`{folder}` has no `config.json`; it holds {found or 'nothing'}",
            hint="name a directory in Hugging Face format: config.json, tokenizer files, *.safetensors",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise SiteError(f"`{path}` is not readable JSON: {err}", hint="download the model again") from err
    if not isinstance(config, dict):
        raise SiteError(f"`{path}` is not a JSON object", hint="download the model again")
    return config


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load a model directory's tokenizer; nothing is fetched and no code of the directory runs."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


def model_files(folder: Path) -> list[Path]:
    """Return the files that make a model what it is, in name order: config, tokenizer, weights."""
    return sorted(
        (path for path in folder.iterdir() if path.is_file() and any(fnmatch(path.name, part) for part in MODEL_FILES)),
        key=lambda path: path.name,
    )


def model_sha256(folder: Path, *, digest: Callable[[Path], str] = file_sha256) -> str:
    """Return the content hash of a model: SHA-256 over `name sha256` lines in name order.

    Args:
        folder: model directory.
        digest: gives a file's SHA-256; a cached one serves as well.
    """
    lines = "".join(f"{path.name} {digest(path)}\n" for path in model_files(folder))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def has_vocabulary(folder: Path) -> bool:
    """Return whether a tokenizer's vocabulary lies in a directory: a library may make an empty one up where not."""
    return any(True for pattern in _VOCABULARIES for _ in folder.glob(pattern))


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model, in name order.

    Raises:
        SiteError: there are none, or the index names one that is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        paths = sorted({folder / name for name in _indexed(index)})
    else:
        paths = sorted(folder.glob("*.safetensors"))
    missing = [path.name for path in paths if not path.is_file()]
    if not paths or missing:
        fact = f"lacks `{missing[0]}`, which its index names" if missing else "has no `*.safetensors` weights"
        raise SiteError(f"model directory `{folder}` {fact}", hint="download the model again, as safetensors")
    return paths


def _indexed(index: Path) -> list[str]:
    """Return the files that an index names, once a tensor.

    Raises:
        SiteError: it is no index.
    """
    try:
        return [str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise SiteError(f"`{index}` is no index of weights", hint="download it again") from err


def weight_headers(folder: Path) -> dict[str, WeightHeader]:
    """Read the names, shapes and types of a model's tensors without loading them.

    The format: eight bytes of little-endian length, then that many bytes of JSON.

    Raises:
        SiteError: a weights file is missing or has no readable header.
    """
    headers: dict[str, WeightHeader] = {}
    for path in weight_files(folder):
        headers.update(_headers(path))
    return headers


def expected_bytes(path: Path) -> int:
    """Return a safetensors file's size by its own header, up to the last tensor's end; -1 where that is not said."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    try:
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
    except (KeyError, IndexError, TypeError):
        return -1
    return 8 + length + max(ends, default=0)


def _headers(path: Path) -> dict[str, WeightHeader]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(length)) if 0 < length <= _MAX_HEADER else None
        if not isinstance(entries, dict):
            raise ValueError("no header")
        return {
            name: WeightHeader(tuple(entry["shape"]), entry["dtype"])
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise SiteError(f"weights `{path}` have no readable safetensors header", hint="download them again") from err
