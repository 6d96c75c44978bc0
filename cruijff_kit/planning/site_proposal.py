"""What a site file could say: values found on the machine, on its cluster, and in an old script."""

import json
import re
from collections.abc import Iterator
from typing import Any

from cruijff_kit.schema.site import Partition
from cruijff_kit.schema.site_facts import ClusterFacts, MachineFacts, OldScript, SiteProposal

__all__ = ["propose_settings", "script_notes"]

_OLD = "the old script"
_CLUSTER = "the cluster"
# Options of a job, not of a machine.
_OF_DESIGN = {
    "time": "resources.time",
    "mem": "resources.mem",
    "cpus-per-task": "resources.cpus",
    "nodes": "resources.nodes",
    "gres": "resources.gpus",
    "gpus": "resources.gpus",
    "exclusive": "resources.exclusive",
}
_WORDS = {"true", "false", "null"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./@-]*")


def propose_settings(
    machine: MachineFacts, cluster: ClusterFacts | None, *, old: OldScript | None
) -> Iterator[SiteProposal]:
    """Yield the settings that were found, in the order of the file; nothing is made up.

    What an old script says counts over what the cluster calls its default.
    """
    if cluster is not None and cluster.fault:
        cluster = None
    source = f"Slurm {cluster.version}" if cluster else "no cluster answers here"
    yield _proposal(
        "scheduler",
        "slurm" if cluster else "local",
        source=source,
        question="Which scheduler takes jobs?",
        choices=("slurm", "local"),
    )
    yield from _places(cluster, old)
    environment, told = _environment(machine, old)
    yield _proposal("environment", environment, source=told, question="How do jobs reach Python?")
    for key, value, question in (
        ("models_dir", None, "In which directory are the base models?"),
        ("output_dir_base", None, "In which directory shall checkpoints go, if not beside the experiment?"),
        ("scratch_dir", machine.scratch, "Which directory may lose what is in it?"),
    ):
        yield _proposal(key, value or "", source="the environment" if value else "nothing", question=question)
    gpus = [each.memory for each in machine.gpus if each.memory]
    if gpus:
        yield _proposal(
            "gpu_memory", min(gpus, key=_size), source="the driver here", question="How much memory has one GPU?"
        )
    mail = old.options.get("mail-user") if old else None
    if mail:
        yield _proposal(
            "mail", mail, source=_OLD, question="Where shall the scheduler write to when an experiment ends?"
        )


def script_notes(cluster: ClusterFacts | None, old: OldScript) -> Iterator[str]:
    """Yield what an old script says and a site file does not take over, with what to do about it."""
    lists = {} if cluster is None else {"account": cluster.accounts, "qos": cluster.qos_levels}
    if cluster is not None:
        lists["partition"] = tuple(each.name for each in cluster.partitions)
    for key, known in lists.items():
        said = old.options.get(key)
        if said and known and said not in known:
            yield f"{key} `{said}` is not known to the cluster, which has {', '.join(known)}"
    for option in sorted(old.options.keys() & _OF_DESIGN.keys()):
        yield f"`--{option}={old.options[option]}` is a design's: set `{_OF_DESIGN[option]}` there"
    for line in old.left:
        yield f"`{line}` was not understood; what jobs need of it goes into `environment`"


def _places(cluster: ClusterFacts | None, old: OldScript | None) -> Iterator[SiteProposal]:
    """Yield partition, account, level of service and features, each where somebody names it."""
    partitions = cluster.partitions if cluster else ()
    if partitions:
        value = [_plain(each) for each in partitions]
        yield _proposal("partitions", value, source="sinfo", question="Which partitions may jobs go to?")
    names = tuple(each.name for each in partitions)
    default = cluster.default_partition if cluster else None
    yield from _one("partition", old, default=default, choices=names, question="Default partition?")
    accounts = cluster.accounts if cluster else ()
    if accounts:
        yield _proposal(
            "accounts", list(accounts), source="sacctmgr", question="Which accounts may jobs be charged to?"
        )
    default = cluster.default_account if cluster else None
    yield from _one("account", old, default=default, choices=accounts, question="Default account?")
    levels = cluster.qos_levels if cluster else ()
    if levels:
        yield _proposal(
            "qos_levels", list(levels), source="sacctmgr", question="Which qualities of service may jobs ask for?"
        )
    yield from _one("qos", old, default=None, choices=levels, question="Default quality of service?")
    features = cluster.features if cluster else ()
    yield from _one("constraint", old, default=None, choices=features, question="Default node features?")


def _one(
    key: str, old: OldScript | None, *, default: str | None, choices: tuple[str, ...], question: str
) -> Iterator[SiteProposal]:
    """Yield one default; one that the cluster does not list is not proposed."""
    said = old.options.get(key) if old else None
    known = said if said and (not choices or said in choices or key == "constraint") else None
    value = known or (default if not choices or default in choices else None)
    if value:
        yield _proposal(key, value, source=_OLD if known else _CLUSTER, question=question, choices=choices)


def _environment(machine: MachineFacts, old: OldScript | None) -> tuple[dict[str, Any], str]:
    if old and (old.venv or old.conda or old.modules):
        kind = "venv" if old.venv else "conda" if old.conda else "modules"
        found = {"kind": kind, "name": old.venv or old.conda, "modules": list(old.modules)}
        return {name: value for name, value in found.items() if value}, _OLD
    if machine.venv:
        return {"kind": "venv", "name": machine.venv}, "active here"
    if machine.conda:
        return {"kind": "conda", "name": machine.conda}, "active here"
    return {"kind": "python"}, "the interpreter that runs this"


def _plain(each: Partition) -> dict[str, Any]:
    """Return a partition as a file holds it, without what is not said."""
    return each.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _size(memory: str) -> int:
    return int(memory[:-1]) * 1024 ** "KMGT".index(memory[-1])


def _proposal(key: str, value: Any, *, source: str, question: str, choices: tuple[str, ...] = ()) -> SiteProposal:
    # A name needs no quotes in YAML; anything else is written as JSON, which YAML reads too.
    plain = isinstance(value, str) and (not value or (_NAME.fullmatch(value) and value.lower() not in _WORDS))
    text = value if plain else json.dumps(value, ensure_ascii=False)
    return SiteProposal(key=key, value=text, source=source, question=question, choices=choices)
