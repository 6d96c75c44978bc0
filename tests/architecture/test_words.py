"""No file speaks of one machine, one person or one site."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

TELLTALES = {
    "a path of one machine": r"(?<![\w.$}/])/(?:root|work|gpfs|Users)/[A-Za-z][\w.-]*",
    "a path of one site": r"(?<![\w.$}/])/(?:home|scratch|mnt|opt)/(?!(?:ada|x|parity|python)\b)[A-Za-z][\w.-]*",
    "a mail address": r"[A-Za-z][\w.+-]*@[\w-]+\.(?:com|org|net|edu|io|dev)\b",
    "a token": r"\b(?:hf_[A-Za-z0-9]{20,}|ghp_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16})\b",
    "a private address": r"\b(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}\b",
}
"""What gives a place away; Ada's home and scratch are invented, for tests that need a path."""
LARGEST = 1_000_000
"""Bytes; a bigger file belongs in a release or is made by code."""


@pytest.mark.parametrize("what", TELLTALES)
def test_no_tracked_file_names_anything_of_one_place(what: str) -> None:
    pattern = re.compile(TELLTALES[what])
    found = [
        f"{path}:{number} {match.group()}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
        if path != "tests/architecture/test_words.py"
    ]
    assert not found, "\n".join(found)


def test_no_tracked_file_is_big_or_made_by_a_build() -> None:
    big = [path for path in _tracked() if (ROOT / path).stat().st_size > LARGEST]
    built = [path for path in _tracked() if Path(path).suffix in {".pyc", ".whl", ".safetensors", ".eval", ".egg-info"}]
    assert not big + built, big + built


def _tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = listing.decode("utf-8").split("\0")
    return [path for path in paths if path and (ROOT / path).is_file() and not (ROOT / path).is_symlink()]


def _texts() -> list[tuple[str, str]]:
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".html", ".cfg", ".sh", ".slurm", ""}
    chosen = [path for path in _tracked() if Path(path).suffix in suffixes]
    return [(path, (ROOT / path).read_text(encoding="utf-8")) for path in chosen]
