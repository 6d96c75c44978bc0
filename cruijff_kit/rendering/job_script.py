"""What a job script says, and which values no script can hold."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cruijff_kit.errors import Problem
from cruijff_kit.schema.site import RESERVED

__all__ = ["JobScript", "job_problems"]

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
    ("qos", _NAME),
    ("gpu_type", _NAME),
    ("wandb", re.compile("offline|disabled")),
)
_LEAST = (("cpus", 1), ("gpus", 0), ("nodes", 1), ("processes", 1), ("notice", 0), ("sampling", 0))
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
    """GPUs of each node."""
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
    """Processes on each node that `torchrun` starts of a Python command; the command itself where it is one in all."""
    notice: int = 0
    """Seconds before the time limit at which the job is told, to be queued again; 0 asks for neither."""
    qos: str | None = None
    """Quality of service."""
    gpu_type: str | None = None
    """Kind of GPU, as the scheduler calls it."""
    nodes: int = 1
    """Nodes; on several, `srun` starts one `torchrun` on each."""
    exclusive: bool = False
    """Whether the job takes its nodes for itself."""
    requeue: bool = False
    """Whether it is queued again after a node failure or preemption; a job with notice is so anyway."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables and their values, set before anything is activated."""
    wandb: str = "offline"
    """`WANDB_MODE`: `offline` or `disabled`."""
    sampling: int = 0
    """Seconds between samples of the GPUs' use, kept in `gpu-<job id>.csv` of the folder; 0 keeps none."""


def job_problems(job: JobScript) -> Iterator[Problem]:
    """Yield a problem for every value that a script cannot hold, or that no scheduler takes."""
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
    for field, least in _LEAST:
        if getattr(job, field) < least:
            yield Problem(f"{field} `{getattr(job, field)}` is too few", field)
    if job.gpu_type and not job.gpus:
        yield Problem(f"gpu_type is `{job.gpu_type!a}`, and gpus is `0`", "gpu_type", hint="ask for GPUs, or for none")
    if job.requeue and job.notice:
        yield Problem("a job with notice is queued again anyway", "requeue", hint="set one of the two")
    yield from _environment_problems(job)


def _environment_problems(job: JobScript) -> Iterator[Problem]:
    hint = "mend `environment` in site.yaml"
    for word in (*job.modules, job.conda):
        if word is not None and (not word or word.startswith("-")):
            yield Problem(f"`{word!a}` is not the name of an environment or module", "environment", hint=hint)
    names = [name for name, _ in job.variables]
    for name in names:
        if not _VARIABLE.fullmatch(name) or names.count(name) > 1:
            yield Problem(f"`{name!a}` is no name of a variable, or is set twice", "variables", hint=hint)
        elif RESERVED.fullmatch(name):
            yield Problem(f"`{name}` is set by the scripts or the scheduler", "variables", hint=hint)


def _unfit(job: JobScript) -> Iterator[Problem]:
    """Yield every string with a character that ends a line, or that a terminal obeys."""
    names = (job.name, job.time, job.mem, job.partition, job.account, job.constraint, job.qos, job.gpu_type, job.wandb)
    pairs = (word for pair in job.variables for word in pair)
    texts = (*names, job.folder, *job.command, *job.modules, job.venv, job.conda, *pairs)
    if not _UNFIT.search("".join(filter(None, texts))):
        return
    for text in dict.fromkeys(filter(None, texts)):
        found = _UNFIT.search(text)
        if found:
            hint = "rename it; if it is a directory, move the project to a path without such characters"
            yield Problem(f"`{text!a}` holds the control character U+{ord(found[0]):04X}", hint=hint)
