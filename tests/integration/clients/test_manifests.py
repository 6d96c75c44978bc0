"""Every client's manifest is what the one table says, names the same version, and leads to what is there."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit import __version__
from cruijff_kit.cli.manifests import LINKS, main, render_manifests
from tests.architecture.source import ROOT

HEAVIEST = 20_000_000
"""Bytes; installing a plugin copies the repository."""


@pytest.mark.parametrize("path,text", render_manifests().items())
def test_a_manifest_on_disk_is_what_the_table_says(path: str, text: str) -> None:
    on_disk = (ROOT / path).read_text(encoding="utf-8")
    assert on_disk == text, "hint: .venv/bin/python -m cruijff_kit.cli.manifests ."


@pytest.mark.parametrize("path,target", LINKS.items())
def test_a_link_leads_where_the_table_says(path: str, target: str) -> None:
    assert str((ROOT / path).readlink()) == target
    assert (ROOT / path).exists()


def test_writing_them_makes_what_lies_here(tmp_path: Path) -> None:
    main([str(tmp_path)])
    main([str(tmp_path)])
    made = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()
    }
    assert made == {*render_manifests(), *LINKS}


def test_name_and_version_are_the_same_everywhere() -> None:
    found = [each for text in render_manifests().values() for each in identities(json.loads(text))]
    assert len(found) >= 5
    assert set(found) == {("cruijff-kit", __version__)}


def identities(said: Any) -> list[tuple[str, str]]:
    """Return every name that has a version beside it."""
    if isinstance(said, list):
        return [found for each in said for found in identities(each)]
    if not isinstance(said, dict):
        return []
    own = [(said["name"], said["version"])] if "version" in said else []
    return own + [found for each in said.values() for found in identities(each)]


def test_every_file_and_folder_that_a_manifest_names_is_there() -> None:
    words = [word for text in render_manifests().values() for word in strings(json.loads(text))]
    named = {
        word.rpartition("}/")[2].removeprefix("./") for word in words if word.endswith((".sh", ".json", "skills/"))
    }
    assert named == {"mcp_server/start.sh", ".cursor-plugin/mcp.json", "skills/"}
    assert all((ROOT / name).exists() for name in named)


def strings(said: Any) -> list[str]:
    """Return every text in a manifest."""
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    return [said] if isinstance(said, str) else [found for each in inner for found in strings(each)]


def test_whoever_installs_the_plugin_copies_nothing_heavy() -> None:
    kept = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listing = subprocess.run(kept, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    sizes = {name: (ROOT / name).lstat().st_size for name in listing.split("\0") if name and (ROOT / name).is_file()}
    assert sum(sizes.values()) < HEAVIEST, sorted(sizes.items(), key=lambda item: -item[1])[:5]
