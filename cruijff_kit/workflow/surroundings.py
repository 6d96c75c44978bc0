"""Surroundings: what a world may lack, as a test's or a server's does, asked for in words where a verb needs it."""

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Environments, Serving, Shelf, SiteFiles, SiteProbe, World

__all__ = ["environments_of", "probe_of", "serving_of", "shelf_of", "sites_of"]

_HINT = "use `ck` at a terminal"


def probe_of(world: World) -> SiteProbe:
    """Return what looks at the machine and its cluster.

    Raises:
        SiteError: this world looks at no machine.
    """
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint=_HINT)
    return world.probe


def sites_of(world: World) -> SiteFiles:
    """Return the site files.

    Raises:
        SiteError: this world has none.
    """
    if world.sites is None:
        raise SiteError("this world has no site files", hint=_HINT)
    return world.sites


def shelf_of(world: World) -> Shelf:
    """Return what looks at output directories.

    Raises:
        SiteError: this world looks at none.
    """
    if world.shelf is None:
        raise SiteError("this world looks at no output directories", hint=_HINT)
    return world.shelf


def environments_of(world: World) -> Environments:
    """Return what makes environments of jobs.

    Raises:
        SiteError: this world makes none.
    """
    if world.environments is None:
        raise SiteError("this world makes no environments", hint=_HINT)
    return world.environments


def serving_of(world: World) -> Serving:
    """Return what lets models answer.

    Raises:
        SiteError: this world serves none.
    """
    if world.serving is None:
        raise SiteError("this world serves no models", hint=_HINT)
    return world.serving
