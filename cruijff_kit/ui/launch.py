"""Starting the pages: one server on the loopback address, which asks nothing of the net and reports to nobody."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.pages import Opening

__all__ = ["HOST", "serve_pages"]

HOST = "127.0.0.1"
"""Where pages are served: never elsewhere, as nobody is asked who they are."""

_SCRIPT = Path(__file__).with_name("page.py")
_OPTIONS: dict[str, Any] = {
    "server_address": HOST,
    "server_headless": True,
    # A page that made its name lead here could otherwise read along.
    "server_allowedHosts": [HOST, "localhost"],
    "server_fileWatcherType": "none",
    "server_runOnSave": False,
    "browser_gatherUsageStats": False,
    "browser_serverAddress": HOST,
    "client_toolbarMode": "minimal",
    "client_showErrorDetails": "none",
    "client_showErrorLinks": False,
    "client_allowedOrigins": [f"http://{HOST}"],
    "global_developmentMode": False,
    "logger_level": "error",
    "theme_base": "light",
    "theme_primaryColor": "#1f5f8b",
}


def serve_pages(opening: Opening, *, port: int, ready: Callable[[str], None]) -> None:
    """Show pages until a signal ends that; nothing of what they show is changed.

    `ck ui`, which becomes this, has made sure that the extra `ui` is here.

    Args:
        opening: what is shown.
        port: TCP port; 0 for any free one.
        ready: told the address once, when a browser may open it.

    Raises:
        SiteError: the port is taken.
    """
    from streamlit import net_util
    from streamlit.web import bootstrap
    from streamlit.web.server import Server

    # Asked whose page a stranger's is, it would look the machine's public address up on the net.
    net_util.get_external_ip = lambda: None
    net_util.get_internal_ip = lambda: None
    bootstrap.load_config_options({**_OPTIONS, "server_port": port})
    sys.argv = [str(_SCRIPT), opening.model_dump_json()]
    server = Server(str(_SCRIPT), False)
    try:
        asyncio.run(_serve(server, ready))
    except SystemExit as err:
        if err.code != 1:
            raise
        hint = "name another with `--port N`, or `--port 0` for any free one"
        raise SiteError(f"port {port} of {HOST} is taken, or may not be used", hint=hint) from err


async def _serve(server: Any, ready: Callable[[str], None]) -> None:
    from streamlit import config
    from streamlit.web import bootstrap

    await server.start()
    bootstrap.prepare_streamlit_environment(str(_SCRIPT))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, server)
    # Whoever looks first need not wait until tables can be drawn; charts are not on the first page.
    _load("cruijff_kit.ui.shell", "pandas", "pyarrow")
    ready(f"http://{HOST}:{config.get_option('server.port')}")
    await asyncio.to_thread(_load, "plotly.graph_objects")
    await server.stopped


def _stop(server: Any) -> None:
    # It says so first; where nobody reads that any more, it would never come to its end.
    with redirect_stdout(StringIO()):
        server.stop()


def _load(*names: str) -> None:
    for name in names:
        import_module(name)
