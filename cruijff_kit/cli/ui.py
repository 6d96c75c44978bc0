"""`ck ui`: pages in a browser of this machine."""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import chosen, enter
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.serving import ModelChoice

__all__ = ["ui"]

_DEMO = "made_up_triage"


@click.command()
@click.option("--metrics", metavar="FILE", help="Show one file of metrics: `metrics.jsonl`, or one JSON array.")
@click.option(
    "--model", metavar="DIR", help="Decide on texts by a model: a directory of a base or an adapter, or a base's name."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="TCP port; 0 for any free."
)
@click.option("--demo", is_flag=True, help="Show made-up data, in a temporary directory, marked as such.")
@click.option("--open", "opened", is_flag=True, help="Open the browser too.")
@click.pass_obj
def ui(experiment: str, *, metrics: str | None, model: str | None, port: int, demo: bool, opened: bool) -> None:
    """Show experiments, runs, comparisons, decisions and the record in a browser of this machine; nothing is changed.

    Pages are served on 127.0.0.1 alone and ask nothing of the net. Ctrl-C ends them.
    """
    for name in ("streamlit", "plotly"):
        if find_spec(name) is None:
            raise SiteError(f"pages need `{name}`, which is not installed", hint="pip install 'cruijff-kit[ui]'")
    if sum((metrics is not None, model is not None, demo)) > 1:
        raise SpecError("`--metrics`, `--model` and `--demo` each show something else", hint="name one of them")
    opening = _made_up() if demo else _opening(experiment, metrics=metrics, model=model)
    words = [
        sys.executable,
        "-m",
        "cruijff_kit.ui",
        opening.model_dump_json(),
        str(port),
        *(["open"] if opened else []),
    ]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(words[0], words)  # noqa: S606 -- this process becomes the server; no shell is asked for


def _opening(experiment: str, *, metrics: str | None, model: str | None) -> Opening:
    here = Path(experiment).resolve()
    if metrics is not None:
        file = Path(metrics).resolve()
        if not file.is_file():
            raise SpecError(f"`{metrics}` is no file", hint="name the `metrics.jsonl` of a run, or one like it")
        return Opening(project=str(file.parent), metrics=str(file), site=chosen())
    if not here.is_dir():
        raise SpecError(f"`{experiment}` is no directory", hint="name an experiment, or the directory they lie in")
    inside = (here / ExperimentLayout.summary).is_file() or (here / ExperimentLayout.plan).is_file()
    return Opening(
        project=str(here.parent if inside else here),
        experiment=here.name if inside else None,
        model=_choice(model),
        site=chosen(),
    )


def _choice(model: str | None) -> ModelChoice | None:
    if model is None:
        return None
    worn = (Path(model) / "adapter_config.json").is_file()
    return ModelChoice(adapter=model) if worn else ModelChoice(model=model)


def _made_up() -> Opening:
    root = Path(tempfile.mkdtemp(prefix="ck-ui-demo-"))
    (root / _DEMO).mkdir()
    click.echo(f"making up an experiment in {root}", err=True)
    workflow.make_exhibit(world=enter(str(root / _DEMO)))
    return Opening(project=str(root), experiment=_DEMO, demo=True)
