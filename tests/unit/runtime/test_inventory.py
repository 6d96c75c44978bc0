"""What an interpreter tells of itself, by a file that stands alone."""

import ast
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from cruijff_kit.runtime import inventory


def test_the_file_is_read_by_interpreters_that_are_long_out_of_date() -> None:
    ast.parse(Path(inventory.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_runs_by_itself_and_loads_nothing_of_what_it_tells(tmp_path: Path) -> None:
    program = tmp_path / "inventory.py"
    program.write_bytes(Path(inventory.__file__).read_bytes())
    watched = "import sys, runpy; sys.argv = sys.argv[1:]\ntry:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
    watched += (
        "except SystemExit:\n    print(*sorted({'torch', 'numpy', 'cruijff_kit', 'pydantic'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", watched, str(program)], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    found = json.loads(told)
    assert loaded == ""
    assert found["version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["pydantic"] == version("pydantic")
    assert found["torch"]["version"] == version("torch")
    assert found["package"]["code"] == inventory.code_hash(Path(inventory.__file__).parents[1])


def test_the_hash_of_code_follows_names_and_contents_and_no_compiled_files(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "a.py").write_text("1", encoding="utf-8")
    first = inventory.code_hash(tmp_path)
    (tmp_path / "part" / "__pycache__").mkdir()
    (tmp_path / "part" / "__pycache__" / "a.pyc").write_text("x", encoding="utf-8")
    assert inventory.code_hash(tmp_path) == first
    (tmp_path / "part" / "a.py").rename(tmp_path / "part" / "b.py")
    renamed = inventory.code_hash(tmp_path)
    (tmp_path / "part" / "b.py").write_text("2", encoding="utf-8")
    assert len({first, renamed, inventory.code_hash(tmp_path)}) == 3


def test_a_claim_that_is_held_is_refused_and_a_free_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "probe").write_text("probe", encoding="utf-8")
    request = {"probe": str(tmp_path / "probe"), "claim": str(tmp_path / "claim"), "folders": [], "reads": []}
    assert inventory.node_report(request)["claim_held"] is False
    assert inventory.node_report(request)["claim_held"] is True
