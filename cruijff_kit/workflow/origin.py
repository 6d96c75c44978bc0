"""Origin: where a run's files were made for, as they tell it themselves; an experiment may have been moved since."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun

__all__ = ["Origin", "origin_of"]


class Origin(NamedTuple):
    """Where a run's files were made for."""

    root: str
    """Directory of the experiment."""
    outputs: str
    """Directory of its output directories."""
    python: str | None
    """Interpreter of its jobs; None where no script tells it."""


def origin_of(run: PlannedRun, world: World) -> Origin:
    """Return where a run's files were made for; where none tells it, the place where they lie.

    Args:
        run: the run.
        world: the experiment; only read.
    """
    layout = RunLayout(run.id)
    said = list(_said(run, world))
    roots = [text.removesuffix(f"/{tail}") for text, tail in said if text.endswith(f"/{tail}")]
    root = roots[0] if roots else str(world.store.root)
    folders = [text.partition(f"/{layout.output}")[0] for text, _ in said if f"/{layout.output}" in text]
    return Origin(root, folders[0] if folders else f"{root}/outputs", _python(layout, world))


def _said(run: PlannedRun, world: World) -> Iterator[tuple[str, str]]:
    """Yield every directory that configurations of a run name, and where it lies in the experiment."""
    layout = RunLayout(run.id)
    config = _read(layout.config, world)
    yield from ((str(config.get(key)), layout.folder) for key in ("run_dir", "output_dir") if key in config)
    for cell in run.cells:
        config, folder = _read(layout.cell_config(cell.name), world), layout.cell(cell.name)
        yield from ((str(config.get(key)), folder) for key in ("cell_dir", "adapter") if key in config)


def _read(path: str, world: World) -> dict[str, object]:
    text = world.store.read_text(path)
    with suppress(SpecError):
        found = load_yaml(text or "", name=path).value
        return found if isinstance(found, dict) else {}
    return {}


def _python(layout: RunLayout, world: World) -> str | None:
    for path in (layout.train_script, layout.eval_script):
        with suppress(PlanError):
            return parse_script(world.store.read_text(path) or "").command[0]
    return None
