"""What was found of a login host, and what is said of it."""

from typing import Any

import pytest

from cruijff_kit.planning.login_traits import login_traits
from cruijff_kit.schema.site_facts import LoginFacts

SHARED: dict[str, Any] = {"host": "one", "shared": True, "skew": 0.1}
MIRRORED: dict[str, Any] = {
    "host": "one", "rsync_here": "3.2.7", "rsync_there": "3.1.3", "folder": "/far", "writable": True, "package": "1.0"
}  # fmt: skip


def wrong(facts: dict[str, Any]) -> dict[str, str]:
    traits = login_traits(LoginFacts.model_validate(facts), version="1.0")
    return {trait.name: f"{trait.found} | {trait.hint}" for trait in traits if trait.ok is False}


@pytest.mark.parametrize("facts", (SHARED, MIRRORED))
def test_a_login_host_that_will_do_has_nothing_wrong(facts: dict[str, Any]) -> None:
    assert wrong(facts) == {}


@pytest.mark.parametrize(
    "facts,name,words",
    (
        ({"host": "one", "fault": "one cannot be reached", "hint": "see ssh"}, "login host", ("reached", "see ssh")),
        ({**SHARED, "skew": -60.0}, "clock", ("-60 s", "clocks")),
        ({**SHARED, "shared": False}, "shared directory", ("not seen there", "`remote.dir`")),
        ({**MIRRORED, "chatter": "Welcome!"}, "login shell", ("`Welcome!`", ".bashrc")),
        ({**MIRRORED, "rsync_there": ""}, "rsync", ("none there", "install rsync 3 or newer there")),
        ({**MIRRORED, "rsync_here": "2.6.9"}, "rsync", ("2.6.9 here", "newer here")),
        ({**MIRRORED, "writable": False}, "remote directory", ("`/far`", "`ssh one mkdir -p`")),
        ({**MIRRORED, "package": None}, "cruijff-kit there", ("does not answer", "`remote.program`")),
        ({**MIRRORED, "package": "0.9"}, "cruijff-kit there", ("0.9; here it is 1.0", "same version")),
    ),
)
def test_each_thing_that_will_not_do_is_told_with_its_remedy(
    facts: dict[str, Any], name: str, words: tuple[str, ...]
) -> None:
    found = wrong(facts)
    assert set(found) == {name}
    assert [word for word in words if word not in found[name]] == []
