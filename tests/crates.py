"""What every Provenance Run Crate owes its readers, checked without the validators: links, hashes, and who did what."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

__all__ = ["Graph", "crate_problems", "graph_of", "referred"]

Graph = dict[str, dict[str, Any]]
"""Entities by identifier."""

_OUTSIDE = ("https://", "http://")
_SOFTWARE = {"SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow"}
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/ro/wfrun/provenance/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
}


def graph_of(folder: Path) -> Graph:
    """Return the entities of a crate."""
    told = json.loads((folder / "ro-crate-metadata.json").read_bytes())
    graph = {each["@id"]: each for each in told["@graph"]}
    twice = [name for name, count in Counter(each["@id"] for each in told["@graph"]).items() if count > 1]
    assert not twice, f"identifiers stand for two entities: {twice}"
    return graph


def referred(value: object) -> Iterator[str]:
    """Yield the identifiers that a value refers to."""
    if isinstance(value, Mapping):
        yield from [value["@id"]] if set(value) == {"@id"} else ()
    elif isinstance(value, list):
        for each in value:
            yield from referred(each)


def crate_problems(folder: Path) -> list[str]:
    """Return what is wrong with a crate; nothing for a sound one."""
    graph = graph_of(folder)
    return [*_dangling(graph), *_wrong_files(folder, graph), *_wrong_root(graph), *_wrong_actions(graph)]


def _types(entity: Mapping[str, Any]) -> set[str]:
    found = entity["@type"]
    return {found} if isinstance(found, str) else set(found)


def _dangling(graph: Graph) -> Iterator[str]:
    for name, entity in graph.items():
        named = [(key, target) for key, value in entity.items() for target in referred(value) if target not in graph]
        for key, target in named:
            if not (key == "conformsTo" and target.startswith(_OUTSIDE)):
                yield f"`{name}` refers by `{key}` to `{target}`, which is not there"


def _wrong_files(folder: Path, graph: Graph) -> Iterator[str]:
    told = {unquote(name): entity for name, entity in graph.items() if "File" in _types(entity)}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    yield from (f"`{path}` is told and not there" for path in told.keys() - found)
    yield from (f"`{path}` is there and not told" for path in found - told.keys() - {"ro-crate-metadata.json"})
    for path in told.keys() & found:
        content = (folder / path).read_bytes()
        if hashlib.sha256(content).hexdigest() != told[path]["sha256"]:
            yield f"`{path}` has another hash"
        if told[path]["contentSize"] != str(len(content)):
            yield f"`{path}` has another size"
    held = {name for entity in graph.values() for name in referred(entity.get("hasPart", []))}
    yield from (f"`{name}` is part of nothing" for name, entity in graph.items() if _is_data(entity, held=held))


def _is_data(entity: Mapping[str, Any], *, held: set[str]) -> bool:
    return bool({"File", "Dataset"} & _types(entity)) and entity["@id"] not in held | {"./"}


def _wrong_root(graph: Graph) -> Iterator[str]:
    root = graph["./"]
    yield from (f"it does not conform to {each}" for each in _PROFILES - set(referred(root["conformsTo"])))
    yield from (
        f"the root has no `{key}`" for key in ("name", "description", "datePublished", "license") if not root.get(key)
    )
    (main,) = referred(root["mainEntity"])
    missing = {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"} - _types(graph[main])
    yield from (f"the workflow is no {each}" for each in missing)
    tools = set(referred(graph[main]["hasPart"]))
    used = {name for entity in graph.values() for name in referred(entity.get("instrument", []))}
    yield from (f"no action used `{tool}`" for tool in tools - used)
    steps = set(referred(graph[main]["step"]))
    named = {name for name, entity in graph.items() if "HowToStep" in _types(entity)}
    yield from (f"`{step}` is no step of the workflow" for step in named ^ steps)


def _wrong_actions(graph: Graph) -> Iterator[str]:
    mentioned = set(referred(graph["./"]["mentions"]))
    for name, entity in graph.items():
        if "CreateAction" not in _types(entity):
            continue
        (tool,) = referred(entity["instrument"])
        if not _SOFTWARE & _types(graph[tool]):
            yield f"`{name}` was done by `{tool}`, which is no software"
        if name not in mentioned:
            yield f"`{name}` is not mentioned"
        (agent,) = referred(entity["agent"])
        if "Person" not in _types(graph[agent]):
            yield f"`{name}` was done for `{agent}`, who is no person"
        if "startTime" in entity and entity["startTime"] > entity["endTime"]:
            yield f"`{name}` ended before it began"
    (lead,) = [entity for entity in graph.values() if "OrganizeAction" in _types(entity)]
    controls = {name for name, entity in graph.items() if "ControlAction" in _types(entity)}
    yield from (f"`{each}` is led by nothing" for each in controls ^ set(referred(lead["object"])))
