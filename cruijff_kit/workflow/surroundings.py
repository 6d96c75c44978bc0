"""Surroundings: what a world may lack, as a test's or a server's does, asked for in words where a verb needs it."""

from typing import TypeVar

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Environments, Serving, Shelf, SiteFiles, SiteProbe, Vault, World

__all__ = ["environments_of", "probe_of", "serving_of", "shelf_of", "sites_of", "vault_of"]

_Part = TypeVar("_Part")


def probe_of(world: World) -> SiteProbe:
    """Return what looks at the machine and its cluster.

    Raises:
        SiteError: this world looks at no machine.
    """
    return _had(world.probe, "looks at no machine")


def sites_of(world: World) -> SiteFiles:
    """Return the site files.

    Raises:
        SiteError: this world has none.
    """
    return _had(world.sites, "has no site files")


def shelf_of(world: World) -> Shelf:
    """Return what looks at output directories.

    Raises:
        SiteError: this world looks at none.
    """
    return _had(world.shelf, "looks at no output directories")


def environments_of(world: World) -> Environments:
    """Return what makes environments of jobs.

    Raises:
        SiteError: this world makes none.
    """
    return _had(world.environments, "makes no environments")


def serving_of(world: World) -> Serving:
    """Return what lets models answer.

    Raises:
        SiteError: this world serves none.
    """
    return _had(world.serving, "serves no models")


def vault_of(world: World) -> Vault:
    """Return what puts experiments away.

    Raises:
        SiteError: this world puts none away.
    """
    return _had(world.vault, "puts no experiments away")


def _had(part: _Part | None, lacking: str) -> _Part:
    if part is None:
        raise SiteError(f"this world {lacking}", hint="use `ck` at a terminal")
    return part
