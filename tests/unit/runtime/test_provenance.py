"""Where a run came from."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import cruijff_kit
from cruijff_kit.runtime.provenance import environment_lock, git_state, package_versions
from cruijff_kit.schema.environment import LOCK_FILE


def test_versions_of_what_shapes_a_result_are_recorded() -> None:
    versions = package_versions()
    assert {"python", "torch", "transformers"} <= versions.keys()


def test_the_commit_is_that_of_this_package() -> None:
    package = Path(cruijff_kit.__file__).resolve().parent
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, check=False)
    assert git_state()[0] == (told.stdout.strip() or None)


def test_the_lock_of_an_environment_that_was_built_is_named_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert environment_lock() is None
    (tmp_path / LOCK_FILE).write_text("click==8.5.1\n", encoding="utf-8")
    assert environment_lock() == hashlib.sha256(b"click==8.5.1\n").hexdigest()
