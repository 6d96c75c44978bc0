"""What is left of quotas where a directory lies, as the file systems' own programs tell it."""

import getpass
import grp
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.schema.site_facts import ScriptAnswer

__all__ = ["QuotaLeft", "left_by_gpfs", "left_by_lustre", "left_by_quota", "left_of_quotas"]

_NUMBER = re.compile(r"\d+")
_FILESET = re.compile(r"^fileset name:\s*(\S+)", re.MULTILINE)
_KIB = 1024


class QuotaLeft(NamedTuple):
    """What one quota leaves; None for a limit that it does not have."""

    whose: str
    """Whose it is: `user ada`, `group lab`, `project 7`, `fileset home`."""
    bytes: int | None
    """Bytes left."""
    files: int | None
    """Files left."""


def left_of_quotas(path: str, *, device: str, ask: Callable[..., ScriptAnswer]) -> list[QuotaLeft]:
    """Return what each quota leaves that counts in a directory, user's, group's and project's.

    Args:
        path: a directory that is there.
        device: what its file system is mounted from.
        ask: runs a program and returns what it said.
    """
    for program, told in (("lfs", _lustre), ("mmlsquota", _gpfs), ("quota", _plain)):
        if shutil.which(program) is not None:
            found = [each for each in told(path, device, ask=ask) if each.bytes is not None or each.files is not None]
            if found:
                return found
    return []


def left_by_quota(answer: str, *, device: str, whose: str) -> QuotaLeft | None:
    """Return what `quota -wp` leaves on a device; None where it tells nothing of it."""
    for line in answer.splitlines():
        words = line.split()
        if words[:1] == [device]:
            return _limits(words[1:], whose)
    return None


def left_by_lustre(answer: str, *, whose: str) -> QuotaLeft | None:
    """Return what `lfs quota -q` leaves; a long name of a file system stands on a line of its own."""
    return _limits(answer.split()[1:], whose)


def left_by_gpfs(answer: str, *, device: str) -> Iterator[QuotaLeft]:
    """Yield what `mmlsquota -Y` leaves on a file system: rows of fields that a header names."""
    names: list[str] = []
    for line in answer.splitlines():
        fields = line.split(":")
        if "HEADER" in fields[:4]:
            names = fields
            continue
        row = dict(zip(names, fields, strict=False))
        if row.get("filesystemName") != device.rpartition("/")[2]:
            continue
        kind = {"USR": "user", "GRP": "group", "FILESET": "fileset"}.get(row.get("quotaType", ""), "")
        blocks = _left(row.get(f"block{name}", "") for name in ("Usage", "Quota", "Limit"))
        files = _left(row.get(f"files{name}", "") for name in ("Usage", "Quota", "Limit"))
        if kind:
            yield QuotaLeft(f"{kind} {row.get('name', '')}", None if blocks is None else blocks * _KIB, files)


def _lustre(path: str, device: str, *, ask: Callable[..., ScriptAnswer]) -> Iterator[QuotaLeft]:
    """Yield what Lustre says of a user, their groups, and the project that a directory belongs to."""
    project = ask("lfs", "project", "-d", path).output.split()[:1]
    whose = [("-u", "user", getpass.getuser()), *(("-g", "group", name) for name in _groups())]
    whose += [("-p", "project", number) for number in project if number.isdigit() and number != "0"]
    for option, kind, name in whose:
        told = ask("lfs", "quota", "-q", option, name, path)
        left = left_by_lustre(told.output, whose=f"{kind} {name}") if told.code == 0 else None
        if left is not None:
            yield left


def _gpfs(path: str, device: str, *, ask: Callable[..., ScriptAnswer]) -> Iterator[QuotaLeft]:
    """Yield what GPFS says of a user, their group, and the fileset that a directory lies in."""
    yield from left_by_gpfs(ask("mmlsquota", "-Y").output, device=device)
    fileset = _FILESET.search(ask("mmlsattr", "-L", path).output)
    if fileset is not None and fileset[1] != "root":
        told = ask("mmlsquota", "-Y", "-j", fileset[1], device.rpartition("/")[2])
        yield from left_by_gpfs(told.output, device=device)


def _plain(path: str, device: str, *, ask: Callable[..., ScriptAnswer]) -> Iterator[QuotaLeft]:
    """Yield what `quota` says of a user and their groups; it tells of NFS too, by its server's name."""
    user = left_by_quota(ask("quota", "-wp").output, device=device, whose=f"user {getpass.getuser()}")
    group = left_by_quota(ask("quota", "-wp", "-g").output, device=device, whose="your groups")
    yield from (each for each in (user, group) if each is not None)


def _groups() -> list[str]:
    """Return the names of a user's groups: any of them may own what is written."""
    names = []
    for number in dict.fromkeys((os.getgid(), *os.getgroups())):
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return names


def _limits(words: Sequence[str], whose: str) -> QuotaLeft | None:
    """Return what used, soft and hard limit leave, of blocks and then of files; a grace time follows either."""
    blocks, files = _left(words[:3]), _left(words[4:7])
    if blocks is None and files is None:
        return None
    return QuotaLeft(whose, None if blocks is None else blocks * _KIB, files)


def _left(words: Iterable[str]) -> int | None:
    """Return what used, soft and hard limit leave; None without a limit. A star marks a limit that is passed."""
    numbers = [int(match[0]) for word in words if (match := _NUMBER.match(word.strip("[]*")))]
    if len(numbers) < 3:
        return None
    used, soft, hard = numbers
    limits = [limit for limit in (soft, hard) if limit]
    return max(0, min(limits) - used) if limits else None
