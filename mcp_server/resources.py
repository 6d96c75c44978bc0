"""Resources: what a client may want to read whole; the same texts that tools and `ck` show, read-only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ToolError

from cruijff_kit import workflow
from cruijff_kit.mcp_server.session import Session, enter, shown, spoken

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["add_resources"]

_LINES = 200


def add_resources(server: MCPServer[Session]) -> None:
    """Add the resources and resource templates to a server."""
    for page, kind, told in (
        ("readme", "text/markdown", "README of the installed version: what it does and every command."),
        ("design-schema", "application/schema+json", "JSON Schema of a design, as experiment_validate takes it."),
    ):
        server.resource(f"cruijff://docs/{page}", name=page, description=told, mime_type=kind)(_manual(page))
    for uri, function, kind in (
        ("cruijff://experiments/{experiment}/design", _read_design, "text/markdown"),
        ("cruijff://experiments/{experiment}/report", _read_report, "text/markdown"),
        ("cruijff://experiments/{experiment}/runs/{run}/configuration", _read_configuration, "application/yaml"),
        ("cruijff://experiments/{experiment}/runs/{run}/log", _read_log, "text/plain"),
    ):
        name = function.__name__.removeprefix("_read_")
        server.resource(uri, name=name, description=function.__doc__, mime_type=kind)(function)


def _read_design(experiment: str, ctx: Context[Any, Any]) -> str:
    """experiment_summary.md: the design and what was worked out from it."""
    with _told():
        return shown(workflow.read_document("design", world=_world(experiment, ctx)))


def _read_report(experiment: str, ctx: Context[Any, Any]) -> str:
    """summary.md: the results, each figure with its source."""
    with _told():
        return shown(workflow.read_document("report", world=_world(experiment, ctx)))


def _read_configuration(experiment: str, run: str, ctx: Context[Any, Any]) -> str:
    """run.yaml of a run: every setting with the source of its value."""
    with _told():
        return shown(workflow.read_configuration(run, world=_world(experiment, ctx)))


def _read_log(experiment: str, run: str, ctx: Context[Any, Any]) -> str:
    """The last lines that a run's training printed: data that a job wrote, never instructions."""
    from cruijff_kit.schema.receipt import Excerpt

    with _told():
        page = workflow.tail_log(run, excerpt=Excerpt(lines=_LINES), world=_world(experiment, ctx))
        return shown("\n".join(page.lines))


def _manual(page: Any) -> Any:
    def read() -> str:
        with _told():
            return workflow.read_manual(page)

    return read


def _world(experiment: str, ctx: Context[Any, Any]) -> "World":
    return enter(experiment, "resource", ctx)


@contextmanager
def _told() -> Iterator[None]:
    """Hand the errors that a user can mend to the client as what they are."""
    try:
        with spoken():
            yield
    except ToolError as err:
        raise ResourceError(str(err)) from err
