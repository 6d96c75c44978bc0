"""Moving: directories copied, proven by hash, and removed only where all of them is elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.errors import PlanError, Problem, SiteError
from cruijff_kit.ports import FileFacts, Progress, Tree, Vault
from cruijff_kit.schema.archive import ArchivedFile, ArchiveManifest
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout

__all__ = ["Part", "bring_back", "gather", "leave", "misfits", "parts_of"]

_SHOWN = 20


class Part(NamedTuple):
    """A directory of an experiment: its own, or one of a run that lies outside."""

    folder: str
    """Where it lies in the archive; empty for the experiment's own, which is the archive itself."""
    place: str
    """Where it lies while the experiment is in use, absolute."""

    def inside(self, archive: str) -> str:
        """Return where it lies in an archive, absolute."""
        return f"{archive}/{self.folder}" if self.folder else archive


def parts_of(origin: str, places: Mapping[str, str]) -> list[Part]:
    """Return an experiment's directories; its own comes last, so that where it is all others are."""
    return [*(Part(folder, place) for folder, place in places.items()), Part("", origin)]


def gather(
    parts: Sequence[Part], staged: str, *, vault: Vault, progress: Progress | None
) -> tuple[Tree, dict[str, ArchivedFile]]:
    """Copy directories into one, flush it, and hold every copy against what it was made of.

    Returns:
        All that lies in the copy, and its files with their hashes.

    Raises:
        SiteError: a file cannot be copied, changed meanwhile, or reads otherwise than it was written.
    """
    found = [(part, vault.survey(part.place) or Tree({}, {}, {})) for part in parts]
    whole, total, done = _joined(found), sum(len(tree.files) for _, tree in found), 0
    for part, tree in found:
        for path in tree.files:
            vault.copy(part.place, part.inside(staged), path=path)
            done += 1
            _tell(progress, "copied", done=done, total=total)
    _forget_leftovers(staged, whole, vault=vault)
    vault.shape(staged, whole)
    files: dict[str, ArchivedFile] = {}
    for part, tree in found:
        for path, facts in tree.files.items():
            sha = vault.digest(part.inside(staged), path)
            if sha is None or sha != vault.digest(part.place, path):
                hint = "see that nothing else works there, then repeat the command; nothing was removed"
                raise SiteError(f"the copy of `{part.place}/{path}` is not what is there", hint=hint)
            files[_named(part, path)] = ArchivedFile(
                sha256=sha, bytes=facts.bytes, mode=facts.mode, modified=facts.modified
            )
            _tell(progress, "verified", done=len(files), total=total)
    return whole, files


def bring_back(archive: str, manifest: ArchiveManifest, *, vault: Vault, progress: Progress | None) -> None:
    """Copy an archive's directories to where they came from; each appears whole, the experiment's own last.

    Those that are there already as the manifest tells are left alone.

    Raises:
        PlanError: something else lies where one belongs.
        SiteError: a file cannot be copied, or reads otherwise than it was written.
    """
    done = 0
    for part in parts_of(manifest.origin, manifest.places):
        tree, files = _part(manifest, part)
        if vault.survey(part.place) is not None:
            _refuse(misfits(part.place, files, links=tree.links, grown=True, vault=vault), part.place)
            continue
        staged = ArchiveLayout.staged(part.place)
        for path in files:
            vault.copy(part.inside(archive), staged, path=path)
            done += 1
            _tell(progress, "copied", done=done, total=len(manifest.files))
        _forget_leftovers(staged, tree, vault=vault)
        vault.shape(staged, tree)
        wrong = list(misfits(staged, files, links=tree.links, grown=True, vault=vault))
        if wrong:
            raise SiteError(f"what was copied to `{staged}` is not what the manifest tells", problems=wrong)
        vault.settle(staged, part.place)


def leave(parts: Sequence[Part], manifest: ArchiveManifest, *, closely: bool, vault: Vault) -> None:
    """Remove an experiment's directories, once every file there is known to be in the archive as it is.

    Args:
        parts: the directories.
        manifest: what is in the archive.
        closely: by hash; otherwise by length and time, where the same command has just hashed them.
        vault: does it.

    Raises:
        PlanError: a directory holds what is not in the archive; nothing was removed.
    """
    known = [(part, *_part(manifest, part)) for part in parts]
    for part, tree, files in known:
        _refuse(_unkept(part.place, files, tree=tree, closely=closely, vault=vault), part.place)
    for part, tree, files in known:
        vault.remove(part.place, (*files, *tree.links))
        vault.sweep(part.place)
        parent = part.place.rpartition("/")[0]
        # The site's directory keeps the outputs of each experiment below its name.
        if part.folder and parent.rpartition("/")[2] == manifest.experiment:
            vault.sweep(parent)


def misfits(
    folder: str,
    files: Mapping[str, ArchivedFile],
    *,
    links: Mapping[str, str],
    grown: bool = False,
    aside: Sequence[str] = (),
    vault: Vault,
) -> Iterator[Problem]:
    """Yield what is not in a directory as it was put away: changed, missing, or there besides.

    Args:
        folder: the directory.
        files: what belongs there.
        links: the links that belong there.
        grown: whether the record may have further lines.
        aside: files that may lie there besides.
        vault: looks.
    """
    found = vault.survey(folder) or Tree({}, {}, {})
    for path, entry in files.items():
        first = entry.bytes if grown and path == ExperimentLayout.audit else None
        sha = vault.digest(folder, path, first=first) if path in found.files else None
        if sha != entry.sha256:
            yield Problem(f"`{path}` {'is missing' if sha is None else 'was changed'}")
    for path, said in links.items():
        if found.links.get(path) != said:
            yield Problem(f"link `{path}` is missing, or leads elsewhere")
    for path in (*found.files, *found.links):
        if path not in files and path not in links and path not in aside:
            yield Problem(f"`{path}` was not there when it was put away")


def _unkept(
    folder: str, files: Mapping[str, ArchivedFile], *, tree: Tree, closely: bool, vault: Vault
) -> Iterator[Problem]:
    """Yield what a directory holds that the archive does not, or not as it is."""
    found = vault.survey(folder) or Tree({}, {}, {})
    for path, facts in found.files.items():
        entry = files.get(path)
        if entry is None:
            yield Problem(f"`{path}` came later, and is not in the archive")
            continue
        same = (facts.bytes, facts.modified) == (entry.bytes, entry.modified)
        if closely:
            same = vault.digest(folder, path) == entry.sha256
        if not same:
            yield Problem(f"`{path}` was changed since it was copied")
    for path, said in found.links.items():
        if tree.links.get(path) != said:
            yield Problem(f"link `{path}` came later, and is not in the archive")


def _refuse(problems: Iterator[Problem], folder: str) -> None:
    found = list(problems)
    if found:
        more = f", {len(found) - _SHOWN} of them not shown" if len(found) > _SHOWN else ""
        fact = f"`{folder}` and the archive are not the same{more}; nothing was removed"
        raise PlanError(fact, hint="move those files away, then repeat the command", problems=found[:_SHOWN])


def _forget_leftovers(staged: str, whole: Tree, *, vault: Vault) -> None:
    """Remove from a copy what an interrupted one left there and is no part of this one."""
    found = vault.survey(staged) or Tree({}, {}, {})
    links = [path for path, said in found.links.items() if whole.links.get(path) != said]
    vault.remove(staged, (*links, *(path for path in found.files if path not in whole.files)))


def _joined(found: Sequence[tuple[Part, Tree]]) -> Tree:
    """Return the tree of an archive that holds several directories."""
    whole = Tree({}, {}, {})
    for part, tree in found:
        whole.files.update({_named(part, path): facts for path, facts in tree.files.items()})
        whole.links.update({_named(part, path): said for path, said in tree.links.items()})
        whole.folders.update({_named(part, path): mode for path, mode in tree.folders.items()})
    return whole


def _part(manifest: ArchiveManifest, part: Part) -> tuple[Tree, dict[str, ArchivedFile]]:
    """Return what a manifest tells of one directory, by paths below it."""

    def own(path: str) -> bool:
        if part.folder:
            return path == part.folder or path.startswith(f"{part.folder}/")
        return not any(path == other or path.startswith(f"{other}/") for other in manifest.places)

    def below(path: str) -> str:
        return path.removeprefix(part.folder).removeprefix("/")

    files = {below(path): entry for path, entry in manifest.files.items() if own(path)}
    tree = Tree(
        {path: FileFacts(entry.bytes, entry.mode, entry.modified) for path, entry in files.items()},
        {below(path): said for path, said in manifest.links.items() if own(path)},
        {below(path): mode for path, mode in manifest.folders.items() if own(path)},
    )
    return tree, files


def _named(part: Part, path: str) -> str:
    return "/".join(filter(None, (part.folder, path)))


def _tell(progress: Progress | None, label: str, *, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total, f"files {label}")
