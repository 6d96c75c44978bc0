"""What a module offers is written down, and what is written down is there."""

import ast
from pathlib import PurePosixPath

from tests.architecture.source import FACES, PRODUCT, ROOT, Source, sources

LINKS = ("mcp_server", "recipes", "sanity_checks", "tasks")


def test_every_module_lists_what_it_offers() -> None:
    # Their order is ruff's business (RUF022); an empty `__init__` offers its submodules.
    silent = [source.path for source in _modules() if _listed(source) is None and _defined(source)]
    assert not silent, silent


def test_a_module_lists_all_public_names_that_it_defines() -> None:
    # A recipe is a script to read and run: it offers its command, and hides nothing behind underscores.
    missing = [
        f"{source.path}: {', '.join(sorted(unlisted))}"
        for source in _modules()
        if not source.path.startswith("recipes/")
        for unlisted in [_defined(source) - _registered(source) - set(_listed(source) or _defined(source))]
        if unlisted
    ]
    assert not missing, "\n".join(missing)


def test_whatever_a_module_lists_is_defined_or_imported_in_it() -> None:
    empty = [
        f"{source.path}: {', '.join(sorted(unknown))}"
        for source in _modules()
        if "def __getattr__" not in source.text
        for unknown in [set(_listed(source) or ()) - _defined(source) - _imported(source)]
        if unknown
    ]
    assert not empty, "\n".join(empty)


def test_the_linked_folders_are_relative_links_to_their_neighbours() -> None:
    links = {path.name: path.readlink() for path in (ROOT / "cruijff_kit").iterdir() if path.is_symlink()}
    assert {name: str(target) for name, target in links.items()} == {name: f"../{name}" for name in LINKS}


def _modules() -> list[Source]:
    return [source for source in sources(*PRODUCT) if PurePosixPath(source.path).name != "__main__.py"]


def _listed(source: Source) -> list[str] | None:
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def _defined(source: Source) -> set[str]:
    names: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def _registered(source: Source) -> set[str]:
    """Return a face's decorated functions: a group of commands or a server offers them, no module does."""
    face = source.path.startswith(FACES)
    return {
        node.name for node in source.tree.body if face and isinstance(node, ast.FunctionDef) and node.decorator_list
    }


def _imported(source: Source) -> set[str]:
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
