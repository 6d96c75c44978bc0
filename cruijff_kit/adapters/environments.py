"""Environments for jobs: made by venv or conda, filled by pip from hashes, whole only once their lock is there."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from pydantic import ValidationError

import cruijff_kit
from cruijff_kit.adapters.file_lock import hold_lock
from cruijff_kit.adapters.own_file import write_own
from cruijff_kit.adapters.own_wheel import own_distribution, pack_wheel
from cruijff_kit.errors import SiteError
from cruijff_kit.planning.lock_traits import lock_faults, lock_traits
from cruijff_kit.ports import Progress
from cruijff_kit.rendering.job_lines import module_lines
from cruijff_kit.rendering.lock_text import parse_lock, render_lock
from cruijff_kit.rendering.redaction import redact
from cruijff_kit.runtime import inventory
from cruijff_kit.schema.environment import (
    LOCK_FILE,
    BuildOrder,
    EnvironmentLock,
    FolderState,
    Inventory,
    LockedPackage,
    OwnEnvironment,
    OwnPackage,
)

__all__ = ["DiskEnvironments"]

_CLAIM = ".ck-environment"
_OURS = "cruijff-kit"
_FOR_DEVELOPERS = {"all", "dev", "test"}
_NOT_PINNED = {_OURS, "pip", "setuptools", "wheel"}
_EXTRA = re.compile(r"""extra\s*==\s*['"]([a-z0-9-]+)['"]""")
_REQUIRED = re.compile(r"[A-Za-z0-9._-]+")
_FETCHED = re.compile(r"\s*(?:Collecting|Processing) (\S+)")
_LONGEST_WAIT = 10.0
_STEPS = ("making the environment", "choosing packages", "installing packages", "trying it")


class DiskEnvironments:
    """Environments on this machine's file systems."""

    def own(self) -> OwnEnvironment:
        """Return what runs here: this package, its extras that are complete, and the versions beside it."""
        about = own_distribution()
        here = {_normal(each.metadata["Name"]): each for each in _first(distributions())}
        home = Path(cruijff_kit.__file__).parent
        offered = tuple(about.metadata.get_all("Provides-Extra") or ())
        return OwnEnvironment(
            package=OwnPackage(version=about.version, path=str(home), code=inventory.code_hash(home)),
            python=str(Path(getattr(sys, "_base_executable", sys.executable))),
            version=".".join(map(str, sys.version_info[:3])),
            extras=tuple(name for name in offered if name not in _FOR_DEVELOPERS and _complete(about, name, here=here)),
            offered=offered,
            pins={name: each.version.partition("+")[0] for name, each in sorted(here.items()) if _pinned(name, each)},
        )

    def version(self, python: str, *, modules: Sequence[str] = ()) -> str:
        """Return the version of an interpreter, once modules are loaded."""
        shown = _said((python, "-c", "import platform; print(platform.python_version())"), modules=modules)
        return shown.strip().splitlines()[-1] if shown.strip() else ""

    def state(self, folder: str) -> FolderState:
        """Return what lies in a folder where an environment would."""
        place = Path(folder)
        with _reachable(place):
            if not place.exists() or (place.is_dir() and not any(place.iterdir())):
                return "absent"
            if not (place / _CLAIM).is_file():
                return "foreign"
            return "whole" if (place / LOCK_FILE).is_file() else "unfinished"

    def build(self, order: BuildOrder, *, made: datetime, progress: Progress | None = None) -> EnvironmentLock:
        """Build an environment whole, its lock written last, and return the lock."""
        place = Path(order.folder)
        with _reachable(place):
            return self._guarded(order, place, made=made, progress=progress)

    def read_lock(self, path: str) -> str | None:
        """Return the text of a lock; None where there is none."""
        try:
            return Path(path).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as err:
            raise SiteError(f"`{path}` cannot be read: {err}", hint="see that it is a text file of yours") from err

    def write_lock(self, path: str, text: str) -> None:
        """Write a lock, aside and renamed."""
        write_own(Path(path), text, mode=0o644)

    def _guarded(self, order: BuildOrder, place: Path, *, made: datetime, progress: Progress | None) -> EnvironmentLock:
        with hold_lock(place.with_name(f".{place.name}.lock"), name=place.name, wait=_LONGEST_WAIT):
            state = self.state(order.folder)
            if state == "foreign":
                hint = "name another folder with `--into`, or move it away"
                raise SiteError(f"`{place}` was not made by this command, and is left alone", hint=hint)
            if state == "whole":
                lock = str(place / LOCK_FILE)
                return parse_lock(self.read_lock(lock) or "", name=lock)
            return _built(order, place, made=made, progress=progress or (lambda *_: None))


@contextmanager
def _reachable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        fact = f"`{place}` cannot be used: {err.strerror or err}"
        raise SiteError(fact, hint="name another folder with `--into`, or set `scratch_dir` in site.yaml") from err


def _built(order: BuildOrder, place: Path, *, made: datetime, progress: Progress) -> EnvironmentLock:
    """Make an environment in its own place, since none can be moved, and give it its lock at the end."""
    if place.exists():
        shutil.rmtree(place)
    place.mkdir(parents=True)
    # Others may read it, and an index may be named with a password.
    (place / _CLAIM).write_text(redact(order.model_dump_json(indent=2)) + "\n", encoding="utf-8")
    progress(0, len(_STEPS), _STEPS[0])
    _make(order, place)
    python = str(place / "bin" / "python")
    progress(1, len(_STEPS), _STEPS[1])
    wheel = pack_wheel(place)
    code = inventory.code_hash(Path(cruijff_kit.__file__).parent)
    packages = _chosen(order, wheel, python=python)
    progress(2, len(_STEPS), _STEPS[2])
    _install(order, packages, python=python, progress=progress)
    progress(3, len(_STEPS), _STEPS[3])
    found = _asked(order, python=python)
    lock = _locked(order, packages, found=found, made=made)
    faults = lock_faults(lock_traits(lock, found, code=code))
    if faults:
        hint = "run the command again: it starts anew"
        raise SiteError(f"what was installed is not what was chosen: {'; '.join(faults)}", hint=hint)
    _said((python, "-m", "pip", "check"), modules=order.modules)
    DiskEnvironments().write_lock(str(place / LOCK_FILE), render_lock(lock))
    return lock


def _make(order: BuildOrder, place: Path) -> None:
    if order.kind == "venv":
        _said((order.python, "-m", "venv", str(place)), modules=order.modules)
        return
    # conda refuses a folder that is not an environment, unless it may take it over; the claim stays in it.
    offline = ("--offline",) if order.wheels else ()
    _said(("conda", "create", "--yes", "--quiet", *offline, "-p", str(place), f"python={order.python}", "pip"))


def _chosen(order: BuildOrder, wheel: Path, *, python: str) -> tuple[LockedPackage, ...]:
    """Return what pip would install of this package and all it needs, each with its hash."""
    with tempfile.TemporaryDirectory() as scratch:
        report, pins = Path(scratch, "report.json"), Path(scratch, "pins.txt")
        lines = (f"{name}=={version}\n" for name, version in order.pins.items())
        pins.write_text("".join(lines), encoding="utf-8")
        extras = f"[{','.join(order.extras)}]" if order.extras else ""
        wanted = f"{_OURS}{extras} @ {wheel.as_uri()}"
        options = ("--dry-run", "--ignore-installed", "--quiet", "--report", str(report), "-c", str(pins))
        _said((python, "-m", "pip", "install", *options, *_sources(order), wanted), modules=order.modules)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    packages = (_package(each, wheel) for each in found)
    return tuple(sorted(packages, key=lambda each: each.name))


def _package(found: Mapping[str, Any], wheel: Path) -> LockedPackage:
    about, info = found["metadata"], found["download_info"]
    name = _normal(about["name"])
    digest = (info.get("archive_info") or {}).get("hashes", {}).get("sha256")
    address = urlparse(info["url"])
    if digest is None and address.scheme == "file":
        digest = hashlib.sha256(Path(url2pathname(address.path)).read_bytes()).hexdigest()
    if digest is None:
        hint = "name an index that tells hashes, or bring wheels with `--wheels`"
        raise SiteError(f"`{name} {about['version']}` has no hash where it comes from", hint=hint)
    file = wheel.as_uri() if name == _OURS else ""
    return LockedPackage(name=name, version=about["version"], sha256=digest, file=file)


def _install(order: BuildOrder, packages: Sequence[LockedPackage], *, python: str, progress: Progress) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        lines = (f"{each.name} @ {each.file}" if each.file else f"{each.name}=={each.version}" for each in packages)
        text = (f"{line} --hash=sha256:{each.sha256}\n" for line, each in zip(lines, packages, strict=True))
        wanted.write_text("".join(text), encoding="utf-8")
        options = ("--no-deps", "--require-hashes", "--progress-bar", "off", "-r", str(wanted))
        command = (python, "-m", "pip", "install", *options, *_sources(order))
        seen = 0
        for line in _lines(command, modules=order.modules):
            if match := _FETCHED.match(line):
                seen += 1
                progress(min(seen, len(packages)), len(packages), f"installing {match[1][:30]}")


def _asked(order: BuildOrder, *, python: str) -> Inventory:
    """Return what the new interpreter says of itself."""
    told = _said((python, str(Path(inventory.__file__))), modules=order.modules)
    # Start-up files of the interpreter may print lines of their own, warnings at its end too.
    line = next((line for line in reversed(told.splitlines()) if line.startswith("{")), "")
    try:
        return Inventory.model_validate_json(line)
    except ValidationError as err:
        fact = f"`{python}` was asked what it has, and printed nothing that could be read"
        raise SiteError(f"{fact}: {told.strip()[-200:]!r}", hint="run the command again: it starts anew") from err


def _locked(
    order: BuildOrder, packages: tuple[LockedPackage, ...], *, found: Inventory, made: datetime
) -> EnvironmentLock:
    """Return the lock of what was chosen, with the facts of the interpreter that has it."""
    return EnvironmentLock(
        made=made,
        python=found.version,
        platform=found.platform,
        torch=found.torch.version if found.torch else "",
        cuda=found.torch.cuda if found.torch else "",
        extras=order.extras,
        code=found.package.code if found.package else None,
        key=order.key,
        packages=packages,
    )


def _sources(order: BuildOrder) -> tuple[str, ...]:
    if order.wheels is not None:
        return ("--no-index", "--find-links", order.wheels)
    return tuple(word for index in order.indexes for word in ("--extra-index-url", index))


def _said(command: Sequence[str], *, modules: Sequence[str] = ()) -> str:
    return "".join(_lines(command, modules=modules))


def _lines(command: Sequence[str], *, modules: Sequence[str]) -> Iterator[str]:
    """Run a program, modules loaded first, and yield what it prints; its last words are the error.

    Raises:
        SiteError: it cannot be run, or ended with anything but 0.
    """
    words = list(command)
    if modules:
        words = ["bash", "-c", "\n".join(("set -e", *module_lines(modules), 'exec "$@"')), "bash", *command]
    last: deque[str] = deque(maxlen=12)
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
        )
    except OSError as err:
        raise SiteError(f"`{command[0]}` cannot be run: {err.strerror}", hint="name another with `--python`") from err
    with child:
        try:
            for line in child.stdout or ():
                last.append(line)
                yield line
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise SiteError(f"`{_short(command)}` failed; it said:\n{''.join(last).rstrip()}", hint=_hint("".join(last)))


def _short(command: Sequence[str]) -> str:
    return " ".join(("python", *command[1:4]) if len(command) > 2 and command[1] == "-m" else command[:2])


def _hint(words: str) -> str:
    if "ensurepip" in words:
        return "this Python cannot make environments: name another with `--python`; on Debian install python3-venv"
    if "No matching distribution" in words or "ResolutionImpossible" in words or "conflict" in words:
        return "a version that runs here is not to be had there: another `--python`, `--index` or more `--wheels`"
    if "No space left" in words or "Disk quota exceeded" in words:
        return "name a larger file system with `--into`, or set `scratch_dir` in site.yaml"
    return "run the command again: it starts anew"


def _environment() -> dict[str, str]:
    """Return the user's environment, in which pip's own settings count, and nothing that leads Python elsewhere."""
    away = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_USER")
    kept = {name: value for name, value in os.environ.items() if name not in away}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONNOUSERSITE": "1"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _first(found: Iterator[Distribution] | Any) -> Iterator[Distribution]:
    """Yield the distributions that an import would find: the first of each name."""
    seen = set[str]()
    for each in found:
        name = _normal(each.metadata["Name"] or "")
        if name and name not in seen:
            seen.add(name)
            yield each


def _pinned(name: str, found: Distribution) -> bool:
    """Return whether an index can know a version: not that of a checkout, nor of a file of somebody's."""
    return name not in _NOT_PINNED and found.read_text("direct_url.json") is None


def _complete(about: Distribution, extra: str, *, here: Mapping[str, Distribution]) -> bool:
    """Return whether everything that an extra asks for is installed here."""
    asked = [each for each in about.requires or () if (found := _EXTRA.search(each)) and found[1] == extra]
    names = [match[0] for each in asked if (match := _REQUIRED.match(each))]
    return bool(names) and all(_normal(name) in here for name in names)
