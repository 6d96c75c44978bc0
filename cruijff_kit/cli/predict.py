"""`ck predict`: structured answers to a text, to lines of a pipe, or to a file of lines."""

import sys
from collections.abc import Iterator

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.listed import listed
from cruijff_kit.cli.model_options import model_options
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.answer import AnswerForm, PredictReceipt, Thresholds
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.serving import ModelChoice

__all__ = ["predict"]

_FORM, _THRESHOLDS = AnswerForm(), Thresholds()
_OF_FORM = ("prompt", "constrained", "max_tokens", "batch_size")
_OF_THRESHOLDS = ("default_threshold", "cascade_threshold", "max_abstain_rate")
_NEXT = ("model", "adapter", "run")


@click.command()
@model_options
@click.option("--text", help="Decide on this text.")
@click.option("--metadata", default="", metavar="JSON", help="What else is known of that text: a JSON object.")
@click.option("--in", "source", metavar="FILE", help="Decide on each line's `text`; lines of standard input if absent.")
@click.option("--out", "target", metavar="FILE", help="`.jsonl` file for the answers to a file's lines, in order.")
@click.option("--options", default="", metavar="A,B,…", help="Labels; the run's own if absent.")
@click.option("--option", "more", multiple=True, metavar="LABEL", help="A label that holds a comma; may be repeated.")
@click.option("--prompt", metavar="TEMPLATE", help="Template of `{text}` and `{metadata}`; the training's if absent.")
@click.option("--constrained/--free", default=_FORM.constrained, show_default=True, help="Hold answers to their form.")
@click.option("--threshold", "default_threshold", type=click.FloatRange(0, 1), default=_THRESHOLDS.default_threshold,
              show_default=True, help="Probability below which a decision is an abstention; 0: never.")  # fmt: skip
@click.option("--next-model", metavar="DIR", help="A second model, asked what the first is not sure enough of.")
@click.option("--next-adapter", metavar="DIR", help="Its adapter.")
@click.option("--next-run", help="Or a run of the experiment.")
@click.option("--cascade-threshold", type=click.FloatRange(0, 1), default=_THRESHOLDS.cascade_threshold,
              show_default=True, help="Probability below which a text goes to the second model.")  # fmt: skip
@click.option("--max-abstain-rate", type=click.FloatRange(0, 1), default=_THRESHOLDS.max_abstain_rate,
              show_default=True, help="Share of abstentions above which there is a warning.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(1), default=_FORM.max_tokens, show_default=True,
              help="Longest answer.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1, 1024), default=_FORM.batch_size, show_default=True,
              help="Texts of one forward pass; so many lines of a pipe are awaited at a time.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.pass_obj
def predict(
    experiment: str,
    *,
    text: str | None,
    metadata: str,
    source: str | None,
    target: str | None,
    options: str,
    more: tuple[str, ...],
    force: bool,
    **chosen: object,
) -> None:
    """Decide on texts: label, why, and how likely each label is, as JSON.

    Whatever a line holds, there is one answer to it: what cannot be decided is an abstention with its
    reason. Stopped at any moment, the same command on the same file goes on where it was.
    """
    _refuse_mixed(text=text, metadata=metadata, source=source, target=target)
    labels = *listed(options), *more
    form = AnswerForm.model_validate({"options": labels, **{name: chosen.pop(name) for name in _OF_FORM}})
    thresholds = _thresholds({name: chosen.pop(name) for name in _OF_THRESHOLDS})
    after = {name: chosen.pop(f"next_{name}") for name in _NEXT}
    shared = {name: chosen[name] for name in ("dtype", "backend", "device", "system_prompt")}
    choices = [ModelChoice.model_validate(chosen)]
    if any(each is not None for each in after.values()):
        choices.append(ModelChoice.model_validate({**shared, **after}))
    world = enter(experiment)
    predictor = workflow.open_predictor(choices, form, thresholds=thresholds, world=world)
    for note in predictor.notes:
        click.echo(f"note: {note}", err=True)
    if text is not None:
        click.echo(workflow.predict_text(text, metadata, predictor=predictor, world=world).model_dump_json(indent=2))
    elif source is not None and target is not None:
        with ProgressBar("predict") as bar:
            receipt = workflow.predict_file(source, target, predictor=predictor, force=force, progress=bar, world=world)
        click.echo("\n".join(_told(receipt, thresholds)))
    else:
        for answer in workflow.predict_lines(sys.stdin.buffer, predictor=predictor, world=world):
            click.echo(answer.model_dump_json())


def _refuse_mixed(*, text: str | None, metadata: str, source: str | None, target: str | None) -> None:
    """Refuse options that ask for two things at once, all of them told."""
    problems = []
    if text is not None and (source is not None or target is not None):
        problems.append(Problem("`--text` is one text, and `--in` and `--out` are files", hint="leave out one of them"))
    elif (source is None) != (target is None):
        problems.append(Problem("`--in` and `--out` belong together", hint="name both, or pipe lines through"))
    if metadata and text is None:
        problems.append(Problem("`--metadata` belongs to `--text`", hint="lines bring their own `metadata`"))
    if problems:
        raise SpecError("it is not clear what is to be decided on", problems=problems)


def _thresholds(values: dict[str, object]) -> Thresholds:
    try:
        return Thresholds.model_validate(values)
    except ValidationError as err:
        raise SpecError(
            fact_of(err.errors()[0]["msg"]), hint="raise `--cascade-threshold`, or lower `--threshold`"
        ) from err


def _told(receipt: PredictReceipt, thresholds: Thresholds) -> Iterator[str]:
    kept = f", {receipt.kept:,} of them from an earlier call" if receipt.kept else ""
    yield f"{receipt.target}: {receipt.answers:,} answers{kept}\nsha256 {receipt.sha256}"
    yield from (f"  {count:,} {label}" for label, count in receipt.decisions.items())
    yield f"  {receipt.abstentions:,} abstentions, {receipt.invalid:,} of them on lines that could not be asked"
    if receipt.too_many_abstentions:
        share = receipt.abstentions / max(receipt.answers, 1)
        yield f"warning: {share:.1%} are abstentions, more than `--max-abstain-rate` {thresholds.max_abstain_rate:.1%}"
