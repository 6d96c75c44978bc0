"""Pilots: sound runs on record, from which floors come."""

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from cruijff_kit.data.generators.registry import GENERATORS
from cruijff_kit.errors import SpecError
from cruijff_kit.sanity_checks.checks import Check, Size
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.schema.sanity import PilotFigure, Pilots

__all__ = ["Floors", "design_sha256", "figures_of", "floors_of", "read_pilots"]

Floors = tuple[Pilots | None, str]
"""Pilots that apply, and where they are from, or why there are none."""

_TINY = "tiny-"


def design_sha256(check: Check, size: Size) -> str:
    """Return the hash of all that a check fixes at a size: what another value of it would make another experiment."""
    fixed = {
        "generator": [check.generator, GENERATORS[check.generator].version],
        "arguments": dict(size.arguments),
        "controls": dict(size.controls),
        "max_tokens": size.max_tokens,
        "arms": [[arm.name, dict(arm.parameters)] for arm in check.arms(size)],
    }
    return hashlib.sha256(json.dumps(fixed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_pilots(check: Check, path: str | None) -> Pilots | None:
    """Return recorded pilots: those of a file, else those that this package holds; None where it holds none.

    Raises:
        SpecError: the file cannot be read, or holds no pilots.
    """
    own = files("cruijff_kit.sanity_checks").joinpath(check.name, ExperimentLayout.pilots)
    try:
        text = own.read_text("utf-8") if path is None else Path(path).read_text("utf-8")
        return Pilots.model_validate_json(text)
    except FileNotFoundError:
        if path is None:
            return None
        raise SpecError(
            f"there is no file of pilots `{path}`", hint=f"`ck sanity pilot {check.name}` makes one"
        ) from None
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(f"`{path or own}` cannot be read: {err}", hint="name another file with `--pilots`") from err
    except ValidationError as err:
        fact = f"`{path or own}` holds no pilots: {first_fault(err)}"
        raise SpecError(fact, hint=f"`ck sanity pilot {check.name}` makes such a file") from err


def floors_of(check: Check, size: Size, *, model: tuple[str, str], path: str | None) -> Floors:
    """Return the pilots that tell of a model at a size, and in words where they are from or why there are none.

    Args:
        check: the check.
        size: how large it is made.
        model: name and content hash of the base model.
        path: a file of pilots; those of this package where None.
    """
    found = read_pilots(check, path)
    again = f"`ck sanity pilot {check.name}` records them"
    if found is None:
        return None, f"no pilots are recorded, so only derived ends are judged; {again}"
    if (found.check, found.size) != (check.name, size.name):
        told = f"check `{found.check}` at size `{found.size}`"
        return None, f"the recorded pilots are of {told}, so only derived ends are judged; {again}"
    if found.design_sha256 != design_sha256(check, size):
        return None, f"the check has changed since its pilots, so only derived ends are judged; {again}"
    if not _same(found, model):
        told = f"the recorded pilots are of model `{found.model}`, not of `{model[0]}`"
        return None, f"{told}, so only derived ends are judged; {again}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.packages.items()))
    return found, f"{len(found.seeds)} pilots of `{found.model}`, seeds {_range(found.seeds)} ({versions})"


def _same(found: Pilots, model: tuple[str, str]) -> bool:
    """Return whether pilots are of this model; the tiny base is known by its recipe, its last bits vary by machine."""
    name, sha256 = model
    return found.model_sha256 == sha256 or (name.startswith(_TINY) and found.model == name)


def _range(seeds: Sequence[int]) -> str:
    return f"{min(seeds)} to {max(seeds)}"


def figures_of(pilots: Pilots | None, *, arm: str, figure: str) -> tuple[PilotFigure, ...]:
    """Return the pilots' results in one figure of an arm."""
    if pilots is None:
        return ()
    return tuple(each for each in pilots.figures if (each.arm, each.figure) == (arm, figure))
