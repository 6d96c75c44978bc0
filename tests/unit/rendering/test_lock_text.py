"""The lock of an environment: requirements that pip reads, and facts that come back."""

from datetime import UTC, datetime

import pytest

from cruijff_kit.errors import SiteError
from cruijff_kit.rendering.lock_text import parse_lock, render_lock
from cruijff_kit.schema.environment import EnvironmentLock, LockedPackage

WHEEL = "file:///envs/with%20space/cruijff_kit-0.1.0-py3-none-any.whl"
LOCK = EnvironmentLock(
    made=datetime(2026, 11, 27, 4, 5, 6, 7890, tzinfo=UTC),
    python="3.11.7",
    platform="linux-x86_64",
    torch="2.13.0+cu128",
    cuda="12.8",
    extras=("eval", "train"),
    code="c" * 64,
    key="0123abcd",
    packages=(
        LockedPackage(name="click", version="8.5.1", sha256="a" * 64),
        LockedPackage(name="cruijff-kit", version="0.1.0", sha256="b" * 64, file=WHEEL),
        LockedPackage(name="torch", version="2.13.0+cu128"),
    ),
)


def test_a_lock_is_what_pip_takes_with_its_facts_above() -> None:
    lines = render_lock(LOCK).split("\n")
    assert "# python: 3.11.7" in lines
    assert "# made: 2026-11-27T04:05:06.007Z" in lines
    below = [line for line in lines if not line.startswith("#")]
    assert below == [
        "click==8.5.1 \\", f"    --hash=sha256:{'a' * 64}", f"cruijff-kit @ {WHEEL} \\",
        f"    --hash=sha256:{'b' * 64}", "torch==2.13.0+cu128", "",
    ]  # fmt: skip


def test_a_lock_reads_back_to_what_it_was_and_renders_alike() -> None:
    text = render_lock(LOCK)
    again = parse_lock(text, name="lock")
    assert again.packages == LOCK.packages
    assert render_lock(again) == text


@pytest.mark.parametrize(
    "line",
    ("rm -rf /", "-e git+https://x", "click>=8", "--index-url=http://x", "click == 8.5.1 ; echo", "click==$(id)"),
)
def test_a_line_that_is_no_package_of_ours_is_refused(line: str) -> None:
    with pytest.raises(SiteError, match="is not the lock of an environment"):
        parse_lock(f"{render_lock(LOCK)}{line}\n", name="lock")


@pytest.mark.parametrize("fact", ("made", "python", "platform", "schema_version"))
def test_a_lock_that_lacks_a_fact_is_refused(fact: str) -> None:
    lines = [line for line in render_lock(LOCK).splitlines() if not line.startswith(f"# {fact}:")]
    with pytest.raises(SiteError, match=f"{fact}|version"):
        parse_lock("\n".join(lines), name="lock")


def test_a_lock_of_a_later_form_is_refused() -> None:
    with pytest.raises(SiteError, match="schema_version"):
        parse_lock(render_lock(LOCK).replace("# schema_version: 1", "# schema_version: 2"), name="lock")
