"""What was found of a login host, held against what jobs and their files need of it."""

from collections.abc import Iterator

from cruijff_kit.planning.tolerances import MOST_SKEW
from cruijff_kit.schema.site_facts import LoginFacts, SiteTrait

__all__ = ["login_traits"]

_OLDEST = (3, 0)


def login_traits(found: LoginFacts, *, version: str) -> Iterator[SiteTrait]:
    """Yield whether a login host will do.

    Args:
        found: what was found of it.
        version: this package's version.
    """
    if found.fault:
        yield SiteTrait(name="login host", ok=False, found=found.fault, hint=found.hint)
        return
    yield SiteTrait(name="login host", ok=True, found=f"`{found.host}` lets you in without asking")
    skew = found.skew or 0.0
    if abs(skew) > MOST_SKEW:
        told = f"its clock is {skew:+.0f} s from this machine's"
        yield SiteTrait(name="clock", ok=False, found=told, hint="have the clocks set: records would lie")
    if found.shared is not None:
        told = "both sides see the same directories" if found.shared else "what is written here is not seen there"
        hint = "" if found.shared else "set `remote.dir` in site.yaml: experiments lie there then, and a copy here"
        yield SiteTrait(name="shared directory", ok=found.shared, found=told, hint=hint)
        return
    yield from _copying(found)
    told = f"`{found.folder}` can be written" if found.writable else f"`{found.folder}` is not there, or not yours"
    hint = "" if found.writable else f"`ssh {found.host} mkdir -p` makes it, or mend `remote.dir` in site.yaml"
    yield SiteTrait(name="remote directory", ok=found.writable, found=told, hint=hint)
    if found.package is None:
        hint = "install it there, and name the program by its whole path: `remote.program` in site.yaml"
        yield SiteTrait(name="cruijff-kit there", ok=False, found="`ck` does not answer", hint=hint)
        return
    same = found.package == version
    told = found.package if same else f"{found.package}; here it is {version}"
    yield SiteTrait(name="cruijff-kit there", ok=same, found=told, hint="" if same else "install the same version")


def _copying(found: LoginFacts) -> Iterator[SiteTrait]:
    """Yield whether `rsync` can copy both ways."""
    if found.chatter:
        hint = "have its shell print only where it is interactive: `~/.bashrc` there returns early if `$-` has no `i`"
        told = f"a connection prints `{found.chatter[:60]}` before anything else, which rsync takes for its own"
        yield SiteTrait(name="login shell", ok=False, found=told, hint=hint)
    sides = (("here", found.rsync_here), ("there", found.rsync_there))
    old = [where for where, each in sides if _number(each) < _OLDEST]
    told = ", ".join(f"{each or 'none'} {where}" for where, each in sides)
    hint = f"install rsync 3 or newer {' and '.join(old)}" if old else ""
    yield SiteTrait(name="rsync", ok=not old, found=told, hint=hint)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
