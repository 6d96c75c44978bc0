"""The model registry: a data file of this package, and what a site adds to it."""

import pkgutil
from collections.abc import Iterable
from functools import lru_cache

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.schema.registry import ModelEntry, ModelTrait
from cruijff_kit.schema.site import ModelFacts, Site

__all__ = ["compare_entry", "find_entry", "known_models", "shipped_models"]

_FILE = "models.yaml"


@lru_cache(maxsize=1)
def shipped_models() -> tuple[ModelEntry, ...]:
    """Return the entries that this package ships, `also` spelled out."""
    content = pkgutil.get_data("cruijff_kit.planning", _FILE) or b""
    entries: list[ModelEntry] = []
    for written in load_yaml(content.decode("utf-8"), name=_FILE).value:
        repos = (written["repo"], *written.pop("also", ()))
        entries += (ModelEntry.model_validate({**written, "repo": repo}) for repo in repos)
    return tuple(entries)


def known_models(site: Site) -> tuple[ModelEntry, ...]:
    """Return the registry of a site: its own entries first, each in place of a shipped one of the same repository."""
    own = {entry.repo for entry in site.models}
    return (*site.models, *(entry for entry in shipped_models() if entry.repo not in own))


def find_entry(entries: Iterable[ModelEntry], *names: str | None) -> ModelEntry | None:
    """Return the entry that one of these names means: a repository id, or its part after the owner."""
    wanted = {name.casefold() for name in names if name}
    return next((each for each in entries if {each.repo.casefold(), each.name.casefold()} & wanted), None)


_COMPARED = (
    "architecture",
    "hidden_size",
    "layers",
    "heads",
    "kv_heads",
    "head_dim",
    "mlp_width",
    "vocab_size",
    "tied",
)
# A file may hold a tied output layer once more, and publishers pad.
_TOLERANCE = 0.35


def compare_entry(facts: ModelFacts | None, entry: ModelEntry | None) -> tuple[ModelTrait, ...]:
    """Return whether a directory is the model that the registry describes."""
    if facts is None:
        return ()
    if entry is None:
        found = "it has no such entry; the directory speaks for itself"
        return (ModelTrait(name="registry", ok=None, found=found),)
    wrong = [
        f"{name} is {getattr(facts, name)}, not {getattr(entry, name)}"
        for name in _COMPARED
        if getattr(facts, name) not in (None, getattr(entry, name))
    ]
    more = facts.parameters / entry.parameters - 1
    if not -0.01 < more < _TOLERANCE:
        wrong.append(f"{facts.parameters:,} parameters, not {entry.parameters:,}")
    if wrong:
        hint = "rename the directory if it is another model"
        return (ModelTrait(name="registry", ok=False, found=f"`{entry.repo}`: {'; '.join(wrong)}", hint=hint),)
    return (ModelTrait(name="registry", ok=True, found=f"as `{entry.repo}` is described"),)
