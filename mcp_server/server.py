"""The MCP server `cruijff`: one tool per verb, over stdio."""

import argparse
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool

from cruijff_kit import __version__
from cruijff_kit.errors import CruijffError
from cruijff_kit.mcp_server import archive_tools, design_tools, job_tools, result_tools, search_tools
from cruijff_kit.mcp_server.resources import add_resources
from cruijff_kit.mcp_server.session import Session, guarded
from cruijff_kit.mcp_server.surface import INSTRUCTIONS, SURFACE

__all__ = ["TOOLS", "build", "main"]

TOOLS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module in (design_tools, job_tools, result_tools, search_tools, archive_tools)
    for name in module.__all__
}
"""Tool name to the function behind it."""


def build(root: Path, *, read: Sequence[Path] = ()) -> MCPServer[Session]:
    """Return the server over one project root, with further directories whose files designs may name.

    Raises:
        SiteError: the root is `/`, the home directory, or not a directory.
    """
    session = Session.at(root, read=read)

    @asynccontextmanager
    async def lifespan(server: MCPServer[Session]) -> AsyncIterator[Session]:
        yield session

    server = MCPServer(
        "cruijff",
        version=__version__,
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        log_level="WARNING",
        tools=[_told(name) for name in SURFACE],
    )
    add_resources(server)
    return server


def _told(name: str) -> Tool:
    """Return a tool as clients are told of it: its schemas have no titles, which would but repeat the names."""
    tool = Tool.from_function(guarded(TOOLS[name]), name=name, annotations=SURFACE[name].annotations)
    tool.parameters = _untitled(tool.parameters)
    tool.fn_metadata.output_schema = _untitled(tool.fn_metadata.output_schema)
    return tool


def _untitled(schema: Any) -> Any:
    if isinstance(schema, dict):
        # A property that is called `title` is a schema of its own, and no text.
        kept = {key: each for key, each in schema.items() if key != "title" or not isinstance(each, str)}
        return {key: _untitled(each) for key, each in kept.items()}
    return [_untitled(each) for each in schema] if isinstance(schema, list) else schema


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve over stdio until the client leaves; stdout carries the protocol only."""
    parser = argparse.ArgumentParser(prog="cruijff-mcp", description="MCP server of cruijff-kit, over stdio.")
    parser.add_argument(
        "--root",
        default=os.environ.get("CRUIJFF_ROOT", "."),
        help="project directory that holds the experiments (default: CRUIJFF_ROOT, else the current directory)",
    )
    parser.add_argument(
        "--read",
        action="append",
        default=[],
        metavar="DIR",
        help="further directory that may be read, beside the site's models and data; give it once for each",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        server = build(Path(options.root), read=[Path(each) for each in options.read])
    except CruijffError as err:
        sys.stderr.write(f"error: {err}\n")
        raise SystemExit(err.exit_code) from None
    _collect_seldom()
    try:
        server.run()
    finally:
        # The transport gives stdout back; what a verb printed and nobody flushed would follow the last message.
        os.dup2(sys.stderr.fileno(), 1)


def _collect_seldom() -> None:
    """Have the garbage collector look less often: once torch is loaded, a look takes longer than most answers.

    Plans and reports are read whole and let go of at once; hardly any of what they are made of forms circles.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


if __name__ == "__main__":
    main()
