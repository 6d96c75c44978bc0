"""What a job inherits: an allowlist of its submitter's environment."""

import re
from collections.abc import Mapping

__all__ = ["clean_environment"]

_NAMES = {
    "CONDA_DEFAULT_ENV", "CONDA_EXE", "CONDA_PREFIX", "CUDA_HOME", "HF_HOME", "HOME", "LANG", "LANGUAGE",
    "LD_LIBRARY_PATH", "LOADEDMODULES", "LOGNAME", "MODULEPATH", "MODULESHOME", "PATH", "PYTHONPATH", "SHELL",
    "PYTORCH_ENABLE_MPS_FALLBACK", "TMPDIR", "TORCH_HOME", "TZ", "USER", "VIRTUAL_ENV",
}  # fmt: skip
_FAMILIES = ("CRUIJFF_", "LC_", "LMOD_", "XDG_")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a job may see; everything else stays behind.

    Where programs, homes, caches and languages are found is passed on, and what
    this package reads (`CRUIJFF_*`). Keys and tokens of the submitter are not:
    a job runs without a network and needs none, and its environment is kept in
    the queue until it ends.
    """
    return {name: value for name, value in environment.items() if _allowed(name)}


def _allowed(name: str) -> bool:
    return name in _NAMES or (name.startswith(_FAMILIES) and not _SECRET.search(name))
