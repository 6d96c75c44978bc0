"""What a cluster says of itself, asked by its own programs wherever these are."""

from collections.abc import Callable

from cruijff_kit.adapters.slurm_facts import (
    ASSOCIATIONS,
    PARTITIONS,
    USER,
    config_values,
    config_warnings,
    read_features,
    read_partitions,
)
from cruijff_kit.schema.site_facts import ClusterFacts, ScriptAnswer

__all__ = ["read_cluster"]


def read_cluster(ask: Callable[..., ScriptAnswer], *, user: str) -> ClusterFacts:
    """Return what a cluster says of itself, or its words where it does not answer.

    Args:
        ask: runs one of its programs with arguments.
        user: name of the user there.
    """
    config = ask("scontrol", "show", "config")
    nodes = ask("sinfo", "-h", "-o", PARTITIONS)
    if config.code or nodes.code:
        return ClusterFacts(fault=(config.errors or nodes.errors or nodes.output).strip() or "no answer")
    values = config_values(config.output)
    partitions, default = read_partitions(nodes.output)
    listed = ("sacctmgr", "-nP", "show")
    rows = [line.split("|") for line in _lines(ask(*listed, "associations", f"user={user}", f"format={ASSOCIATIONS}"))]
    limits = [int(row[2]) for row in rows if len(row) == 3 and row[2].isdigit()]
    charged = _lines(ask(*listed, "user", user, f"format={USER}"))
    return ClusterFacts(
        name=values.get("ClusterName", ""),
        version=values.get("SLURM_VERSION", ""),
        partitions=partitions,
        default_partition=default,
        accounts=tuple(dict.fromkeys(row[0] for row in rows if row[0])),
        default_account=next(iter(charged), None),
        qos_levels=tuple(dict.fromkeys(name for row in rows if len(row) == 3 for name in row[1].split(",") if name)),
        features=read_features(nodes.output),
        max_submit=min(limits, default=None),
        warnings=tuple(config_warnings(values)),
    )


def _lines(answer: ScriptAnswer) -> list[str]:
    """Return the lines of an answer; none where there is no answer, as without accounting."""
    return [line for line in answer.output.splitlines() if line] if answer.code == 0 else []
