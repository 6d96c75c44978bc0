"""Results: figures of the report on disk, each with the file it was computed from; nothing is computed here."""

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.report import ResultsPage
from cruijff_kit.workflow.lesson_evidence import read_report
from cruijff_kit.workflow.seal import refuse_absent

__all__ = ["read_results", "require_current"]

_MOST = 500
_AGAIN = "`ck report` writes it anew"


def read_results(*, match: str = "", after: int = 0, limit: int = 50, world: World) -> ResultsPage:
    """Return figures of the report on disk, in its order; never writes.

    A figure is named by what it is about: `accuracy/<run>/<task>/<epoch>/<scorer>`, `training/<run>/<loss>`,
    `mean/<levels>`, `effect/<factor>/<contrast>`, `base/<run>/<task>`, `probability/…`, `guarantee/…`, `group/…`.

    Args:
        match: words that a figure's name must contain, all of them.
        after: figures to pass over, of those that match.
        limit: how many to return, from 1 to 500.
        world: the experiment and its surroundings.

    Raises:
        SpecError: `limit` or `after` is out of range.
        PlanError: there is no such experiment.
        ResultError: there is no report, it is damaged, or results were collected since.
    """
    if not 1 <= limit <= _MOST or after < 0:
        raise SpecError(f"`limit` goes from 1 to {_MOST} and `after` from 0", hint="ask for the next page")
    report = read_report(world)
    if report is None:
        refuse_absent(world)
        raise ResultError(
            "nothing was reported yet", hint="`ck report` collects what has ended and computes the figures"
        )
    require_current(report.made_of, world)
    words = match.casefold().split()
    chosen = [each for each in report.figures if all(word in each.figure.casefold() for word in words)]
    page = tuple(chosen[after : after + limit])
    labels = {label for each in page for label in each.references}
    return ResultsPage(
        figures=page,
        sources={label: each for label, each in report.references.items() if label in labels},
        total=len(chosen),
        report_sha256=report.sha256,
    )


def require_current(made_of: str | None, world: World) -> None:
    """Refuse figures of a result table that is no longer the one on disk.

    Args:
        made_of: hash of the table that the report was made of; None where it tells none.
        world: the experiment and its surroundings.

    Raises:
        ResultError: results were collected since the report.
    """
    if made_of is not None and world.store.digest(ExperimentLayout.results) != made_of:
        fact = f"the report was made of another `{ExperimentLayout.results}` than the one on disk"
        raise ResultError(fact, hint=_AGAIN)
