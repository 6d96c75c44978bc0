"""A server on a socket of this machine: bound before the model is loaded, ended by a signal."""

import errno
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from cruijff_kit.adapters.http_app import ServingApp
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.loopback import is_loopback
from cruijff_kit.schema.serving import Place

__all__ = ["TOKEN", "HttpServer", "bind", "read_token", "refuse_open"]

TOKEN = "CK_SERVE_TOKEN"  # noqa: S105 -- the name of a variable, and no secret
"""Environment variable that holds the token."""

_SHORTEST = 16
_SECONDS_TO_END = 5
_HOSTS = "use `127.0.0.1`, or an address that `ip address` shows"
_MAKE = "make one: `umask 077; openssl rand -hex 32 > FILE`"


class HttpServer(uvicorn.Server):
    """Serves an application until a signal comes, or `end` is called."""

    def __init__(self, app: ServingApp, *, ready: Callable[[], None]) -> None:
        """Take the application.

        Args:
            app: answers requests.
            ready: called once, when requests are taken.
        """
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_SECONDS_TO_END,
            )
        )
        self._app = app
        self._ready = ready
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def end(self) -> None:
        """Take no more requests, and end the answers under way at their next token; any thread may call this."""
        self.should_exit = True
        self._app.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at a signal; a second one does not wait for answers."""
        self.force_exit = self.should_exit
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self.end()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a server, and give them back; only a process's first thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def bind(place: Place) -> socket.socket:
    """Return a socket that listens at a place; whoever comes before the model is loaded waits.

    Raises:
        SiteError: the port is taken or not to be had, or the host is no interface of this machine.
    """
    host, port = place.host, place.port
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as err:
        raise SiteError(f"`{host}` is no name or address of this machine", hint=_HOSTS) from err
    listener = socket.socket(family, kind)
    try:
        # A server that has just ended leaves its port in use for a minute otherwise.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as err:
        listener.close()
        raise _unbound(err, place) from err
    return listener


def _unbound(err: OSError, place: Place) -> SiteError:
    host, port = place.host, place.port
    match err.errno:
        case errno.EADDRINUSE:
            hint = f"choose another with `--port`, 0 for any free one; `ss -ltnp 'sport = :{port}'` shows who has it"
            return SiteError(f"port `{port}` of `{host}` is taken", hint=hint)
        case errno.EACCES | errno.EPERM:
            return SiteError(f"port `{port}` is not yours to take", hint="choose one above 1023 with `--port`")
        case errno.EADDRNOTAVAIL:
            return SiteError(f"`{host}` is no address of this machine", hint=_HOSTS)
    return SiteError(f"`{host}:{port}` cannot be listened at: {(err.strerror or str(err)).lower()}")


def read_token(file: str | None) -> str | None:
    """Return the token that requests must carry, of a file or the environment; None where there is none.

    Raises:
        SiteError: the file cannot be read or may be read by others, or the token is short.
    """
    if file is None:
        token, source = os.environ.get(TOKEN, ""), f"`{TOKEN}`"
        if not token:
            return None
    else:
        token, source = _of_file(Path(file)), f"the token in `{file}`"
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise SiteError(f"{source} is not {_SHORTEST} or more plain characters without a space", hint=_MAKE)
    return token


def _of_file(path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise SiteError(f"the token in `{path}` cannot be read", hint=_MAKE) from err
    if mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        raise SiteError(f"others may read or write `{path}`, so it holds no secret", hint=f"chmod 600 {path}")
    return text.strip()


def refuse_open(host: str, *, token: str | None, here_only: str) -> None:
    """Refuse to listen to other machines without a token, and where the model may not leave this one.

    Raises:
        SiteError: one of both is so.
    """
    if is_loopback(host):
        return
    if here_only:
        raise SiteError(f"{here_only}, so it is served on this machine alone", hint="leave out `--host`")
    if token is None:
        fact = f"`{host}` can be reached from other machines, and no token is set"
        raise SiteError(fact, hint=f"set `{TOKEN}`, or name a file with `--token-file`; {_MAKE}")
