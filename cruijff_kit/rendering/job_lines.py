"""The lines of a job script below its directives: written from a job, and read back to it."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from cruijff_kit.rendering.job_script import JobScript

__all__ = ["body_lines", "module_lines", "read_body"]

_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"'")+""")
_PIECE = re.compile(r"""'([^']*)'|"(')"|([^'"]+)""")

_OFFLINE = (
    "export HF_HUB_OFFLINE=1",
    "export HF_DATASETS_OFFLINE=1",
)
_WANDB = "export WANDB_MODE="
_QUIET = "export TOKENIZERS_PARALLELISM=false"
_THREADS = "export OMP_NUM_THREADS="
_SHARE = re.compile(r" / (\d+) : 1")
# The launcher ends its processes with the signal it was sent; a notice has to reach them like a stop.
_SIGNALS = ("--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
_LAUNCHER = ("-m", "cruijff_kit.runtime.launcher")
_COUNT = "--nproc-per-node"
_ALONE = ("--standalone",)
_SEVERAL = ("--rdzv-backend", "c10d", "--nnodes")
# It kills them after a while: a step and a checkpoint have to fit in.
_PATIENCE = "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="
_LEAST_PATIENCE = 30
# The script runs on the first node, which therefore is where the launchers meet: at a port that differs between jobs,
# is none of those that systems lend (from 32768 on), and at which nobody listens yet. The name differs between turns of
# a job, so that who is left of the last one meets nobody.
_MEETING = (
    "port=$((20000 + SLURM_JOB_ID % 12000))",
    'while (: < "/dev/tcp/$(hostname)/$port") 2> /dev/null; do port=$((port < 32000 ? port + 1 : 20000)); done',
    'export PET_RDZV_ID="$SLURM_JOB_ID.$$"',
    'export PET_RDZV_ENDPOINT="$(hostname):$port"',
)
# `srun` no longer inherits the CPUs.
_STEP_CPUS = "export SRUN_CPUS_PER_TASK="
_SRUN = ("srun", "--kill-on-bad-exit=1")
# A shell that is no login shell may not know `module` yet; a profile is not written to stop at its first fault.
_MODULES = "command -v module > /dev/null || { set +e; source /etc/profile; set -e; }"
_CONDA = 'source "$(conda info --base)/etc/profile.d/conda.sh"'
_COLUMNS = "timestamp,index,utilization.gpu,memory.used,memory.total,power.draw"
_EVERY = re.compile(r"read -rt (\d+) ")
# What samples reads from a pipe whose other end the job's program holds, so that it ends with the job, however that
# ends; between samples it waits on that pipe. It is the program that the script becomes, so signals go there alone.
_SAMPLER = (
    "if command -v nvidia-smi > /dev/null; then exec 9> >("
    'job="${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}"; '
    'file="gpu-${job:-${SLURM_JOB_ID:-$$}}.csv"; [ -s "$file" ] || echo "%(columns)s" > "$file"; '
    "while :; do timeout 20 nvidia-smi --query-gpu=%(columns)s --format=csv,noheader,nounits"
    ' ${CUDA_VISIBLE_DEVICES:+-i "$CUDA_VISIBLE_DEVICES"} >> "$file" || :; '
    'code=0; read -rt %(every)d || code=$?; [ "$code" -gt 128 ] || break; done > /dev/null 2>&1); fi'
)


def body_lines(job: JobScript) -> tuple[str, ...]:
    """Return the lines that prepare a job's surroundings, and the one by which the script becomes its program."""
    return (
        "set -e",
        f"cd -- {shlex.quote(job.folder)}",
        *_OFFLINE,
        f"{_WANDB}{job.wandb}",
        _QUIET,
        *(f"export {name}={shlex.quote(value)}" for name, value in job.variables),
        *_threads(job),
        *_activation(job),
        *((_SAMPLER % {"columns": _COLUMNS, "every": job.sampling},) if job.sampling else ()),
        "exec " + shlex.join(_launched(job)),
    )


def module_lines(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of a shell that load environment modules; none where there are none."""
    return (_MODULES, f"module load {shlex.join(modules)}") if modules else ()


def read_body(lines: list[str]) -> dict[str, Any]:
    """Return the fields of a job that the lines below its directives tell.

    Raises:
        ValueError, IndexError, StopIteration: they are not lines of ours.
    """
    quiet = lines.index(_QUIET)
    threads = next(index for index, line in enumerate(lines) if line.startswith(_THREADS))
    share = _SHARE.search(lines[threads])
    processes = int(share[1]) if share else 1
    words = _words(lines[-1])[1:]
    several = words[: len(_SRUN)] == _SRUN
    if several:
        words = words[len(_SRUN) :]
    between = lines[quiet + 1 : threads]
    ours = (_PATIENCE, _STEP_CPUS, *_MEETING)
    exports = (_words(line)[1].partition("=") for line in between if not line.startswith(ours))
    sampled = _EVERY.search(lines[-2])
    after = lines[threads + 1 : -2 if sampled else -1]
    return {
        "command": _unlaunched(words, several=several, launched=several or processes > 1),
        "processes": processes,
        "variables": tuple((name, value) for name, _, value in exports),
        "wandb": lines[quiet - 1].removeprefix(_WANDB),
        "sampling": int(sampled[1]) if sampled else 0,
        **_read_activation(after),
    }


def _threads(job: JobScript) -> tuple[str, ...]:
    """Return the lines that give every process its share of the CPUs, one at least, and time to end."""
    cpus = f"${{SLURM_CPUS_PER_TASK:-{job.cpus}}}"
    if job.processes == job.nodes == 1:
        return (f'{_THREADS}"{cpus}"',)
    share = f"$(({cpus} > {job.processes} ? {cpus} / {job.processes} : 1))"
    lines = f"{_PATIENCE}{max(job.notice, _LEAST_PATIENCE)}", f'{_THREADS}"{share}"'
    return lines if job.nodes == 1 else (*_MEETING, f'{_STEP_CPUS}"{cpus}"', *lines)


def _launched(job: JobScript) -> tuple[str, ...]:
    """Return the words that the script becomes: the command, or its interpreter starting it several times."""
    if job.processes == job.nodes == 1:
        return job.command
    place = _ALONE if job.nodes == 1 else (*_SEVERAL, str(job.nodes))
    launcher = (*_LAUNCHER, *place, *_SIGNALS, _COUNT, str(job.processes))
    return (*(_SRUN if job.nodes > 1 else ()), *job.command[:1], *launcher, *job.command[1:])


def _unlaunched(words: tuple[str, ...], *, several: bool, launched: bool) -> tuple[str, ...]:
    if not launched:
        return words
    place = len(_SEVERAL) + 1 if several else len(_ALONE)
    return (*words[:1], *words[1 + len(_LAUNCHER) + place + len(_SIGNALS) + 2 :])


def _activation(job: JobScript) -> Iterator[str]:
    yield from module_lines(job.modules)
    if job.venv:
        yield f"source {shlex.quote(f'{job.venv}/bin/activate')}"
    if job.conda:
        yield _CONDA
        yield f"conda activate {shlex.quote(job.conda)}"


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
        elif line not in (_CONDA, _MODULES):
            found["venv"] = words[1].removesuffix("/bin/activate")
    return found
