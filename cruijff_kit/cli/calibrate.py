"""`ck calibrate`: a guarantee from one split, and what it is worth on another."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.refusals import refusal
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator, Method, SplitFigures
from cruijff_kit.schema.known_chances import KnownChances
from cruijff_kit.schema.report import Interval

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["calibrate"]


@click.command()
@click.argument("run")
@click.option("--apply", "applied", metavar="SPLIT", help="Apply the calibrator that is there to this split; fit none.")
@click.option("--known", is_flag=True, help="With --apply: hold the probabilities against those in columns `chance_…`.")
@click.option("--most-ece", default=0.03, show_default=True, help="With --known: the largest calibration error wanted.")
@click.option("--method", type=click.Choice(get_args(Method)), default="lac", show_default=True)
@click.option("--alpha", default=0.1, show_default=True, help="Share of sets that may miss; for crc and ltt the risk.")
@click.option("--delta", default=0.1, show_default=True, help="Chance that the claim of ltt is wrong.")
@click.option("--risk", type=click.Choice(["selective", "marginal"]), help="Cost per sample acted on, or per sample.")
@click.option("--by", default="", help="`class` or a group column: the guarantee holds within each.")
@click.option("--split", default="calibration", show_default=True, help="Split kept for calibrating.")
@click.option("--task", default="", help="Evaluation task, where several have the split.")
@click.option("--epoch", type=int, help="Epoch from 0; the last one where absent.")
@click.option("--temperature-split", default="", help="Other split to fit a temperature on first.")
@click.option("--penalty", default=0.1, show_default=True, help="What raps adds for each rank not spared.")
@click.option("--spared-ranks", default=1, show_default=True, help="First ranks that raps leaves alone.")
@click.option(
    "--costs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML: true: {chosen: cost}, or labels.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the randomised methods.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def calibrate(
    experiment: str, run: str, *, applied: str | None, known: bool, most_ece: float, as_json: bool, **options: Any
) -> None:
    """Fit a calibrator to RUN's collected predictions, or apply it to another split.

    With --known, on data that tell each option's true probability, exits with 1 where the probabilities are
    further off than wanted, or the sets do not cover as they should.
    """
    world = enter(experiment)
    if known:
        _known(run, split=applied, task=options["task"], most_ece=most_ece, as_json=as_json, world=world)
        return
    if applied is not None:
        figures = workflow.apply_calibrator(run, split=applied, task=options["task"], world=world)
        click.echo(figures.model_dump_json(indent=2) if as_json else _figures(figures))
        return
    fitted = workflow.calibrate_run(run, settings=_settings(**options), world=world)
    click.echo(fitted.model_dump_json(indent=2, exclude={"kept"}) if as_json else _calibrator(fitted))


def _known(run: str, *, split: str | None, task: str, most_ece: float, as_json: bool, world: "World") -> None:
    if split is None:
        raise SpecError("`--known` judges a calibrator on a split, and none is named", hint="add `--apply test`")
    found = workflow.compare_chances(run, split=split, task=task, most_ece=most_ece, world=world)
    click.echo(found.model_dump_json(indent=2) if as_json else _truth(found))
    if not (found.calibrated and found.covered):
        sys.exit(1)


def _truth(found: KnownChances) -> str:
    low, high = (each / found.n for each in found.expected)
    rows = [
        ("ECE against labels, 10 bins", f"{found.ece:.4f}", f"at most {found.most_ece:g}: {_met(found.calibrated)}"),
        ("  without temperature", f"{found.ece_untempered:.4f}", ""),
        ("  of the true probabilities", f"{found.ece_of_truth:.4f}", "chance alone"),
        ("mean |p - true p|", f"{found.gap:.4f}", ""),
        ("  without temperature", f"{found.gap_untempered:.4f}", ""),
        ("  of how often each label occurs", f"{found.gap_of_rates:.4f}", "knowing nothing else"),
        (
            "sets that hold the right option",
            f"{found.held / found.n:.4f}",
            f"99 % interval [{low:.4f}, {high:.4f}]: {_met(found.covered)}",
        ),
    ]
    told = f"{found.n} samples of split {found.split} whose true probabilities are known, "
    return f"{told}temperature {found.temperature:.3f}\n{aligned(('figure', 'value', 'wanted'), rows)}"


def _met(holds: bool) -> str:
    return "met" if holds else "MISSED"


def _settings(costs: Path | None, **options: Any) -> CalibrationSettings:
    named = workflow.load_costs(costs) if costs else {}
    try:
        return CalibrationSettings.model_validate({**options, "costs": named})
    except ValidationError as err:
        raise refusal("the calibration asked for is not possible", err, hint="see `ck calibrate --help`") from err


def _calibrator(fitted: Calibrator) -> str:
    parts = [f"{fitted.n} samples of split {fitted.settings.split}, temperature {fitted.temperature:.3f}"]
    if fitted.unscored:
        parts.append(f"{fitted.unscored} samples errored and are not used")
    if fitted.thresholds:
        rows = [
            (each.category or "all", str(each.n), "full set" if each.quantile is None else f"{each.quantile:.4f}")
            for each in fitted.thresholds
        ]
        parts.append(aligned(("category", "n", "quantile"), rows))
    elif fitted.threshold is not None:
        parts.append(f"act where the expected cost is at most {fitted.threshold:g}")
    return "\n".join([*parts, fitted.claim])


def _figures(found: SplitFigures) -> str:
    rows = [(name, _interval(figure)) for name, figure in zip(found.categories, found.coverage, strict=True)]
    parts = [f"{found.n} samples of split {found.split}, {found.unscored} errored"]
    if rows:
        parts.append(aligned(("sets that hold the right option", "share"), rows))
        parts.append(f"options per set: {found.mean_set_size:.2f}; sets by size: {dict(enumerate(found.set_sizes))}")
    if found.expected:
        parts.append("given this calibration set, coverage lies in [{:.3f}, {:.3f}] (95 %)".format(*found.expected))
    if found.acted and found.risk:
        parts += [f"acted on: {_interval(found.acted)}", f"cost: {_interval(found.risk)}"]
    metrics = [
        (each.name, each.reason if each.value is None else f"{each.value:.4f}", str(each.n)) for each in found.metrics
    ]
    return "\n".join([*parts, f"promised: {found.claim}", "", aligned(("metric", "value", "n"), metrics)])


def _interval(figure: Interval) -> str:
    if figure.value is None:
        return "no samples"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}], n = {figure.n}"
