"""Models: list those known and here, describe, check and pull them, or make the small one."""

from pathlib import PurePath
from typing import Literal

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.registry import compare_entry, find_entry, known_models
from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.backends import this_machine
from cruijff_kit.schema.machine import RemovedModel
from cruijff_kit.schema.registry import ConvertedModel, ModelEntry, ModelListing, ModelReport, ModelTrait, PullReceipt
from cruijff_kit.schema.site import ModelFacts

__all__ = [
    "check_model",
    "convert_model",
    "describe_model",
    "list_models",
    "look_up_model",
    "make_tiny_model",
    "pull_model",
    "remove_model",
]


def list_models(*, world: World) -> tuple[ModelListing, ...]:
    """Return every model of the registry, and every other one in the models directory."""
    entries = known_models(world.site)
    here: dict[str, tuple[str, str | None]] = {}
    others: list[ModelListing] = []
    for path, source in world.hub.present().items():
        entry = find_entry(entries, source.get("repo"), PurePath(path).name)
        if entry is None:
            listing = ModelListing(name=PurePath(path).name, entry=None, path=path, revision=source.get("revision"))
            others.append(listing)
        else:
            here[entry.repo] = (path, source.get("revision"))
    nowhere = (None, None)
    known = (
        ModelListing(
            name=entry.name,
            entry=entry,
            path=here.get(entry.repo, nowhere)[0],
            revision=here.get(entry.repo, nowhere)[1],
        )
        for entry in entries
    )
    return (*known, *others)


def describe_model(path: str, *, world: World) -> ModelFacts:
    """Return what a model directory says of itself.

    Raises:
        SiteError: the directory or its `config.json` is missing or unreadable.
    """
    return world.hub.facts(path)


def look_up_model(name: str, *, world: World) -> ModelFacts | ModelEntry:
    """Return what a model directory says of itself, else what the registry says of a model of that name.

    Raises:
        SiteError: it is neither, or the directory is unreadable.
    """
    try:
        return world.hub.facts(name)
    except SiteError:
        entry = find_entry(known_models(world.site), name)
        if entry is None:
            raise
        return entry


def check_model(path: str, *, world: World) -> ModelReport:
    """Check a model directory part by part, and against what the registry knows; nothing is changed.

    Raises:
        SiteError: there is no such directory.
    """
    traits = world.hub.check(path)
    facts, told = _facts(path, world)
    entry = find_entry(known_models(world.site), facts.repo if facts else None, PurePath(path).name)
    compared = compare_entry(facts, entry)
    return ModelReport(
        path=facts.path if facts is not None else path,
        name=entry.name if entry is not None else PurePath(path).name,
        sha256=facts.sha256 if facts is not None else None,
        traits=(*traits, *told, *compared),
    )


def pull_model(repo: str, *, revision: str | None = None, quantized: bool = False, world: World) -> PullReceipt:
    """Pull a model from the hub into the site's models directory; a model that is there is found.

    Args:
        repo: repository id, or a name of the registry.
        revision: branch, tag or commit; the default branch where None.
        quantized: whether it is to be written in fewer bits then, which is asked of this machine first.
        world: the site's models directory and the hub.

    Raises:
        SiteError: no place is set, this machine is offline, or the hub refuses; MLX would be needed and is not here.
    """
    if quantized and not this_machine(cuda=False).mlx:
        hint = "pull it whole, without `-q`; or pip install 'cruijff-kit[mlx]' in an environment of its own"
        raise SiteError("fewer bits are written by MLX, which is not installed, and nothing was pulled", hint=hint)
    entry = find_entry(known_models(world.site), repo)
    name = entry.repo if entry is not None else repo
    if "/" not in name:
        raise SiteError(f"`{repo}` is no repository id", hint="write `owner/name`, or a name of `ck models list`")
    if world.site.models_dir is None:
        hint = "`ck init` sets one here; or write `models_dir: /where/models/lie` in site.yaml"
        raise SiteError("the site names no directory for models, so there is none to pull into", hint=hint)
    return world.hub.pull(name, revision=revision)


def convert_model(
    name: str, output: str, *, to: Literal["mlx", "hf"], bits: int | None = None, world: World
) -> ConvertedModel:
    """Write a model on this machine in another form to a new directory; it stays as it is.

    Args:
        name: its directory, or its name in the models directory.
        output: directory to make.
        to: `mlx`, as mlx-lm reads it, or `hf`, as transformers does.
        bits: for `mlx`, 4 or 8 bits a weight; as they lie there where None.
        world: the site's models directory.

    Raises:
        SpecError: bits are asked for that the form does not have.
        SiteError: the model is not here or cannot be converted, the output is taken, or MLX is not installed.
    """
    if bits is not None and to != "mlx":
        raise SpecError("few bits a weight are MLX's", hint="leave `--bits` out, or write `--output-format mlx`")
    return world.hub.convert(name, output, to=to, bits=bits)


def remove_model(name: str, *, dry_run: bool = False, world: World) -> RemovedModel:
    """Remove a model from the site's models directory, and nothing that lies elsewhere.

    Args:
        name: its directory's name there, or the repository it was pulled from.
        dry_run: only say what would be removed.
        world: the site's models directory.

    Raises:
        SiteError: there is no models directory, or no such model in it.
    """
    present = world.hub.present()
    named = {PurePath(path).name: path for path in present}
    named |= {source["repo"]: path for path, source in present.items() if "repo" in source}
    if world.site.models_dir is None or name not in named:
        known = ", ".join(f"`{PurePath(path).name}`" for path in present) or "none"
        fact = f"`{name}` is no model of the site's models directory; there are: {known}"
        raise SiteError(fact, hint="`ck models list --here` shows them; files elsewhere are yours to remove")
    path = named[name]
    removed = RemovedModel(path=path, bytes=world.hub.size(path), repo=present[path].get("repo"))
    if not dry_run:
        world.hub.remove(path)
    return removed


def make_tiny_model(*, force: bool = False, progress: Progress | None = None, world: World) -> ModelFacts:
    """Return the small base model, training it first where it is not cached.

    Raises:
        SiteError: the extra that trains is not installed, or a known answer was missed.
    """
    return world.hub.make_tiny(force=force, progress=progress)


def _facts(path: str, world: World) -> tuple[ModelFacts | None, tuple[ModelTrait, ...]]:
    """Return the facts of a directory and its hash as a trait; where it cannot be read the parts say why."""
    try:
        facts = world.hub.facts(path)
    except SiteError as err:
        found = str(err).partition("\n")[0]
        return None, (ModelTrait(name="content hash", ok=False, found=found, hint=err.hint),)
    source = f"; pulled from `{facts.repo}` at `{facts.revision}`" if facts.repo else ""
    return facts, (ModelTrait(name="content hash", ok=True, found=f"{facts.sha256}{source}"),)
