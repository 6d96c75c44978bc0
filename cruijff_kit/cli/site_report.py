"""What was checked of a site, as text or JSON, and the exit code that follows from it."""

import click

from cruijff_kit.cli.table import aligned
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.site_facts import SiteReport

__all__ = ["reported", "unreached"]


def reported(report: SiteReport, *, as_json: bool) -> None:
    """Print what was checked of a site, and end with an error where something will not do.

    Raises:
        SiteError: something is wrong; what and how to mend it was printed.
    """
    click.echo(report.model_dump_json(indent=2) if as_json else _report(report))
    wrong = [trait for trait in report.traits if trait.ok is False]
    if wrong:
        count = "one thing" if len(wrong) == 1 else f"{len(wrong)} things"
        raise SiteError(f"{count} will not do: {', '.join(dict.fromkeys(trait.name for trait in wrong))}")


def unreached(report: SiteReport) -> bool:
    """Return whether a login host cannot be asked to check itself."""
    needed = ("login host", "remote directory", "cruijff-kit there", "login shell", "rsync")
    return any(trait.ok is False and trait.name in needed for trait in report.traits)


def _report(report: SiteReport) -> str:
    marks = {True: "ok", False: "WRONG", None: "-"}
    rows = [(marks[trait.ok], trait.name, trait.found) for trait in report.traits]
    hints = [f"{trait.name}: {trait.hint}" for trait in report.traits if trait.hint and trait.ok is False]
    return "\n".join([aligned(("", "what", "found"), rows), *(["", "To mend:", *hints] if hints else [])])
