"""What runs ask of a backend that does not have it."""

from collections.abc import Iterator, Sequence

from cruijff_kit.data.mlx_limits import MLX_RECIPE, unlike_mlx
from cruijff_kit.data.recipe_names import RECIPES
from cruijff_kit.errors import Problem
from cruijff_kit.planning.grid import Point
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["unlike_backend"]


def unlike_backend(points: Sequence[Point], spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield every control that a run's recipe has no counterpart of; several runs may yield the same problem."""
    for point in points:
        if point.type == "control":
            continue
        values = {name: setting.value for name, setting in point.settings.items()}
        if values["recipe"] == MLX_RECIPE:
            yield from _unlike_mlx(point, spec)
        elif values["recipe"] in RECIPES and values["quantization"] == "int4":
            fact = f"`quantization: int4` is MLX's, and run `{point.slug}` trains by `{values['recipe']}`"
            hint = "set `tools.preparation: mlx`, or write `quantization: nf4` on a GPU"
            yield Problem(fact, _place("quantization", point), hint=hint)


def _unlike_mlx(point: Point, spec: ExperimentSpec) -> Iterator[Problem]:
    values = {name: setting.value for name, setting in point.settings.items()}
    for each in unlike_mlx(values):
        yield Problem(each.fact, _place(each.control, point), hint=each.hint)
    if spec.resources.gpus:
        fact = f"`resources.gpus` is `{spec.resources.gpus}`, and MLX takes the machine's own processor"
        hint = "set `resources.gpus: 0` for `tools.preparation: mlx`: on Apple silicon its GPU is used all the same"
        yield Problem(fact, "resources.gpus", hint=hint)


def _place(control: str, point: Point) -> str:
    factor = point.settings[control].source == "factor"
    return f"factors.{control}" if factor else f"controls.{control}"
