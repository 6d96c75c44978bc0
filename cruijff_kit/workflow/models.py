"""Models: describe a base model, or make the small one."""

from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.site import ModelFacts

__all__ = ["describe_model", "make_tiny_model"]


def describe_model(path: str, *, world: World) -> ModelFacts:
    """Return what a model directory says of itself.

    Raises:
        SiteError: the directory or its `config.json` is missing or unreadable.
    """
    return world.hub.facts(path)


def make_tiny_model(*, force: bool = False, progress: Progress | None = None, world: World) -> ModelFacts:
    """Return the small base model, training it first where it is not cached.

    Raises:
        SiteError: the extra that trains is not installed, or a known answer was missed.
    """
    return world.hub.make_tiny(force=force, progress=progress)
