"""What was found of a machine, held against its settings: each thing, whether it will do, how to mend it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.planning.tolerances import LEAST_ROOM, MOST_SKEW
from cruijff_kit.schema.site import Partition, Site
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, MachineFacts, SiteTrait

__all__ = ["cluster_traits", "folder_trait", "input_traits", "machine_traits", "python_traits"]

_NEEDED = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
_FILES = 1_000
_FEATURE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def machine_traits(site: Site, machine: MachineFacts) -> Iterator[SiteTrait]:
    """Yield whether the programs that jobs and their submission need are here."""
    needed = ("bash", *(_NEEDED if site.scheduler == "slurm" else ()), *(("ssh",) if site.login_host else ()))
    missing = [name for name in needed if not machine.commands.get(name)]
    found = f"not on PATH: {', '.join(missing)}" if missing else ", ".join(needed)
    hint = "run this on a login node, or load the module that has them; or set `scheduler: local`"
    yield SiteTrait(name="programs", ok=not missing, found=found, hint=hint if missing else "")
    if site.scheduler == "slurm" and not machine.commands.get("sacct"):
        hint = "ended jobs are then told by their own records"
        yield SiteTrait(name="accounting", ok=None, found="`sacct` is not on PATH", hint=hint)
    modules = site.environment.modules
    if modules and not machine.modules:
        hint = "mend `environment` in site.yaml, or see how this machine's login shells learn of `module`"
        yield SiteTrait(name="modules", ok=False, found="a login shell does not know `module`", hint=hint)


def cluster_traits(site: Site, cluster: ClusterFacts | None) -> Iterator[SiteTrait]:
    """Yield whether the cluster answers and knows every name that the site file uses."""
    if site.scheduler != "slurm":
        return
    if cluster is None or cluster.fault:
        fault = cluster.fault.splitlines()[0] if cluster else "its programs are not here"
        hint = "see that `scontrol ping` answers; `SLURM_CONF` names the cluster where there are several"
        yield SiteTrait(name="cluster", ok=False, found=fault, hint=hint)
        return
    yield SiteTrait(name="cluster", ok=True, found=f"{cluster.name}, Slurm {cluster.version}")
    known = {each.name: each for each in cluster.partitions}
    asked = dict.fromkeys((*(each.name for each in site.partitions), *filter(None, (site.partition,))))
    yield from _known("partition", asked, known=known, where="sinfo")
    for each in site.partitions:
        if each.name in known:
            yield from _limits(each, known[each.name])
    own = (each.account for each in site.partitions)
    charged = dict.fromkeys(filter(None, (*site.accounts, site.account, *own)))
    yield from _known("account", charged, known=cluster.accounts, where="sacctmgr show associations")
    own = (each.qos for each in site.partitions)
    levels = dict.fromkeys(filter(None, (*site.qos_levels, site.qos, *own)))
    yield from _known("qos", levels, known=cluster.qos_levels, where="sacctmgr show associations")
    yield from _known(
        "constraint", _FEATURE.findall(site.constraint or ""), known=cluster.features, where="sinfo -o %f"
    )
    yield from _queue(site, cluster)
    for warning in cluster.warnings:
        yield SiteTrait(name="cluster", ok=None, found=warning)


def folder_trait(name: str, found: FolderFacts, *, reads_only: bool = False) -> SiteTrait:
    """Return whether a directory will do."""
    if not found.exists:
        hint = f"make it with `mkdir -p`, or mend `{name}` in site.yaml"
        return SiteTrait(name=name, ok=False, found=f"`{found.path}` is not there", hint=hint)
    left = [size for size in (found.free, found.quota_left) if size is not None]
    room = f"`{found.path}`, {min(left) / 1e9:.3g} GB left" if left else f"`{found.path}`"
    if found.quota_left is not None and found.quota_left == min(left):
        room += f" by the quota of {found.quota_of}" if found.quota_of else " by quota"
    if reads_only:
        return SiteTrait(name=name, ok=True, found=room)
    for wrong, fact, hint in _folder_faults(found, least=min(left, default=LEAST_ROOM)):
        if wrong:
            return SiteTrait(name=name, ok=False, found=f"{room}: {fact}", hint=hint)
    return SiteTrait(name=name, ok=True, found=f"{room}; written, flushed, locked")


def python_traits(found: Mapping[str, object] | None, *, fault: str, version: str) -> Iterator[SiteTrait]:
    """Yield what a job's Python is.

    Args:
        found: what the preflight printed; None where it printed nothing.
        fault: the last words of the script where it failed.
        version: this package's version.
    """
    if found is None:
        hint = "mend `environment` in site.yaml; `ck scaffold --dry-run` shows the lines that jobs run"
        yield SiteTrait(name="python", ok=False, found=fault or "the script printed nothing", hint=hint)
        return
    told = f"{found['python']} ({found['python_version']})"
    packages = found["packages"]
    names = " ".join(f"{name} {each}" for name, each in packages.items()) if isinstance(packages, dict) else ""
    yield SiteTrait(name="python", ok=True, found=f"{told}; {names}" if names else told)
    same = found["package"] == version
    hint = "" if same else "install the same version in the environment that jobs activate"
    place = f"cruijff-kit {found['package']} in {found['package_path']}"
    yield SiteTrait(name="package", ok=same, found=place if same else f"{place}; here it is {version}", hint=hint)


def input_traits(found: Mapping[str, object] | None) -> Iterator[SiteTrait]:
    """Yield whether each input of the jobs resolved without a network."""
    inputs = found["inputs"] if found is not None else {}
    for path, wrong in inputs.items() if isinstance(inputs, dict) else ():
        hint = "pull or copy it to this machine: jobs have no network" if wrong else ""
        yield SiteTrait(
            name="input", ok=not wrong, found=f"`{path}`: {wrong or 'resolves without a network'}", hint=hint
        )


def _known(what: str, asked: Iterable[str], *, known: Iterable[str], where: str) -> Iterator[SiteTrait]:
    asked, known = tuple(asked), tuple(known)
    if not asked:
        return
    if not known:
        yield SiteTrait(name=what, ok=None, found=f"{', '.join(asked)}: `{where}` lists none to compare with")
        return
    for name in asked:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"the cluster has {', '.join(known)}"
        found = f"`{name}`" if name in known else f"`{name}` is not known to the cluster"
        yield SiteTrait(name=what, ok=name in known, found=found, hint="" if name in known else hint)


def _limits(ours: Partition, theirs: Partition) -> Iterator[SiteTrait]:
    """Yield where the site file promises more of a partition than the cluster gives."""
    name = f"partition {ours.name}"
    if theirs.max_time and ours.max_time and seconds_of(ours.max_time) > seconds_of(theirs.max_time):
        found = f"`max_time: {ours.max_time}`, and the cluster allows {theirs.max_time}"
        yield SiteTrait(name=name, ok=False, found=found, hint=f"write `max_time: {theirs.max_time}`")
    counts = {each.type: each.count for each in theirs.gpus}
    for each in ours.gpus:
        most = counts.get(each.type, max(counts.values(), default=0) if each.type is None else 0)
        if each.count > most:
            kind = f"{each.count} GPUs" + (f" of type `{each.type}`" if each.type else "")
            has = ", ".join(f"{count} {type_ or 'of no type'}" for type_, count in counts.items()) or "none"
            hint = "mend `partitions` in site.yaml: `ck site setup` reads it from the cluster"
            yield SiteTrait(name=name, ok=False, found=f"{kind} a node, and its nodes have {has}", hint=hint)


def _queue(site: Site, cluster: ClusterFacts) -> Iterator[SiteTrait]:
    most = cluster.max_submit
    if most is not None and site.queue.max_queued > most:
        found = f"`queue.max_queued: {site.queue.max_queued}`, and you may have {most} jobs in the queue"
        yield SiteTrait(name="caps", ok=False, found=found, hint=f"write `queue.max_queued: {most}` or less")


def _folder_faults(found: FolderFacts, *, least: int) -> Iterator[tuple[bool, str, str]]:
    cannot = found.fault or "nothing can be written there"
    yield not found.writable, cannot, "see its owner and mode, or name another directory"
    hint = "locks do not hold between processes here: use another file system, or have it mounted with `flock`"
    yield found.locks is False, "a lock did not keep another process out", hint
    yield least < LEAST_ROOM, "less than 1 GB is left", "`ck disk` proposes what may go, or name a larger disk"
    few = found.files_left is not None and found.files_left < _FILES
    yield few, f"only {found.files_left} more files may be made", "remove small files, or name a larger disk"
    skew = found.skew or 0.0
    hint = "have the clocks set: records would lie"
    yield abs(skew) > MOST_SKEW, f"its clock is {skew:+.0f} s from this machine's", hint
