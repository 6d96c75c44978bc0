"""Site environment: build the Python of jobs, lock it, and say whether it still is what was locked."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.planning.lock_traits import lock_traits, locked_as_found, sight_traits
from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.ports import Environments, Progress, SiteFiles, SiteProbe, World
from cruijff_kit.rendering.lock_text import parse_lock, render_lock
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.runtime import inventory
from cruijff_kit.schema.environment import (
    LOCK_FILE,
    BuildOrder,
    BuildReceipt,
    BuildWish,
    EnvironmentLock,
    Inventory,
    LockReceipt,
    OwnEnvironment,
)
from cruijff_kit.schema.site import Environment
from cruijff_kit.schema.site_facts import ScriptAnswer, SiteReport, SiteTrait
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel, SiteWriting
from cruijff_kit.workflow.run_files import equipped, interpreter
from cruijff_kit.workflow.site import show_site, write_site

__all__ = [
    "build_environment",
    "check_environment",
    "environment_job",
    "environment_traits",
    "environment_warnings",
    "lock_environment",
    "own_code",
]

_OLDEST = (3, 11)
_PLACE = "ck-environments"
_LONGEST = 120.0
# Bytes that an environment takes, by whether torch is in it and for what.
_CUDA, _CPU, _LIGHT = 9_000_000_000, 3_000_000_000, 500_000_000
_WITH_TORCH = {"all", "eval", "torchtune", "train"}


def build_environment(
    wish: BuildWish, *, level: SiteLevel | None = None, dry_run: bool = False, progress: Progress | None = None,
    world: World,
) -> BuildReceipt:  # fmt: skip
    """Build an environment like the one that runs here, lock it, and name it in the site file.

    Safe to repeat and to interrupt: an environment counts once its lock is there, an unfinished
    one is made anew, and one that is whole is never changed. Other versions lie in another folder.

    Args:
        wish: what was asked for; what is left out is as it is here.
        level: site file to name it in; the one that says `environment` already where None.
        dry_run: return what would be built, and write nothing.
        progress: called as the build goes on.
        world: the surroundings.

    Raises:
        SiteError: it cannot be built there; nothing half made is named in a site file.
        SpecError: an extra or a folder does not exist.
    """
    reading = show_site(world=world)
    site = reading.site
    environments = _environments(world)
    order = _order(wish, environments.own(), environments=environments, world=world._replace(site=site))
    state = environments.state(order.folder)
    if state == "foreign":
        hint = "name another folder with `--into`; nothing that was not made by this command is touched"
        raise SiteError(f"`{order.folder}` is there and was not made by `ck site env build`", hint=hint)
    whole = _lock_at(_lock_of(order), world=world) if state == "whole" else None
    if whole is not None and whole.key != order.key:
        hint = "name another folder with `--into`: jobs may be running in this one"
        raise SiteError(f"`{order.folder}` holds an environment of other versions", hint=hint)
    if dry_run:
        return BuildReceipt(order=order, state=state, built=False)
    if whole is None:
        _check_room(order, wish, world=world)
    lock = whole or environments.build(order, made=world.clock.now(), progress=progress)
    named = _named(order, site.environment)
    written = _write(named, level=level, world=world)
    return BuildReceipt(
        order=order,
        state=state,
        built=whole is None,
        lock=_lock_of(order),
        packages=len(lock.packages),
        torch=lock.torch,
        site=written.path if written.written else "",
        diff=written.diff,
    )


def lock_environment(*, into: str | None = None, level: SiteLevel | None = None, world: World) -> LockReceipt:
    """Lock the environment that jobs use as it is found, and name the lock in the site file.

    Nothing is asked of a network, so the lock holds versions and no hashes.

    Args:
        into: the lock's path; beside the site file where None.
        level: site file to name it in; the one that says `environment` already where None.
        world: the surroundings.

    Raises:
        SiteError: the environment cannot be asked, or the file is another's or cannot be written.
    """
    site = show_site(world=world).site
    world = world._replace(site=site)
    found, fault = _look(world)
    if found is None:
        raise SiteError(f"the environment of jobs cannot be asked: {fault}", hint="`ck site check` tells what to mend")
    lock = EnvironmentLock(
        made=world.clock.now(),
        python=found.version,
        platform=found.platform,
        torch=found.torch.version if found.torch else "",
        cuda=found.torch.cuda if found.torch else "",
        code=found.package.code if found.package else None,
        key="",
        packages=locked_as_found(found),
    )
    beside = PurePosixPath(_file(level, world=world).path).with_name(LOCK_FILE)
    path = str(Path(into).absolute()) if into is not None else str(beside)
    before = _lock_at(path, world=world)
    if before is not None and before.key:
        hint = "name another file with `--into`: versions alone would replace its hashes"
        raise SiteError(f"`{path}` is the lock that `ck site env build` wrote", hint=hint)
    _environments(world).write_lock(path, render_lock(lock))
    written = _write(site.environment.model_copy(update={"lock": path}), level=level, world=world)
    site_file = written.path if written.written else ""
    return LockReceipt(path=path, packages=len(lock.packages), site=site_file, diff=written.diff)


def check_environment(*, world: World) -> SiteReport:
    """Say whether the environment of jobs still equals its lock, and what it would import; nothing heavy is loaded.

    Raises:
        SpecError: a site file has unknown keys or values; all problems at once.
    """
    site = show_site(world=world).site
    return SiteReport(scheduler=site.scheduler, traits=tuple(environment_traits(world=world._replace(site=site))))


def environment_traits(*, sight: bool = True, world: World) -> Iterator[SiteTrait]:
    """Yield what the environment of jobs is, and whether it is as it was locked.

    Args:
        sight: tell whether it runs, and what it would import and see, too.
        world: the surroundings.
    """
    found, fault = _look(world)
    if found is None and sight:
        hint = "mend `environment` in site.yaml, or `ck site env build` one"
        yield SiteTrait(name="environment", ok=False, found=f"its Python does not run: {fault}", hint=hint)
    if found is None:
        return
    if sight:
        yield SiteTrait(name="environment", ok=True, found=f"{found.python}, Python {found.version}")
        yield from sight_traits(found)
    path = world.site.environment.lock
    if path is None:
        hint = "`ck site env lock` locks it as it is, `ck site env build` builds one from hashes"
        yield SiteTrait(name="lock", ok=None, found="the environment of jobs is not locked", hint=hint)
        return
    try:
        lock = _lock_at(path, world=world)
    except SiteError as err:
        yield SiteTrait(name="lock", ok=False, found=str(err).partition("\n")[0], hint=err.hint)
        return
    if lock is None:
        yield SiteTrait(name="lock", ok=False, found=f"`{path}` is not there", hint=_missing(path, world))
        return
    yield from lock_traits(lock, found, code=own_code())


def environment_warnings(*, world: World) -> tuple[str, ...]:
    """Return how the environment of jobs differs from its lock, a line each; nothing where it was not locked."""
    if world.site.environment.lock is None or world.environments is None or world.probe is None:
        return ()
    wrong = [trait for trait in environment_traits(sight=False, world=world) if trait.ok is False]
    return tuple(f"the environment of jobs: {trait.name}: {trait.found}; {trait.hint}" for trait in wrong)


def own_code() -> str:
    """Return the hash over the files of this package as they run here."""
    return inventory.code_hash(Path(inventory.__file__).parents[1])


def environment_job(world: World, *command: str) -> JobScript:
    """Return a job that does nothing but run a command, surrounded as every job is."""
    environment = world.site.environment
    job = JobScript(
        name="ck-site-check",
        folder="/",
        time="00:05:00",
        cpus=1,
        command=(interpreter(environment), *command),
        modules=environment.modules,
        venv=environment.name if environment.kind == "venv" else None,
        conda=environment.name if environment.kind == "conda" else None,
    )
    return equipped(job, world.site)


def _look(world: World) -> tuple[Inventory | None, str]:
    """Ask the interpreter of jobs what it has, as jobs come to it; None and the last words where it does not answer."""
    text = render_script(environment_job(world, str(Path(inventory.__file__))))
    fresh = world.site.environment.kind != "none"
    answer = _probe(world).run_script(text, fresh=fresh, seconds=_LONGEST)
    if answer.code == 0:
        try:
            return Inventory.model_validate_json(_last_object(answer)), ""
        except ValidationError:
            return None, "it printed nothing that could be read"
    return None, next(reversed(answer.errors.strip().splitlines()), f"exit code {answer.code}")


def _last_object(answer: ScriptAnswer) -> str:
    """Return what was printed last: what is activated may print lines of its own before."""
    return next((line for line in reversed(answer.output.splitlines()) if line.startswith("{")), "")


def _order(wish: BuildWish, own: OwnEnvironment, *, environments: Environments, world: World) -> BuildOrder:
    """Return what to build: what was wished for, and the rest as it is here."""
    problems = list(_wish_problems(wish, own))
    if problems:
        raise SpecError("this environment cannot be built", problems=problems)
    modules = world.site.environment.modules
    if wish.conda:
        version = python = wish.python or ".".join(own.version.split(".")[:2])
    else:
        python = wish.python or own.python
        version = environments.version(python, modules=modules)
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        hint = "load a newer one with `environment.modules`, or name one with `--python`"
        fact = f"`{python}` is Python {version or 'of no version'}, and 3.11 or newer is needed"
        raise SiteError(fact, hint=hint)
    pins = dict(own.pins)
    if wish.build and "torch" in pins:
        pins["torch"] += f"+{wish.build}"
    extras = tuple(sorted(set(wish.extras))) if wish.extras else own.extras
    wheels = str(Path(wish.wheels).absolute()) if wish.wheels else None
    # Whatever decides what is installed: another of these is another environment, in a folder of its own.
    content = {"code": own.package.code, "version": version, "conda": wish.conda, "extras": extras, "pins": pins}
    key = hashlib.sha256(canonical_json(content).encode()).hexdigest()[:8]
    folder = Path(wish.into).absolute() if wish.into else _home(world) / f"{own.package.version}-{key}"
    return BuildOrder(
        folder=str(folder),
        key=key,
        kind="conda" if wish.conda else "venv",
        python=python,
        version=version,
        modules=modules,
        extras=extras,
        pins=pins,
        wheels=wheels,
        indexes=wish.indexes,
    )


def _wish_problems(wish: BuildWish, own: OwnEnvironment) -> Iterator[Problem]:
    for name in wish.extras:
        if name not in own.offered:
            yield Problem(f"there is no extra `{name}`", "--extras", hint=f"choose of {', '.join(own.offered)}")
    if wish.wheels and not Path(wish.wheels).is_dir():
        yield Problem(
            f"`{wish.wheels}` is no folder", "--wheels", hint="`pip download` fills one where there is a network"
        )
    if wish.build and "torch" not in own.pins:
        yield Problem("torch is not here, so no build of it can be chosen", "--cuda", hint="leave it out")


def _check_room(order: BuildOrder, wish: BuildWish, *, world: World) -> None:
    """Refuse a build that would fill a home directory or a quota half-way.

    Raises:
        SiteError: less is left than such an environment takes.
    """
    if world.probe is None:
        return
    torch = bool(_WITH_TORCH & set(order.extras))
    needed = _CPU if torch and wish.build == "cpu" else _CUDA if torch else _LIGHT
    if order.wheels is not None:
        # What is packed takes about three times as much once it is installed.
        needed = 3 * sum(path.stat().st_size for path in Path(order.wheels).glob("*.whl"))
    found = world.probe.folder(order.folder, tries=False)
    left = [size for size in (found.free, found.quota_left) if size is not None]
    if left and min(left) < needed:
        whose = f" by the quota of {found.quota_of}" if found.quota_left == min(left) and found.quota_of else ""
        fact = f"it takes about {needed / 1e9:.3g} GB, and {min(left) / 1e9:.3g} GB are left{whose} at `{order.folder}`"
        raise SiteError(fact, hint="name a larger disk with `--into`, or set `scratch_dir` in site.yaml")


def _home(world: World) -> Path:
    """Return the folder below which environments lie: scratch, or beside the site file."""
    scratch = world.site.scratch_dir
    return Path(scratch or PurePosixPath(_file(None, world=world).path).parent).expanduser().absolute() / _PLACE


def _named(order: BuildOrder, before: Environment) -> Environment:
    """Return what the site file shall say; modules and variables stay."""
    return before.model_copy(update={"kind": order.kind, "name": order.folder, "lock": _lock_of(order)})


def _write(environment: Environment, *, level: SiteLevel | None, world: World) -> SiteWriting:
    said = environment.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    said = {"kind": environment.kind, **said}
    file = _file(level, world=world)
    return write_site({"environment": dump_yaml(said)}, level=file.level, world=world)


def _file(level: SiteLevel | None, *, world: World) -> SiteFile:
    """Return the site file to change: the one asked for, or else the one that says `environment` last."""
    files = _files(world).files()
    said = {value.source for value in show_site(world=world).values if value.key.startswith("environment")}
    chosen = level or ("project" if "project" in said else "user")
    return next(each for each in files if each.level == chosen)


def _lock_of(order: BuildOrder) -> str:
    return str(PurePosixPath(order.folder) / LOCK_FILE)


def _lock_at(path: str, *, world: World) -> EnvironmentLock | None:
    text = _environments(world).read_lock(path)
    return None if text is None else parse_lock(text, name=path)


def _missing(path: str, world: World) -> str:
    state = _environments(world).state(str(PurePosixPath(path).parent))
    if state == "unfinished":
        return "its build did not end: `ck site env build` starts anew"
    return "bring it back, or `ck site env lock`"


def _environments(world: World) -> Environments:
    if world.environments is None:
        raise SiteError("this world makes no environments", hint="use `ck site env` at a terminal")
    return world.environments


def _files(world: World) -> SiteFiles:
    if world.sites is None:
        raise SiteError("this world has no site files", hint="use `ck site` at a terminal")
    return world.sites


def _probe(world: World) -> SiteProbe:
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint="use `ck site` at a terminal")
    return world.probe
