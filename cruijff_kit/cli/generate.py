"""`ck data generate`: any generator by hand, a flag for each of its arguments."""

import json
from collections.abc import Iterator
from typing import Any

import click
import yaml

from cruijff_kit import workflow
from cruijff_kit.cli.lazy import LazyGroup
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.generated import ArgumentFacts, DataTarget, GenerationReceipt, GeneratorFacts
from cruijff_kit.schema.layout import ExperimentLayout

__all__ = ["generate"]

# Tables and persons have commands of their own, which read files row by row.
_ELSEWHERE = {
    "tabular": "ck data from-table",
    "acs": "ck data acs",
    "acs_stand_in": "ck data acs --stand-in",
    "synthetic_twins": "ck data twins",
    "twins": "ck data twins",
}
# What the first system called these.
_OTHER_NAMES = {
    "capitalization": {"word_length": "word_len", "words": "input_file"},
}


class _Generators(LazyGroup):
    """One command a generator, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the generators' names."""
        return [each.name for each in workflow.list_generators() if each.name not in _ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a generator; its hyphens may be underscores."""
        name = cmd_name.replace("-", "_")
        if name in _ELSEWHERE:
            raise SpecError(f"`{name}` has a command of its own", hint=f"use `{_ELSEWHERE[name]}`")
        return next((_command(each) for each in workflow.list_generators() if each.name == name), None)


@click.command("generate", cls=_Generators, places={})
def generate() -> None:
    """Make data of GENERATOR with a flag for each argument; a design with the same arguments finds the file."""


def _command(facts: GeneratorFacts) -> click.Command:
    @click.pass_obj
    def run(experiment: str, **told: Any) -> None:
        arguments = {
            each.name: _value(told[each.name], each) for each in facts.arguments if told[each.name] is not None
        }
        target = DataTarget(folder=told["output_dir"], file=told["output"])
        ways = {name: told[name] for name in ("dry_run", "force")}
        found = workflow.generate_data(facts.name, arguments, target=target, **ways, world=enter(experiment))
        if told["as_json"]:
            click.echo(found.model_dump_json(indent=2))
            return
        verb = "written" if found.written else "would be written" if told["dry_run"] else "is there already, unchanged"
        click.echo(_receipt(found, verb, source={"generator": facts.name, "arguments": arguments}))

    options = [_option(each, facts.name) for each in facts.arguments]
    return click.Command(
        facts.name, params=[*options, *_own_options()], callback=run, help=f"{facts.told[:1].upper()}{facts.told[1:]}."
    )


def _option(argument: ArgumentFacts, generator: str) -> click.Option:
    other = _OTHER_NAMES.get(generator, {}).get(argument.name)
    names = [argument.name, *([other] if other else [])]
    flags = dict.fromkeys(f"--{spelled}" for name in names for spelled in (name, name.replace("_", "-")))
    default = "" if argument.default in (None, {}, (), []) else f" [default: {_shown(argument.default)}]"
    metavar = "TEXT" if argument.text else "VALUE"
    return click.Option([*flags, argument.name], default=None, metavar=metavar, help=f"{argument.told}{default}")


def _own_options() -> Iterator[click.Option]:
    yield click.Option(["--output"], metavar="FILE", help="Name of the file; the data set's key where absent.")
    yield click.Option(["--output_dir", "--output-dir"], default="data", show_default=True, help="Folder.")
    yield click.Option(["--dry-run"], is_flag=True, help="Show what would be made and write nothing.")
    yield click.Option(["--force"], is_flag=True, help="Replace what is there.")
    yield click.Option(["--json", "as_json"], is_flag=True, help="Print as JSON.")


def _value(text: str, argument: ArgumentFacts) -> Any:
    """Return what was written: text as it stands, all else as YAML, of which JSON is a part."""
    if argument.text:
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as err:
        hint = f"{argument.told} JSON is YAML too: quote it for your shell"
        raise SpecError(f"`{text}` is no value of `{argument.name}`", hint=hint) from err


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _receipt(found: GenerationReceipt, verb: str, *, source: dict[str, Any]) -> str:
    lines = [f"{found.path} {verb}: {', '.join(f'{count:,} {split}' for split, count in found.splits.items())}"]
    lines += [f"sha256 {found.sha256}"]
    lines += [f"no rows shown: {found.withheld}"] if found.withheld else []
    for split, row in found.samples.items():
        lines += [f"── {split}: {json.dumps(row, ensure_ascii=False)}"]
    if found.ceilings:
        cells = [
            (split, f"{each.bayes_accuracy:.6g}", f"{each.on_rows:.6g}", f"{each.commonest:.6g}", f"{each.entropy:.6g}")
            for split, each in found.ceilings.items()
        ]
        heads = ("split", "best possible accuracy", "on its rows", "commonest answer", "entropy, nats")
        lines += ["", aligned(heads, cells)]
    named = source if found.path == ExperimentLayout.dataset(found.key) else {"path": found.path}
    block = json.dumps({"training": named}, ensure_ascii=False)
    return "\n".join([*lines, "", f"in a design:  data: {block}"])
