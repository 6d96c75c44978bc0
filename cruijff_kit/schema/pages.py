"""The noun of pages: what a browser on this machine is shown."""

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.serving import ModelChoice

__all__ = ["Opening"]


class Opening(Noun):
    """What pages were opened on."""

    project: str
    """Absolute directory that experiments lie in."""
    experiment: str | None = None
    """The experiment that is looked at first; None for none."""
    metrics: str | None = None
    """Absolute path of one file of metrics, which is all that is shown; None for the project."""
    model: ModelChoice | None = None
    """Model that texts are decided by; None for none."""
    site: str | None = None
    """Which of several sites; each experiment remembers its own where None."""
    demo: bool = False
    """Whether everything shown was made up."""
