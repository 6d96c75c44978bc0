"""The packages of a real Slurm: which of its programs are missing here, and how they come here unasked."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["APT", "PROGRAMS", "NotInstalled", "fetch", "install", "missing_programs", "refuse_machine"]

_SYSTEMD = Path("/run/systemd/system")
PACKAGES = (
    *("slurmctld", "slurmd", "slurm-client", "munge"),
    *("slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server-core", "mariadb-client-core"),
    # Never where it would put an sshd into service for the whole machine.
    *(() if _SYSTEMD.exists() else ("openssh-server", "openssh-client", "rsync")),
)
APT = f"apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"
"""The line that installs everything on Debian and Ubuntu."""

_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
_ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb")
_LOGIN = ("sshd", "ssh", "ssh-keygen", "rsync")
_SERVICES = ("munge", "slurmctld", "slurmd", "slurmdbd")
PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
"""Where daemons lie, which the PATH of a user may leave out."""

_LISTS = Path("/var/lib/apt/lists")
_POLICY = Path("/usr/sbin/policy-rc.d")
_DENIED = 101
"""What a policy answers so that a service is not started."""

# Files that somebody changed stay as they are; nothing is removed, nor brought to another version for its own sake.
_CAREFUL = (
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
    *("-o", "DPkg::Lock::Timeout=60"),
    *("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"),
)
_OPTIONS = ("-y", "--no-install-recommends", "--no-remove", "--no-upgrade")
_UPDATE_SECONDS, _INSTALL_SECONDS = 180, 900
_OFFLINE = ("could not resolve", "temporary failure resolving", "could not connect", "failed to fetch", "timed out")


class NotInstalled(Exception):  # noqa: N818 - it is an outcome that is told, not a defect
    """Nothing was installed, or not everything; says in words why."""


def missing_programs(*, cluster: bool = True, accounting: bool = False, login: bool = False) -> list[str]:
    """Return the programs that a cluster, its accounting or a login host needs and the machine lacks."""
    wanted = ((cluster, _PROGRAMS), (accounting, _ACCOUNTING), (login, _LOGIN))
    needed = [name for asked, names in wanted if asked for name in names]
    return [name for name in needed if shutil.which(name) is None and shutil.which(name, path=PROGRAMS) is None]


def install() -> None:
    """Install the packages: as root on Debian or Ubuntu, without a question, starting no service, changing no settings.

    Raises:
        NotInstalled: this machine is not one to do so on, or it failed.
    """
    refuse_machine()
    fresh = [name for name in _SERVICES if not _is_installed(name)]
    try:
        with _no_services():
            fetch(*PACKAGES)
    finally:
        _leave_off(fresh)


def refuse_machine() -> None:
    """Refuse a machine on which packages are not installed unasked.

    Raises:
        NotInstalled: it is no Debian or Ubuntu, or this is not root.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NotInstalled("packages are installed unasked on Debian and Ubuntu only")
    if os.geteuid() != 0:
        raise NotInstalled("packages are installed unasked as root only")


def fetch(*packages: str) -> None:
    """Install packages without a question; nothing is removed.

    Raises:
        NotInstalled: it failed; says in words why.
    """
    listed = _has_lists() or _apt("update", seconds=_UPDATE_SECONDS)
    done = _apt("install", *_OPTIONS, *packages, seconds=_INSTALL_SECONDS)
    if done.returncode and listed is True:
        # Lists that are there may be old: they name files that are there no more.
        listed = _apt("update", seconds=_UPDATE_SECONDS)
        done = _apt("install", *_OPTIONS, *packages, seconds=_INSTALL_SECONDS)
    if done.returncode:
        raise NotInstalled(_why(("" if listed is True else listed.stdout) + done.stdout))


def _apt(verb: str, *words: str, seconds: int) -> subprocess.CompletedProcess[str]:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ("apt-get", "-q", *_CAREFUL, verb, *words),
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise NotInstalled(f"`apt-get {verb}` did not end within {seconds} s") from err


def _why(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("E:", "W:", "Err:"))] or output.splitlines()
    told = "\n".join(f"  {line}" for line in lines[-4:])
    offline = any(words in output.lower() for words in _OFFLINE)
    cause = "the package servers cannot be reached: is this machine offline?" if offline else "it failed"
    return f"`apt-get`: {cause}\n{told}"


def _has_lists() -> bool:
    return any(_LISTS.glob("*_Packages*"))


def _is_installed(package: str) -> bool:
    told = subprocess.run(
        ("dpkg-query", "-W", "-f", "${db:Status-Status}", package), capture_output=True, encoding="utf-8", check=False
    )
    return told.stdout == "installed"


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Have packages start none of their services, by the policy that they ask; one that is there is not touched."""
    if _POLICY.exists():
        allowed = [name for name in _SERVICES if _answer(name) != _DENIED]
        if allowed:
            fact = f"`{_POLICY}` lets packages start services ({', '.join(allowed)}), and it is not ours to change"
            raise NotInstalled(fact)
        yield
        return
    try:
        with _POLICY.open("x", encoding="utf-8") as policy:
            policy.write(f"#!/bin/sh\nexit {_DENIED}\n")
    except OSError as err:
        raise NotInstalled(f"`{_POLICY}` cannot be written: {err.strerror}") from err
    try:
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink()


def _answer(service: str) -> int:
    return subprocess.run((_POLICY, service, "start"), capture_output=True, check=False).returncode


def _leave_off(services: list[str]) -> None:
    """Have the services of packages that were not here before stay off when the machine starts again."""
    if services and _SYSTEMD.exists():
        subprocess.run(("systemctl", "disable", "--quiet", *services), capture_output=True, check=False)
