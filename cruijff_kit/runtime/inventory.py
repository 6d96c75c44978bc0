"""What an interpreter is and has, told by itself: stands alone, so that any Python can run this file.

    python inventory.py                  prints one JSON object: version, packages, torch's build, GPUs
    python inventory.py REQUEST.json     as a job: tries folders, a lock and a clock too, and writes a report

Nothing of this package is imported, and nothing heavy: the environment that is asked may lack
all of it, and may be so old that it reads no newer syntax.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

__all__ = ["code_hash", "inventory", "main", "node_report"]

_OURS = "cruijff_kit"
_HOLDS = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def inventory() -> "dict[str, object]":
    """Return what this interpreter is, which packages it finds, and which GPUs the driver tells of."""
    packages = _packages()
    return {
        "python": sys.executable,
        "version": platform.python_version(),
        "prefix": sys.prefix,
        "platform": sysconfig.get_platform(),
        "packages": packages,
        "package": _package(packages),
        "torch": _torch(),
        "gpus": _gpus(),
    }


def code_hash(folder: Path) -> str:
    """Return one SHA-256 over every file of a package, by name and content; compiled ones do not count."""
    digest = hashlib.sha256()
    found = []
    for parent, folders, files in os.walk(str(folder), followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [Path(parent, name) for name in files if not name.endswith(".pyc")]
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in found):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def node_report(request: "dict[str, object]") -> "dict[str, object]":
    """Return what a node finds of an interpreter, of folders and of a claim that another machine holds."""
    probe, claim = Path(str(request["probe"])), Path(str(request["claim"]))
    told = dict(inventory())
    told["host"] = socket.gethostname()
    told["probe"] = hashlib.sha256(probe.read_bytes()).hexdigest()
    told["claim_held"] = _refused(claim)
    told["skew"] = _skew(claim.parent)
    told["folders"] = {str(path): _folder(Path(path)) for path in request["folders"]}  # type: ignore[attr-defined]  # a list, as the request was written
    told["read"] = {str(path): _read(Path(path)) for path in request["reads"]}  # type: ignore[attr-defined]  # a list, as the request was written
    told["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return told


def _packages() -> "dict[str, str]":
    try:
        from importlib.metadata import distributions
    except ImportError:
        return {}
    found = {}
    for each in distributions():
        name = each.metadata["Name"]
        # The first on the path is the one that is imported.
        if name:
            found.setdefault(re.sub("[-_.]+", "-", name).lower(), each.version)
    return dict(sorted(found.items()))


def _package(packages: "dict[str, str]") -> "dict[str, str] | None":
    place = _place(_OURS)
    if place is None:
        return None
    return {"version": packages.get("cruijff-kit", ""), "path": str(place), "code": code_hash(place)}


def _torch() -> "dict[str, str] | None":
    """Return version and CUDA of torch as its own file says them; torch itself is not loaded."""
    place = _place("torch")
    said = {}
    if place is None:
        return None
    try:
        exec(compile((place / "version.py").read_bytes(), "version.py", "exec"), said)  # noqa: S102  # torch's own four lines, instead of seconds of import
    except (OSError, SyntaxError, NameError, ImportError):
        return {"version": "", "cuda": ""}
    return {"version": str(said.get("__version__", "")), "cuda": str(said.get("cuda") or "")}


def _place(name: str) -> "Path | None":
    """Return the folder of a package as an import would find it."""
    from importlib.util import find_spec

    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) if places else None


def _gpus() -> "int | None":
    """Return how many GPUs the driver gives this process; None where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def _folder(place: Path) -> "dict[str, object]":
    """Return what can be done in a folder: each thing tried, and undone."""
    if not place.is_dir():
        return {"exists": False}
    told = {"exists": True, "free": shutil.disk_usage(str(place)).free}
    scratch = place / f".ck-node-{socket.gethostname()}-{os.getpid()}"
    try:
        scratch.mkdir()
        try:
            told.update(_tried(scratch))
        finally:
            shutil.rmtree(str(scratch), ignore_errors=True)
    except OSError as err:
        told["fault"] = err.strerror or str(err)
    return told


def _tried(scratch: Path) -> "dict[str, object]":
    """Return whether locks, links and renames do in a folder what run locks need of them."""
    path, name = scratch / "file", scratch / "name"
    with path.open("w", encoding="ascii") as file:
        file.write("probe")
        file.flush()
        os.fsync(file.fileno())
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command = [sys.executable, "-c", _HOLDS, str(path)]
        other = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    os.link(str(path), str(name))
    links = _refused(name)
    moved = scratch / "moved"
    moved.mkdir()
    (moved / "inner").write_text("probe", encoding="ascii")
    moved.rename(scratch / "gone")
    try:
        (moved / "inner").rename(scratch / "escaped")
        fenced = False
    except OSError:
        fenced = True
    return {"locks": other.returncode != 0, "links": links, "fenced": fenced}


def _refused(name: Path) -> bool:
    """Return whether a name that is taken is refused to a further link, whoever has taken it."""
    mine = name.with_name(f"{name.name}.{socket.gethostname()}.{os.getpid()}")
    mine.write_text("mine", encoding="ascii")
    try:
        os.link(str(mine), str(name))
    except FileExistsError:
        return True
    finally:
        mine.unlink()
    return False


def _skew(folder: Path) -> float:
    """Return the seconds by which a file system's clock is ahead of this machine's."""
    path = folder / f"clock.{socket.gethostname()}.{os.getpid()}"
    before = time.time()
    path.write_text("probe", encoding="ascii")
    ahead = path.stat().st_mtime - (before + time.time()) / 2
    path.unlink()
    return ahead


def _read(place: Path) -> str:
    """Return why a file or folder cannot be read; empty where it can."""
    try:
        if place.is_dir():
            next(iter(place.iterdir()), None)
            return ""
        with place.open("rb") as file:
            file.read(1)
    except OSError as err:
        return err.strerror or str(err)
    return ""


def main(arguments: "list[str]") -> int:
    """Print the inventory, or write the report that a request asks for."""
    # Started as a file, its folder would stand before the environment's own packages.
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    if not arguments:
        sys.stdout.write(json.dumps(inventory()) + "\n")
        return 0
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    report = Path(request["report"])
    aside = report.with_name(report.name + ".part")
    with aside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(node_report(request)))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
