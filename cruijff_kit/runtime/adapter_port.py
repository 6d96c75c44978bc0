"""The base that an adapter names, rewritten: for an experiment that moved, or an adapter to be shared."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.runtime.base_record import (
    ADAPTER_CONFIG,
    BASE_RECORD,
    REPO_ID,
    adapter_settings,
    read_record,
)
from cruijff_kit.runtime.files import file_sha256, write_aside
from cruijff_kit.runtime.model_files import model_config, model_sha256
from cruijff_kit.schema.adapter import PortedFile
from cruijff_kit.schema.layout import STASH

__all__ = ["BaseChoice", "plan_port", "write_port"]

_NOTED = "original_repo_id.json"


class BaseChoice(NamedTuple):
    """What adapters shall name; the repository they record where both are None."""

    base: str | None = None
    """Directory."""
    repo_id: str | None = None
    """Repository, `owner/name`."""


def plan_port(folder: Path, choice: BaseChoice) -> tuple[PortedFile, ...]:
    """Return the new text of every file that names a base, in an adapter or below a run's output directory.

    Raises:
        SiteError: there is no adapter, or the directory given is not their base.
        SpecError: the choice is none, or of no known form.
    """
    if choice.base and choice.repo_id:
        raise SpecError("`--base` and `--repo-id` are both given", hint="name one of them")
    if choice.repo_id and not REPO_ID.fullmatch(choice.repo_id):
        raise SpecError(f"`{choice.repo_id}` is no repository", hint="its form is `owner/name`")
    found = _adapters(folder)
    if not found:
        raise SiteError(
            f"`{folder}` holds no adapter", hint="name a directory with `adapter_config.json`, or a run's `ck-out-…`"
        )
    sha256 = _content(choice.base) if choice.base else None
    return tuple(file for adapter in found for file in _ported(adapter, choice, sha256=sha256))


def write_port(files: Sequence[PortedFile]) -> None:
    """Write the new texts, each aside and renamed."""
    for file in files:
        write_aside(Path(file.path), file.text)


def _adapters(folder: Path) -> list[Path]:
    """Return the adapter directories of a folder: itself, or those of its epochs and the best."""
    if (folder / ADAPTER_CONFIG).is_file():
        return [folder.resolve()]
    places = [folder, *sorted(folder.glob("epoch_*")), *sorted(folder.glob("best*"))]
    places += [place / STASH for place in places]
    return list(dict.fromkeys(place.resolve() for place in places if (place / ADAPTER_CONFIG).is_file()))


def _content(base: str) -> str:
    model_config(Path(base))
    return model_sha256(Path(base))


def _ported(adapter: Path, choice: BaseChoice, *, sha256: str | None) -> Iterator[PortedFile]:
    record, settings = read_record(adapter), adapter_settings(adapter)
    if record and sha256 and record.sha256 != sha256:
        other, own = sha256[:12], record.sha256[:12]
        fact = f"`{choice.base}` has content `{other}…`, and `{adapter}` was trained on `{own}…`"
        raise SiteError(
            fact, hint="name the directory of that very model; any change of its weights or tokenizer counts"
        )
    path = str(Path(choice.base).absolute()) if choice.base else None
    target = path or choice.repo_id or (record.repo_id if record else None) or _noted(adapter)
    if target is None:
        raise SpecError(f"`{adapter}` does not record its base's repository", hint="name it: `--repo-id owner/name`")
    settings["base_model_name_or_path"] = target
    yield from _changed(adapter / ADAPTER_CONFIG, json.dumps(settings, indent=2) + "\n")
    if record:
        news = {"path": path} if path else {"repo_id": target}
        yield from _changed(adapter / BASE_RECORD, record.model_copy(update=news).model_dump_json(indent=2) + "\n")


def _changed(path: Path, text: str) -> Iterator[PortedFile]:
    before, after = file_sha256(path), hashlib.sha256(text.encode("utf-8")).hexdigest()
    if before != after:
        yield PortedFile(path=str(path), before=before, after=after, text=text)


def _noted(adapter: Path) -> str | None:
    """Return the repository that the first system noted beside its adapters."""
    try:
        noted = json.loads((adapter / _NOTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    values = noted.values() if isinstance(noted, dict) else [noted]
    return next((value for value in values if isinstance(value, str) and REPO_ID.fullmatch(value)), None)
