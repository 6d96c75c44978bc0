"""Setup-finetune: from `setup_finetune.yaml` and flags to `finetune.yaml` and `finetune.slurm`, without a design."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.setup_text import Given, setup_value
from cruijff_kit.errors import CruijffError, PlanError, Problem
from cruijff_kit.planning.setup_layers import (
    Layer,
    default_layer,
    resolve_layers,
    run_name,
    setup_conflicts,
    site_layer,
)
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import render_config, render_entries
from cruijff_kit.rendering.sbatch import render_script
from cruijff_kit.rendering.setup import CONFIG_FILE, Ground, training_files
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.receipt import SetupReceipt, SetupSource, SetupValue
from cruijff_kit.schema.setup_keys import FINETUNE, SETUP_KEYS
from cruijff_kit.workflow.base_recipes import base_recipe
from cruijff_kit.workflow.run_files import equipped, job_interpreter, launched
from cruijff_kit.workflow.setup_inputs import SetupInputs, find_inputs, placed_values
from cruijff_kit.workflow.setup_sheet import Order, Said, lay_files, read_said, refused

__all__ = ["write_finetune"]

_SCRIPT_FILE = "finetune.slurm"
_NO_FLAGS: Mapping[str, str] = MappingProxyType({})


class _Sheet(NamedTuple):
    """Everything that would be written."""

    values: dict[str, SetupValue]
    """Every key, the run's name among them."""
    config: TrainConfig
    """The training configuration."""
    files: dict[str, str]
    """Text of each file."""
    found: SetupInputs
    """What it was made with."""
    inputs: dict[str, str]
    """Hashes of what was read."""


def write_finetune(
    *, flags: Mapping[str, str] = _NO_FLAGS, force: bool = False, dry_run: bool = False, world: World
) -> SetupReceipt:
    """Write `finetune.yaml` and `finetune.slurm` from the keys of `setup_finetune.yaml`; safe to repeat.

    A value counts because it was said, whatever it says: defaults, the site's, those of
    `base_recipe`, the file's, the flags', each over the ones before. Data, model and
    recipe are read and hashed now. A file that somebody edited since is not replaced.

    Args:
        flags: keys to text, as given on the command line.
        force: replace files that were edited.
        dry_run: write nothing and return the text of every file.
        world: the run's directory and its surroundings.

    Raises:
        SpecError: keys, values or data are wrong; lists every problem, and nothing is written.
        PlanError: a file was edited since it was written, or the name is another run's.
    """
    sheet = _sheet(flags, world)
    order = Order(FINETUNE, sheet.config.run_id, sheet.files, sheet.inputs, force, dry_run)
    changes = lay_files(order, world=world)
    return SetupReceipt(
        run_id=sheet.config.run_id,
        output_dir=sheet.config.output_dir,
        recipe=sheet.found.recipe.name,
        recipe_sha256=sheet.found.recipe_sha256,
        values=sheet.values,
        dry_run=dry_run,
        changes=changes,
    )


def _sheet(flags: Mapping[str, str], world: World) -> _Sheet:
    said = _said(flags, world)
    values = placed_values({name: each.value for name, each in said.values.items()}, root=world.store.root)
    found, unfit = find_inputs(values, world=world)
    wrong = {problem.path for problem in said.problems}
    # What a wrong value has caused is not told a second time.
    further = (problem for problem in (*setup_conflicts(said.values), *unfit) if problem.path not in wrong)
    problems = [*said.problems, *dict.fromkeys(further)]
    if problems or found is None:
        raise refused(problems, said, verb=FINETUNE.verb)
    ground = Ground(
        str(world.store.root),
        job_interpreter(values, world.site),
        found.recipe,
        found.model_sha256,
        found.data.sha256,
        bool(found.data.splits.get("validation")),
    )
    named = _named(values, found, ground=ground)
    config, asked = training_files(named, ground)
    job = equipped(launched(asked), world.site)
    _refuse_taken(config, world)
    shown = {
        name: each if each.value == named[name] else SetupValue(value=named[name], source=_source(each))
        for name, each in said.values.items()
    }
    files = {CONFIG_FILE: render_config(config), _SCRIPT_FILE: render_script(job)}
    inputs = {**said.inputs, "data": found.data.sha256, "model": found.model_sha256}
    inputs |= {"recipe": found.recipe_sha256} if found.recipe_sha256 else {}
    return _Sheet(shown, config, files, found, inputs)


def _said(flags: Mapping[str, str], world: World) -> Said:
    """Read file, flags and base recipe, and lay them over the defaults."""
    read = read_said(flags, FINETUNE, optional=len(flags) > 0, world=world)
    problems = list(read.problems)
    base = _base_layer(read.file, read.line, problems=problems)
    layers = (default_layer(), site_layer(world.site), base)
    values = resolve_layers(*layers, Layer("file", read.file.values), Layer("flag", read.line.values))
    return Said(values, read.file.marks, read.inputs, problems)


def _base_layer(file: Given, line: Given, *, problems: list[Problem]) -> Layer:
    name = {**file.values, **line.values}.get("base_recipe")
    if name is None:
        return Layer("base recipe", {})
    try:
        found = base_recipe(name)
        return Layer("base recipe", {key: setup_value(SETUP_KEYS[key], value) for key, value in found.items()})
    except ValueError as err:
        hint = err.hint if isinstance(err, CruijffError) else "name another base recipe"
        problems.append(Problem(str(err).partition("\n")[0], "base_recipe", hint=hint))
        return Layer("base recipe", {})


def _named(values: dict[str, Any], found: SetupInputs, *, ground: Ground) -> dict[str, Any]:
    """Return the values with the run's name and the recipe's own name in them.

    Raises:
        PlanError: a value does not fit its place in the configuration.
    """
    values = {**values, "custom_recipe": found.recipe.name}
    if values["my_wandb_run_name"]:
        return values
    config, _ = training_files({**values, "my_wandb_run_name": "unnamed"}, ground)
    return {**values, "my_wandb_run_name": run_name(config, recipe=found.recipe_sha256 or found.recipe.name)}


def _refuse_taken(config: TrainConfig, world: World) -> None:
    """Refuse a name whose output directory belongs to another run.

    Raises:
        PlanError: a neighbouring run writes there, or something lies there that this run did not make.
    """
    line = render_entries({"output_dir": config.output_dir})
    root = world.store.root
    own = line in (world.store.read_text(CONFIG_FILE) or "")
    near = sorted(root.parent.glob(f"*/{CONFIG_FILE}"))
    others = [path for path in near if path.parent != root and _says(path, line)]
    hint = "set another `my_wandb_run_name`, `experiment_name` or `output_dir_base`"
    if others:
        raise PlanError(f"`{config.output_dir}` is where `{others[0].parent}` writes", hint=hint)
    if not own and Path(config.output_dir).exists():
        raise PlanError(f"`{config.output_dir}` exists, and this run did not make it", hint=hint)


def _says(path: Path, line: str) -> bool:
    """Return whether a neighbour's configuration holds a line; one that may not be read is nobody's business."""
    try:
        return line in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _source(each: SetupValue) -> SetupSource:
    """Return the source of a value that was settled from the one said."""
    return "derived" if each.value is None or each.source == "default" else each.source
