"""Profiles: values of a training that belong together; those of this package, the project's and the user's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.data.train_file import read_profile
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import SpecError
from cruijff_kit.planning.train_layers import TrainLayer, lay_over, value_problems
from cruijff_kit.ports import World
from cruijff_kit.runtime.user_folders import base_folder
from cruijff_kit.schema.train_keys import PROFILES
from cruijff_kit.schema.training import Profile

__all__ = ["create_profile", "find_profile", "list_profiles"]

_FOLDER = "profiles"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def list_profiles(*, world: World) -> tuple[Profile, ...]:
    """Return every profile: the project's and the user's own, each in place of one of ours of the same name.

    Raises:
        SpecError: a file is no profile; lists every problem.
    """
    found = {name: Profile(name=name, path="", values=dict(values)) for name, values in PROFILES.items()}
    for folder in reversed(_folders(world)):
        for path in sorted(folder.glob("*.yaml")):
            found[path.stem] = _read(path)
    return tuple(found.values())


def find_profile(name: str, *, world: World) -> Profile:
    """Return a profile by its name: the project's file, the user's, or this package's.

    Raises:
        SpecError: there is none, or its file is no profile.
    """
    if _NAME.fullmatch(name):
        for folder in _folders(world):
            path = folder / f"{name}.yaml"
            if path.is_file():
                return _read(path)
    if name in PROFILES:
        return Profile(name=name, path="", values=dict(PROFILES[name]))
    known = ", ".join(f"`{each.name}`" for each in list_profiles(world=world))
    hint = f"`ck train profiles create {name} --set lora_rank=16` makes one"
    raise SpecError(f"there is no profile `{name}`; there are {known}", hint=hint)


def create_profile(
    name: str, values: Mapping[str, Any], *, base: str | None = None, force: bool = False, world: World
) -> Profile:
    """Write a profile of the project, `profiles/NAME.yaml`, and return it.

    Args:
        name: its name; one of ours may be replaced by it, in this project alone.
        values: key to value.
        base: profile that it starts from.
        force: replace a file that is there.
        world: the project.

    Raises:
        SpecError: the name or a value cannot be used, or the file is there.
    """
    if not _NAME.fullmatch(name):
        raise SpecError(f"`{name}` cannot be the name of a profile", hint="use letters, digits, `.`, `_` and `-`")
    whole = {**(find_profile(base, world=world).values if base else {}), **values}
    path = f"{_FOLDER}/{name}.yaml"
    if not whole:
        raise SpecError(f"profile `{name}` says nothing", hint="give it values: `--set lora_rank=16`")
    text = dump_yaml(whole)
    made = _parsed(text, path)
    if world.store.read(path) is not None and not force:
        raise SpecError(f"`{path}` is there already", hint="name another, or replace it with `--force`")
    world.store.write(path, text)
    return made


def _folders(world: World) -> tuple[Path, Path]:
    """Return where profiles lie: in the project, then in the user's configuration."""
    return world.store.root / _FOLDER, base_folder("XDG_CONFIG_HOME", ".config") / _FOLDER


def _read(path: Path) -> Profile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(f"profile `{path}` cannot be read: {err}", hint="see that it is a text file of yours") from err
    return _parsed(text, str(path))


def _parsed(text: str, path: str) -> Profile:
    found = read_profile(text, name=path)
    layer = TrainLayer("profile", found.values, found.places)
    wrong = [*found.problems, *value_problems(lay_over("start", layer), layer)]
    if wrong:
        raise SpecError(f"`{path}` is no profile", problems=list(dict.fromkeys(wrong)))
    return Profile(name=Path(path).stem, path=path, values=found.values)
