"""A home of an experiment that lies in another folder: copied by plain reads and writes."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.mirror import WITHOUT_TEXTS, Fetched

__all__ = ["FakeHome"]


class FakeHome:
    """A folder instead of a host; `call` is whatever a test says."""

    words = "fake:/home"

    def __init__(self, copy: Path, home: Path, *, act: Callable[[Sequence[str]], int] = len) -> None:
        self.copy, self.home, self._act = copy, home, act
        self.called: list[tuple[str, ...]] = []
        self.again = 0
        self._ours = not copy.exists()

    def send(self) -> tuple[str, ...]:
        self._claim()
        inputs = self.copy.parent / "inputs"
        return _copied(inputs, self.home.parent / "inputs", prefix="inputs/") if inputs.is_dir() else ()

    def inputs(self) -> tuple[Path, ...]:
        return tuple(path for path in sorted((self.copy.parent / "inputs").rglob("*")) if path.is_file())

    def fetch(self, *, adapters: bool = False, again: bool = False, texts: bool = True) -> Fetched:
        self._claim()
        self.again += again
        if not self.home.is_dir():
            return Fetched(files=())
        if not texts:
            return Fetched(files=_copied(self.home, self.copy, spared=("outputs",), only=WITHOUT_TEXTS))
        return Fetched(files=_copied(self.home, self.copy, spared=() if adapters else ("outputs",)))

    def call(self, words: Sequence[str]) -> int:
        self._require()
        self.called.append(tuple(words))
        return self._act(words)

    def _claim(self) -> None:
        self._require()
        self.copy.mkdir(exist_ok=True)

    def _require(self) -> None:
        if not self._ours:
            raise SiteError(f"`{self.copy}` holds files of its own", hint="use another folder")


def _copied(
    source: Path, target: Path, *, prefix: str = "", spared: tuple[str, ...] = (), only: tuple[str, ...] = ("/**",)
) -> tuple[str, ...]:
    wanted = re.compile("|".join(re.escape(each).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for each in only))
    changed = []
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = path.relative_to(source)
        if any(part.startswith(".") for part in name.parts) or name.parts[0] in spared:
            continue
        if not wanted.fullmatch(f"/{name.as_posix()}"):
            continue
        there = target / name
        if there.exists() and there.read_bytes() == path.read_bytes():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
        changed.append(f"{prefix}{name.as_posix()}")
    return tuple(changed)
