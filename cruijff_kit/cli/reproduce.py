"""`ck reproduce`: a run made again from its sealed design, compared byte by byte and figure by figure."""

from collections.abc import Iterator
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter, enter_local
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.reproduction import Reproduction

__all__ = ["reproduce"]

_SHORT = 12


@click.command()
@click.argument("run")
@click.option("--into", metavar="DIR", help="Scaffold the design anew in a new directory; nothing is written without.")
@click.option("--run", "execute", is_flag=True, help="Train and evaluate again there, on this machine, and compare.")
@click.option("--tolerance", type=float, help="How far figures may differ; equal or alike, as it should be, if absent.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def reproduce(
    experiment: str, run: str, *, into: str | None, execute: bool, tolerance: float | None, as_json: bool
) -> None:
    """Make the files of RUN again from its sealed design and compare them byte for byte; name what differs here.

    The original is only read. Figures measured again must be equal where versions, commit, device and threads are,
    and else within 0.02, of figures above 1 in proportion.
    """
    world = enter(experiment)
    fresh = None if into is None else enter_local(Path(into).resolve(), project=Path(experiment).resolve().parent)
    with ProgressBar("reproduce") as progress:
        found = workflow.reproduce_run(
            run, execute=execute, tolerance=tolerance, fresh=fresh, progress=progress, world=world
        )
    click.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_told(found)))
    if found.faults:
        raise ResultError(f"run `{found.run_id}` was not reproduced: {'; '.join(found.faults[:8])}")


def _told(found: Reproduction) -> Iterator[str]:
    same = sum(each.identical for each in found.files)
    yield f"{found.run_id}: {same} of {len(found.files)} files are the same, byte for byte, as were sealed"
    for each in found.files:
        if not each.identical:
            yield f"  {each.path}: not the same" + (f"\n{each.detail}" if each.detail else "")
        elif each.found in {"changed", "missing"}:
            yield f"  {each.path}: made again; in the original it is {each.found}"
    if found.planned:
        yield f"the sealed plan stood in for the design: {found.planned}"
    for each in found.inputs:
        state = "as it was" if each.same else each.reason or f"{str(each.found)[:_SHORT]}, not {each.sealed[:_SHORT]}"
        yield f"{each.kind} {each.name}: {state}"
    yield from _differences(found)
    yield from _figures(found)
    yield from (f"note: {note}" for note in found.notes)
    if found.into is not None:
        yield f"scaffolded in {found.into}"


def _differences(found: Reproduction) -> Iterator[str]:
    if found.places:
        yield "files name places of the original; here they are"
        yield aligned(("what", "original", "here"), [(each.what, each.then, each.here) for each in found.places])
    if found.environment:
        yield "the environment differs"
        yield aligned(("what", "original", "here"), [(each.what, each.then, each.here) for each in found.environment])
    elif not found.notes:
        yield "no difference of the environment was found"


def _figures(found: Reproduction) -> Iterator[str]:
    if found.tolerance is None:
        return
    words = "equal" if not found.tolerance else f"within {found.tolerance:g}"
    yield f"figures have to be {words}: {found.rule}"
    rows = [
        (each.figure, _number(each.then), _number(each.again), each.reason or ("agrees" if each.within else "differs"))
        for each in found.figures
    ]
    yield aligned(("figure", "original", "again", ""), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
