"""The one thread in which MLX computes for callers of many."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, TypeVar

import mlx.core as mx

__all__ = ["MlxThread"]

_Found = TypeVar("_Found")
_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class MlxThread:
    """A thread that takes calls in turn and gives MLX's streams back before it ends.

    MLX computes what a thread has begun in that thread alone. Streams that outlive their thread are torn down
    while the process ends, which now and then aborts it after its work is done; a pool of the standard library has no
    place for a last call.
    """

    def __init__(self) -> None:
        """Start the thread; it ends with this object or with the process."""
        self._calls: _Calls = SimpleQueue()
        # A daemon, for others are waited for before anything could tell this one to end.
        thread = Thread(target=_serve, args=(self._calls,), name="mlx", daemon=True)
        thread.start()
        weakref.finalize(self, _end, self._calls, thread)

    def run(self, call: Callable[[], _Found]) -> _Found:
        """Return what a call returns, made after those before it.

        Raises:
            BaseException: what the call raises.
        """
        future: Future[_Found] = Future()
        self._calls.put((future, call))
        return future.result()


def _serve(calls: _Calls) -> None:
    while (asked := calls.get()) is not None:
        _answer(*asked)
        del asked
    mx.synchronize()
    mx.clear_streams()


def _answer(future: Future[_Found], call: Callable[[], _Found]) -> None:
    try:
        future.set_result(call())
    except BaseException as err:  # noqa: BLE001 - whoever asked raises it
        future.set_exception(err)


def _end(calls: _Calls, thread: Thread) -> None:
    calls.put(None)
    if thread is not current_thread():
        thread.join()
