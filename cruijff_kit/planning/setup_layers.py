"""Layers of a set-up: which value of a key counts, and who said it."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cruijff_kit.data.words.names import load_adjectives, load_nouns
from cruijff_kit.errors import Problem
from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.receipt import SetupSource, SetupValue
from cruijff_kit.schema.setup_keys import ABSENT, DERIVED, FINETUNE, REQUIRED, SITE, KeyTable
from cruijff_kit.schema.site import Site

__all__ = ["Layer", "default_layer", "laid_over", "resolve_layers", "run_name", "setup_conflicts", "site_layer"]

_MADE_UP = (ABSENT, DERIVED, REQUIRED, SITE)
# Names that were derived before there were more words are derived again.
_WORDS = 32


class Layer(NamedTuple):
    """Values from one source."""

    source: SetupSource
    """Who says them."""
    values: Mapping[str, Any]
    """Key to value; whatever is here was said, also where it equals the default."""


def default_layer(table: KeyTable = FINETUNE) -> Layer:
    """Return the defaults of a table; what is required, derived or the site's has none."""
    return Layer("default", {name: None if key.ours in _MADE_UP else key.ours for name, key in table.keys.items()})


def site_layer(site: Site) -> Layer:
    """Return what this machine's settings say of a job."""
    environment = site.environment
    default = next((each for each in site.partitions if each.name == site.partition), None)
    values = {
        "partition": site.partition,
        "account": (default.account if default else None) or site.account,
        "qos": (default.qos if default else None) or site.qos,
        "constraint": site.constraint,
        "gpu_type": site.gpu_type,
        "models_dir": site.models_dir,
        "output_dir_base": site.output_dir_base,
        "modules": environment.modules or None,
        "venv": environment.name if environment.kind == "venv" else None,
        "conda_env": environment.name if environment.kind == "conda" else None,
    }
    return Layer("site", {name: value for name, value in values.items() if value is not None})


def laid_over(*layers: Layer) -> dict[str, SetupValue]:
    """Return each key's value with its source: a later layer counts, because it was said, whatever it says.

    Whoever names one environment does not mean the site's other one, nor a kind of GPU who asks for none.
    """
    found: dict[str, SetupValue] = {}
    for layer in layers:
        found.update({name: SetupValue(value=value, source=layer.source) for name, value in layer.values.items()})
    for name, other in (("venv", "conda_env"), ("conda_env", "venv")):
        if found[name].source in {"file", "flag"} and found[name].value and found[other].source == "site":
            found[other] = SetupValue(value=None, source="derived")
    if not found["gpus"].value and found["gpu_type"].source == "site":
        found["gpu_type"] = SetupValue(value=None, source="derived")
    return found


def resolve_layers(*layers: Layer) -> dict[str, SetupValue]:
    """Return the values of `ck setup-finetune`; what follows from other keys is filled in where nobody said it."""
    found = laid_over(*layers)
    said = {name: each.value for name, each in found.items()}
    derived = {
        "output_dir_base": said["project_dir"],
        "batch_size_val": said["batch_size"],
        "lora_alpha": 2.0 * said["lora_rank"],
        "dtype": "bf16" if said["gpus"] else "fp32",
        "model_checkpoint": said["torchtune_model_name"],
        "custom_recipe": "lora_single_device",
    }
    # A directory given under its other name outranks the site's.
    if found["project_dir"].value is not None and found["output_dir_base"].source == "site":
        found["output_dir_base"] = SetupValue(value=None, source="default")
    for name, value in derived.items():
        if found[name].value is None and value is not None:
            found[name] = SetupValue(value=value, source="derived")
    return found


def setup_conflicts(values: Mapping[str, SetupValue]) -> Iterator[Problem]:
    """Yield what two keys say against each other, and what is required and missing."""
    said = {name: each.value for name, each in values.items()}
    for name in ("input_dir_base", "models_dir"):
        elsewhere = name == "models_dir" and str(said["model_checkpoint"]).startswith("/")
        if said[name] is None and not elsewhere:
            yield Problem(f"`{name}` is required", name, hint=f"write `{name}:` and the directory")
    if said["venv"] and said["conda_env"]:
        yield Problem("`venv` and `conda_env` are both set", "conda_env", hint="set one of them, the other to null")
    base, project = said["output_dir_base"], said["project_dir"]
    if project is not None and base != project:
        fact = f"`project_dir` is `{project}` and `output_dir_base` is `{base}`, two names of one thing"
        yield Problem(fact, "project_dir", hint="keep one of them")
    yield from _save_conflicts(said, values["epochs_to_save"].source)


def _save_conflicts(said: Mapping[str, Any], source: SetupSource) -> Iterator[Problem]:
    last = said["epochs"] - 1
    kept = said["epochs_to_save"]
    if said["save_last_epoch_only"] and source != "default" and kept not in {"last", (last,)}:
        fact = "`save_last_epoch_only` and `epochs_to_save` say different things"
        yield Problem(fact, "epochs_to_save", hint="keep one of them: `epochs_to_save: last` says it alone")
    beyond = [epoch for epoch in kept if epoch > last] if isinstance(kept, tuple) else []
    if beyond:
        fact = f"epoch `{beyond[0]}` cannot be saved: there are {last + 1}, counted from 0"
        yield Problem(fact, "epochs_to_save", hint=f"save epochs 0 to {last}, or `all`")
    if said["stash_adapter_weights"] and said["save_adapter_weights_only"]:
        fact = "`stash_adapter_weights` makes room for a merged model, and none is written"
        hint = "set `save_adapter_weights_only: false`, or remove `stash_adapter_weights`"
        yield Problem(fact, "stash_adapter_weights", hint=hint)


def run_name(config: TrainConfig, *, recipe: str) -> str:
    """Return the name of a run that nobody named: two words and eight digits of what the run is.

    The same configuration, folder and recipe always get the same name, and others get another.

    Args:
        config: its configuration, whatever name stands in it.
        recipe: hash or name of what trains it.
    """
    content = config.model_dump(mode="json", exclude={"run_id", "output_dir"})
    digest = hashlib.sha256(canonical_json({"config": content, "recipe": recipe}).encode()).digest()
    adjective, noun = load_adjectives()[digest[8] % _WORDS], load_nouns()[digest[9] % _WORDS]
    return f"{adjective}_{noun}-{digest[:4].hex()}"
