"""Tell whether MLX can be installed here: exits with 0 where there are wheels of it for this machine, else with 1.

python -m tests.mlx_here
"""

import platform
import sys

__all__ = ["has_wheels"]

_GLIBC = (2, 35)
"""Oldest C library that the Linux wheels of `mlx[cpu]` bear."""


def has_wheels(system: str, machine: str, libc: tuple[str, str]) -> bool:
    """Return whether MLX is published for a machine.

    Args:
        system: as `platform.system()` calls it.
        machine: as `platform.machine()` calls it.
        libc: name and version of the C library, as `platform.libc_ver()` tells.
    """
    if system == "Darwin":
        return machine == "arm64"
    name, version = libc
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return system == "Linux" and machine in ("x86_64", "aarch64") and name == "glibc" and numbers >= _GLIBC


if __name__ == "__main__":
    sys.exit(not has_wheels(platform.system(), platform.machine(), platform.libc_ver()))
