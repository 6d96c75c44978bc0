"""`ck data prepare|validate|split|stats|list`: data files brought into form, checked, divided and measured."""

import sys
from collections.abc import Iterator

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.dataset_report import DataCheck, DataForm, DataStats, Division, Preparation, Spread
from cruijff_kit.schema.noun import fact_of

__all__ = ["list_files", "prepare", "split", "stats", "validate"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_TEMPLATE = click.option(
    "-t", "--template", default="model", show_default=True, help="A template's name, text or file; tokens are its own."
)
_MODEL = click.option("--model", default=None, metavar="DIR", help="Model whose tokens are counted; else characters.")
_BAR = 40


@click.command("prepare")
@click.argument("source")
@click.option("-o", "--output", help="File to write: `.json` or `.jsonl`; `<name>_prepared` if absent.")
@click.option("--form", type=click.Choice(["messages", "prompt"]), default="messages", show_default=True, help="Form.")
@_TEMPLATE
@_MODEL
@click.option("--max-length", type=click.IntRange(1), default=None, help="Leave out, and tell, rows that are longer.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@_JSON
@click.pass_obj
def prepare(
    experiment: str,
    *,
    source: str,
    output: str | None,
    form: DataForm,
    template: str,
    model: str | None,
    max_length: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the rows of SOURCE, whatever their forms, in one form; nothing is left out without a word."""
    asked = Preparation(form=form, template=template, model=model, max_length=max_length)
    with ProgressBar("prepare") as bar:
        receipt = workflow.prepare_data(source, output, asked=asked, force=force, progress=bar, world=enter(experiment))
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"{receipt.source}: {_rows(receipt.rows)} ({_counts(receipt.forms)})")
    click.echo(f"{receipt.target}: {_counts(receipt.splits)}\nsha256 {receipt.sha256}")
    if receipt.left_out_count:
        click.echo(f"left out: {_rows(receipt.left_out_count)} of more than {receipt.max_length:,} {receipt.unit}")
        for row in receipt.left_out:
            click.echo(f"  {row.place}: {row.length:,}")
        more = receipt.left_out_count - len(receipt.left_out)
        if more:
            click.echo(f"  and {more:,} more")


@click.command("validate")
@click.argument("path")
@_TEMPLATE
@_MODEL
@click.option("--max-length", type=click.IntRange(1), default=None, help="Length above which a row counts as long.")
@_JSON
@click.pass_obj
def validate(
    experiment: str, *, path: str, template: str, model: str | None, max_length: int | None, as_json: bool
) -> None:
    """Check every row of PATH; exits with 1 where one cannot be learnt."""
    with ProgressBar("validate") as bar:
        found = workflow.validate_data(
            path, template=template, model=model, max_length=max_length, progress=bar, world=enter(experiment)
        )
    click.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_checked(found)))
    if not found.ok:
        sys.exit(1)


@click.command("split")
@click.argument("source")
@click.option("-o", "--output", default="data", show_default=True, help="Folder, or one `.json` or `.jsonl` file.")
@click.option("--train", default=0.8, show_default=True, help="Share to train on.")
@click.option("--val", "--validation", "validation", default=0.1, show_default=True, help="Share for validation.")
@click.option("--test", default=0.1, show_default=True, help="Share for the end.")
@click.option("--calibration", default=0.0, show_default=True, help="Share that calibrators are fitted on.")
@click.option("--seed", default=42, show_default=True, help="Fixes which rows go where.")
@click.option("--stratify", default=None, metavar="COLUMN", help="Give each split its share of the column's values.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@_JSON
@click.pass_obj
def split(
    experiment: str,
    *,
    source: str,
    output: str,
    force: bool,
    as_json: bool,
    **asked: object,
) -> None:
    """Divide SOURCE into train, validation and test; rows that ask the same stay together."""
    try:
        division = Division.model_validate(asked)
    except ValidationError as err:
        facts = "; ".join(
            ": ".join([*(f"`{name}`" for name in each["loc"]), fact_of(each["msg"])]) for each in err.errors()
        )
        raise SpecError(f"`{source}` cannot be divided like that: {facts}", hint="see `ck data split --help`") from err
    with ProgressBar("split") as bar:
        receipt = workflow.split_data(
            source, output, division=division, force=force, progress=bar, world=enter(experiment)
        )
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"{receipt.target}: {_counts(receipt.splits)}")
    for path, sha256 in receipt.files.items():
        click.echo(f"  {path}  sha256 {sha256}")
    if receipt.repeated:
        click.echo(f"{receipt.repeated:,} rows ask what another asks too; those of one question lie in one split")


@click.command("stats")
@click.argument("path")
@_TEMPLATE
@_MODEL
@click.option("--bins", default=10, show_default=True, help="Bars of the plot.")
@click.option("--plot", default=None, metavar="FILE", help="With --model: draw tokens of questions and answers, a PNG.")
@click.option("--force", is_flag=True, help="Replace a plot that is there.")
@_JSON
@click.pass_obj
def stats(
    experiment: str,
    *,
    path: str,
    template: str,
    model: str | None,
    bins: int,
    plot: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Count the rows of PATH by form and split, and measure how long they are."""
    if plot is not None and model is None:
        raise SpecError("a plot is of tokens, and no model was named", hint="name one with `--model DIR`")
    if plot is not None:
        workflow.check_plot(plot, source=path, force=force, world=enter(experiment))
    with ProgressBar("stats") as bar:
        found = workflow.measure_data(
            path, template=template, model=model, bins=bins, progress=bar, world=enter(experiment)
        )
    drawn = None if plot is None else workflow.plot_tokens(found, plot, force=force, world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_measured(found)))
    if drawn is not None and not as_json:
        click.echo(f"\n{drawn} written")


@click.command("list")
@click.option("-d", "--dir", "folder", default=".", show_default=True, help="Folder to look below.")
@_JSON
@click.pass_obj
def list_files(experiment: str, folder: str, as_json: bool) -> None:
    """List data files, and the data sets that come with the package."""
    found = workflow.list_data(folder, world=enter(experiment))
    if as_json:
        click.echo(f"[{', '.join(each.model_dump_json() for each in found)}]")
        return
    rows = [
        (each.bundled or each.path, each.format, f"{each.bytes:,}", "bundled" if each.bundled else "", each.told)
        for each in found
    ]
    click.echo(aligned(("data", "format", "bytes", "", ""), rows))


def _checked(found: DataCheck) -> Iterator[str]:
    yield f"{found.path}: {_rows(found.rows)}"
    if found.splits:
        yield f"sound: {_counts(found.splits)} ({_counts(found.forms)})"
    yield from (f"- {problem}" for problem in found.problems)
    yield from (f"note: {each.fact}\n  hint: {each.hint}" for each in found.advice)
    if found.ok:
        yield "every row can be learnt"
    else:
        counted = "1 problem" if found.problem_count == 1 else f"{found.problem_count:,} problems"
        yield counted if found.problem_count else "there is nothing to learn"


def _measured(found: DataStats) -> Iterator[str]:
    yield f"{found.path}: {_rows(found.rows)}, {found.bytes:,} bytes"
    yield f"splits: {_counts(found.splits)}"
    yield f"forms: {_counts(found.forms)}"
    spreads = (
        ("turns", found.turns),
        ("question, characters", found.questions),
        ("answer, characters", found.answers),
        ("row, characters", found.characters),
        ("row, tokens", found.tokens),
        ("question, tokens", found.texts and found.texts.questions.spread),
        ("answer, tokens", found.texts and found.texts.answers.spread),
    )
    rows = [(name, *_cells(spread)) for name, spread in spreads if spread is not None]
    if rows:
        yield f"\n{aligned(('', 'mean', 'median', 'least', 'greatest'), rows)}"
    if found.texts:
        asked, answered = found.texts.questions, found.texts.answers
        yield f"\ntokens a word: {asked.per_word:.3f} in questions, {answered.per_word:.3f} in answers"
        more, fewer = found.texts.more, found.texts.fewer
        yield f"the answer takes more tokens than its question in {more:,} rows, fewer in {fewer:,}"
    if found.bins:
        yield f"\nrows by {found.unit}"
        yield from _bars(found)


def _bars(found: DataStats) -> Iterator[str]:
    most = max(each.count for each in found.bins)
    names = [f"{each.low:,}" if each.low == each.high else f"{each.low:,}-{each.high:,}" for each in found.bins]
    block = "█" if (getattr(sys.stdout, "encoding", "") or "").lower().startswith("utf") else "#"
    for name, each in zip(names, found.bins, strict=True):
        # A bin with rows is never without a mark.
        bar = block * -(-each.count * _BAR // most)
        yield f"{name:>{max(map(len, names))}} {bar} {each.count:,}"


def _cells(spread: Spread) -> tuple[str, ...]:
    return (f"{spread.mean:,.1f}", f"{spread.median:,.1f}", f"{spread.least:,}", f"{spread.greatest:,}")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
