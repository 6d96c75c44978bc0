"""`ck audit-model`: a run's model against limits fixed beforehand, part by part."""

import sys

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.refusals import refusal
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.model_audit import AuditRequest, AuditRules

__all__ = ["audit_model"]

_HELP = "see `ck audit-model --help`"


@click.command("audit-model", epilog=f"Rules that --set may name: {', '.join(AuditRules.model_fields)}.")
@click.argument("run")
@click.option("--task", default="", help="Evaluation, where several have the split.")
@click.option("--split", default="test", show_default=True, help="Split of the samples audited.")
@click.option("--epoch", type=click.IntRange(0), help="Epoch from 0; the calibrator's, or the last one, where absent.")
@click.option("--rules", "file", default=None, metavar="FILE", help="YAML of rules; goes before the design.")
@click.option("--set", "values", multiple=True, metavar="RULE=VALUE", help="One rule, such as gap=0.05.")
@click.option("--ask", is_flag=True, help="Load the model: ask with the rule `terms` swapped, and repeatedly.")
@click.option("--most", default=200, show_default=True, help="Questions asked with --ask.")
@click.option("--draws", default=5, show_default=True, help="Answers sampled to each with --ask.")
@click.option("--temperature", default=0.7, show_default=True, help="Temperature of these.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def audit_model(
    experiment: str,
    run: str,
    *,
    task: str,
    split: str,
    epoch: int | None,
    file: str | None,
    values: tuple[str, ...],
    ask: bool,
    most: int,
    draws: int,
    temperature: float,
    as_json: bool,
) -> None:
    """Audit RUN's collected answers part by part, each against a limit fixed beforehand.

    Parts: calibration, coverage, cost, groups, swapped terms, rules, consistency, provenance.
    Writes audit.json. Exits with 1 where a part fails; a part that too little is known of
    neither passes nor fails.
    """
    try:
        asked = AuditRequest(
            task=task, split=split, epoch=epoch, file=file, values=_values(values), ask=ask, most=most, draws=draws,
            temperature=temperature,
        )  # fmt: skip
    except ValidationError as err:
        raise refusal("the audit asked for is not possible", err, hint=_HELP) from err
    receipt = workflow.audit_run(run, asked=asked, world=enter(experiment))
    click.echo(receipt.audit.model_dump_json(indent=2) if as_json else f"{receipt.text}{receipt.path}")
    if receipt.audit.verdict == "fail":
        sys.exit(1)


def _values(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    bare = [each for each, (name, sign, _) in zip(given, pairs, strict=True) if not (name and sign)]
    wrong = [Problem(f"`{each}` is no RULE=VALUE") for each in bare]
    wrong += [Problem(f"`{name}` is no rule") for name, _, _ in pairs if name and name not in AuditRules.model_fields]
    if wrong:
        raise SpecError("`--set` cannot be read", problems=wrong, hint=_HELP)
    return {name: value for name, _, value in pairs}
