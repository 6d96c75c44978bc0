"""`ck init` and `ck info`: a project to train in, and the machine it is trained on."""

import shlex
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter_project
from cruijff_kit.schema.machine import MachineReport

__all__ = ["info", "init"]


@click.command()
@click.argument("directory", default="")
@click.pass_obj
def init(experiment: str, directory: str) -> None:
    """Make places for data, models, configurations and profiles, here or in DIRECTORY.

    Whatever is there already stays as it is.
    """
    found = workflow.make_project(world=enter_project(str(Path(experiment, directory))))
    lines = [f"{path} written" for path in found.written] + [f"{path} is there already" for path in found.kept]
    lines += [f"models go to {found.models_dir}", ""]
    goes = [f"cd {shlex.quote(directory)}"] if directory else []
    goes += ["ck train validate configs/train.yml"]
    goes += ["ck train quick tiny capitalization --template model --epochs 2 --lr 1e-3"]
    lines += [f"{'next:' if not at else '     '} {each}" for at, each in enumerate(goes)]
    click.echo("\n".join(lines))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def info(experiment: str, as_json: bool) -> None:
    """Show device, memory, backend, versions and where models lie; no network is asked."""
    found = workflow.describe_machine(world=enter_project(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else _told(found))


def _told(found: MachineReport) -> str:
    models = (
        f"{found.models_dir}, {found.models} of them" if found.models_dir else "no place is set: `ck init` sets one"
    )
    rows = [
        ("system", found.system),
        ("device", found.device),
        ("backend", f"{found.backend}: {found.backend_why}"),
        ("CPUs", str(found.cpus)),
        ("memory", _size(found.memory)),
        ("disk free", _size(found.disk_free)),
        ("models", models),
        ("cache", found.cache),
        ("state", found.state),
        ("scheduler", found.scheduler),
        *found.versions.items(),
        ("not installed", ", ".join(found.missing) or "nothing"),
    ]
    return aligned(("what", "is"), rows)


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
