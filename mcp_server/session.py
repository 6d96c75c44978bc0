"""From a tool call to an experiment's world, and from its errors and answers to the model."""

import inspect
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio.from_thread
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_archive, open_world
from cruijff_kit.errors import CruijffError, SiteError

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["Session", "enter", "enter_moved", "guarded", "project", "shown", "spoken", "work"]

_Answer = TypeVar("_Answer")
_Reply = TypeVar("_Reply", bound=BaseModel)


class Session(NamedTuple):
    """What every call of one server shares."""

    root: Path
    """Project root, resolved once; experiments are directories in it."""
    read: tuple[Path, ...] = ()
    """Further directories that may be read."""

    @classmethod
    def at(cls, root: Path, *, read: Sequence[Path] = ()) -> "Session":
        """Return a session over a project root.

        Raises:
            SiteError: the root is `/`, the home directory, or not a directory.
        """
        resolved = root.resolve()
        if resolved in (Path("/"), Path.home().resolve()) or not resolved.is_dir():
            raise SiteError(
                f"`{resolved}` cannot be the project root",
                hint="start the server with `--root DIR` or `CRUIJFF_ROOT` set to a project directory",
            )
        return cls(resolved, tuple(each.resolve() for each in read))


def enter(experiment: str, tool: str, ctx: Context[Any, Any]) -> "World":
    """Return the world of an experiment, acting as the assistant behind the call."""
    return _entered(experiment, tool, ctx, open_it=open_world)


def enter_moved(experiment: str, tool: str, ctx: Context[Any, Any]) -> "World":
    """Return the same of an experiment that is put away or brought back, wherever it lies at the moment."""
    return _entered(experiment, tool, ctx, open_it=open_archive)


def _entered(experiment: str, tool: str, ctx: Context[Any, Any], *, open_it: Callable[..., "World"]) -> "World":
    # The schema says so too; this is the check at the effect.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", experiment):
        raise ToolError(f"`{experiment[:80]}` is not the name of an experiment")
    session: Session = ctx.request_context.lifespan_context
    place = session.root / experiment
    with spoken():
        world = open_it(place, root=session.root, kind="assistant", name=tool, client=_client(ctx))
    if world.store.root != place:
        raise ToolError(f"`{experiment}` is a link, and links may lead anywhere; an experiment is a folder of its own")
    return world._replace(roots=workflow.roots_of(world.site, root=session.root, read=session.read))


def project(tool: str, ctx: Context[Any, Any]) -> "World":
    """Return the world of the project itself, for what concerns all its experiments."""
    session: Session = ctx.request_context.lifespan_context
    with spoken():
        return open_world(session.root, root=session.root, kind="assistant", name=tool, client=_client(ctx))


async def work(ctx: Context[Any, Any], verb: Callable[..., _Answer], **arguments: Any) -> _Answer:
    """Run a verb in a worker thread, its progress reported to the client where it tells any."""

    def told(done: int, total: int, label: str) -> None:
        anyio.from_thread.run(partial(ctx.report_progress, done, total, label))

    if "progress" in inspect.signature(verb).parameters:
        arguments["progress"] = told
    with spoken():
        return await anyio.to_thread.run_sync(partial(verb, **arguments))


@contextmanager
def spoken() -> Iterator[None]:
    """Hand the errors a user can mend to the model in full; all others stay masked."""
    try:
        yield
    except CruijffError as err:
        raise ToolError(shown(str(err))) from err


def guarded(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Return a tool whose answers hold no secret and no character that hides or misleads, whoever wrote the text."""
    if inspect.iscoroutinefunction(tool):

        @wraps(tool)
        async def waited(*args: Any, **arguments: Any) -> Any:
            return _safe(await tool(*args, **arguments))

        return waited

    @wraps(tool)
    def called(*args: Any, **arguments: Any) -> Any:
        return _safe(tool(*args, **arguments))

    return called


def shown(text: str) -> str:
    """Return a text as it may leave: secrets masked, and no character that hides or misleads."""
    return workflow.safe_text(text, secrets=_secrets())


@cache
def _secrets() -> tuple[str, ...]:
    """Return the values of this process's variables that are named like secrets; they do not change while it runs."""
    return workflow.secrets_of(os.environ)


def _safe(reply: _Reply) -> _Reply:
    return type(reply).model_validate(_made_safe(reply.model_dump(mode="python")))


def _made_safe(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {_made_safe(key): _made_safe(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_made_safe(each) for each in value]
    return value


def _client(ctx: Context[Any, Any]) -> str | None:
    params = getattr(ctx.request_context.session, "client_params", None)
    info = getattr(params, "client_info", None)
    return f"{info.name} {info.version}" if info is not None else None
