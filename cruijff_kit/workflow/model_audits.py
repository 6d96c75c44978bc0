"""Model audits: what `audit.json` of an experiment or a run says; never writes."""

import json
from typing import Any

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout

__all__ = ["read_model_audits"]


def read_model_audits(*, world: World) -> dict[str, dict[str, Any]]:
    """Return every audit of a model that there is, by its path.

    Raises:
        ResultError: one is no JSON object.
    """
    name = ExperimentLayout.model_audit
    paths = [*world.store.glob("", name), *world.store.glob(ExperimentLayout.runs, f"*/{name}")]
    found = {}
    for path in paths:
        try:
            found[path] = json.loads(world.store.read(path) or b"")
        except ValueError as err:
            raise ResultError(f"`{path}` cannot be read: {err}", hint="`ck audit-model` writes it anew") from err
        if not isinstance(found[path], dict):
            raise ResultError(f"`{path}` holds no object", hint="`ck audit-model` writes it anew")
    return found
