"""Job scripts: valid bash that runs alike under `sbatch` and under `bash`."""

import re
from collections.abc import Iterator
from typing import Any

from cruijff_kit.errors import PlanError
from cruijff_kit.rendering.job_lines import body_lines, read_body
from cruijff_kit.rendering.job_script import JobScript, job_problems

__all__ = ["JobScript", "head_of", "parse_script", "read_head", "render_script"]

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,%+@-]+")
_DIRECTIVE = re.compile(r"""^#SBATCH --([a-z-]+)(?:="(.*)"|=(.*))?$""", re.MULTILINE)
_ESCAPE = re.compile(r"\\(.)")
_PREFIX = "#SBATCH --"
_NAMED = ("mem", "partition", "account", "qos", "constraint")


def render_script(job: JobScript) -> str:
    """Return the text of a job script; the one place where one is written.

    Every value is checked and quoted here. A directive is read by the scheduler and
    not by a shell, so the two are quoted differently. The output file is named
    relative to the directory: the scheduler expands `%` in that name alone, so a
    directory may hold one.

    The text is read back and compared before it is handed out.

    Raises:
        PlanError: a value has a form that a script cannot hold; lists every problem.
    """
    problems = list(job_problems(job))
    if problems:
        raise PlanError(f"job `{job.name!a}` cannot be written as a script", problems=problems)
    body = "\n".join(body_lines(job))
    text = f"{head_of(job)}\n{body}\n"
    if _read(text) != job:
        raise PlanError(f"the script of job `{job.name}` does not read back", hint="report this as a defect")
    return text


def head_of(job: JobScript, *, output: str = "slurm-%j.out") -> str:
    """Return the first line and the directives of a job that has no problems; `output` is a pattern of file names."""
    requests = _requests(job, output)
    return "#!/bin/bash\n" + "".join(f"{_PREFIX}{name}{_directive(value)}\n" for name, value in requests)


def read_head(head: str) -> dict[str, Any]:
    """Return the fields of a job that its directives tell.

    Raises:
        KeyError, ValueError: they are not directives of ours.
    """
    found = {name: _ESCAPE.sub(r"\1", quoted) or plain for name, quoted, plain in _DIRECTIVE.findall(head)}
    kind, _, count = found.get("gres", "gpu:0").removeprefix("gpu:").rpartition(":")
    notice = int(found.get("signal", "@0").rpartition("@")[2])
    return {
        "name": found["job-name"],
        "folder": found["chdir"],
        "time": found["time"],
        "cpus": int(found["cpus-per-task"]),
        "gpus": int(count),
        "gpu_type": kind or None,
        "nodes": int(found["nodes"]),
        "notice": notice,
        "exclusive": "exclusive" in found,
        "requeue": "requeue" in found and not notice,
        **{name: found.get(name) for name in _NAMED},
    }


def parse_script(text: str) -> JobScript:
    """Read a script of ours back, directives as the scheduler does, words as a shell does.

    Raises:
        PlanError: the text is not a script that `render_script` writes.
    """
    try:
        job = _read(text)
    except (KeyError, IndexError, ValueError, StopIteration) as err:
        raise PlanError(f"the script cannot be read back: {err}", hint="scaffold it again with `--overwrite`") from err
    if render_script(job) != text:
        raise PlanError("the script holds more than a job script of ours", hint="change the design instead")
    return job


def _read(text: str) -> JobScript:
    head, _, body = text.partition("\n\n")
    return JobScript(**read_head(head), **read_body(body.removesuffix("\n").split("\n")))


def _requests(job: JobScript, output: str) -> Iterator[tuple[str, str]]:
    """Yield the directives of a job in the order written."""
    yield "job-name", job.name
    yield "chdir", job.folder
    yield "output", output
    # A requeued job would truncate what its first run printed.
    yield "open-mode", "append"
    # A job whose parent failed would otherwise wait for ever.
    yield "kill-on-invalid-dep", "yes"
    yield "time", job.time
    if job.notice:
        # The script alone is told: it has become the program, which passes it on to its own processes.
        yield "signal", f"B:USR1@{job.notice}"
    if job.notice or job.requeue:
        yield "requeue", ""
    yield "nodes", str(job.nodes)
    yield "ntasks", str(job.nodes)
    if job.nodes > 1:
        yield "ntasks-per-node", "1"
    yield "cpus-per-task", str(job.cpus)
    if job.gpus:
        yield "gres", f"gpu:{job.gpu_type}:{job.gpus}" if job.gpu_type else f"gpu:{job.gpus}"
    if job.exclusive:
        yield "exclusive", ""
    for name in _NAMED:
        value = getattr(job, name)
        if value is not None:
            yield name, value


def _directive(value: str) -> str:
    """Return what follows an option, quoted so that Slurm's reader of directives and a shell's agree on it."""
    if not value:
        return ""
    if _PLAIN.fullmatch(value):
        return f"={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'
