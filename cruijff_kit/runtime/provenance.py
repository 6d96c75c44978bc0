"""Where a run came from: code, packages, node and device, for `manifest.json`."""

import hashlib
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cruijff_kit
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.schema.environment import LOCK_FILE

__all__ = ["environment_lock", "git_state", "package_versions"]

_PACKAGES = (
    "cruijff-kit",
    "torch",
    "torchtune",
    "torchao",
    "transformers",
    "tokenizers",
    "safetensors",
    "peft",
    "mlx",
    "mlx-lm",
    "inspect-ai",
    "numpy",
)


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that shape a result, and of Python."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def environment_lock() -> str | None:
    """Return the SHA-256 of the lock that this environment was built with; None where it has none."""
    try:
        return file_sha256(Path(sys.prefix, LOCK_FILE))
    except OSError:
        return None


def git_state() -> tuple[str | None, str | None]:
    """Return this package's commit and the SHA-256 of its uncommitted changes.

    Both are None where the package is not a checkout, as after an install from a wheel
    into an environment that happens to lie inside some other repository.
    """
    package = Path(cruijff_kit.__file__).resolve().parent
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _git(package, "rev-parse", "HEAD")
    patch = _git(package, "diff", "HEAD", "--binary")
    sha = commit.decode("ascii").strip() if commit else None
    return sha, hashlib.sha256(patch).hexdigest() if patch else None


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
