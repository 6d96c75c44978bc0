"""An environment held against its lock: each thing, whether it is still so, how to mend it."""

from collections.abc import Iterable, Iterator

from cruijff_kit.schema.environment import EnvironmentLock, Inventory, LockedPackage
from cruijff_kit.schema.site_facts import SiteTrait

__all__ = ["described", "lock_faults", "lock_traits", "locked_as_found", "sight_traits"]

_BUILD = "`ck site env build` makes a whole one beside it and names it in site.yaml"
# What every venv brings, and no lock names.
_TOOLS = {"pip", "setuptools", "wheel"}
_SHOWN = 4


def lock_traits(lock: EnvironmentLock, found: Inventory, *, code: str) -> Iterator[SiteTrait]:
    """Yield whether an environment is still what its lock says.

    Args:
        lock: what it was locked to.
        found: what its interpreter says now.
        code: hash of this package as it runs here.
    """
    same = _minor(lock.python) == _minor(found.version) and lock.platform == found.platform
    told = f"Python {found.version}, {found.platform}"
    fact = told if same else f"{told}; locked was {lock.python}, {lock.platform}"
    hint = "" if same else f"see which `python` the site's `environment` activates; {_BUILD}"
    yield SiteTrait(name="locked python", ok=same, found=fact, hint=hint)
    yield _packages(lock, found)
    if lock.torch or found.torch:
        yield _torch(lock, found)
    yield from _code(lock, found, code=code)


def sight_traits(found: Inventory) -> Iterator[SiteTrait]:
    """Yield whether an interpreter would import this package and torch, and how many GPUs it sees here."""
    package = found.package
    fact = f"cruijff-kit {package.version} in {package.path}" if package else "cruijff-kit cannot be imported"
    yield SiteTrait(name="package", ok=package is not None, found=fact, hint="" if package else _BUILD)
    if found.torch is None:
        hint = "training and evaluation need it: build with `--extras train,eval`"
        yield SiteTrait(name="torch", ok=None, found="torch cannot be imported", hint=hint)
        return
    build = f"for CUDA {found.torch.cuda}" if found.torch.cuda else "for CPUs"
    yield SiteTrait(name="torch", ok=True, found=f"torch {found.torch.version}, {build}")
    yield _gpus(found)


def lock_faults(traits: Iterable[SiteTrait]) -> list[str]:
    """Return what is wrong of an environment, a line each."""
    return [f"{trait.name}: {trait.found}" for trait in traits if trait.ok is False]


def locked_as_found(found: Inventory) -> tuple[LockedPackage, ...]:
    """Return the packages of an environment as a lock without hashes names them."""
    kept = {name: version for name, version in found.packages.items() if name not in _TOOLS}
    return tuple(LockedPackage(name=name, version=version) for name, version in sorted(kept.items()))


def described(lock: EnvironmentLock) -> str:
    """Return a lock in a few words."""
    torch = f", torch {lock.torch}" if lock.torch else ""
    return f"{len(lock.packages)} packages, Python {lock.python}{torch}, {lock.made.date().isoformat()}"


def _packages(lock: EnvironmentLock, found: Inventory) -> SiteTrait:
    locked = {each.name: each.version for each in lock.packages}
    missing = [name for name in locked if name not in found.packages]
    changed = [
        f"{name} {found.packages[name]} instead of {version}"
        for name, version in locked.items()
        if name in found.packages and found.packages[name] != version
    ]
    more = [name for name in found.packages if name not in locked and name not in _TOOLS]
    if missing or changed:
        facts = [*([f"missing {_few(missing)}"] if missing else []), *([f"changed {_few(changed)}"] if changed else [])]
        return SiteTrait(name="locked packages", ok=False, found="; ".join(facts), hint=_BUILD)
    fact = f"all {len(locked)} as locked"
    if more:
        hint = "what results come from should be in the lock: `ck site env lock`, or build with more `--extras`"
        return SiteTrait(name="locked packages", ok=None, found=f"{fact}; not in it: {_few(more)}", hint=hint)
    return SiteTrait(name="locked packages", ok=True, found=fact)


def _torch(lock: EnvironmentLock, found: Inventory) -> SiteTrait:
    has = (found.torch.version, found.torch.cuda) if found.torch else ("", "")
    same = has == (lock.torch, lock.cuda)
    shown = _built(*has)
    fact = shown if same else f"{shown} instead of {_built(lock.torch, lock.cuda)}"
    return SiteTrait(name="locked torch", ok=same, found=fact, hint="" if same else _BUILD)


def _code(lock: EnvironmentLock, found: Inventory, *, code: str) -> Iterator[SiteTrait]:
    """Yield whether jobs run the code that was locked, and whether that is the code here."""
    has = found.package.code if found.package else None
    if has != lock.code:
        fact = "the files of cruijff-kit are not those that were locked"
        yield SiteTrait(name="locked code", ok=False, found=fact, hint=_BUILD)
    elif has != code:
        fact = "jobs run other code of cruijff-kit than this command"
        yield SiteTrait(name="locked code", ok=False, found=fact, hint=f"it was changed here since: {_BUILD}")
    else:
        yield SiteTrait(name="locked code", ok=True, found="jobs run the code that is here")


def _gpus(found: Inventory) -> SiteTrait:
    built = bool(found.torch and found.torch.cuda)
    if found.gpus is None:
        fact = "no driver on this machine; `ck site check --job` asks a node"
        return SiteTrait(name="GPUs", ok=None, found=fact)
    if found.gpus and not built:
        hint = "build with `--cuda`, or set `gpus: 0` in designs"
        return SiteTrait(name="GPUs", ok=False, found=f"{found.gpus} seen, and torch is built for CPUs", hint=hint)
    return SiteTrait(name="GPUs", ok=True if found.gpus else None, found=f"{found.gpus} seen")


def _built(version: str, cuda: str) -> str:
    if not version:
        return "no torch"
    return f"torch {version} for {f'CUDA {cuda}' if cuda else 'CPUs'}"


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _few(names: list[str]) -> str:
    shown, more = names[:_SHOWN], len(names) - _SHOWN
    return ", ".join(f"`{name}`" for name in shown) + (f" and {more} more" if more > 0 else "")
