"""What Slurm says of itself: the answers of `sinfo`, `sacctmgr` and `scontrol`, read."""

import re
from collections.abc import Iterable, Iterator, Mapping

from cruijff_kit.adapters.sbatch_lines import seconds_of
from cruijff_kit.planning.time_limit import text_of
from cruijff_kit.schema.site import GpuKind, Partition

__all__ = ["ASSOCIATIONS", "PARTITIONS", "USER", "config_values", "config_warnings", "read_features", "read_partitions"]

PARTITIONS = "%P|%l|%G|%f|%a"
"""Columns asked of `sinfo -h -o`."""
ASSOCIATIONS = "account,qos,maxsubmit"
"""Columns asked of `sacctmgr -nP show associations`."""
USER = "defaultaccount"
"""Column asked of `sacctmgr -nP show user`."""

_GPU = re.compile(r"gpu(?::(?P<type>[A-Za-z0-9][A-Za-z0-9._-]*?))?:(?P<count>\d+)(?:\(.*?\))?(?:,|$)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_partitions(answer: str) -> tuple[tuple[Partition, ...], str | None]:
    """Return the partitions that are up, in the cluster's order, and the default one.

    A partition has a line for each kind of node; its GPUs are those of all of them.
    """
    found: dict[str, Partition] = {}
    default = None
    for name, limit, gres, _, up in _rows(answer, 5):
        plain = name.removesuffix("*")
        if up != "up" or not _NAME.fullmatch(plain):
            continue
        default = plain if name.endswith("*") else default
        known = found.get(plain, Partition(name=plain, max_time=_limit(limit)))
        found[plain] = known.model_copy(update={"gpus": _kinds((*known.gpus, *_gpus(gres)))})
    return tuple(found.values()), default


def read_features(answer: str) -> tuple[str, ...]:
    """Return the node features that a constraint may name."""
    lists = (features for _, _, _, features, _ in _rows(answer, 5) if features != "(null)")
    return tuple(sorted({feature for each in lists for feature in each.split(",") if feature}))


def config_values(answer: str) -> dict[str, str]:
    """Return the `KEY = value` lines of `scontrol show config`."""
    pairs = (line.partition("=") for line in answer.splitlines() if " = " in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def config_warnings(values: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each setting that makes jobs behave unexpectedly, with what to do."""
    if values.get("EnforcePartLimits", "NO").upper() == "NO":
        yield "requests beyond a partition's limits are accepted and wait for ever: list `max_time` in `partitions`"
    if values.get("AccountingStorageType", "").endswith("none"):
        yield "no accounting is kept: what jobs used is read from their own records alone"
    if values.get("JobRequeue", "1") == "0":
        yield "jobs are not queued again after a node failure unless their script asks; ours do"
    if values.get("MaxArraySize", "") in {"0", "1"}:
        yield "there are no job arrays: every job is submitted by itself"
    age = re.match(r"\d+", values.get("MinJobAge", ""))
    if age and int(age[0]) < 60:
        yield f"ended jobs are forgotten after {age[0]} s: keep `ck watch` running while jobs end"


def _rows(answer: str, columns: int) -> Iterator[list[str]]:
    for line in answer.splitlines():
        row = line.split("|")
        if len(row) == columns:
            yield [cell.strip() for cell in row]


def _limit(text: str) -> str | None:
    try:
        seconds = seconds_of(text)
    except ValueError:
        return None
    return None if seconds is None else text_of(seconds)


def _gpus(gres: str) -> Iterator[GpuKind]:
    for match in _GPU.finditer(gres):
        count = int(match["count"])
        if 1 <= count <= 64:
            yield GpuKind(type=match["type"], count=count)


def _kinds(gpus: Iterable[GpuKind]) -> tuple[GpuKind, ...]:
    """Return each kind once, with as many as its largest node has."""
    most: dict[str | None, GpuKind] = {}
    for each in gpus:
        known = most.get(each.type)
        most[each.type] = each if known is None or each.count > known.count else known
    return tuple(most.values())
