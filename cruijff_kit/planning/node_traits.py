"""What a node told of itself, held against what jobs need of it: each thing, how to mend it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cruijff_kit.planning.tolerances import LEAST_ROOM, MOST_SKEW
from cruijff_kit.schema.site_facts import SiteTrait

__all__ = ["Expected", "node_traits"]

_BUILD = "`ck site env build` makes an environment for jobs and names it in site.yaml"


class Expected(NamedTuple):
    """What a node should find."""

    code: str
    """Hash over this package's files here."""
    probe: str
    """Hash of a file written here just before."""
    skew: float
    """Seconds by which the file system's clock is ahead of this machine's."""
    folders: Mapping[str, str]
    """Setting to a directory that jobs write to."""
    reads: Mapping[str, str]
    """What it is to a path that jobs read."""
    gpus: int
    """GPUs that the job asked for."""


def node_traits(found: Mapping[str, Any], expected: Expected) -> Iterator[SiteTrait]:
    """Yield whether a node's interpreter, folders, locks, clock and GPUs will do.

    Args:
        found: what the job wrote.
        expected: what it should have found.
    """
    host = found["host"]
    yield SiteTrait(name="node python", ok=True, found=f"{found['python']} ({found['version']}) on `{host}`")
    yield from _package(found, expected)
    same = found["probe"] == expected.probe
    hint = "the node reads other content than this machine wrote: name a directory that both share"
    fact = "reads what was written here" if same else "reads something else than was written here"
    yield SiteTrait(name="node files", ok=same, found=fact, hint="" if same else hint)
    held = bool(found["claim_held"])
    hint = "two jobs could train one run at once: use a file system on which hard links hold between machines"
    fact = "a name taken here is refused there" if held else "a name that was taken here could be taken again there"
    yield SiteTrait(name="node lock", ok=held, found=fact, hint="" if held else hint)
    for name, path in expected.folders.items():
        yield _folder(name, path, told=found["folders"].get(path, {"exists": False}))
    for name, path in expected.reads.items():
        yield _read(name, path, fault=found["read"].get(path, "it was not tried"))
    yield _clock(found, expected)
    yield _gpus(found, expected)


def _package(found: Mapping[str, Any], expected: Expected) -> Iterator[SiteTrait]:
    package, torch = found["package"], found["torch"]
    if package is None:
        yield SiteTrait(name="node package", ok=False, found="cruijff-kit cannot be imported there", hint=_BUILD)
    else:
        same = package["code"] == expected.code
        told = f"cruijff-kit {package['version']} in {package['path']}"
        fact = told if same else f"{told}: other code than here"
        yield SiteTrait(name="node package", ok=same, found=fact, hint="" if same else _BUILD)
    fact = f"torch {torch['version']}" if torch else "torch cannot be imported there"
    yield SiteTrait(name="node torch", ok=True if torch else None, found=fact, hint="" if torch else _BUILD)


def _folder(name: str, path: str, *, told: Mapping[str, Any]) -> SiteTrait:
    """Return whether a node can do in a directory what jobs do there."""
    if not told["exists"]:
        hint = "name a directory on a file system that compute nodes mount"
        return SiteTrait(name=f"node {name}", ok=False, found=f"`{path}` is not there", hint=hint)
    room = f"`{path}`, {told['free'] / 1e9:.3g} GB left"
    faults = (
        (
            bool(told.get("fault")),
            str(told.get("fault")),
            "see its owner and mode, and whether nodes mount it to write",
        ),
        (told.get("locks") is False, "locks do not hold between processes", "have it mounted with `flock`"),
        (told.get("links") is False, "a taken name can be taken again", "use a file system with hard links"),
        (told.get("fenced") is False, "a renamed folder can still be written through", "use another file system"),
        (told["free"] < LEAST_ROOM, "less than 1 GB is left", "`ck disk` proposes what may go, or name a larger disk"),
    )
    for wrong, fact, hint in faults:
        if wrong:
            return SiteTrait(name=f"node {name}", ok=False, found=f"{room}: {fact}", hint=hint)
    return SiteTrait(name=f"node {name}", ok=True, found=f"{room}; written, locked, fenced")


def _read(name: str, path: str, *, fault: str) -> SiteTrait:
    hint = "put it on a file system that compute nodes mount" if fault else ""
    return SiteTrait(name=f"node {name}", ok=not fault, found=f"`{path}`: {fault or 'read'}", hint=hint)


def _clock(found: Mapping[str, Any], expected: Expected) -> SiteTrait:
    # Both clocks are told against that of the file system they share.
    ahead = expected.skew - float(found["skew"])
    wrong = abs(ahead) > MOST_SKEW
    hint = "have the clocks set: times on record would lie" if wrong else ""
    return SiteTrait(name="node clock", ok=not wrong, found=f"{ahead:+.1f} s from this machine's", hint=hint)


def _gpus(found: Mapping[str, Any], expected: Expected) -> SiteTrait:
    seen, torch = found["gpus"], found["torch"]
    if not expected.gpus:
        fact = "none asked for" + (f", {seen} seen" if seen else "")
        return SiteTrait(name="node GPUs", ok=None, found=fact)
    if not seen:
        fact = "no driver there" if seen is None else "the driver gives none"
        hint = "see `gpu_type` and `partition` in site.yaml, and what `srun nvidia-smi` says"
        return SiteTrait(name="node GPUs", ok=False, found=f"one asked for, {fact}", hint=hint)
    if torch and not torch["cuda"]:
        hint = "`ck site env build --cuda VERSION`"
        return SiteTrait(name="node GPUs", ok=False, found=f"{seen} seen, and torch is built for CPUs", hint=hint)
    return SiteTrait(name="node GPUs", ok=True, found=f"{seen} seen")
