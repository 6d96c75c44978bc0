"""Texts to embed, a world to do it in, and what a finished file tells."""

import json
import random
from pathlib import Path

import h5py

from cruijff_kit.adapters.embedder import LocalEmbedder
from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.ports import World
from tests.fakes.designed import world_at

__all__ = ["attributes", "texts", "world_without"]


def world_without(folder: Path) -> World:
    """Return a world without an experiment that embeds and reads models for real."""
    hub = LocalHub(cache=folder / "cache")
    return world_at(folder / "nowhere")._replace(hub=hub, embedder=LocalEmbedder())


def texts(path: Path, count: int, *, longest: int = 40) -> str:
    """Write texts of various lengths with ids of their own, a row a line; return the path."""
    dice = random.Random(1)
    lines = [json.dumps({"input": "x" * dice.randint(1, longest), "key": f"k{at}"}) + "\n" for at in range(count)]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def attributes(path: Path) -> dict[str, str]:
    """Return what a file says of itself."""
    with h5py.File(path) as file:
        return {name: str(value) for name, value in file.attrs.items()}
