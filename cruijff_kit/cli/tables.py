"""`ck data schema` and `ck data from-table`: a table described, and told in words."""

import json
from shlex import quote
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.model_options import choose, model_options
from cruijff_kit.cli.set_options import split_pair, yaml_values
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.table import ColumnLook, SchemaDraft, TableReceipt, TableSource

__all__ = ["from_table", "narrate", "schema"]

_TIER = click.option(
    "--tier",
    type=click.Choice(("green", "yellow", "red")),
    default=None,
    help="How freely the table may be shown, as you declare it; its folder and the design may say more strictly.",
)


@click.command("schema")
@click.argument("table")
@click.option("--check", "check", default=None, metavar="SCHEMA", help="Check a schema against every cell instead.")
@click.option("-o", "--output", default=None, help="File to write; <table>.schema.yaml where absent.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Keep a column that looks like personal data.")
@click.option("--sheet", default=None, help="Sheet of a workbook; its first where absent.")
@_TIER
@click.option("--dry-run", is_flag=True, help="Show the draft and write nothing.")
@click.option("--force", is_flag=True, help="Replace a schema that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def schema(experiment: str, table: str, sheet: str | None, tier: Any, as_json: bool, **told: Any) -> None:
    """Draft the schema of TABLE, a csv, tsv, parquet, dta, xlsx, sas7bdat or xpt file; or check one.

    What looks like an identifier or personal data is left out, and said.
    """
    source, world, checked = TableSource(path=table, sheet=sheet, tier=tier), enter(experiment), told["check"]
    with ProgressBar("read") as progress:
        if checked is not None:
            found = workflow.check_table_schema(source, checked, progress=progress, world=world)
        else:
            mode = "show" if told["dry_run"] else "replace" if told["force"] else "new"
            output, keep = told["output"], told["keep"]
            found = workflow.draft_table_schema(
                source, output=output, keep=keep, mode=mode, progress=progress, world=world
            )
    wrote = not told["dry_run"]
    click.echo(found.model_dump_json(indent=2) if as_json else _draft(found, checked=checked is not None, wrote=wrote))
    if found.problems:
        raise SystemExit(SpecError.exit_code)


@click.command("from-table")
@click.argument("source")
@click.argument("schema_file", metavar="SCHEMA")
@click.option("--target", required=True, help="Variable to be answered.")
@click.option("--threshold", type=float, default=None, help="Answer 1 where the target is greater, else 0.")
@click.option(
    "--map", "mapping", multiple=True, metavar="CELL=ANSWER", help="Answer to a cell; nothing behind `=` skips."
)
@click.option("--features", default=None, help="Variables to tell, with commas; all but the target where absent.")
@click.option("--template", default=None, help="Jinja file for sentences instead of one line a variable.")
@click.option("--perturb", default=None, help="synonym,shorthand,reorder,clause_addition: those wanted, with commas.")
@click.option("--copies", type=int, default=None, help="Texts made of each training row.")
@click.option("--condition", default=None, help="Name of this way to tell a row; the file's name starts with it.")
@click.option("--seed", type=int, default=None, help="Fixes splits and perturbations.")
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other argument, its value as YAML.")
@_TIER
@click.option("--dry-run", is_flag=True, help="Show texts and write nothing.")
@click.option("-n", "--count", default=2, show_default=True, help="Texts of each split a dry run shows.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def from_table(experiment: str, tier: Any, dry_run: bool, count: int, as_json: bool, **told: Any) -> None:
    """Tell the rows of SOURCE in words, as SCHEMA describes them, and write them as a data set.

    A design that names the generator `tabular` with the same arguments finds that file.
    """
    arguments = _arguments(told)
    with ProgressBar("tell") as progress:
        found = workflow.tell_table(
            arguments, dry_run=dry_run, count=count, tier=tier, progress=progress, world=enter(experiment)
        )
    click.echo(found.model_dump_json(indent=2) if as_json else _receipt(found, arguments, dry_run=dry_run))


@click.command("narrate")
@click.argument("source")
@click.argument("schema_file", metavar="SCHEMA")
@click.option("-o", "--output", required=True, help="`.jsonl` file of the texts; those it holds already are kept.")
@click.option("--target", required=True, help="Variable to be answered, which no text tells.")
@click.option("--threshold", type=float, default=None, help="As for `from-table`.")
@click.option("--features", default=None, help="Variables to tell, with commas; all but the target where absent.")
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other argument of `from-table`.")
@click.option("--instruction", default=None, metavar="TEXT", help="What is asked, {told} in place of the row.")
@click.option("--questions", is_flag=True, help="Write the questions alone, to be answered elsewhere.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def narrate(experiment: str, output: str, instruction: str | None, questions: bool, as_json: bool, **told: Any) -> None:
    """Have a model of this machine write a text of every different row of SOURCE, as SCHEMA describes it.

    `ck data from-table SOURCE SCHEMA --set style=written --set texts=FILE` makes the data set of them.
    """
    names = ("source", "schema_file", "target", "threshold", "features", "others")
    arguments = _arguments({"template": None, "perturb": None, "copies": None, "condition": None, "seed": None,
                            "mapping": (), **{name: told.pop(name) for name in names}})  # fmt: skip
    world = enter(experiment)
    served = None if questions else choose(world, **told)
    given = {} if instruction is None else {"instruction": instruction}
    with ProgressBar("narrate") as progress:
        found = workflow.write_texts(arguments, output, served=served, progress=progress, world=world, **given)
    who = f" by {found.model}" if found.model else ", questions only"
    cut = f", {found.cut:,} of them cut off at the longest answer" if found.cut else ""
    line = f"{found.path}: {found.texts:,} texts, {found.new:,} written now{who}{cut}\nsha256 {found.sha256}"
    click.echo(found.model_dump_json(indent=2) if as_json else line)


def _arguments(told: dict[str, Any]) -> dict[str, Any]:
    """Return the generator's arguments, those alone that were given."""
    plain = {name: told[name] for name in ("source", "schema_file", "target", "threshold", "features", "template")}
    plain |= {
        "perturbations": told["perturb"],
        "copies": told["copies"],
        "condition": told["condition"],
        "seed": told["seed"],
    }
    found = {name: value for name, value in plain.items() if value is not None}
    if told["template"] is not None:
        found["style"] = "narrative"
    if told["mapping"]:
        pairs = [split_pair(each, "--map") for each in told["mapping"]]
        found["mapping"] = {cell: answer or None for cell, answer in pairs}
    return found | yaml_values(told["others"])


def _draft(found: SchemaDraft, *, checked: bool, wrote: bool) -> str:
    rows = [
        (each.column, each.type, str(each.missing), _distinct(each), _values(each), each.note) for each in found.columns
    ]
    lines = [
        f"{found.source}: {found.rows:,} rows, {len(found.columns)} columns, {found.tier}",
        f"sha256 {found.sha256}",
        "",
        aligned(("column", "type", "missing", "distinct", "values", "note"), rows),
        "",
    ]
    if checked:
        lines += [f"- {problem}" for problem in found.problems] or [f"every cell fits {found.path}"]
        return "\n".join(lines)
    if found.text:
        lines += [found.text.rstrip(), ""]
    done = f"{found.path} written: read it, mend it" if wrote else "nothing written"
    return "\n".join([*lines, f"{done}; then `ck data schema {quote(found.source)} --check {quote(found.path)}`"])


def _distinct(look: ColumnLook) -> str:
    return "1000+" if look.distinct >= 1_000 else str(look.distinct)


def _values(look: ColumnLook) -> str:
    if look.least:
        return f"{look.least} to {look.greatest}"
    shown = [f"{cell[:20]} ({count:,})" for cell, count in list(look.counts.items())[:4]]
    return ", ".join([*shown, *(["…"] if len(look.counts) > 4 else [])])


def _receipt(found: TableReceipt, arguments: dict[str, Any], *, dry_run: bool) -> str:
    verb = "would be written" if dry_run else "written" if found.written else "is there already, unchanged"
    lines = [f"{found.path} {verb}: {', '.join(f'{count:,} {split}' for split, count in found.splits.items())}"]
    lines += [f"sha256 {found.sha256}"] if found.sha256 else []
    lines += [f"{found.rows:,} rows; left out {count:,}: {why}" for why, count in found.skipped.items()]
    for split, answers in found.answers.items():
        lines.append(f"{split}: " + ", ".join(f"`{answer}` {count:,}" for answer, count in answers.items()))
    lines += [f"no texts shown: {found.withheld}"] if found.withheld else []
    for each in found.samples:
        lines += ["", f"── {each.split}, row {each.row}", each.input, f"→ {each.output}"]
    block = json.dumps({"training": {"generator": "tabular", "arguments": arguments}}, ensure_ascii=False)
    return "\n".join([*lines, "", f'in a design:  data: {block[:-1]}, "tier": "{found.tier}"}}'])
