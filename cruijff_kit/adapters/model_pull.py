"""Pulling a base model from the hub: weights as safetensors, configuration, tokenizer, and where they came from."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.files import write_aside
from cruijff_kit.runtime.model_files import MODEL_FILES, model_sha256
from cruijff_kit.schema.registry import PullReceipt

__all__ = ["SIDECAR", "pull_model", "pulled_from"]

SIDECAR = "pulled.json"
"""File beside a model that tells which commit of which repository it is."""

_WANTED = (*MODEL_FILES, "generation_config.json", "LICENSE*")
# Some publishers keep the weights once more, for another program.
_UNWANTED = ("*/*", "consolidated*", "adapter_*")
_NO_WAY = "see that this machine may use the network, or copy the model's directory to where `ck info` says models lie"
_INSTALL = "install an extra that brings `huggingface_hub`: pip install 'cruijff-kit[train]'"


class _Offer(NamedTuple):
    """What a repository has at one commit."""

    repo: str
    """Repository id."""
    revision: str
    """Commit."""
    files: dict[str, int]
    """Files that are wanted, and their sizes in bytes."""


def pull_model(repo: str, *, revision: str | None, into: Path) -> PullReceipt:
    """Pull a model into a directory named like its repository, or find it there.

    What was pulled before a failure is kept aside and not pulled again. The hub's own
    library signs in with the token of its own store; none passes through here.

    Args:
        repo: repository id, `owner/name`.
        revision: branch, tag or commit; the default branch where None.
        into: directory of models.

    Raises:
        SiteError: this machine is offline, the hub refuses, or the directory is another model's.
    """
    hub = _library()
    folder = into / repo.rpartition("/")[2]
    offer = _asked(repo, lambda: _offer(hub, repo, revision=revision))
    here = pulled_from(folder)
    if here == {"repo": repo, "revision": offer.revision}:
        return _receipt(offer, folder)
    if folder.exists():
        known = f"`{here['repo']}` at `{here['revision']}`" if here else "a model that was not pulled by this command"
        raise SiteError(f"`{folder}` holds {known}", hint="move it away first, so that no design loses its model")
    _check_space(offer, into)
    aside = into / f".{folder.name}.part"
    names = sorted(offer.files)
    _asked(repo, lambda: hub.snapshot_download(repo, revision=offer.revision, local_dir=aside, allow_patterns=names))
    shutil.rmtree(aside / ".cache", ignore_errors=True)
    _check_whole(offer, aside)
    write_aside(aside / SIDECAR, json.dumps(_sidecar(offer), indent=2) + "\n")
    aside.rename(folder)
    return _receipt(offer, folder)


def pulled_from(folder: Path) -> dict[str, str]:
    """Return repository and commit that a model directory was pulled from; empty where nothing says so."""
    try:
        noted = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
        return {"repo": str(noted["repo"]), "revision": str(noted["revision"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _library() -> Any:
    """Return the hub's own library.

    Raises:
        SiteError: it is not installed, or told to stay offline.
    """
    try:
        import huggingface_hub
        from huggingface_hub import constants
    except ImportError as err:
        raise SiteError("pulling models needs `huggingface_hub`, which is not installed", hint=_INSTALL) from err
    if constants.HF_HUB_OFFLINE:
        hint = "unset HF_HUB_OFFLINE where the network may be used, such as on a login node; jobs always stay offline"
        raise SiteError("HF_HUB_OFFLINE is set, so nothing is pulled", hint=hint)
    return huggingface_hub


def _offer(hub: Any, repo: str, *, revision: str | None) -> _Offer:
    info = hub.HfApi().model_info(repo, revision=revision, files_metadata=True)
    files = {each.rfilename: each.size or 0 for each in info.siblings or () if _wanted(each.rfilename)}
    if not any(name.endswith(".safetensors") for name in files):
        hint = "choose a repository that does; files of other forms can run code when they are loaded"
        raise SiteError(f"`{repo}` publishes no `*.safetensors` weights", hint=hint)
    return _Offer(repo, str(info.sha), files)


def _wanted(name: str) -> bool:
    return _matches(name, _WANTED) and not _matches(name, _UNWANTED)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _asked(repo: str, ask: Callable[[], Any]) -> Any:
    """Return what the hub answers.

    Raises:
        SiteError: it refuses or cannot be reached, in words.
    """
    import httpx
    from huggingface_hub import errors

    try:
        return ask()
    except errors.GatedRepoError as err:
        hint = f"accept its terms at https://huggingface.co/{repo}, then sign in with `hf auth login`"
        raise SiteError(f"`{repo}` is gated, and this account has no access", hint=hint) from err
    except errors.RevisionNotFoundError as err:
        raise SiteError(f"`{repo}` has no such revision", hint="name a branch, a tag or a whole commit") from err
    except errors.RepositoryNotFoundError as err:
        hint = "mend the name; a private repository needs `hf auth login` first"
        raise SiteError(f"the hub knows no repository `{repo}` that you may read", hint=hint) from err
    except httpx.ConnectError as err:
        fact = re.sub(r"^\[Errno -?\d+\] ", "", str(err)) or type(err).__name__
        hint = f"{_NO_WAY}; what was pulled already is kept"
        raise SiteError(f"`{repo}` could not be pulled: the hub cannot be reached: {fact.lower()}", hint=hint) from err
    except (errors.HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as err:
        fact = str(err).partition("\n")[0] or type(err).__name__
        hint = "try again; what was pulled already is kept"
        raise SiteError(f"`{repo}` could not be pulled: {fact}", hint=hint) from err


def _check_space(offer: _Offer, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    needed, free = sum(offer.files.values()), shutil.disk_usage(into).free
    if needed > free:
        fact = f"`{offer.repo}` needs {needed / 1e9:.3g} GB; {free / 1e9:.3g} GB are free in `{into}`"
        raise SiteError(fact, hint="make room, or set `models_dir` in site.yaml to a larger file system")


def _check_whole(offer: _Offer, folder: Path) -> None:
    wrong = [
        name
        for name, size in offer.files.items()
        if not (folder / name).is_file() or (size and (folder / name).stat().st_size != size)
    ]
    if wrong:
        names = ", ".join(f"`{name}`" for name in sorted(wrong)[:4])
        raise SiteError(f"`{offer.repo}` came incomplete: {names}", hint="pull it again; the rest is kept")


def _sidecar(offer: _Offer) -> dict[str, Any]:
    pulled = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"schema_version": 1, "repo": offer.repo, "revision": offer.revision, "pulled": pulled}
    return {**head, "files": dict(sorted(offer.files.items()))}


def _receipt(offer: _Offer, folder: Path) -> PullReceipt:
    return PullReceipt(
        repo=offer.repo,
        revision=offer.revision,
        path=str(folder),
        files=len(offer.files),
        bytes=sum((folder / name).stat().st_size for name in offer.files),
        sha256=model_sha256(folder),
    )
