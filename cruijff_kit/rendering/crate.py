"""Crates: an experiment as linked data, by the Provenance Run Crate profile 0.5 of RO-Crate 1.1."""

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from cruijff_kit.schema.crate import CrateAction, CrateFacts, CrateFile, CrateSoftware
from cruijff_kit.schema.inclusion import LogRoot
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Timestamp

__all__ = ["METADATA", "README", "ROOT_FILE", "crate_metadata", "crate_readme", "media_type"]

METADATA = "ro-crate-metadata.json"
"""The file that makes a directory a crate."""

README = "README.md"
"""What a person reads first."""

ROOT_FILE = "audit-root.json"
"""The root of the record, against which proofs of its lines are checked."""

_Entity = dict[str, Any]

# The one term of the profile's own context, written out: so the crate needs one context from elsewhere, not two.
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_LANGUAGE = "#design-language"
_ENGINE = "#engine"
_WORKFLOW = ExperimentLayout.summary
_STEPS = {
    "generate": "Generate the data from a seed",
    "train": "Fine-tune a base model",
    "evaluate": "Evaluate what was trained, or its base",
    "report": "Collect the results and report them",
}
_TYPES = {
    ".md": "text/markdown",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".parquet": "application/vnd.apache.parquet",
    ".eval": "application/zip",
    ".slurm": "application/x-sh",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".csv": "text/csv",
    ".log": "text/plain",
    ".out": "text/plain",
    ".py": "text/x-python",
}


def crate_metadata(facts: CrateFacts) -> bytes:
    """Return the bytes of `ro-crate-metadata.json`: the same facts give the same bytes."""
    graph = [
        _descriptor(),
        _root(facts),
        *_profiles(facts),
        *_workflow(facts),
        *_software(facts),
        *_data(facts),
        *_levels(facts),
        *_actions(facts),
    ]
    return (json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=2, ensure_ascii=False) + "\n").encode()


def crate_readme(name: str, question: str, *, root: LogRoot, parts: Iterable[str]) -> bytes:
    """Return the bytes of the crate's `README.md`.

    Args:
        name: the experiment.
        question: what it asks.
        root: root of its record as exported.
        parts: what was put in besides what holds no text of the data.
    """
    held = ", ".join(parts) or "nothing"
    tells = "what was done, by whom, when, with which software, and what came of it, each file with its SHA-256"
    check = f"`ck audit check-proof PROOF --anchor {ROOT_FILE}`"
    lines = (
        f"# {name}",
        "",
        question,
        "",
        f"`{METADATA}` tells, as linked data (RO-Crate 1.1, Provenance Run Crate 0.5), {tells}.",
        "",
        f"- `{ExperimentLayout.summary}`: the design; `{ExperimentLayout.lock}`: its seal.",
        f"- `{ExperimentLayout.report}` and `{ExperimentLayout.page}`: the results, where they were reported.",
        f"- Put in besides: {held}. What is not here is told by its hash.",
        f"- `{ROOT_FILE}`: root of the audit log, `{root.token}`. A line shown with its proof is checked by {check}.",
    )
    return ("\n".join(lines) + "\n").encode()


def media_type(path: str) -> str:
    """Return the media type of a file by its name."""
    name = PurePosixPath(path)
    return "application/json" if name.name == "DONE" else _TYPES.get(name.suffix, "application/octet-stream")


def _descriptor() -> _Entity:
    base = ("https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0")
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _refs(base),
    }


def _root(facts: CrateFacts) -> _Entity:
    parts = [*(each.path for each in facts.folders), *(each.path for each in _loose(facts))]
    made = ["#experiment", "#organization", *(f"#{each.id}" for each in facts.actions)] if facts.actions else []
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": facts.name,
        "description": facts.about,
        "datePublished": _time(facts.published),
        "license": _ref(_licence(facts)),
        "conformsTo": _refs(_PROFILES),
        "author": _refs(f"#person-{quote(name)}" for name in facts.agents),
        "identifier": _refs(("#sealed-plan", "#audit-root")),
        "mainEntity": _ref(_WORKFLOW),
        "hasPart": _refs(map(_place, parts)),
        "mentions": _refs(made),
    }


def _loose(facts: CrateFacts) -> Iterator[CrateFile]:
    """Yield the files that lie in no folder of the crate's."""
    folders = tuple(each.path for each in facts.folders)
    return (each for each in facts.files if not each.path.startswith(folders))


def _profiles(facts: CrateFacts) -> Iterator[_Entity]:
    for address, (name, version) in _PROFILES.items():
        yield {"@id": address, "@type": "CreativeWork", "name": name, "version": version}
    yield {"@id": _licence(facts), "@type": "CreativeWork", "name": facts.license, "description": "Terms of this crate"}
    for name in facts.agents:
        yield {"@id": _person(name)["@id"], "@type": "Person", "name": name}
    yield _value("#sealed-plan", "SHA-256 of the sealed plan", value=facts.plan_id)
    root = {"description": f"Merkle tree hash (RFC 9162, SHA-256) over the {facts.root.lines} lines of the audit log"}
    yield _value("#audit-root", "root of the audit log", value=facts.root.token) | root


def _workflow(facts: CrateFacts) -> Iterator[_Entity]:
    """Yield the design as the workflow, its steps and its inputs."""
    tools = [each for each in facts.software if each.step is not None]
    steps = {each.step: [tool.id for tool in tools if tool.step == each.step] for each in tools if each.step}
    (design,) = [each for each in facts.files if each.path == _WORKFLOW]
    factors = dict.fromkeys(each.factor for each in facts.levels)
    yield {
        **_file(design),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": f"design of {facts.name}",
        "conformsTo": _ref(_BIOSCHEMAS),
        "programmingLanguage": _ref(_LANGUAGE),
        "version": facts.plan_id[:12],
        "hasPart": _refs(f"#{tool.id}" for tool in tools),
        "step": _refs(f"#step-{name}" for name in _STEPS if name in steps),
        "input": _refs(map(_parameter, factors)),
    }
    yield {
        "@id": _LANGUAGE,
        "@type": "ComputerLanguage",
        "name": "cruijff-kit design",
        "description": "YAML front matter of a Markdown file: models, data, factors, controls and evaluations",
    }
    for position, name in enumerate(name for name in _STEPS if name in steps):
        yield {
            "@id": f"#step-{name}",
            "@type": "HowToStep",
            "name": _STEPS[name],
            "position": str(position),
            "workExample": _refs(f"#{tool}" for tool in steps[name]),
        }
    for factor in factors:
        values = [each.value for each in facts.levels if each.factor == factor]
        yield {
            "@id": _parameter(factor),
            "@type": "FormalParameter",
            "name": factor,
            "additionalType": _kind(values),
            "workExample": _refs(f"#{each.id}" for each in facts.levels if each.factor == factor),
        }


def _software(facts: CrateFacts) -> Iterator[_Entity]:
    yield {
        "@id": _ENGINE,
        "@type": "SoftwareApplication",
        "name": "cruijff-kit",
        "softwareVersion": facts.version,
        "description": "Planned, scaffolded, submitted and recorded every step",
    }
    for each in facts.software:
        yield _program(each)


def _program(each: CrateSoftware) -> _Entity:
    told = {"@id": f"#{each.id}", "@type": "SoftwareApplication", "name": each.name, "softwareVersion": each.version}
    return told | ({"softwareRequirements": _refs(f"#{need}" for need in each.needs)} if each.needs else {})


def _data(facts: CrateFacts) -> Iterator[_Entity]:
    for folder in facts.folders:
        inside = [_place(each.path) for each in facts.files if each.path.startswith(folder.path)]
        yield {
            "@id": _place(folder.path),
            "@type": "Dataset",
            "name": folder.path,
            "description": folder.about,
            "hasPart": _refs(inside),
        }
    yield from (_file(each) for each in facts.files if each.path != _WORKFLOW)
    for thing in facts.things:
        hashed = {"sha256": thing.sha256} if thing.sha256 else {}
        told = {"@id": f"#{thing.id}", "@type": "CreativeWork", "name": thing.name, "description": thing.about}
        yield told | hashed


def _file(each: CrateFile) -> _Entity:
    about = {"about": _ref("./")} if each.path == README else {}
    return about | {
        "@id": _place(each.path),
        "@type": "File",
        "name": each.path,
        "description": each.about,
        "encodingFormat": media_type(each.path),
        "contentSize": str(each.bytes),
        "sha256": each.sha256,
    }


def _levels(facts: CrateFacts) -> Iterator[_Entity]:
    for each in facts.levels:
        value = each.value if isinstance(each.value, str | int | float | bool) else json.dumps(each.value)
        yield _value(f"#{each.id}", each.factor, value=value) | {"exampleOfWork": _ref(_parameter(each.factor))}


def _actions(facts: CrateFacts) -> Iterator[_Entity]:
    """Yield what was done, step by step, and what led it; nothing where nothing was done yet."""
    if not facts.actions:
        return
    agent = _person(facts.actions[-1].agent)
    began = [each.started or each.ended for each in facts.actions]
    span = {"startTime": _time(min(began)), "endTime": _time(max(each.ended for each in facts.actions))}
    made = {name for each in facts.actions for name in each.results}
    read = dict.fromkeys(name for each in facts.actions for name in each.objects if name not in made)
    yield {
        "@id": "#experiment",
        "@type": "CreateAction",
        "name": f"experiment {facts.name}",
        "description": facts.about,
        "instrument": _ref(_WORKFLOW),
        "object": _refs(map(_place, read)),
        "result": _refs(map(_place, dict.fromkeys(name for each in facts.actions for name in each.results))),
        "agent": agent,
        **span,
    }
    yield {
        "@id": "#organization",
        "@type": "OrganizeAction",
        "name": f"runs of {facts.name}, led by cruijff-kit",
        "instrument": _ref(_ENGINE),
        "object": _refs(f"#control-{each.id}" for each in facts.actions),
        "result": _ref("#experiment"),
        "agent": agent,
        **span,
    }
    for each in facts.actions:
        yield _action(each)
        yield {
            "@id": f"#control-{each.id}",
            "@type": "ControlAction",
            "name": f"{each.step}: {each.name}",
            "instrument": _ref(f"#step-{each.step}"),
            "object": _ref(f"#{each.id}"),
        }


def _action(each: CrateAction) -> _Entity:
    state = "FailedActionStatus" if each.failed else "CompletedActionStatus"
    begun = {} if each.started is None else {"startTime": _time(each.started)}
    return {
        "@id": f"#{each.id}",
        "@type": "CreateAction",
        "name": each.name,
        "description": each.about,
        "instrument": _ref(f"#{each.tool}"),
        "object": _refs(map(_place, each.objects)),
        "result": _refs(map(_place, each.results)),
        "agent": _person(each.agent),
        **begun,
        "endTime": _time(each.ended),
        "actionStatus": f"http://schema.org/{state}",
    }


def _value(name: str, said: str, *, value: object) -> _Entity:
    return {"@id": name, "@type": "PropertyValue", "name": said, "value": value}


def _kind(values: list[Any]) -> str:
    """Return the type of a factor's levels, as schema.org calls it."""
    for kind, name in ((bool, "Boolean"), (int, "Integer"), (float, "Float")):
        if all(isinstance(value, (int, float) if kind is float else kind) for value in values):
            return name
    return "Text"


def _parameter(factor: str) -> str:
    return f"#factor-{quote(factor)}"


def _person(name: str) -> _Entity:
    return _ref(f"#person-{quote(name)}")


def _place(name: str) -> str:
    """Return how a path is written as an identifier; names within the crate are already."""
    return name if name.startswith("#") else quote(name)


def _licence(facts: CrateFacts) -> str:
    return facts.license if facts.license.startswith(("https://", "http://")) else "#licence"


def _ref(name: str) -> _Entity:
    return {"@id": name}


def _refs(names: Iterable[str]) -> list[_Entity] | _Entity:
    """Return references: one alone stands for itself, as the format recommends."""
    found = [_ref(name) for name in names]
    return found[0] if len(found) == 1 else found


def _time(moment: Timestamp) -> str:
    # The profile asks for an offset, where our own files write `Z`.
    return moment.isoformat(timespec="milliseconds")
