"""Names, comments and habits that a linter does not know."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator

from tests.architecture.source import PRODUCT, PURE, ROOT, Source, functions, sources

DRAWERS = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc", "base"}
PURE_NEVER = {"datetime.now", "datetime.today", "datetime.utcnow", "date.today", "open", "io.open"}
PURE_NEVER_ENDINGS = (".datetime.now", ".write_text", ".write_bytes", ".read_text", ".unlink", ".mkdir", ".touch")
TESTS_NEVER = re.compile(r"(unittest|pytest_mock|importorskip|pytest\.skip|pytest\.xfail|mark\.skip|mark\.xfail)")
EXCUSE = re.compile(
    r"#\s*(?:type:\s*ignore|pyright:\s*ignore|noqa)(?P<codes>\[[\w, -]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<why>.*)"
)


def test_every_lint_or_type_excuse_names_its_rule_and_gives_its_reason() -> None:
    bare = [
        f"{source.path}:{line} {comment}"
        for source in sources(*PRODUCT, "tests", "benchmarks")
        for line, comment in _comments(source)
        for excuse in [EXCUSE.search(comment)]
        if excuse and (not excuse["codes"] or len(re.findall(r"\w+", excuse["why"])) < 2)
    ]
    assert not bare, "\n".join(bare)


def test_no_file_is_a_drawer_and_none_repeats_its_folder() -> None:
    drawers = [
        source.path
        for source in sources(*PRODUCT, "tests", "benchmarks")
        if source.stem in DRAWERS or source.path.split("/")[-2] in {source.stem, f"{source.stem}s"}
    ]
    assert not drawers, drawers


def test_a_file_is_named_by_two_words_at_most() -> None:
    # A recipe's name tells backend, method and scale, and is its documentation.
    long = [s.path for s in sources(*PRODUCT) if s.stem.count("_") > 1 and s.stem.strip("_") == s.stem]
    assert not [path for path in long if not path.startswith("recipes/")], long


def test_no_folder_that_scripts_run_from_hides_a_standard_module() -> None:
    at_top = {path.stem for path in ROOT.iterdir() if not path.name.startswith(".") and path.suffix in {"", ".py"}}
    beside = {path.stem for folder in ("recipes", "tasks", "benchmarks") for path in (ROOT / folder).iterdir()}
    assert not (at_top | beside) & (sys.stdlib_module_names - {"__main__"})


def test_what_a_job_left_is_read_by_the_one_reader_that_knows_torn_files_and_other_versions() -> None:
    calls = [
        source.path for source in sources(*PRODUCT) if re.search(r"\b(Done|JobStatus)\.model_validate", source.text)
    ]
    assert not calls, f"use `found_in`: {calls}"


def test_pure_folders_neither_tell_the_time_nor_touch_files() -> None:
    calls = [
        f"{source.at(node)} {ast.unparse(node.func)}"
        for source in sources(*PURE)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _touches_the_world(ast.unparse(node.func))
    ]
    assert not calls, "\n".join(calls)


def test_tests_wait_for_events_and_never_for_time() -> None:
    # A script that stands for a job may take its time; whoever waits for it may not guess how long.
    sleeping = [
        source.at(node)
        for source in sources("tests")
        if source.stem.startswith(("test_", "conftest"))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sleep", "time.sleep", "asyncio.sleep"}
    ]
    assert not sleeping, "\n".join(sleeping)


def test_tests_are_plain_functions_that_never_skip_or_mock() -> None:
    found = [
        f"{source.at(node)} {ast.unparse(node)}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute) and TESTS_NEVER.search(ast.unparse(node))
    ]
    classes = [
        source.at(node)
        for source in sources("tests")
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    assert not found + classes, "\n".join(found + classes)


def test_the_name_of_a_test_is_a_sentence() -> None:
    short = [
        f"{source.at(node)} {node.name}"
        for source in sources("tests")
        if source.stem.startswith("test_")
        for node in functions(source)
        if node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not short, "\n".join(short)


def test_test_files_mirror_a_name_or_stand_among_the_fakes() -> None:
    stray = [
        source.path
        for source in sources("tests")
        if not source.stem.startswith("test_") and source.stem not in {"__init__", "conftest"}
        if any(function.name.startswith("test_") for function in functions(source))
    ]
    assert not stray, stray


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _touches_the_world(call: str) -> bool:
    return call in PURE_NEVER or call.endswith(PURE_NEVER_ENDINGS)
