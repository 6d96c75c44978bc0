"""Documents: texts of an experiment that a client may want to read whole, and those of this package."""

import json
from importlib.metadata import PackageNotFoundError, metadata
from typing import Literal

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.design import spec_json_schema
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["read_configuration", "read_document", "read_manual"]

_HINTS = {
    "design": "`ck design write` makes it from a design",
    "report": "`ck report` makes it from the results",
}


def read_document(kind: Literal["design", "report"], *, world: World) -> str:
    """Return `experiment_summary.md` or `summary.md` as it lies on disk.

    Raises:
        ResultError: it was not written yet.
    """
    path = ExperimentLayout.summary if kind == "design" else ExperimentLayout.report
    text = world.store.read_text(path)
    if text is None:
        raise ResultError(f"there is no `{path}` yet", hint=_HINTS[kind])
    return text


def read_configuration(run: str, *, world: World) -> str:
    """Return the resolved configuration of a run, each value with its source.

    Args:
        run: run id, or an unambiguous start of it.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown.
        ResultError: the file is gone.
    """
    plan, _ = recorded_plan(world=world)
    path = RunLayout(find_run(plan.runs, run).id).run_yaml
    text = world.store.read_text(path)
    if text is None:
        raise ResultError(f"`{path}` is gone", hint="`ck scaffold` writes it again")
    return text


def read_manual(page: Literal["readme", "design-schema"]) -> str:
    """Return a page of the installed version: its README, or the JSON Schema of a design.

    Raises:
        SiteError: the package is not installed, only its folder is there.
    """
    if page == "design-schema":
        return json.dumps(spec_json_schema(), indent=1)
    try:
        return str(metadata("cruijff-kit").json["description"])
    except PackageNotFoundError as err:
        raise SiteError("cruijff-kit is not installed here", hint="`make setup` installs it") from err
