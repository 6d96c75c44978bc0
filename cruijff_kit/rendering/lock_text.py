"""The lock of an environment as text: requirements that pip installs, facts above them."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.environment import LOCK_FILE, EnvironmentLock
from cruijff_kit.schema.noun import first_fault

__all__ = ["parse_lock", "render_lock"]

_HEAD = (
    "# The environment of jobs: `ck site env check` compares, `ck site env build` installs exactly this.",
    "# By hand: pip install --no-deps --require-hashes -r environment-lock.txt",
)
_FACT = re.compile(r"# ([a-z_]+): ?(.*)")
_PACKAGE = re.compile(r"([a-z0-9-]+)(?:==(\S+)| @ (\S+))(?: \\)?")
_HASH = re.compile(r"\s+--hash=sha256:([0-9a-f]{64})")
_WHEEL = re.compile(r"/[A-Za-z0-9_.]+-([^/-]+)-[^/]+\.whl$")


def render_lock(lock: EnvironmentLock) -> str:
    """Return the text of a lock, read back and compared before it is handed out.

    Raises:
        SiteError: a value does not read back.
    """
    facts = lock.model_dump(mode="json", exclude={"packages", "extras"})
    said = {**facts, "extras": ",".join(lock.extras)}
    lines = [f"# {name}: {'' if value is None else value}".rstrip() for name, value in said.items()]
    text = "\n".join((*_HEAD, *lines, *_packages(lock))) + "\n"
    # As text a moment has milliseconds, whatever the clock told.
    if parse_lock(text, name=LOCK_FILE).model_dump(mode="json") != lock.model_dump(mode="json"):
        raise SiteError("the lock does not read back", hint="report this as a defect")
    return text


def parse_lock(text: str, *, name: str) -> EnvironmentLock:
    """Read a lock.

    Args:
        text: what the file says.
        name: how the file is called in messages.

    Raises:
        SiteError: it is no lock of ours, or was changed into something else.
    """
    facts: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        fact, package, digest = _FACT.fullmatch(line), _PACKAGE.fullmatch(line), _HASH.fullmatch(line)
        if fact and fact[1] in EnvironmentLock.model_fields:
            facts[fact[1]] = fact[2]
        elif package:
            version = package[2] or (match[1] if (match := _WHEEL.search(package[3])) else "")
            found.append({"name": package[1], "version": version, "file": package[3] or ""})
        elif digest and found and "sha256" not in found[-1]:
            found[-1]["sha256"] = digest[1]
        elif not line.startswith("#"):
            raise _unread(name, f"`{line[:60]}` is no line of a lock")
    said = {**facts, "code": facts.get("code") or None, "packages": tuple(found)}
    said["extras"] = tuple(each for each in facts.get("extras", "").split(",") if each)
    said["schema_version"] = int(version) if (version := facts.get("schema_version", "")).isdigit() else version
    try:
        return EnvironmentLock.model_validate(said)
    except ValidationError as err:
        raise _unread(name, first_fault(err)) from err


def _packages(lock: EnvironmentLock) -> Iterator[str]:
    for each in lock.packages:
        what = f"{each.name} @ {each.file}" if each.file else f"{each.name}=={each.version}"
        if each.sha256 is None:
            yield what
        else:
            yield f"{what} \\"
            yield f"    --hash=sha256:{each.sha256}"


def _unread(name: str, fact: str) -> SiteError:
    hint = "`ck site env build` or `ck site env lock` writes it anew"
    return SiteError(f"`{name}` is not the lock of an environment: {fact}", hint=hint)
