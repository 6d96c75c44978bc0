"""The MCP server `cruijff`: one tool per verb, over stdio."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp.server import MCPServer

from cruijff_kit import __version__
from cruijff_kit.errors import CruijffError
from cruijff_kit.mcp_server import design_tools, job_tools, result_tools
from cruijff_kit.mcp_server.session import Session
from cruijff_kit.mcp_server.surface import INSTRUCTIONS

__all__ = ["build", "main"]


def build(root: Path) -> MCPServer[Any]:
    """Return the server over one project root.

    Raises:
        SiteError: the root is `/`, the home directory, or not a directory.
    """
    session = Session(root)
    server: MCPServer[Any] = MCPServer("cruijff", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    for group in (design_tools, job_tools, result_tools):
        group.register(server, session)
    return server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve over stdio until the client leaves; stdout carries the protocol only."""
    parser = argparse.ArgumentParser(prog="cruijff-mcp", description="MCP server of cruijff-kit, over stdio.")
    parser.add_argument(
        "--root",
        default=os.environ.get("CRUIJFF_ROOT", "."),
        help="project directory that holds the experiments (default: CRUIJFF_ROOT, else the current directory)",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        server = build(Path(options.root))
    except CruijffError as err:
        sys.stderr.write(f"error: {err}\n")
        raise SystemExit(err.exit_code) from None
    server.run()


if __name__ == "__main__":
    main()
