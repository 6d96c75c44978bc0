"""What a job script asks for: its `#SBATCH` lines, read as `sbatch` reads them."""

import difflib
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cruijff_kit.errors import SchedulerError

__all__ = ["Directives", "Notice", "file_name", "options_of", "read_directives", "seconds_of"]

_SHORT = {
    "A": "account", "C": "constraint", "D": "chdir", "G": "gpus", "J": "job-name", "N": "nodes", "c": "cpus-per-task",
    "e": "error", "n": "ntasks", "o": "output", "p": "partition", "q": "qos", "t": "time",
}  # fmt: skip

# Options that mean nothing on one machine; a script written for a cluster may carry them.
_IDLE = {
    "account", "chdir", "comment", "constraint", "exclude", "exclusive", "export", "get-user-env", "job-name",
    "kill-on-invalid-dep", "mail-type", "mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "nice", "no-requeue",
    "nodelist", "nodes", "ntasks", "ntasks-per-node", "parsable", "partition", "qos", "requeue", "reservation",
    "tmp", "verbose",
}  # fmt: skip

_NEVER = {
    "array": "submit one script per job",
    "dependency": "name the jobs to wait for when submitting",
    "begin": "submit it when it shall begin",
}

_TIME = re.compile(r"(?:(?P<days>\d+)-(?P<hours>\d+)(?::(?P<minutes>\d+))?(?::(?P<seconds>\d+))?|(?P<plain>[\d:]+))")
_SIGNAL = re.compile(r"(?P<batch>B:)?(?P<name>[A-Za-z]+\d?|\d+)(?:@(?P<before>\d+))?")


class Notice(NamedTuple):
    """A signal that a job wants some time before its limit."""

    number: int
    """Signal number."""
    before: int
    """Seconds before the time limit."""
    script_only: bool
    """Whether the script alone is told, not its children."""


class Directives(NamedTuple):
    """What the embedded scheduler honours of a script's directives."""

    output: str = "slurm-%j.out"
    """Where standard output goes, relative to the job's directory."""
    error: str | None = None
    """Where standard error goes; None joins it to the output."""
    append: bool = False
    """Whether an existing output file is kept and continued."""
    seconds: int | None = None
    """Time limit in seconds; None is no limit."""
    gpus: int = 0
    """GPUs the job holds for itself."""
    cpus: int | None = None
    """CPUs a task may use; told to the job, not counted."""
    notice: Notice | None = None
    """Signal wanted before the time limit."""


def read_directives(script: bytes, *, name: str) -> Directives:
    """Return what a job script asks for, or refuse it as `sbatch` would.

    Args:
        script: the file's bytes.
        name: the file's path, for messages.

    Raises:
        SchedulerError: it is no batch script, or a directive has no meaning here.
    """
    fault = _fault(script)
    if fault:
        raise _refused(name, fault[0], hint=fault[1])
    values: dict[str, Any] = {}
    for option, value in options_of(script.decode("utf-8", "surrogateescape"), name):
        values.update(_honoured(option, value, name=name))
    return Directives(**values)


def seconds_of(limit: str) -> int | None:
    """Return the seconds of any time limit that Slurm reads; None is no limit.

    Forms: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
    days-hours:minutes, days-hours:minutes:seconds, `UNLIMITED`, 0.

    Raises:
        ValueError: it has none of these forms.
    """
    if limit.upper() in {"UNLIMITED", "INFINITE", "-1"}:
        return None
    match = _TIME.fullmatch(limit)
    if match is None:
        raise ValueError(limit)
    if match["plain"] is None:
        days, *clock = (int(match[part] or 0) for part in ("days", "hours", "minutes", "seconds"))
        hours, minutes, seconds = clock
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds or None
    parts = [int(part) for part in match["plain"].split(":")]
    if len(parts) > 3:
        raise ValueError(limit)
    hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts, 0)[:3]
    return (hours * 60 + minutes) * 60 + seconds or None


def file_name(pattern: str, *, job_id: int, name: str) -> str:
    """Return a file name with `%j`, `%A`, `%x` and `%%` filled in."""
    values = {"j": str(job_id), "A": str(job_id), "x": name, "%": "%"}
    return re.sub(r"%([jAx%])", lambda match: values[match[1]], pattern)


def _fault(script: bytes) -> tuple[str, str] | None:
    if not script.strip():
        return "is empty", "scaffold the experiment again"
    if not script.startswith(b"#!"):
        return "does not look like a batch script", "begin it with `#!/bin/bash`"
    if b"\r\n" in script:
        return "contains DOS line breaks", "convert it with `dos2unix`"
    if b"\0" in script:
        return "contains null characters", "scaffold the experiment again"
    return None


def _refused(name: str, fact: str, *, hint: str) -> SchedulerError:
    return SchedulerError(f"script `{name}` {fact}", transient=False, hint=hint)


def options_of(text: str, name: str) -> Iterator[tuple[str, str | None]]:
    """Yield long option names and values, up to the first line that is no comment."""
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            return
        if not line.startswith("#SBATCH"):
            continue
        try:
            words = shlex.split(line.removeprefix("#SBATCH"), comments=True)
        except ValueError as err:
            raise _refused(name, f"has a directive with an open quote: `{line}`", hint="close the quote") from err
        yield from _pairs(words, name)


def _pairs(words: list[str], name: str) -> Iterator[tuple[str, str | None]]:
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            option, given, value = word.removeprefix("--").partition("=")
            yield option, value if given else None
        elif word[:1] == "-" and word[1:2] in _SHORT:
            yield _SHORT[word[1]], word[2:].removeprefix("=") or next(rest, None)
        else:
            raise _refused(name, f"has an unrecognized directive `{word}`", hint="write it as `#SBATCH --option=value`")


def _honoured(option: str, value: str | None, *, name: str) -> dict[str, Any]:
    """Return the fields that an option sets; none for one without meaning here."""
    if option == "nodes" and value not in {"1", "1-1"}:
        hint = "set `resources.nodes: 1`, or submit to a cluster"
        raise _refused(name, f"asks for `{value}` nodes, and this machine is one", hint=hint)
    if option in _IDLE:
        return {}
    if option in _NEVER:
        raise _refused(name, f"asks for `--{option}`, which this scheduler does not have", hint=_NEVER[option])
    if option not in _READERS:
        near = difflib.get_close_matches(option, [*_READERS, *_IDLE], n=1)
        hint = f"did you mean `--{near[0]}`?" if near else "remove the directive"
        raise _refused(name, f"has an unrecognized option `--{option}`", hint=hint)
    field, read = _READERS[option]
    try:
        return {field: read(value or "")}
    except ValueError as err:
        raise _refused(
            name, f"has an invalid `--{option}={value or ''}`", hint="see `man sbatch` for its form"
        ) from err


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def _count(value: str) -> int:
    """Return `N` of `N`, `type:N`, or a bare type, which is one."""
    last = value.rpartition(":")[2]
    if last.isdigit():
        return int(last)
    if not last or ":" in value:
        raise ValueError(value)
    return 1


def _generic_gpus(value: str) -> int:
    wanted = [part for part in value.split(",") if part.split(":")[0] == "gpu"]
    if not wanted or len(wanted) < len(value.split(",")):
        raise ValueError(value)
    return sum(_count(part) for part in wanted)


def _text(value: str) -> str:
    if not value:
        raise ValueError(value)
    return value


def _notice(value: str) -> Notice:
    match = _SIGNAL.fullmatch(value)
    if match is None:
        raise ValueError(value)
    word = match["name"].upper()
    names = signal.Signals.__members__
    if not word.isdigit() and f"SIG{word.removeprefix('SIG')}" not in names:
        raise ValueError(value)
    number = signal.Signals(int(word)) if word.isdigit() else names[f"SIG{word.removeprefix('SIG')}"]
    return Notice(int(number), int(match["before"] or 60), bool(match["batch"]))


def _appends(value: str) -> bool:
    if value not in {"append", "truncate"}:
        raise ValueError(value)
    return value == "append"


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cpus-per-task": ("cpus", _positive),
    "error": ("error", _text),
    "gpus": ("gpus", _count),
    "gpus-per-node": ("gpus", _count),
    "gpus-per-task": ("gpus", _count),
    "gres": ("gpus", _generic_gpus),
    "open-mode": ("append", _appends),
    "output": ("output", _text),
    "signal": ("notice", _notice),
    "time": ("seconds", seconds_of),
}
