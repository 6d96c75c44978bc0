"""What is imported at the start stays light; each check runs in an interpreter of its own."""

import subprocess
import sys

import pytest

from cruijff_kit import ports
from tests.architecture.source import ROOT

HEAVY = {
    "accelerate",
    "datasets",
    "inspect_ai",
    "matplotlib",
    "mcp",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "rich",
    "scipy",
    "torch",
    "torchtune",
    "transformers",
}
LOADED = "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1:]]; print(*sys.modules, sep='\\n')"


def test_the_package_itself_loads_nothing_but_itself() -> None:
    loaded = {name for name in _loaded("cruijff_kit") if name.startswith("cruijff_kit") or name in HEAVY | {"pydantic"}}
    assert loaded == {"cruijff_kit"}


@pytest.mark.parametrize("module", ("cruijff_kit.cli.main", "cruijff_kit.workflow", "cruijff_kit.bootstrap"))
def test_an_entrance_loads_no_heavy_library(module: str) -> None:
    assert not _loaded(module) & HEAVY


def test_no_verb_loads_a_heavy_library_before_it_runs() -> None:
    verbs = [f"cruijff_kit.workflow.{path.stem}" for path in sorted((ROOT / "cruijff_kit/workflow").glob("[a-z]*.py"))]
    assert verbs
    assert not _loaded(*verbs) & HEAVY


def test_a_command_on_data_loads_no_other() -> None:
    assert not {"cruijff_kit.cli.tables", "cruijff_kit.cli.generate"} & _loaded("cruijff_kit.cli.data")


def test_the_nouns_and_ports_load_no_heavy_library() -> None:
    nouns = [f"cruijff_kit.schema.{path.stem}" for path in sorted((ROOT / "cruijff_kit/schema").glob("[a-z]*.py"))]
    ports = [f"cruijff_kit.ports.{path.stem}" for path in sorted((ROOT / "cruijff_kit/ports").glob("[a-z]*.py"))]
    assert not _loaded(*ports, *nouns) & HEAVY


def test_every_port_is_found_and_one_brings_no_other() -> None:
    assert all(getattr(ports, name).__name__ for name in ports.__all__ if name != "Progress")
    assert "cruijff_kit.schema.site" not in _loaded("cruijff_kit.data.templates", "cruijff_kit.runtime.token_names")


def test_a_server_that_starts_loads_no_noun_of_its_answers() -> None:
    # Together they take a fifth of the time in which the protocol's own library loads.
    assert "cruijff_kit.schema.noun" not in _loaded("cruijff_kit.mcp_server.server")


def _loaded(*modules: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *modules], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())
