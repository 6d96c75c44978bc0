"""The body of an imported experiment's `experiment_summary.md`: what it is, and what nobody knows of it."""

from collections.abc import Sequence

from cruijff_kit.rendering.markdown import as_code, as_text, markdown_table
from cruijff_kit.rendering.summary import join_summary
from cruijff_kit.schema.imported import Unknown
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["imported_summary"]


def imported_summary(spec: ExperimentSpec, plan: Plan, *, unknown: Sequence[Unknown]) -> str:
    """Return the whole text of an imported experiment's summary.

    Args:
        spec: the design it became.
        plan: its plan.
        unknown: what cannot be known of it.
    """
    lines = [
        f"# {as_text(spec.name)}",
        "",
        "## Overview",
        "",
        "Imported from an experiment of the first system, which had run already: it can be reported, compared and",
        f"searched, and nothing of it can be submitted. `{ExperimentLayout.imported}` holds the hash of every file;",
        f"the files themselves lie in `{ExperimentLayout.originals}/` here and in each run's folder.",
        "",
        f"- Question: {as_text(spec.question)}",
        f"- Hypothesis: {as_text(spec.hypothesis) or 'none on record'}",
        f"- Created: {spec.created}",
        "",
        "## All Runs",
        "",
        *markdown_table(("run", "type", "model", "levels", "evaluations"), [_row(run) for run in plan.runs]),
        "",
        "## Resources",
        "",
        *markdown_table(
            ("data", "path", "sha256"),
            [
                (
                    as_code(each.key),
                    as_code(each.path),
                    "unknown" if each.sha256 == UNKNOWN_SHA256 else each.sha256[:12],
                )
                for each in plan.datasets
            ],
        ),
        "",
        "## What is not known",
        "",
        *([f"- {as_text(each.what)}: {as_text(each.reason)}" for each in unknown] or ["Nothing is missing."]),
    ]
    return join_summary(spec, "\n".join(lines) + "\n", source=plan.model_dump_json())


def _row(run: PlannedRun) -> tuple[str, ...]:
    levels = ", ".join(f"{name} {as_text(level)}" for name, level in run.factors.items())
    cells = ", ".join(cell.name for cell in run.cells)
    return as_code(run.id), run.type, as_code(run.model.name), levels or "-", as_text(cells) or "none"
