"""Environments that are made in memory, at once."""

import platform
import sys
from collections.abc import Sequence
from datetime import datetime

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress
from cruijff_kit.rendering.lock_text import render_lock
from cruijff_kit.schema.environment import (
    LOCK_FILE,
    BuildOrder,
    EnvironmentLock,
    FolderState,
    LockedPackage,
    OwnEnvironment,
    OwnPackage,
)

__all__ = ["FakeEnvironments"]

OWN = OwnEnvironment(
    package=OwnPackage(version="0.1.0", path="/usr/lib/kit", code="c" * 64),
    python="/usr/bin/python3",
    version="3.11.7",
    extras=("eval", "train"),
    offered=("all", "eval", "train", "ui"),
    pins={"click": "8.5.1", "torch": "2.13.0"},
)


class FakeEnvironments:
    """Folders by path: what each holds, and the texts of locks."""

    def __init__(
        self, *, own: OwnEnvironment = OWN, foreign: Sequence[str] = (), unfinished: Sequence[str] = ()
    ) -> None:
        self.told = own
        self.foreign, self.unfinished = set(foreign), set(unfinished)
        self.locks: dict[str, str] = {}
        self.orders: list[BuildOrder] = []

    def own(self) -> OwnEnvironment:
        return self.told

    def version(self, python: str, *, modules: Sequence[str] = ()) -> str:
        if not python.startswith("/"):
            raise SiteError(f"`{python}` cannot be run: not found", hint="name another with `--python`")
        if python == sys.executable:
            return platform.python_version()
        return "3.6.8" if python.endswith("3.6") else self.told.version

    def state(self, folder: str) -> FolderState:
        if f"{folder}/{LOCK_FILE}" in self.locks:
            return "whole"
        return "foreign" if folder in self.foreign else "unfinished" if folder in self.unfinished else "absent"

    def build(self, order: BuildOrder, *, made: datetime, progress: Progress | None = None) -> EnvironmentLock:
        if self.state(order.folder) == "foreign":
            raise SiteError(f"`{order.folder}` was not made by this command", hint="name another folder with `--into`")
        self.orders.append(order)
        self.unfinished.discard(order.folder)
        packages = tuple(LockedPackage(name=name, version=each, sha256="d" * 64) for name, each in order.pins.items())
        lock = EnvironmentLock(
            made=made,
            python=order.version,
            platform="linux-x86_64",
            torch=order.pins.get("torch", ""),
            cuda="",
            extras=order.extras,
            code=self.told.package.code,
            key=order.key,
            packages=packages,
        )
        self.locks[f"{order.folder}/{LOCK_FILE}"] = render_lock(lock)
        (progress or (lambda *_: None))(1, 1, "made")
        return lock

    def read_lock(self, path: str) -> str | None:
        return self.locks.get(path)

    def write_lock(self, path: str, text: str) -> None:
        self.locks[path] = text
