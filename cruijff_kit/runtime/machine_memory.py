"""How much memory this machine has for a process, told without a library."""

import os
from pathlib import Path

__all__ = ["machine_memory", "usable_cpus"]


def machine_memory(*, limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes that this process may have: all of the machine's, or what its control group allows.

    Args:
        limit: file in which the kernel keeps that.
    """
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(whole, int(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return whole


def usable_cpus() -> int:
    """Return the CPUs that this process may use."""
    # Not every system lets a process ask which CPUs are its own.
    own = getattr(os, "sched_getaffinity", None)
    return len(own(0)) if own is not None else os.cpu_count() or 1
