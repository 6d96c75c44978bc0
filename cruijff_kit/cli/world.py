"""From the command line to an experiment's world."""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cruijff_kit.bootstrap import open_archive, open_local, open_sanity, open_site, open_world
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.layout import ExperimentLayout

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import Bench, World

__all__ = [
    "ProgressBar",
    "chosen",
    "confirm",
    "enter",
    "enter_archive",
    "enter_around",
    "enter_local",
    "enter_project",
    "enter_sanity",
    "enter_site",
]


def enter(experiment: str) -> "World":
    """Return the world of an experiment directory, acting for the person at the keyboard."""
    folder = Path(experiment).resolve()
    name = getpass.getuser()
    return open_world(folder, root=folder.parent, kind="human", name=name, client="ck", site=chosen())


def enter_archive(experiment: str) -> "World":
    """Return the world of an experiment that is to be put away or brought back."""
    folder = Path(experiment).resolve()
    return open_archive(folder, root=folder.parent, name=getpass.getuser(), site=chosen())


def enter_site(experiment: str, *, new: bool = False) -> "World":
    """Return the surroundings of an experiment for whoever looks at its site, wherever experiments lie."""
    folder = Path(experiment).resolve()
    return open_site(folder, root=folder.parent, site=chosen(), new=new)


def enter_around(experiment: str) -> "World":
    """Return the project around an experiment that lies elsewhere, whose record keeps consent to its inputs."""
    root = Path(experiment).resolve().parent
    world = open_site(root, root=root, site=chosen())
    return world._replace(actor=world.actor.model_copy(update={"name": getpass.getuser()}))


def enter_project(experiment: str) -> "World":
    """Return the surroundings of a project: the directory that experiments, data, models and `site.yaml` lie in.

    That is the directory asked for; where this is itself an experiment, the one around it.
    """
    folder = Path(experiment).resolve()
    root = folder.parent if (folder / ExperimentLayout.summary).is_file() else folder
    return open_site(root, root=root, site=chosen())


def enter_sanity(experiment: str, *, here: bool) -> "Bench":
    """Return the project in which sanity checks are made; their jobs run on this machine, or as the site says."""
    root = enter_project(experiment).store.root
    return open_sanity(root, name=getpass.getuser(), here=here, site=chosen())


def enter_local(experiment: Path, *, project: Path) -> "World":
    """Return the world of an experiment of a project whose jobs run on this machine."""
    return open_local(experiment, root=project, name=getpass.getuser(), site=chosen())


def chosen() -> str | None:
    """Return the site that `ck --site` names, None where it names none."""
    context = click.get_current_context(silent=True)
    return context.find_root().params.get("site") if context is not None else None


def confirm(question: str, word: str, *, unattended: bool, world: "World") -> None:
    """Go on only if the user types the word at a terminal.

    `--yes` counts only where the user's own site file allows it.

    Raises:
        SiteError: nobody is there to ask, or the answer was another.
    """
    if unattended and world.site.allow_unattended:
        return
    if unattended:
        raise SiteError(
            "`--yes` is not allowed on this machine",
            hint="type the answer, or set `allow_unattended: true` in your own site file",
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SiteError(f"there is no terminal to ask at: {question}", hint="run the command in a terminal")
    if click.prompt(f"{question}\nType `{word}` to go on", default="", show_default=False, err=True) != word:
        raise SiteError("not confirmed; nothing was done")


class ProgressBar:
    """A bar on a terminal's stderr; silent elsewhere. Use it as the `progress` of a verb."""

    def __init__(self, label: str) -> None:
        """Keep the label; the bar appears with the first call."""
        self._label = label
        self._live = sys.stderr.isatty()

    def __enter__(self) -> "ProgressBar":
        """Return the callable."""
        return self

    def __call__(self, done: int, total: int, label: str) -> None:
        """Redraw the bar."""
        if self._live:
            width = 28
            filled = width * done // max(total, 1)
            bar = "█" * filled + "·" * (width - filled)
            click.echo(f"\r{self._label} {bar} {done}/{total} {label[:40]:40}", nl=False, err=True)

    def __exit__(self, *_: object) -> None:
        """Leave the cursor on a fresh line."""
        if self._live:
            click.echo("", err=True)
