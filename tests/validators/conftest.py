"""The validators, which have an environment of their own, and crates and data sets for them to look at."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cruijff_kit.adapters.vault import DiskVault
from cruijff_kit.workflow.export import export_crate
from cruijff_kit.workflow.report import write_report
from tests.archived import Project
from tests.fakes.experiment import make_experiment
from tests.integration.reporting.conftest import world_at

__all__ = ["Validators"]

_HERE = Path(__file__).parents[2]
# A machine that tests has no network: the one context that a crate names comes with an older `rocrate` package, and
# goes into the cache from which the validator reads when it is told to stay offline.
_FILL = """
import io, sys
from importlib.resources import files
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

ADDRESS = "https://w3id.org/ro/crate/1.1/context"
CONTENT = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()

class FromDisk(HTTPAdapter):
    def send(self, request, **_):
        told = {"status": 200, "headers": {"Content-Type": "application/ld+json"}, "preload_content": False}
        raw = HTTPResponse(body=io.BytesIO(CONTENT), request_url=request.url, request_method="GET", **told)
        return self.build_response(request, raw)

session = CachedSession(cache_name=sys.argv[1], backend="sqlite", expire_after=-1)
session.mount("https://w3id.org/", FromDisk())
assert session.get(ADDRESS).json()["@id"] == ADDRESS
"""
_LOAD = """
import json, sys
import mlcroissant

records = mlcroissant.Dataset(jsonld=sys.argv[1]).records(record_set=sys.argv[2])
plain = lambda value: value.decode() if isinstance(value, bytes) else getattr(value, "item", lambda: value)()
print(json.dumps([{name: plain(value) for name, value in each.items()} for each in records]))
"""


class Validators(NamedTuple):
    """The programs of an environment that holds `roc-validator` and `mlcroissant`."""

    bin: Path
    """Where they lie."""
    cache: Path
    """Where the crate validator's contexts lie."""

    def crate(self, place: Path, *, severity: str = "required") -> dict[str, Any]:
        """Return what the crate validator reports of a crate."""
        report = self.cache.with_name("report.json")
        options = ("--offline", "--cache-path", str(self.cache), "-p", "provenance-run-crate", "-l", severity)
        words = ("-y", "--disable-color", "validate", *options, "--no-paging", "-f", "json", "-o", str(report))
        done = self._run("rocrate-validator", *words, str(place))
        told = json.loads(report.read_bytes())
        assert told["passed"] is (done.returncode == 0), done.stdout
        return told

    def packed(self, place: Path) -> str:
        """Return what the crate validator says of a zip file, of which version 0.13 writes no JSON."""
        options = ("--offline", "--cache-path", str(self.cache), "-p", "provenance-run-crate", "-l", "required")
        done = self._run("rocrate-validator", "-y", "--disable-color", "validate", *options, "--no-paging", str(place))
        return f"{done.returncode}\n{done.stdout}"

    def croissant(self, description: Path) -> str:
        """Return what mlcroissant says of a description that it finds sound."""
        done = self._run("mlcroissant", "validate", "--jsonld", str(description))
        assert done.returncode == 0, done.stderr
        return done.stderr

    def rows(self, description: Path, split: str) -> list[dict[str, Any]]:
        """Return the rows of a split as mlcroissant reads them."""
        done = self._run("python", "-c", _LOAD, str(description), split)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def _run(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.bin / program), *words], capture_output=True, encoding="utf-8", check=False, timeout=300
        )


@pytest.fixture(scope="session")
def validators(tmp_path_factory: pytest.TempPathFactory) -> Validators:
    folder = Path(os.environ.get("VALIDATORS") or _HERE / ".venv-validators" / "bin")
    hint = "hint: `make validators` makes it; or name one: VALIDATORS=/path/to/environment/bin"
    assert (folder / "rocrate-validator").is_file(), f"these tests need the validators' environment at {folder}\n{hint}"
    cache = tmp_path_factory.mktemp("validators") / "contexts"
    subprocess.run([str(folder / "python"), "-c", _FILL, str(cache)], check=True, timeout=120)
    return Validators(folder, cache)


@pytest.fixture(scope="session")
def finished_crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the crate of a finished, reported experiment, without data, adapters and logs."""
    base = tmp_path_factory.mktemp("finished")
    make_experiment(base / "experiment")
    world = world_at(base / "experiment")
    write_report(world=world)
    export_crate(into=str(base / "crate"), world=world._replace(vault=DiskVault(world.clock)))
    return base / "crate"


@pytest.fixture
def whole_crate(tmp_path: Path) -> Path:
    """Return a crate with all that may be asked for, as a zip file."""
    project = Project.made(tmp_path / "base")
    export_crate(into=str(tmp_path / "whole.zip"), parts=("adapters", "data", "logs"), world=project.world())
    return tmp_path / "whole.zip"
