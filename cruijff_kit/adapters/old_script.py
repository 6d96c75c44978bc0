"""Another job script: what it asks for and what it activates, as far as that is plain to see."""

import re
import shlex
from typing import Any

from cruijff_kit.adapters.sbatch_lines import options_of
from cruijff_kit.errors import SchedulerError, SiteError
from cruijff_kit.schema.site_facts import OldScript

__all__ = ["read_old_script"]

_PREPARES = ("module ", "ml ", "source ", ". ", "conda ", "mamba ", "export ", "eval ")
_ACTIVATE = "/bin/activate"


def read_old_script(text: str, *, name: str) -> OldScript:
    """Return what a job script written elsewhere asks for; nothing of it is run.

    Raises:
        SiteError: its directives cannot be read.
    """
    try:
        options = {option: value or "" for option, value in options_of(text, name)}
    except SchedulerError as err:
        raise SiteError(str(err).partition("\n")[0], hint=err.hint) from err
    found: dict[str, Any] = {"modules": (), "conda": None, "venv": None}
    left = []
    for line in map(str.strip, text.splitlines()):
        if not line.startswith(_PREPARES):
            continue
        read = _read(line, found["modules"])
        found.update(read)
        if not read and "conda.sh" not in line and "shell.bash hook" not in line:
            left.append(line)
    return OldScript(options=options, left=tuple(left), **found)


def _read(line: str, loaded: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields that a line sets; none where it is not plain, as with a variable in it."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return {}
    if any(re.search(r"[$`;&|<>]", word) for word in words):
        return {}
    if words[:2] in (["module", "purge"], ["module", "reset"], ["ml", "purge"]):
        return {"modules": ()}
    if words[0] in {"module", "ml"}:
        names = tuple(word for word in words[1:] if word not in {"load", "add"} and word[0] != "-")
        return {"modules": (*loaded, *names)} if words[0] == "ml" or words[1:2] in (["load"], ["add"]) else {}
    if words[:2] in (["conda", "activate"], ["mamba", "activate"]) and len(words) == 3:
        return {"conda": words[2]}
    if words[0] in {"source", "."} and len(words) == 2 and words[1].endswith(_ACTIVATE):
        return {"venv": words[1].removesuffix(_ACTIVATE)}
    if words[0] in {"source", "."} and len(words) == 3 and words[1].endswith("activate"):
        return {"conda": words[2]}
    return {}
