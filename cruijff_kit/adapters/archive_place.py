"""Where an experiment went that is not in its place: as the mark in its project tells."""

import json
from pathlib import Path

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout

__all__ = ["place_of", "project_around", "refuse_archived", "refuse_change"]


def place_of(experiment: Path) -> Path | None:
    """Return the directory that an experiment was put away in; None where no mark tells of any."""
    try:
        told = json.loads((experiment.parent / ArchiveLayout(experiment.name).mark).read_text(encoding="utf-8"))
        return experiment.parent / str(told["archive"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def project_around(archive: Path) -> Path | None:
    """Return the project that an archived experiment came from, whose settings it has; None for any other."""
    try:
        told = json.loads((archive / ExperimentLayout.archived).read_text(encoding="utf-8"))
        return Path(told["origin"]).parent
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_archived(experiment: Path) -> None:
    """Refuse to look for an experiment, or to begin one, where one of that name is archived.

    Raises:
        SiteError: it is.
    """
    if experiment.exists():
        return
    place = place_of(experiment)
    if place is not None:
        name = experiment.name
        shown = place.relative_to(experiment.parent) if place.is_relative_to(experiment.parent) else place
        hint = f"`ck -C {name} unarchive` brings it back; `ck -C {shown} results` reads it where it is"
        raise SiteError(f"experiment `{name}` is archived in `{shown}`", hint=hint)


def refuse_change(root: Path) -> None:
    """Refuse to change an experiment that is archived: the manifest would no longer prove it.

    Raises:
        SiteError: it is.
    """
    if (root / ExperimentLayout.archived).exists():
        hint = f"`ck -C {root.name} unarchive`, run in its project, brings it back"
        raise SiteError(f"experiment `{root.name}` is archived here, and stays as it is", hint=hint)
