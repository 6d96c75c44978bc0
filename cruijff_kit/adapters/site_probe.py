"""The site probe: looks at this machine, its file systems and its cluster, and changes nothing."""

import fcntl
import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cruijff_kit.adapters.cluster_facts import read_cluster
from cruijff_kit.adapters.job_env import clean_environment
from cruijff_kit.adapters.old_script import read_old_script
from cruijff_kit.adapters.quota import left_of_quotas
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.site import GpuKind, Remote
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, LoginFacts, MachineFacts, OldScript, ScriptAnswer

__all__ = ["COMMANDS", "MachineProbe"]

COMMANDS = (
    "bash", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr", "srun", "nvidia-smi", "conda",
    "git", "rsync", "ssh",
)  # fmt: skip
"""Programs that are looked for."""
# A controller that is down is reported by Slurm's own programs after some nine seconds.
_PATIENCE = 30.0
_TAIL = 4_000
_TRIES = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")


class MachineProbe:
    """This machine, through its own programs."""

    def machine(self) -> MachineFacts:
        """Return the programs, modules, environments and GPUs that are here."""
        return MachineFacts(
            commands={name: shutil.which(name) or "" for name in COMMANDS},
            modules=_ask("bash", "-lc", "type module").code == 0,
            venv=os.environ.get("VIRTUAL_ENV") or (None if sys.prefix == sys.base_prefix else sys.prefix),
            conda=os.environ.get("CONDA_DEFAULT_ENV"),
            gpus=self.gpus(),
            scratch=os.environ.get("SCRATCH") or None,
        )

    def gpus(self) -> tuple[GpuKind, ...]:
        """Return the GPUs that the driver tells of."""
        counts: dict[str, int] = {}
        for line in _lines("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"):
            if line.strip().isdigit():
                memory = f"{round(int(line) / 1024)}G"
                counts[memory] = counts.get(memory, 0) + 1
        return tuple(GpuKind(memory=memory, count=min(count, 64)) for memory, count in counts.items())

    def cluster(self) -> ClusterFacts | None:
        """Return what the cluster says of itself; None where its programs are not here."""
        if shutil.which("scontrol") is None or shutil.which("sinfo") is None:
            return None
        return read_cluster(_ask, user=getpass.getuser())

    def login(self, remote: Remote | None, *, folder: str) -> LoginFacts | None:
        """Return nothing: jobs are submitted from here."""
        return None

    def folder(self, path: str, *, tries: bool = True) -> FolderFacts:
        """Return how much is left in a directory, and whether it can be written, locked and flushed."""
        place = Path(path)
        found = FolderFacts(path=path, exists=place.is_dir(), **_room(place))
        if not tries or not found.exists:
            return found
        try:
            with tempfile.TemporaryDirectory(prefix=".ck-probe-", dir=place) as scratch:
                skew, locks = _tried(Path(scratch))
        except OSError as err:
            return found.model_copy(update={"fault": err.strerror or str(err)})
        return found.model_copy(update={"writable": True, "locks": locks, "skew": skew})

    def run_script(self, text: str, *, fresh: bool, seconds: float) -> ScriptAnswer:
        """Run a job script of ours under `bash`, with no more environment than a job has."""
        environment = clean_environment(os.environ)
        return _answer(("bash", "-s"), text, environment=_fresh(environment) if fresh else environment, seconds=seconds)

    def old_script(self, path: str) -> OldScript:
        """Read what another job script asks for and activates."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise SiteError(f"`{path}` cannot be read: {err}", hint="name a job script of yours") from err
        return read_old_script(text, name=path)


def _ask(*argv: str) -> ScriptAnswer:
    return _answer(argv, "", environment={**os.environ, "LC_ALL": "C"}, seconds=_PATIENCE)


def _answer(argv: Sequence[str], text: str, *, environment: Mapping[str, str], seconds: float) -> ScriptAnswer:
    """Run a program and return what it said; what cannot run has said nothing and ended with 127."""
    program = shutil.which(argv[0])
    if program is None:
        return ScriptAnswer(code=127, output="", errors=f"{argv[0]}: not found")
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            input=text.encode(),
            capture_output=True,
            check=False,
            env=dict(environment),
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return ScriptAnswer(code=124, output="", errors=f"`{argv[0]}` did not end within {seconds:g} s")
    output, errors = (each.decode("utf-8", "replace") for each in (done.stdout, done.stderr))
    return ScriptAnswer(code=done.returncode, output=output, errors=errors[-_TAIL:])


def _lines(*argv: str) -> list[str]:
    """Return the lines of an answer; none where there is no answer, as without accounting."""
    answer = _ask(*argv)
    return [line for line in answer.output.splitlines() if line] if answer.code == 0 else []


def _tried(scratch: Path) -> tuple[float, bool]:
    """Return a file system's clock ahead of ours, and whether its locks hold between two processes."""
    path = scratch / "lock"
    before = time.time()
    with path.open("w") as file:
        file.write("probe")
        file.flush()
        os.fsync(file.fileno())
        skew = path.stat().st_mtime - (before + time.time()) / 2
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = subprocess.run([sys.executable, "-I", "-S", "-c", _TRIES, str(path)], capture_output=True, check=False)
    path.replace(scratch / "renamed")
    return skew, other.returncode != 0 and b"BlockingIOError" in other.stderr


def _room(place: Path) -> dict[str, Any]:
    """Return what is left where a directory lies or would lie, and on which file system."""
    there = next((each for each in (place, *place.absolute().parents) if each.is_dir()), Path("/"))
    try:
        stat = os.statvfs(there)
    except OSError:
        # A mount whose server is gone.
        return {}
    # A file system that counts no files says it has none.
    files = stat.f_favail if stat.f_files else None
    found: dict[str, Any] = {"free": stat.f_bavail * stat.f_frsize, "files_left": files}
    source = _lines("df", "--output=source,target", str(there))[-1:]
    if not source:
        return found
    device, _, mount = source[0].strip().partition(" ")
    quotas = left_of_quotas(str(there), device=device, ask=_ask)
    found["mount"] = mount.strip()
    least = min((each for each in quotas if each.bytes is not None), key=lambda each: each.bytes or 0, default=None)
    if least is not None:
        found |= {"quota_left": least.bytes, "quota_of": least.whose}
    counts = [each.files for each in quotas if each.files is not None]
    return {**found, "files_left": min([*counts, *([] if files is None else [files])], default=None)}


def _fresh(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which nothing is activated, as after signing in."""
    active = tuple(f"{environment[name]}/bin" for name in _ACTIVE if environment.get(name))
    kept = [each for each in environment.get("PATH", os.defpath).split(":") if each not in active]
    left = {
        name: value for name, value in environment.items() if name not in (*_ACTIVE, "CONDA_DEFAULT_ENV", "PYTHONPATH")
    }
    return {**left, "PATH": ":".join(kept)}
