"""The house limits on size and shape; each failure lists every offender with its line."""

import ast
from collections.abc import Iterator

from tests.architecture.source import CORE, FACES, PRODUCT, Function, Source, functions, sources

EVERYTHING = (*PRODUCT, "tests", "benchmarks")
FILE_LINES, RECIPE_LINES, FUNCTION_LINES, NESTING, PARAMETERS, POSITIONAL = 400, 600, 50, 3, 6, 2
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
# Signatures by which a library calls us.
FOREIGN = {
    ("cruijff_kit/adapters/http_app.py", "__call__"),
    ("cruijff_kit/runtime/inspect_provider.py", "__init__"),
    ("cruijff_kit/runtime/inspect_provider.py", "generate"),
    ("cruijff_kit/runtime/live_bytes.py", "__torch_dispatch__"),
}
FOREIGN_ANYWHERE = {"forward", "__exit__", "__aexit__"}


def test_no_core_file_is_longer_than_four_hundred_lines() -> None:
    long = _longer(FILE_LINES, *CORE, "tests", "benchmarks")
    assert not long, long


def test_no_recipe_is_longer_than_six_hundred_lines() -> None:
    long = _longer(RECIPE_LINES, "recipes")
    assert not long, long


def test_no_function_is_longer_than_fifty_lines() -> None:
    long = [
        f"{source.at(node)} {node.name}: {_length(node)} lines"
        for source in sources(*EVERYTHING)
        for node in functions(source)
        if _length(node) > FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_no_function_nests_deeper_than_three_blocks() -> None:
    deep = [
        f"{source.at(node)} {node.name}: {_depth(node.body)} blocks deep"
        for source in sources(*EVERYTHING)
        for node in functions(source)
        if _depth(node.body) > NESTING
    ]
    assert not deep, "\n".join(deep)


def test_functions_take_six_parameters_at_most_and_only_two_by_position() -> None:
    wide = [
        f"{source.at(node)} {node.name}: {len(by_position)} by position, {total} in all"
        for source in sources(*PRODUCT, "tests/fakes", "benchmarks")
        if not source.path.startswith(FACES)
        for node in functions(source)
        if node.name not in FOREIGN_ANYWHERE and (source.path, node.name) not in FOREIGN
        for by_position, total in [_parameters(node)]
        if len(by_position) > POSITIONAL or total > PARAMETERS
    ]
    assert not wide, "\n".join(wide)


def test_every_function_says_what_it_returns() -> None:
    silent = [
        f"{source.at(node)} {node.name}"
        for source in sources(*EVERYTHING)
        for node in functions(source)
        if node.returns is None
    ]
    assert not silent, "\n".join(silent)


def test_every_public_name_has_a_docstring_that_ends_its_first_sentence() -> None:
    bare = [
        f"{source.at(node)} {getattr(node, 'name', 'module')}"
        for source in sources(*PRODUCT)
        for node in _public_definitions(source)
        if not _first_line(node).endswith((".", "?", "!", ":")) and not _captions(source, node)
    ]
    assert not bare, "\n".join(bare)


def test_every_field_of_a_noun_and_every_member_of_an_enum_is_told_below_it() -> None:
    bare = [
        f"{source.at(field)} {node.name}.{ast.unparse(field).split(':')[0].split('=')[0].strip()}"
        for source in sources("cruijff_kit/schema")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.bases
        for field, following in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign | ast.Assign) and _is_public_field(field) and not _is_text(following)
    ]
    assert not bare, "\n".join(bare)


def _longer(limit: int, *folders: str) -> list[str]:
    counted = [(source.text.count("\n"), source.path) for source in sources(*folders)]
    return [f"{path}: {lines} lines" for lines, path in counted if lines > limit]


def _length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _depth(body: list[ast.stmt]) -> int:
    return max((_depth_of(statement) for statement in body), default=0)


def _depth_of(statement: ast.AST) -> int:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return 0
    inner = max((_depth_of(child) for child in _children(statement)), default=0)
    return inner + isinstance(statement, BLOCKS)


def _children(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield what lies inside; `elif` continues its `if` rather than lying in it."""
    for child in ast.iter_child_nodes(statement):
        chained = isinstance(statement, ast.If) and statement.orelse == [child] and isinstance(child, ast.If)
        yield from ast.iter_child_nodes(child) if chained else [child]


def _parameters(node: Function) -> tuple[list[str], int]:
    by_position = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    if by_position and by_position[0] in {"self", "cls"}:
        by_position = by_position[1:]
    return by_position, len(by_position) + len(node.args.kwonlyargs)


def _public_definitions(source: Source) -> Iterator[ast.Module | ast.ClassDef | Function]:
    """Yield the module, its public classes and functions, and their public methods."""
    yield source.tree
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            yield from _public_methods(node)


def _public_methods(node: ast.AST) -> Iterator[Function]:
    for child in node.body if isinstance(node, ast.ClassDef) else []:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield child


def _first_line(node: ast.Module | ast.ClassDef | Function) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _captions(source: Source, node: ast.AST) -> bool:
    """A folder's caption is told in CLAUDE.md too, lower case and without a stop."""
    return source.stem == "__init__" and isinstance(node, ast.Module) and bool(_first_line(node))


def _is_public_field(field: ast.AnnAssign | ast.Assign) -> bool:
    name = ast.unparse(field.target if isinstance(field, ast.AnnAssign) else field.targets[0])
    return not name.startswith("_") and name != "model_config"


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
