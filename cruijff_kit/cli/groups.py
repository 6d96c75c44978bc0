"""`ck groups`: one model's answers, compared between groups of samples."""

from pathlib import Path
from typing import Literal

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.groups import GroupRules

__all__ = ["groups"]


@click.command()
@click.argument("source")
@click.option("--by", required=True, metavar="COLUMN", help="Group column.")
@click.option("--task", default=None, help="Evaluation of a run; its first one where absent.")
@click.option(
    "--probability-of",
    type=click.Choice(["1", "true", "predicted"]),
    default=None,
    help="What a CSV's probability is of: class 1, the true label, or the label predicted.",
)
@click.option("--probability-column", default=None, help="Name of that column.  [default: P(TRUE LABEL)]")
@click.option("--alpha", default=0.05, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True))
@click.option("--min-n", default=30, show_default=True, type=click.IntRange(2), help="Fewest samples of an estimate.")
@click.option(
    "--correction",
    type=click.Choice(["holm", "bh"]),
    default="holm",
    show_default=True,
    help="Which adjusted p-value makes an outlier.",
)
@click.option("--resamples", default=2000, show_default=True, type=click.IntRange(100, 100_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the bootstrap.")
@click.pass_obj
def groups(
    experiment: str,
    source: str,
    *,
    by: str,
    task: str | None,
    probability_of: Literal["1", "true", "predicted"] | None,
    probability_column: str | None,
    alpha: float,
    min_n: int,
    correction: Literal["holm", "bh"],
    resamples: int,
    seed: int,
) -> None:
    """Compare accuracy, AUC, calibration and more between groups of samples.

    SOURCE is a run of the experiment, or a CSV of answers with the columns TRUE_LABEL,
    PREDICTION and the group column.
    """
    rules = GroupRules(alpha=alpha, min_n=min_n, correction=correction, resamples=resamples, seed=seed)
    if Path(source).suffix.lower() == ".csv":
        if task is not None:
            raise SpecError("`--task` belongs to a run; a CSV has none", hint="leave it out")
        receipt = workflow.compare_answer_groups(
            source, by, probability_of=probability_of, probability_column=probability_column,
            rules=rules, world=enter(experiment),
        )  # fmt: skip
    else:
        if probability_of is not None or probability_column is not None:
            fact = (
                "`--probability-of` and `--probability-column` belong to a CSV; a run's predictions say what they are"
            )
            raise SpecError(fact, hint="leave them out")
        receipt = workflow.compare_run_groups(source, by, task=task, rules=rules, world=enter(experiment))
    click.echo("\n".join([receipt.table, *receipt.files]))
