"""Which base an adapter belongs to: found out when it is written, found again when it has moved."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.model_files import model_config
from cruijff_kit.schema.adapter import BaseRecord
from cruijff_kit.schema.config import BaseModelConfig

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "BASE_RECORD",
    "REPO_ID",
    "adapter_settings",
    "base_record",
    "find_base",
    "read_record",
]

ADAPTER_CONFIG = "adapter_config.json"
"""Shape of the update and the base it belongs to."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""Its weights."""

BASE_RECORD = "base_model.json"
"""Beside these, because peft warns of keys in `adapter_config.json` that it does not know."""

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
"""Form of a repository's name."""

_SNAPSHOT = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[^/]+)")


class _Origin(NamedTuple):
    """Where a model directory says it came from."""

    repo_id: str | None = None
    revision: str | None = None


def base_record(base: BaseModelConfig) -> BaseRecord:
    """Return the record of a base model, its origin read from the directory itself."""
    folder = Path(base.path).absolute()
    origin = _origin(folder)
    return BaseRecord(
        name=base.name, path=str(folder), repo_id=origin.repo_id, revision=origin.revision, sha256=base.sha256
    )


def read_record(adapter: Path) -> BaseRecord | None:
    """Return what an adapter directory records of its base; None where it has no readable record."""
    try:
        return BaseRecord.model_validate_json((adapter / BASE_RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def find_base(adapter: Path, *, named: str | None = None) -> Path:
    """Return the directory of an adapter's base.

    Args:
        adapter: adapter directory.
        named: directory given by hand; else the one that the adapter names.

    Raises:
        SiteError: the adapter has no configuration, or no such directory is there.
    """
    config = adapter_settings(adapter)
    record = read_record(adapter)
    told = [named] if named else [config.get("base_model_name_or_path"), record.path if record else None]
    for path in told:
        if path and Path(path).is_dir():
            model_config(Path(path))
            return Path(path).absolute()
    hint = "name it with `--base DIR`, and mend the reference for good with `ck adapter port DIR --base DIR`"
    raise SiteError(f"the base model of `{adapter}` is not found: no directory `{told[0]}`", hint=hint)


def adapter_settings(adapter: Path) -> dict[str, object]:
    """Return the content of an adapter's configuration.

    Raises:
        SiteError: there is none, or it is no JSON object.
    """
    path = adapter / ADAPTER_CONFIG
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        hint = "name a directory that holds `adapter_config.json`, such as `outputs/ck-out-RUN/epoch_0`"
        raise SiteError(f"`{adapter}` is no adapter: it lacks `{ADAPTER_CONFIG}`", hint=hint) from err
    except (OSError, ValueError) as err:
        raise SiteError(f"`{path}` is not readable JSON: {err}") from err
    if not isinstance(settings, dict):
        raise SiteError(f"`{path}` is not a JSON object")
    return settings


def _origin(folder: Path) -> _Origin:
    """Read a model's origin off its place in a download cache, or what a download left in it."""
    found = _SNAPSHOT.search(folder.as_posix()) or _SNAPSHOT.search(folder.resolve().as_posix())
    if found:
        return _Origin(f"{found['owner']}/{found['name']}", found["revision"])
    named = model_config(folder).get("_name_or_path")
    known = isinstance(named, str) and REPO_ID.fullmatch(named) and not Path(named).exists()
    return _Origin(named if known else None, _downloaded(folder))


def _downloaded(folder: Path) -> str | None:
    """Return the commit that `hf download --local-dir` noted for `config.json`."""
    note = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    try:
        first = note.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return None
    return first if re.fullmatch(r"[0-9a-f]{40}", first) else None
