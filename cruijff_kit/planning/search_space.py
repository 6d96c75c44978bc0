"""The space of a search: what its preset stands for, where its default lies, how its runs and seeds are named."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.planning.spans import tidied
from cruijff_kit.schema.design_kinds import Level, SearchDesign, Space, Span
from cruijff_kit.schema.plan import DatasetFacts, PlannedRun
from cruijff_kit.schema.spec import RunSpec

__all__ = [
    "DEFAULT",
    "OTHER_WORDS",
    "default_point",
    "fresh_name",
    "fresh_seeds",
    "most_trainings",
    "number_of",
    "point_key",
    "proposal_seed",
    "run_of",
    "searched_names",
    "space_of",
    "tidy",
    "trial_name",
]

DEFAULT = "default"
"""Name of the run that a search is held against: the controls as they are."""

_FRESH = "-fresh"
_TRIAL = re.compile(r"^trial-(\d{3,5})$")
_DATA = "data."

_TUNE: Mapping[str, Span | tuple[Level, ...]] = MappingProxyType(
    {
        "lora_rank": Span(low=8, high=64, step=8),
        "lora_alpha": Span(low=16, high=128, step=16),
        "lora_dropout": Span(low=0.05, high=0.3),
        "lr": Span(low=1e-5, high=5e-4, log=True),
        "batch_size": (2, 4, 8),
        "weight_decay": Span(low=0.0, high=0.01),
        "lr_scheduler": ("cosine", "linear", "constant_with_warmup"),
        "lora_variant": ("lora", "dora"),
    }
)
# Shares of all steps; here warm-up is counted in steps, which depend on the rows.
_WARMUP = (0.01, 0.1)

OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "alpha": "write `lora_alpha`",
        "dropout": "write `lora_dropout`",
        "gradient_checkpointing": "it changes no result, only memory and time: set `activation_checkpointing`",
        "learning_rate": "write `lr`",
        "load_in_4bit": "write `quantization: [none, nf4]`, on machines with a GPU",
        "load_in_8bit": "bases of 8 bits are not trained here; write `quantization: [none, nf4]`",
        "lora_method": "write `lora_variant: [lora, dora]`",
        "method": "write `lora_variant: [lora, dora]`",
        "optimizer": "every recipe here uses AdamW",
        "r": "write `lora_rank`",
        "rank": "write `lora_rank`",
        "scheduler": "write `lr_scheduler`",
        "use_dora": "write `lora_variant: [lora, dora]`",
        "use_rslora": "write `lora_variant: [lora, rslora]`",
        "warmup_ratio": "warm-up is counted in steps: `num_warmup_steps`, which `preset: tune` reckons from the rows",
    }
)
"""What other tools tune, and what it is called here or why it is not."""


def space_of(search: SearchDesign, *, steps: int = 0) -> Space:
    """Return the dimensions of a search: the preset's, and over them those that are written.

    Args:
        search: the search.
        steps: optimiser steps of its default run, from which the preset reckons warm-up.
    """
    if search.preset is None:
        return search.space
    low, high = (round(steps * share) for share in _WARMUP)
    warmup: Space = {"num_warmup_steps": Span(low=low, high=high)} if low < high else {}
    return {**_TUNE, **warmup, **search.space}


def searched_names(search: SearchDesign) -> tuple[str, ...]:
    """Return every name that may be searched over, however long its runs are."""
    return tuple(space_of(search, steps=1_000))


def default_point(space: Space, run: PlannedRun, *, data: DatasetFacts) -> dict[str, Level]:
    """Return where the default lies in a space, or beside it."""
    told = {"model": run.model.name, "data.path": data.path}
    told |= {f"{_DATA}{name}": value for name, value in data.arguments.items()}
    told |= {name: setting.value for name, setting in run.settings.items()}
    return {name: told.get(name) for name in space}


def tidy(space: Space, point: Mapping[str, Level]) -> dict[str, Level]:
    """Return a proposed point as people write it, in the order of the space."""
    return {name: tidied(name, dimension, value=point[name]) for name, dimension in space.items()}


def point_key(point: Mapping[str, Level]) -> str:
    """Return what two points share that train alike: batch size and accumulation count as their product."""
    plain = {name: _plain(level) for name, level in point.items()}
    batch, parts = plain.get("batch_size"), plain.get("gradient_accumulation_steps")
    if isinstance(batch, float) and isinstance(parts, float):
        plain |= {"batch_size": batch * parts, "gradient_accumulation_steps": 1.0}
    return canonical_json(plain)


def _plain(level: Level) -> Level:
    """Return a level so that 2 and 2.0 are the same, and neither is `true`."""
    return float(level) if isinstance(level, int) and not isinstance(level, bool) else level


def trial_name(number: int) -> str:
    """Return the name of a trial's runs; trials count from 1."""
    return f"trial-{number:03d}"


def fresh_name(name: str) -> str:
    """Return the name of the same on seeds used nowhere before."""
    return f"{name}{_FRESH}"


def number_of(name: str) -> int | None:
    """Return the number of the trial that a run's name tells of; None where it tells of none."""
    found = _TRIAL.match(name)
    return int(found[1]) if found else None


def run_of(name: str, point: Mapping[str, Level], *, seeds: Sequence[int] | None = None) -> RunSpec:
    """Return a point as a named run of the design."""
    parameters = {key: level for key, level in point.items() if key != "model"}
    said = {"name": name, "model": point.get("model"), "parameters": parameters, "seeds": seeds}
    # What is not said is not written into the design either.
    return RunSpec.model_validate({key: value for key, value in said.items() if value})


def most_trainings(search: SearchDesign, seeds: int) -> int:
    """Return the trainings of a search at most: trials and default on every seed, then two on the fresh ones."""
    return (search.trials + 1) * seeds + 2 * search.fresh_seeds


def proposal_seed(seed: int, number: int, *, attempt: int) -> int:
    """Return the seed of one proposal: decided by the search's own, the trial's number and the attempt alone."""
    return _hashed(f"propose {seed} {number} {attempt}")


def fresh_seeds(search: SearchDesign, used: Iterable[int]) -> tuple[int, ...]:
    """Return seeds that nothing of the design has used, decided by the search's own seed."""
    taken, found, count = set(used), list[int](), 0
    while len(found) < search.fresh_seeds:
        seed = _hashed(f"fresh {search.seed} {count}") % 1_000_000
        count += 1
        if seed not in taken:
            taken.add(seed)
            found.append(seed)
    return tuple(found)


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 2**31
