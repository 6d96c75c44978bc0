"""Plot tokens: how many of them questions and answers of a data file take, as a picture."""

from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.raster import draw_png
from cruijff_kit.rendering.token_bars import token_bars
from cruijff_kit.schema.dataset_report import DataStats
from cruijff_kit.workflow.conversion import own_target

__all__ = ["check_plot", "plot_tokens"]


def check_plot(target: str, *, source: str, force: bool = False, world: World) -> str:
    """Return where the picture of a data file's tokens will lie, before they are counted, which may take long.

    Args:
        target: PNG file inside the experiment.
        source: the data file.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: it is no PNG, or the file cannot be written there.
    """
    if not target.endswith(".png"):
        raise SpecError(f"`{target}` is no name for a picture", hint="end it in `.png`")
    return own_target(target, source=source, force=force, world=world)


def plot_tokens(stats: DataStats, target: str, *, force: bool = False, world: World) -> str:
    """Draw what `measure_data` counted in a model's tokens, and return the path of the picture.

    Args:
        stats: the counts.
        target: PNG file inside the experiment.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: no tokens were counted, or the file cannot be written there.
        SiteError: the extra that draws is not installed.
    """
    if stats.texts is None:
        hint = "name a model with `--model`, and data that has questions and answers"
        raise SpecError(f"no tokens of `{stats.path}` were counted", hint=hint)
    path = check_plot(target, source=stats.path, force=force, world=world)
    world.store.write(path, draw_png(token_bars(stats.texts, title=stats.path)))
    return path
