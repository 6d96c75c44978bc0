"""Recipes: list those of this package, start one of one's own, find and hash what a name stands for."""

import hashlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import cruijff_kit
from cruijff_kit.data.recipe_names import RECIPES, Recipe, resolve_recipe, unknown_recipe
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.receipt import RecipeInfo

__all__ = ["copy_recipe", "list_recipes", "recipe_file", "recipe_hash"]


def list_recipes() -> tuple[RecipeInfo, ...]:
    """Return the recipes of this package and what each is for."""
    return tuple(
        RecipeInfo(name=name, purpose=purpose, available=_own(name).is_file()) for name, purpose in RECIPES.items()
    )


def copy_recipe(name: str, dest: str | None = None, *, world: World) -> str:
    """Copy a recipe into the experiment, to be changed there, and return where it lies.

    The copy runs as it is: `python COPY --config finetune.yaml [--resume]`. A file that
    is there already is never replaced.

    Args:
        name: a recipe of this package, also by one of its earlier names.
        dest: file or folder relative to the experiment; the recipe's own name there where None.
        world: the experiment and its surroundings.

    Raises:
        SpecError: there is no such recipe, or something lies where the copy would go.
    """
    source = _shipped(name)
    target = dest or source.name
    if (world.store.root / target).is_dir():
        target = f"{target.rstrip('/')}/{source.name}"
    if not target.endswith(".py"):
        raise SpecError(f"`{target}` is no Python file", hint=f"name the copy `{target.rstrip('/')}.py`")
    if (world.store.root / target).exists():
        raise SpecError(f"`{target}` is there already, and nothing is replaced", hint="give another name for the copy")
    world.store.write(target, source.read_bytes())
    return target


def recipe_hash(name: str, *, root: Path) -> str | None:
    """Return the SHA-256 of the file behind a recipe's name; None for a recipe of this package.

    Args:
        name: the recipe's name.
        root: where relative paths start.

    Raises:
        SpecError: there is no such recipe, module or file, or it cannot be read.
    """
    path = recipe_file(name, root=root)
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as err:
        hint = "give a path that is absolute or starts at the experiment, or the name of a recipe of this package"
        raise SpecError(f"recipe `{name}` cannot be read: {str(err.strerror).lower()}", hint=hint) from err


def recipe_file(name: str, *, root: Path) -> Path | None:
    """Return the file behind a recipe's name; None for a recipe of this package.

    A module is found as Python would find it, and not imported: neither it nor the
    packages around it run.

    Args:
        name: the recipe's name.
        root: where relative paths start.

    Raises:
        SpecError: there is no such recipe or module.
    """
    try:
        recipe = resolve_recipe(name)
    except ValueError as err:
        raise SpecError(str(err), hint=unknown_recipe(name)[1]) from err
    if recipe.kind == "ours":
        return None
    return root / recipe.name if recipe.kind == "file" else _source(recipe)


def _shipped(name: str) -> Path:
    """Return the file of a recipe of this package.

    Raises:
        SpecError: there is none of this name.
    """
    try:
        recipe = resolve_recipe(name)
    except ValueError:
        recipe = Recipe(name, "module")
    source = _own(recipe.name)
    if recipe.kind == "ours" and source.is_file():
        return source
    fact, hint = unknown_recipe(name)
    if recipe.kind == "ours":
        fact, hint = f"recipe `{recipe.name}` is not shipped with this version", "`ck recipe list` shows those that are"
    raise SpecError(fact, hint=hint)


def _own(name: str) -> Path:
    return Path(cruijff_kit.__file__).parent / "recipes" / f"{name}.py"


def _source(recipe: Recipe) -> Path:
    """Return the file of a module; of a package, the file that `python -m` runs.

    Raises:
        SpecError: no such module is on Python's path, or it is no Python source.
    """
    spec, places = None, list(sys.path)
    for end, _ in enumerate(parts := recipe.name.split("."), start=1):
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None:
            fact, hint = unknown_recipe(recipe.name)
            raise SpecError(f"{fact}; and no module of this name is on Python's path", hint=hint)
        places = list(spec.submodule_search_locations or ())
    if spec is not None and spec.submodule_search_locations is not None:
        spec = PathFinder.find_spec(f"{recipe.name}.__main__", places)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise SpecError(f"module `{recipe.name}` is no Python file that can be run", hint="name the module in it")
    return Path(spec.origin)
