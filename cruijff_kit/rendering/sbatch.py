"""Job scripts: valid bash that runs alike under `sbatch` and under `bash`."""

import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from cruijff_kit.errors import PlanError, Problem

__all__ = ["JobScript", "parse_script", "render_script"]

# C0 controls and DEL, and the separators that readers of lines take for a newline (U+0085, U+2028, U+2029); a lone
# surrogate stands for bytes of a file name that are no UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_TIME = re.compile(r"(?:\d{1,3}-)?\d{1,2}:[0-5]\d:[0-5]\d")
_MEMORY = re.compile(r"[1-9]\d*[KMGT]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FEATURES = re.compile(r"[A-Za-z0-9_&|.()*-]+")
_FORMS = (
    ("name", _NAME),
    ("time", _TIME),
    ("mem", _MEMORY),
    ("partition", _NAME),
    ("account", _NAME),
    ("constraint", _FEATURES),
)
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,%+@-]+")
_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"'")+""")
_PIECE = re.compile(r"""'([^']*)'|"(')"|([^'"]+)""")

_DIRECTIVE = re.compile(r"""^#SBATCH --([a-z-]+)(?:="(.*)"|=(.*))?$""", re.MULTILINE)
_ESCAPE = re.compile(r"\\(.)")

_PREFIX = "#SBATCH --"
_FIXED = (
    "export HF_HUB_OFFLINE=1",
    "export HF_DATASETS_OFFLINE=1",
    "export WANDB_MODE=offline",
    "export TOKENIZERS_PARALLELISM=false",
)
_THREADS = "export OMP_NUM_THREADS="
_SHARE = re.compile(r" / (\d+) : 1")
# The launcher ends its processes with the signal it was sent; a notice has to reach them like a stop.
_LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
_COUNT = "--nproc-per-node"
_LAUNCHED = len(_LAUNCHER) + 2
# It kills them after a while: a step and a checkpoint have to fit in.
_PATIENCE = "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="
_LEAST_PATIENCE = 30
_CONDA = 'source "$(conda info --base)/etc/profile.d/conda.sh"'


class JobScript(NamedTuple):
    """Everything a job script says; the script reads back to an equal value."""

    name: str
    """Job name shown in queues."""
    folder: str
    """Absolute directory the job runs in; its output goes to `slurm-<job id>.out` there."""
    time: str
    """Time limit, `[days-]hours:minutes:seconds`."""
    cpus: int
    """CPUs, and OpenMP threads of all processes."""
    command: tuple[str, ...]
    """Program and arguments that the script becomes."""
    gpus: int = 0
    """GPUs."""
    mem: str | None = None
    """Memory, such as `80G`."""
    partition: str | None = None
    """Partition."""
    account: str | None = None
    """Account."""
    constraint: str | None = None
    """Node features."""
    modules: tuple[str, ...] = ()
    """Environment modules to load first."""
    venv: str | None = None
    """Absolute directory of a virtual environment to activate."""
    conda: str | None = None
    """Name or absolute directory of a conda environment to activate."""
    processes: int = 1
    """Processes that `torchrun` starts of a Python command; the command itself where it is one."""
    notice: int = 0
    """Seconds before the time limit at which the job is told, to be queued again; 0 asks for neither."""


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
    problems = list(_problems(job))
    if problems:
        raise PlanError(f"job `{job.name!a}` cannot be written as a script", problems=problems)
    directives = "".join(f"{_PREFIX}{name}{_directive(value)}\n" for name, value in _requests(job))
    steps = (*_activation(job), "exec " + shlex.join(_launched(job)))
    body = "\n".join(("set -e", f"cd -- {shlex.quote(job.folder)}", *_FIXED, *_threads(job), *steps))
    text = f"#!/bin/bash\n{directives}\n{body}\n"
    if _read(text) != job:
        raise PlanError(f"the script of job `{job.name}` does not read back", hint="report this as a defect")
    return text


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
    found = {name: _ESCAPE.sub(r"\1", quoted) or plain for name, quoted, plain in _DIRECTIVE.findall(head)}
    lines = body.removesuffix("\n").split("\n")
    threads = next(index for index, line in enumerate(lines) if line.startswith(_THREADS))
    share = _SHARE.search(lines[threads])
    processes = int(share[1]) if share else 1
    words = _words(lines[-1])[1:]
    return JobScript(
        name=found["job-name"],
        folder=found["chdir"],
        time=found["time"],
        cpus=int(found["cpus-per-task"]),
        command=words if processes == 1 else (*words[:1], *words[1 + _LAUNCHED :]),
        gpus=int(found.get("gres", "gpu:0").removeprefix("gpu:")),
        mem=found.get("mem"),
        partition=found.get("partition"),
        account=found.get("account"),
        constraint=found.get("constraint"),
        processes=processes,
        notice=int(found.get("signal", "@0").rpartition("@")[2]),
        **_read_activation(lines[threads + 1 : -1]),
    )


def _requests(job: JobScript) -> Iterator[tuple[str, str]]:
    """Yield the directives of a job in the order written."""
    yield "job-name", job.name
    yield "chdir", job.folder
    yield "output", "slurm-%j.out"
    # A requeued job would truncate what its first run printed.
    yield "open-mode", "append"
    # A job whose parent failed would otherwise wait for ever.
    yield "kill-on-invalid-dep", "yes"
    yield "time", job.time
    if job.notice:
        # The script alone is told: it has become the program, which passes it on to its own processes.
        yield "signal", f"B:USR1@{job.notice}"
        yield "requeue", ""
    yield "nodes", "1"
    yield "ntasks", "1"
    yield "cpus-per-task", str(job.cpus)
    if job.gpus:
        yield "gres", f"gpu:{job.gpus}"
    for name, value in zip(("mem", "partition", "account", "constraint"), job[6:10], strict=True):
        if value is not None:
            yield name, str(value)


def _directive(value: str) -> str:
    """Return what follows an option, quoted so that Slurm's reader of directives and a shell's agree on it."""
    if not value:
        return ""
    if _PLAIN.fullmatch(value):
        return f"={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'


def _threads(job: JobScript) -> tuple[str, ...]:
    """Return the lines that give every process its share of the CPUs, one at least, and time to end."""
    cpus = f"${{SLURM_CPUS_PER_TASK:-{job.cpus}}}"
    if job.processes == 1:
        return (f'{_THREADS}"{cpus}"',)
    share = f"$(({cpus} > {job.processes} ? {cpus} / {job.processes} : 1))"
    return f"{_PATIENCE}{max(job.notice, _LEAST_PATIENCE)}", f'{_THREADS}"{share}"'


def _launched(job: JobScript) -> tuple[str, ...]:
    """Return the words that the script becomes: the command, or its interpreter starting it several times."""
    if job.processes == 1:
        return job.command
    return (*job.command[:1], *_LAUNCHER, _COUNT, str(job.processes), *job.command[1:])


def _activation(job: JobScript) -> Iterator[str]:
    if job.modules:
        yield f"module load {shlex.join(job.modules)}"
    if job.venv:
        yield f"source {shlex.quote(f'{job.venv}/bin/activate')}"
    if job.conda:
        yield _CONDA
        yield f"conda activate {shlex.quote(job.conda)}"


def _problems(job: JobScript) -> Iterator[Problem]:
    yield from _unfit(job)
    for field, form in _FORMS:
        value = getattr(job, field)
        if value is not None and not form.fullmatch(value):
            yield Problem(f"{field} `{value!a}` has a form that no scheduler takes", field)
    for field in ("folder", "venv"):
        value = getattr(job, field)
        if value is not None and not value.startswith("/"):
            yield Problem(f"{field} `{value!a}` is not absolute", field, hint="give the whole path")
    if not job.command or not job.command[0] or job.command[0].startswith("-"):
        yield Problem("there is no program to run", "command", hint="name the interpreter first")
    for field, least in (("cpus", 1), ("gpus", 0), ("processes", 1), ("notice", 0)):
        if getattr(job, field) < least:
            yield Problem(f"{field} `{getattr(job, field)}` is too few", field)
    for word in (*job.modules, job.conda):
        if word is not None and (not word or word.startswith("-")):
            hint = "mend `environment` in site.yaml"
            yield Problem(f"`{word!a}` is not the name of an environment or module", "environment", hint=hint)


def _unfit(job: JobScript) -> Iterator[Problem]:
    """Yield every string with a character that ends a line, or that a terminal obeys."""
    names = (job.name, job.time, job.mem, job.partition, job.account, job.constraint)
    texts = (*names, job.folder, *job.command, *job.modules, job.venv, job.conda)
    if not _UNFIT.search("".join(filter(None, texts))):
        return
    for text in dict.fromkeys(filter(None, texts)):
        found = _UNFIT.search(text)
        if found:
            hint = "rename it; if it is a directory, move the project to a path without such characters"
            yield Problem(f"`{text!a}` holds the control character U+{ord(found[0]):04X}", hint=hint)


def _words(line: str) -> tuple[str, ...]:
    """Return the words of a line that `shlex.join` wrote, quotes taken off."""
    return tuple(
        "".join(first or second or third for first, second, third in _PIECE.findall(word))
        for word in _WORD.findall(line)
    )


def _read_activation(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        words = _words(line)
        if line.startswith("module load "):
            found["modules"] = words[2:]
        elif line.startswith("conda activate "):
            found["conda"] = words[2]
        elif line != _CONDA:
            found["venv"] = words[1].removesuffix("/bin/activate")
    return found
