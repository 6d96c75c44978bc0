"""Where a run came from."""

import subprocess
from pathlib import Path

import cruijff_kit
from cruijff_kit.runtime.provenance import git_state, package_versions


def test_versions_of_what_shapes_a_result_are_recorded() -> None:
    versions = package_versions()
    assert {"python", "torch", "transformers"} <= versions.keys()


def test_the_commit_is_that_of_this_package() -> None:
    package = Path(cruijff_kit.__file__).resolve().parent
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, check=False)
    assert git_state()[0] == (told.stdout.strip() or None)
