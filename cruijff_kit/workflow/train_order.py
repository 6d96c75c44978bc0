"""Orders of a training: profile, file and flags read, and who of them said what."""

from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.train_file import TrainFile, read_train_file
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.train_layers import TrainLayer
from cruijff_kit.ports import World
from cruijff_kit.schema.training import TrainOrder
from cruijff_kit.workflow.profiles import find_profile

__all__ = ["Asked", "read_order"]

_NO_FILE = TrainFile({}, {}, ())


class Asked(NamedTuple):
    """What was asked for, the file's word where the command line said nothing."""

    model: str
    """The model as it was named; empty where it was not."""
    data: str
    """The data as it was named; empty where it was not."""
    validation: str | None
    """Another file to validate on."""
    output: str | None
    """Experiment directory."""
    layers: tuple[TrainLayer, ...]
    """Profile, file and flags, weakest first."""
    problems: tuple[Problem, ...]
    """All that cannot be taken."""


def read_order(order: TrainOrder, *, world: World) -> Asked:
    """Read profile and file, and let the command line's own words count over them.

    Raises:
        SpecError: there is no such profile or file, or it cannot be read.
    """
    file = _file(order.config, world)
    said = file.values
    layers = []
    name = order.profile or said.get("profile")
    if name is not None:
        layers.append(TrainLayer(f"profile {name}", find_profile(name, world=world).values))
    if order.config is not None:
        layers.append(TrainLayer(f"file {order.config}", said, file.places))
    layers.append(TrainLayer("flag", order.flags))
    model = order.model or said.get("model") or ""
    unnamed = Problem(
        "no model is named", "model", order.config or "", "name a directory, `tiny`, or one of `ck models list`"
    )
    return Asked(
        model=model,
        data=order.data or said.get("data") or "",
        validation=order.validation_data or said.get("validation_data"),
        output=order.output or said.get("output"),
        layers=tuple(layers),
        problems=file.problems if model else (*file.problems, unnamed),
    )


def _file(path: str | None, world: World) -> TrainFile:
    if path is None:
        return _NO_FILE
    try:
        text = (world.store.root / Path(path).expanduser()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        fact = getattr(err, "strerror", None) or str(err)
        hint = "`ck init` writes `configs/train.yml` to begin with"
        raise SpecError(f"configuration `{path}` cannot be read: {fact.lower()}", hint=hint) from err
    return read_train_file(text, name=path)
