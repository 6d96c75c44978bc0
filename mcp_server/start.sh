#!/bin/sh
# Start the MCP server: from the checkout's own environment where there is one, else from PATH.
here=$(cd "$(dirname "$0")/.." && pwd)
if [ -x "$here/.venv/bin/cruijff-mcp" ]; then
    exec "$here/.venv/bin/cruijff-mcp" "$@"
fi
if command -v cruijff-mcp >/dev/null 2>&1; then
    exec cruijff-mcp "$@"
fi
echo "cruijff-mcp is not installed; run: make -C '$here' setup" >&2
exit 3
