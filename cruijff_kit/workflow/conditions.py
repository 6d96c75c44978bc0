"""Conditions: what a run was made with and in, by its seal and its manifests, beside what is here."""

from collections.abc import Iterator
from pathlib import Path

from cruijff_kit.errors import CruijffError
from cruijff_kit.ports import World
from cruijff_kit.runtime.provenance import environment_lock, git_state, package_versions
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.reproduction import Difference, FoundInput
from cruijff_kit.schema.run import Manifest
from cruijff_kit.workflow.machine import gpus_here
from cruijff_kit.workflow.origin import Origin
from cruijff_kit.workflow.plan import read_model
from cruijff_kit.workflow.rebuild import Sealed, own_datasets

__all__ = ["TRAINING", "differences_between", "differences_here", "found_inputs", "manifests_of"]

TRAINING = "training"
"""The job of a run that trains, beside evaluations by their names."""

_NONE = "none"


def found_inputs(sealed: Sealed, origin: Origin, *, here: World) -> tuple[FoundInput, ...]:
    """Return every model, data set and file of code that a run was made with, looked for here.

    Args:
        sealed: the run.
        origin: where its files were made for.
        here: where it is looked; only read.
    """
    return (_model(sealed, here), *_data(sealed, origin, here=here), *_code(sealed, origin, here=here))


def manifests_of(sealed: Sealed, world: World) -> dict[str, Manifest]:
    """Return the manifests that jobs of a run left, by what they did: `training`, or an evaluation's name."""
    layout = RunLayout(sealed.run.id)
    paths = {TRAINING: layout.manifest} | {cell.name: layout.cell_manifest(cell.name) for cell in sealed.run.cells}
    found = {name: Manifest.found_in(world.store.read(path)) for name, path in paths.items()}
    return {name: manifest for name, manifest in found.items() if manifest is not None}


def differences_here(
    sealed: Sealed, job: str, *, then: Manifest, threads: int | None, here: World
) -> tuple[Difference, ...]:
    """Return what is not here as it was where a job of a run ran; nothing heavy is loaded for it.

    Args:
        sealed: the run.
        job: `training`, or an evaluation's name.
        then: what that job told.
        threads: what a job here would get, where that is known.
        here: this machine.
    """
    commit, patch = git_state()
    gpus = gpus_here(here)
    told = [
        *_packages(then.packages, package_versions()),
        ("commit", then.git_sha, commit),
        ("uncommitted changes", then.git_patch_sha256, patch),
        ("environment lock", then.environment, environment_lock()),
    ]
    device = ", ".join(f"cuda {each.type or 'GPU'}" for each in gpus) if gpus else "cpu"
    if not _is_device(then.device, [each.type for each in gpus]):
        told.append(("device", then.device, device))
    if threads is not None:
        told.append(("threads", str(then.threads), str(threads)))
    return (*_unlike(told), *(_contradictions(sealed, then) if job == TRAINING else ()))


def differences_between(then: Manifest, again: Manifest) -> tuple[Difference, ...]:
    """Return what differed between two jobs that did the same, by what they told themselves."""
    names = ("git_sha", "git_patch_sha256", "environment", "device", "threads", "processes")
    words = ("commit", "uncommitted changes", "environment lock", "device", "threads", "processes")
    before, after = ([_word(getattr(each, name)) for name in names] for each in (then, again))
    return tuple(_unlike([*_packages(then.packages, again.packages), *zip(words, before, after, strict=True)]))


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def _unlike(told: list[tuple[str, str | None, str | None]]) -> Iterator[Difference]:
    for what, then, here in told:
        if then != here:
            yield Difference(what=what, then=then or _NONE, here=here or _NONE)


def _packages(then: dict[str, str], here: dict[str, str]) -> list[tuple[str, str | None, str | None]]:
    return [(name, then.get(name), here.get(name)) for name in dict.fromkeys((*then, *here))]


def _is_device(then: str, gpus: list[str | None]) -> bool:
    """Return whether a device, as a job recorded it, is one that is here, as far as names tell."""
    if not gpus:
        return not then.startswith(("cuda", "mps"))
    return then.startswith("cuda") and any(kind is not None and kind.lower() in then.lower() for kind in gpus)


def _contradictions(sealed: Sealed, then: Manifest) -> Iterator[Difference]:
    """Yield what the job itself read that is other than what was sealed."""
    config = sealed.lock.files.get(RunLayout(sealed.run.id).config)
    data = sealed.plan.dataset(sealed.run.dataset).sha256
    told = {"model": sealed.run.model.sha256, "data": data, "config": config}
    for name, sha256 in told.items():
        found = then.inputs.get(name)
        if found is not None and sha256 is not None and found != sha256:
            yield Difference(what=f"{name} that the job read", then=found, here=f"sealed as {sha256}")


def _model(sealed: Sealed, here: World) -> FoundInput:
    run = sealed.run
    ref = next((each for each in sealed.spec.models if each.name == run.model.name), run.model)
    found, reason = None, ""
    try:
        found = read_model(ref, here).sha256
    except CruijffError as err:
        reason = str(err).partition("\n")[0]
    return FoundInput(kind="model", name=ref.name, sealed=str(run.model.sha256), found=found, reason=reason)


def _data(sealed: Sealed, origin: Origin, *, here: World) -> Iterator[FoundInput]:
    """Yield the files of data that nobody generated here; those that were are held against the seal as files are."""
    for facts in own_datasets(sealed, origin):
        if not facts.generator:
            yield _file("data", facts.path, sha256=facts.sha256, origin=origin, here=here)
        for argument, sha256 in facts.inputs.items():
            yield _file("data", str(facts.arguments[argument]), sha256=sha256, origin=origin, here=here)


def _code(sealed: Sealed, origin: Origin, *, here: World) -> Iterator[FoundInput]:
    """Yield recipes and custom metrics of the user's, of which the seal has the hash by path."""
    data = {facts.path for facts in sealed.plan.datasets}
    for path, sha256 in sealed.lock.inputs.items():
        if path.endswith(".py") and path not in data:
            yield _file("code", path, sha256=sha256, origin=origin, here=here)


def _file(kind: str, path: str, *, sha256: str, origin: Origin, here: World) -> FoundInput:
    """Return a file as it is found here: what lay by the original is looked for by the experiment here."""
    place = Path(here.store.root, path.removeprefix(f"{origin.root}/"))
    digest, reason = None, f"`{place}` is not there"
    try:
        digest = here.store.digest(str(place))
    except (OSError, CruijffError) as err:
        reason = str(err).partition("\n")[0]
    told = {"kind": kind, "name": path, "sealed": sha256, "found": digest}
    return FoundInput.model_validate({**told, "reason": "" if digest else reason})
