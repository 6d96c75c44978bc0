"""A probe of a machine that tells what it was told, and site files that lie in memory."""

import json
from collections.abc import Mapping

from cruijff_kit import __version__
from cruijff_kit.errors import SiteError
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.schema.site import GpuKind, Partition, Remote
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, LoginFacts, MachineFacts, OldScript, ScriptAnswer
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel, SiteReading

__all__ = ["CLUSTER", "FakeProbe", "FakeSiteFiles", "printed"]

CLUSTER = ClusterFacts(
    name="tiny",
    version="22.05.8",
    partitions=(Partition(name="gpu", max_time="02:00:00"), Partition(name="cpu")),
    default_partition="cpu",
    accounts=("lab", "root"),
    default_account="lab",
    qos_levels=("normal", "urgent"),
    features=("a100", "ib"),
)
PROGRAMS: tuple[str, ...] = ("bash", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct", "ssh")


def printed(inputs: Mapping[str, str] | None = None, *, version: str = __version__) -> ScriptAnswer:
    """Return what a preflight prints."""
    told = {
        "python": "/opt/python", "python_version": "3.11.7", "package": version, "package_path": "/usr/lib/kit",
        "packages": {"torch": "2.13"}, "inputs": dict(inputs or {}),
    }  # fmt: skip
    return ScriptAnswer(code=0, output=f"activated\n{json.dumps(told)}\n", errors="")


class FakeProbe:
    """A machine with a cluster; folders that are not told are absent."""

    def __init__(
        self,
        *folders: FolderFacts,
        cluster: ClusterFacts | None = CLUSTER,
        commands: Mapping[str, str] | None = None,
        answer: ScriptAnswer | None = None,
        old: OldScript | None = None,
        login: LoginFacts | None = None,
        gpus: tuple[GpuKind, ...] = (),
    ) -> None:
        self.folders = {each.path: each for each in folders}
        self._cluster, self._answer, self._old = cluster, answer or printed(), old
        self._commands = dict.fromkeys(PROGRAMS, "/usr/bin/x") if commands is None else dict(commands)
        self._login, self._gpus = login, gpus
        self.scripts: list[tuple[str, bool]] = []

    def machine(self) -> MachineFacts:
        return MachineFacts(commands=self._commands, modules=False, venv=None, conda=None, gpus=self._gpus)

    def gpus(self) -> tuple[GpuKind, ...]:
        return self._gpus

    def cluster(self) -> ClusterFacts | None:
        return self._cluster

    def login(self, remote: Remote | None, *, folder: str) -> LoginFacts | None:
        return self._login

    def folder(self, path: str, *, tries: bool = True) -> FolderFacts:
        found = self.folders.get(path, FolderFacts(path=path, exists=False))
        return found if tries else found.model_copy(update={"writable": False, "locks": None, "skew": None})

    def run_script(self, text: str, *, fresh: bool, seconds: float) -> ScriptAnswer:
        self.scripts.append((text, fresh))
        return self._answer

    def old_script(self, path: str) -> OldScript:
        if self._old is None:
            raise SiteError(f"`{path}` cannot be read", hint="name a job script of yours")
        return self._old


class FakeSiteFiles:
    """Two files in memory."""

    def __init__(self, *, user: str | None = None, project: str | None = None, names: tuple[str, ...] = ()) -> None:
        self._names = names
        self.texts: dict[SiteLevel, str | None] = {"user": user, "project": project}

    def files(self) -> tuple[SiteFile, ...]:
        return tuple(SiteFile(level=level, path=f"/{level}/site.yaml", text=text) for level, text in self.texts.items())

    def names(self) -> tuple[str, ...]:
        return self._names

    def read(self) -> SiteReading:
        return read_sites(self.files())

    def write(self, level: SiteLevel, text: str) -> None:
        self.texts[level] = text
