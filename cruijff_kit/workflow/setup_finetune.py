"""Setup-finetune: from `setup_finetune.yaml` and flags to `finetune.yaml` and `finetune.slurm`, without a design."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.setup_text import Given, read_flags, read_setup, setup_value
from cruijff_kit.data.yaml_text import Marks
from cruijff_kit.errors import CruijffError, PlanError, Problem, SpecError
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
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.receipt import FileChange, SetupReceipt, SetupSource, SetupValue
from cruijff_kit.schema.setup_keys import SETUP_FILE, SETUP_KEYS
from cruijff_kit.schema.site import Environment
from cruijff_kit.workflow.audit import recording, render_views
from cruijff_kit.workflow.base_recipes import base_recipe
from cruijff_kit.workflow.changes import diff_of
from cruijff_kit.workflow.run_files import equipped, interpreter, launched
from cruijff_kit.workflow.setup_inputs import SetupInputs, find_inputs, placed_values

__all__ = ["write_finetune"]

_SCRIPT_FILE = "finetune.slurm"
_VERB = "setup-finetune"
_NO_FLAGS: Mapping[str, str] = MappingProxyType({})


class _Said(NamedTuple):
    """What file, flags, base recipe and site say, and what is wrong with it."""

    values: dict[str, SetupValue]
    """Every key with its value and source."""
    marks: Marks
    """Where the file says what it says."""
    inputs: dict[str, str]
    """Hash of the file that was read."""
    problems: list[Problem]
    """All that stands in the way."""


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
    changes = _changes(sheet, force=force, world=world)
    if not dry_run:
        _refuse_edits(changes)
        if any(change.kind != "unchanged" for change in changes):
            _publish(sheet, world)
    if dry_run:
        changes = tuple(change.model_copy(update={"content": sheet.files[change.path]}) for change in changes)
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
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        placed = [_at_place(problem, said) for problem in problems]
        raise SpecError(f"`{_VERB}` found {count}; nothing was written", problems=placed)
    ground = Ground(
        str(world.store.root),
        _interpreter(values, world),
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


def _interpreter(values: Mapping[str, Any], world: World) -> str:
    """Return the interpreter of the environment that the keys name, or of the site's where it activates none."""
    environment = world.site.environment
    if values["venv"] or values["conda_env"]:
        return "python"
    return interpreter(Environment() if environment.kind in {"venv", "conda"} else environment)


def _said(flags: Mapping[str, str], world: World) -> _Said:
    """Read file, flags and base recipe, and lay them over the defaults."""
    name = flags.get("config_file", SETUP_FILE)
    text = _text(name, world)
    optional = "config_file" not in flags and len(flags) > 0
    problems: list[Problem] = []
    if text is None and not optional:
        hint = "write one, name another with `--config_file`, or give every key as a flag"
        problems.append(Problem(f"`{name}` does not exist in `{world.store.root}`", hint=hint))
    file = read_setup(text or "", name=name)
    line = read_flags(flags)
    problems += [*file.problems, *line.problems]
    base = _base_layer(file, line, problems=problems)
    layers = (default_layer(), site_layer(world.site), base)
    values = resolve_layers(*layers, Layer("file", file.values), Layer("flag", line.values))
    inputs = {name: hashlib.sha256(text.encode()).hexdigest()} if text is not None else {}
    return _Said(values, file.marks, inputs, problems)


def _text(name: str, world: World) -> str | None:
    """Return the text of the file that holds the keys; None where there is none.

    Raises:
        SpecError: it is there and cannot be read.
    """
    try:
        return (world.store.root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(f"`{name}` cannot be read: {err}", hint="see that it is a text file of yours") from err


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


def _at_place(problem: Problem, said: _Said) -> Problem:
    """Return a problem with the line of its key, where the file says it."""
    value = said.values.get(problem.path)
    if problem.place or value is None or value.source not in {"file", "flag"}:
        return problem
    return problem._replace(place=said.marks.place((problem.path,)) if value.source == "file" else "command line")


def _source(each: SetupValue) -> SetupSource:
    """Return the source of a value that was settled from the one said."""
    return "derived" if each.value is None or each.source == "default" else each.source


def _changes(sheet: _Sheet, *, force: bool, world: World) -> tuple[FileChange, ...]:
    """Return what becomes of each file: one that this verb wrote, and nobody touched, may be replaced."""
    written = _written(world)
    found = []
    for path, text in sheet.files.items():
        content = world.store.read(path)
        if content is None:
            found.append(FileChange(path=path, kind="create"))
        elif content == text.encode():
            found.append(FileChange(path=path, kind="unchanged"))
        else:
            pristine = force or hashlib.sha256(content).hexdigest() == written.get(path)
            kind = "overwrite" if pristine else "edited"
            found.append(FileChange(path=path, kind=kind, diff=diff_of(path, content, planned=text.encode())))
    return tuple(found)


def _written(world: World) -> dict[str, str]:
    """Return the hashes of the files as this verb last wrote them, by the record."""
    if world.audit.head() is None:
        return {}
    records = [record for record in world.audit.records() if record.verb == _VERB and record.outputs]
    return dict(records[-1].outputs) if records else {}


def _refuse_edits(changes: tuple[FileChange, ...]) -> None:
    edited = [change for change in changes if change.kind == "edited"]
    if edited:
        names = " and ".join(f"`{change.path}`" for change in edited)
        shown = "\n".join(change.diff.rstrip("\n") for change in edited)
        fact = f"{names} would be replaced, and this command did not leave it so; nothing was written\n{shown}"
        raise PlanError(fact, hint=f"put the change into `{SETUP_FILE}`, or replace the file with `--force`")


def _publish(sheet: _Sheet, world: World) -> None:
    """Write both files and record it."""
    with recording(world, verb=_VERB, action=Action.GENERATE_YAML, subject=sheet.config.run_id) as entry:
        for path, text in sheet.files.items():
            world.store.write(path, text)
            entry.outputs[path] = hashlib.sha256(text.encode()).hexdigest()
        entry.inputs.update(sheet.inputs)
    render_views(world=world)
