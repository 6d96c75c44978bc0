"""`ck decide`: what is to be done with a sample, a text or probabilities, and what is guaranteed of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.model_options import model_options
from cruijff_kit.cli.refusals import refusal
from cruijff_kit.cli.verdict_text import verdict_text
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.serving import ModelChoice
from cruijff_kit.schema.verdict import DecisionSettings, TextOrder, Verdict

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["decide"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LEVELS = ("alpha", "miss_rate", "risk_level", "abstain_cost")


@click.command()
@click.option("--sample", metavar="ID", help="Sample of the run's collected predictions, such as test-3.")
@click.option("--text", metavar="TEXT", help="Text that the model is asked, in the place of a row's input.")
@click.option("--probs", metavar="LIST", help="Probabilities as the model gave them: no=.2,yes=.8.")
@click.option("--input", "source", metavar="FILE", help="JSON Lines of probabilities; - for standard input.")
@click.option(
    "--output", metavar="FILE", help="Where the verdicts on --input go, a line each; standard output if absent."
)
@click.option("--calibrator", metavar="FILE", type=_FILE, help="A calibrator.json; the run's own if absent.")
@click.option("--alpha", type=float, help="Another error rate of the calibrator's kind, from the scores it keeps.")
@click.option("--miss-rate", type=float, help="Sets too, beside a calibrator of decisions: share that may miss.")
@click.option("--risk-level", type=float, help="A threshold too, beside a calibrator of sets: cost allowed.")
@click.option(
    "--cost-matrix", metavar="FILE", type=_FILE, help="YAML: true: {chosen: cost}, or labels with harm_weight."
)
@click.option("--abstain-cost", type=float, help="Cost of abstaining: the threshold where none is calibrated.")
@click.option("--task", default="", help="Evaluation task of --sample, where several have it.")
@click.option("--option", "options", multiple=True, help="Answer to choose from, for --text; the run's own if absent.")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", help="Further column of the prompt, for --text."
)
@click.option("--mc-dropout", "passes", type=click.IntRange(2, 1000), help="So many passes with LoRA's dropout on.")
@click.option("--dropout-seed", default=0, show_default=True, help="Decides what those passes drop.")
@click.option("--ensemble", "members", multiple=True, metavar="RUN", help="Further run or adapter that answers too.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@model_options
@click.pass_obj
def decide(experiment: str, *, as_json: bool, source: str | None, output: str | None, **options: Any) -> None:
    """Decide on one sample, text or list of probabilities, or on many: ABSTAIN, PROCEED or ADJUST.

    PROCEED: go by the most probable option. ADJUST: another action costs less. ABSTAIN: even the cheapest
    action is expected to cost more than the calibrated threshold. What is guaranteed comes from a calibrator
    (`ck calibrate`); without one nothing is.
    """
    given = [name for name in ("sample", "text", "probs") if options[name] is not None] + ["input"] * (
        source is not None
    )
    if len(given) != 1:
        fact = "nothing to decide on is named" if not given else f"several are named: {', '.join(given)}"
        raise SpecError(fact, hint="name one of `--sample`, `--text`, `--probs` and `--input`")
    if output is not None and source is None:
        raise SpecError("`--output` is for the verdicts on `--input`", hint="leave it out, or name `--input`")
    world, asked = enter(experiment), _asked(options)
    if source is not None:
        _decide_lines(source, output, calibrator=_calibrator(options, world), asked=asked)
        return
    found = _one(options, asked=asked, world=world)
    click.echo(found.model_dump_json(indent=2) if as_json else verdict_text(found))


def _one(options: dict[str, Any], *, asked: DecisionSettings, world: "World") -> Verdict:
    if options["sample"] is not None:
        if options["run"] is None or options["calibrator"] is not None:
            raise SpecError("a sample is one of a run, judged by its own calibrator", hint="name it with `--run`")
        return workflow.decide_sample(options["run"], options["sample"], task=options["task"], asked=asked, world=world)
    if options["probs"] is not None:
        return workflow.decide_shares(options["probs"], calibrator=_calibrator(options, world), asked=asked)
    own = None if options["calibrator"] is None else workflow.load_calibrator(options["calibrator"])
    return workflow.decide_text(options["text"], order=_order(options, asked), calibrator=own, world=world)


def _asked(options: dict[str, Any]) -> DecisionSettings:
    costs = options["cost_matrix"]
    levels = {name: options[name] for name in _LEVELS}
    try:
        return DecisionSettings(**levels, costs=None if costs is None else workflow.load_costs(costs))
    except ValidationError as err:
        raise refusal("this cannot be asked of a decision", err, hint="see `ck decide --help`") from err


def _order(options: dict[str, Any], asked: DecisionSettings) -> TextOrder:
    fields = [each.partition("=") for each in options["fields"]]
    for name, mark, value in fields:
        if not (name and mark):
            lacking = "value" if name else "column"
            raise SpecError(f"`--field {name}{mark}{value}` names no {lacking}", hint="write `--field name=value`")
    if options["passes"] is not None and options["members"]:
        raise SpecError("`--mc-dropout` and `--ensemble` are two sources of doubt", hint="ask for one at a time")
    chosen = {name: value for name, value in options.items() if name in ModelChoice.model_fields}
    several = "mc_dropout" if options["passes"] is not None else "ensemble" if options["members"] else None
    return TextOrder(
        choice=ModelChoice.model_validate(chosen),
        options=options["options"],
        fields={name: value for name, _, value in fields},
        asked=asked,
        source=several,
        passes=options["passes"] or 10,
        seed=options["dropout_seed"],
        members=options["members"],
    )


def _calibrator(options: dict[str, Any], world: "World") -> Calibrator | None:
    """Return the calibrator in a file, or the run's own, checked."""
    if options["calibrator"] is not None:
        return workflow.load_calibrator(options["calibrator"])
    if options["run"] is None:
        return None
    found = workflow.checked_calibrator(options["run"], world=world)
    if found is None:
        click.echo(f"note: run `{options['run']}` has no calibrator; `ck calibrate` fits one", err=True)
    return found


def _decide_lines(source: str, output: str | None, *, calibrator: Calibrator | None, asked: DecisionSettings) -> None:
    try:
        # What is no UTF-8 is one line that cannot be used, not the end of all.
        opened = click.open_file(source, encoding="utf-8", errors="replace")
    except OSError as err:
        raise SpecError(f"`{source}` cannot be read: {str(err.strerror).lower()}", hint="mend the path") from err
    with opened as lines:
        verdicts = workflow.decide_lines(lines, calibrator=calibrator, asked=asked)
        if output is not None:
            count = workflow.write_verdicts(verdicts, path=Path(output))
            click.echo(f"{count} verdicts in {output}", err=True)
            return
        for each in verdicts:
            click.echo(each.model_dump_json())
