"""`ck`: every verb of the house as a command."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from cruijff_kit import __version__
from cruijff_kit.cli.lazy import LazyGroup
from cruijff_kit.errors import CruijffError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("project:init", "Make a project: places for data, models, configurations and profiles."),
    "info": ("project:info", "Show device, memory, backend, versions and where models lie."),
    "train": ("train:train", "Fine-tune a model on your rows by one command, on this machine."),
    "design": ("design:design", "Check, write or amend the design, or propose names."),
    "data": ("data:data", "Look at, check, prepare, divide, convert or generate data, or tell a table in words."),
    "estimate": ("estimate:estimate", "Estimate memory, time and disk of the runs."),
    "scaffold": ("runs:scaffold", "Write every run's configurations and job scripts."),
    "setup-finetune": ("setup_finetune:setup_finetune", "Write one run's finetune.yaml and finetune.slurm, no design."),
    "setup-inspect": ("setup_inspect:setup_inspect", "Write one evaluation's eval.yaml and inspect.slurm, no design."),
    "task": ("task:task", "Make an evaluation task of your own, with its test."),
    "sanity": ("sanity:sanity", "Make the smallest experiments with known answers, and judge them."),
    "recipe": ("recipe:recipe", "List the training recipes, or start one of your own."),
    "adopt": ("runs:adopt", "Record a hand edit of a run's files."),
    "submit": ("jobs:submit", "Hand the jobs of the plan to the scheduler."),
    "retry": ("jobs:retry", "Try the failed jobs of a run again."),
    "cancel": ("jobs:cancel", "Stop jobs of this experiment."),
    "status": ("look:status", "Show where every job stands."),
    "watch": ("look:watch", "Follow the jobs until all have ended."),
    "sweep": ("sweep:sweep", "Run a search round by round, or show how it stands."),
    "logs": ("look:logs", "Show the end of a job's output."),
    "collect": ("results:collect", "Gather results into results.parquet."),
    "calibrate": ("calibrate:calibrate", "Turn the predictions of a split into sets or decisions with a guarantee."),
    "decide": ("decide:decide", "Decide on samples, texts or probabilities, with what is guaranteed of it."),
    "report": ("results:report", "Write summary.md and the report page."),
    "results": ("results:results", "Page through the figures of the report, each with its source."),
    "verify": ("verify:verify", "Recompute every number of the report from the raw files, and name what differs."),
    "import": (
        "take_over:take_over",
        "Make an experiment from a directory of the first system, every file by its hash.",
    ),
    "compare": ("compare:compare", "Compare experiments: what may be subtracted, and what differs between their runs."),
    "lesson": ("lesson:lesson", "Write a lesson with its evidence to findings.md, or list those there."),
    "quiz": ("quiz:quiz", "Make a self-grading page of questions from a finished experiment."),
    "search": ("search:search", "Search earlier experiments by model, task, factor, metric and words."),
    "audit-model": ("audit_model:audit_model", "Audit a run's model against limits fixed beforehand."),
    "groups": ("groups:groups", "Compare a run's answers between groups of samples."),
    "spot-check": ("results:spot_check", "Look at a few answers of a run, with their tokens."),
    "embed": ("embed:embed", "Write hidden states of texts to HDF5, by any model, adapter or epoch."),
    "serve": ("serve:serve", "Let other tools ask a model, an adapter or a run, by OpenAI's protocol."),
    "chat": ("chat:chat", "Talk to a model, an adapter or a run in the terminal."),
    "predict": ("predict:predict", "Decide on texts in JSON, by a model, an adapter or a run: label, why, how sure."),
    "wandb": ("tracking:wandb", "Send offline runs to Weights & Biases."),
    "adapter": ("adapter:adapter", "Check, merge, convert or port a trained adapter."),
    "audit": ("audit:audit", "Read or verify the audit log, record a decision, or prove one line of it."),
    "ui": ("ui:ui", "Show runs, comparisons, decisions and the record in a browser of this machine."),
    "models": ("models:models", "List, look at, check, pull, convert or remove base models, or make the small one."),
    "sync": ("mirror:sync", "Copy inputs to, and results from, the login host that an experiment lies on."),
    "disk": ("disk:disk", "Show what an experiment takes on disk, and what may go."),
    "reproduce": ("reproduce:reproduce", "Make a run again from its sealed design, and compare."),
    "export": ("export:export", "Export the experiment as an RO-Crate, for other tools and archives."),
    "archive": ("archive:archive", "Put an experiment away, every file proven by hash."),
    "unarchive": ("archive:unarchive", "Bring an archived experiment back as it was."),
    "site": ("site:site", "Set up, show or check the settings of this machine."),
    "mcp": ("mcp:mcp", "Tell an assistant of the server, here or on a login node, or start it."),
    "schema": ("design:schema", "Print the JSON Schema of a design."),
}
"""Command to the module and function that hold it, and its line in the help."""


_SELDOM = (100_000, 10, 10)
"""Objects made before the young are looked at, and how many such looks go to one at the older, and oldest, ones."""


class _Commands(LazyGroup):
    """The commands in the order of work, their lines told without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            elsewhere = import_module("cruijff_kit.cli.mirror").there(name, rest, root=ctx)
            if elsewhere is not None:
                return name, elsewhere, []
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    places={name: place for name, (place, _) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ck")
@click.option(
    "-C", "--experiment", default=".", metavar="DIR", help="Experiment directory; the current one where absent."
)
@click.option("--site", metavar="NAME", help="Which of several sites; an experiment remembers its own.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, experiment: str, site: str | None, debug: bool) -> None:
    """Design, scaffold, run and report fine-tuning experiments, every step on record.

    The order of work: design, scaffold, submit, watch, report.
    """
    ctx.obj = experiment


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run `ck`; errors a user can mend are printed without a traceback."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    # What a command imports lives until its end: to look through it every 700 objects takes a fifth of its start.
    gc.set_threshold(*_SELDOM)
    try:
        return cli.main(args=args, prog_name="ck", standalone_mode=True)
    except CruijffError as err:
        if "--debug" in args:
            raise
        click.echo(f"error: {err}", err=True)
        raise SystemExit(err.exit_code) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(141) from None


if __name__ == "__main__":
    main()
