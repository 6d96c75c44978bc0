"""Mirror: an experiment that lies on another machine, its verbs run there, its results copied here and verified."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from cruijff_kit.errors import Problem, ResultError
from cruijff_kit.ports import Mirror, RunStore
from cruijff_kit.schema.audit import Anchor
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.mirror import Fetched, MirrorReceipt
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.mirror_tiers import refuse_inputs, withheld_there

__all__ = ["run_there", "sync_mirror"]

_LOOKING = frozenset({"audit", "logs", "results", "search", "site", "status"})
"""Commands that read no input."""
_STOPPING = frozenset({"cancel"})
"""Commands that shall not wait for inputs to be copied, nor be refused for them."""
_LEAVING_NOTHING = _LOOKING | {"estimate", "models", "data"}
"""Commands that leave nothing new: what is here stays as it is."""


def run_there(words: Sequence[str], *, tell: Callable[[str], None] | None = None, mirror: Mirror) -> int:
    """Run `ck` where the experiment lies, inputs sent before and results fetched after; return its exit code.

    Args:
        words: what follows `ck`.
        tell: told why texts stayed there, where they did.
        mirror: where the experiment lies, and its copy here.

    Raises:
        PlanError: inputs are red, or yellow and nobody agreed that they be copied.
        SiteError: the host cannot be reached, or the folder here is no copy of the experiment.
        ResultError: a file that came is not the one that a finished job vouches for.
    """
    command = words[0] if words else ""
    if command not in _LOOKING | _STOPPING:
        _sent(mirror)
    code = mirror.home.call(words)
    if command not in _LEAVING_NOTHING:
        _, withheld = _brought(mirror, adapters=False)
        _verified(mirror, adapters=False, texts=not withheld)
        if withheld and tell is not None:
            tell(withheld)
    return code


def sync_mirror(*, adapters: bool = False, mirror: Mirror) -> MirrorReceipt:
    """Send inputs, fetch results and verify them; safe to repeat and to kill.

    Args:
        adapters: fetch what trainings made too, whatever its size.
        mirror: where the experiment lies, and its copy here.

    Raises:
        PlanError: inputs are red, or yellow and nobody agreed that they be copied.
        SiteError: the host cannot be reached, or the folder here is no copy of the experiment.
        ResultError: a file that came is not the one that a finished job vouches for.
    """
    sent = _sent(mirror)
    fetched, withheld = _brought(mirror, adapters=adapters)
    verified, lines = _verified(mirror, adapters=adapters, texts=not withheld)
    return MirrorReceipt(
        home=mirror.home.words,
        sent=sent,
        fetched=fetched.files,
        left=fetched.left,
        verified=verified,
        lines=lines,
        withheld=withheld,
    )


def _sent(mirror: Mirror) -> tuple[str, ...]:
    """Return which inputs went there, all of which may."""
    refuse_inputs(mirror)
    return mirror.home.send()


def _brought(mirror: Mirror, *, adapters: bool) -> tuple[Fetched, str]:
    """Return what came, and why texts did not: first what holds none, which tells whether the others may come."""
    first = mirror.home.fetch(texts=False)
    withheld = withheld_there(mirror)
    if withheld:
        return first, withheld
    more = mirror.home.fetch(adapters=adapters)
    return Fetched(files=tuple(dict.fromkeys((*first.files, *more.files))), left=more.left), ""


def _verified(mirror: Mirror, *, adapters: bool, texts: bool) -> tuple[int, int]:
    """Return how many files are as finished jobs say, and lines of the record; what changed is copied anew."""
    wrong, right = _compared(mirror.copy)
    if wrong:
        mirror.home.fetch(adapters=adapters and texts, again=True, texts=texts)
        wrong, right = _compared(mirror.copy)
    if wrong:
        problems = [Problem(f"`{path}` is not the file that `{by}` vouches for") for path, by in wrong[:8]]
        hint = (
            f"`ck status` tells whether it is so on {mirror.home.words} too; a finished job does not change its files"
        )
        raise ResultError(f"{len(wrong)} files came that no job made", problems=problems, hint=hint)
    return right, _chained(mirror)


def _chained(mirror: Mirror) -> int:
    """Return the lines of the record that came, which must hold, the line that the seal is anchored in too."""
    text = mirror.copy.read_text(ExperimentLayout.lock)
    try:
        lock = None if text is None else DesignLock.model_validate_json(text)
    except ValidationError as err:
        hint = f"have the same version of cruijff-kit here and at {mirror.home.words}: its form may be newer"
        raise ResultError(f"`{ExperimentLayout.lock}` that came cannot be read", hint=hint) from err
    anchors = () if lock is None else (Anchor(seq=lock.anchor_seq, sha256=lock.anchor_sha256),)
    verdict = mirror.audit.verify(anchors)
    if not verdict.ok:
        hint = f"`ck audit verify` tells whether it is so at {mirror.home.words} too"
        raise ResultError(f"line {verdict.line} of the audit log that came {verdict.problem}", hint=hint)
    return verdict.lines


def _compared(store: RunStore) -> tuple[list[tuple[str, str]], int]:
    """Return the files here that are not as their `DONE` says, and how many are; those not here count as neither."""
    wrong: list[tuple[str, str]] = []
    right = 0
    for marker in (path for path in store.glob(ExperimentLayout.runs, "**/DONE") if "/attempts/" not in path):
        done = Done.found_in(store.read(marker))
        if done is None:
            wrong.append((marker, marker))
            continue
        # An absolute path is one of the other machine.
        strays = list(done.strays(lambda path: None if path.startswith("/") else store.digest(path)))
        right += len(done.artefacts) - len(strays)
        wrong += [(path, marker) for path, found in strays if found is not None]
    return wrong, right
