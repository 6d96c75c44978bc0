"""What Slurm's complaints mean: whether to try again, and what mends them."""

import re
from typing import NamedTuple

from cruijff_kit.adapters.slurm_commands import ABSENT, SILENT, Answer
from cruijff_kit.errors import CruijffError, DependencyError, SchedulerError, SiteError

__all__ = ["is_silence", "refusal"]


class _Kind(NamedTuple):
    """One kind of complaint."""

    words: str
    """Pattern of what Slurm says, any case."""
    hint: str
    """What mends it."""
    transient: bool = False
    """Whether the same request may be taken later."""


# A job whose parent was lost may get the parent's number, and cannot wait for itself.
_DEPENDENCY = "dependency problem|job dependency"
_RESEND = "the controller may be restarting or busy; submit again in a minute, nothing is queued twice"
_ROOM = "wait until some of your jobs have ended, then submit again; what is queued stays queued"

_KINDS = (
    _Kind(
        "by ssh: .*(?:host key|host identification)",
        "connect once by hand with `ssh` to that host, and hold the key it shows against the one its site publishes",
    ),
    _Kind(
        "by ssh: .*(?:permission denied|authentication fail|too many authentication)",
        "nobody is asked for a password here: load your key into the agent, or open a connection that `ControlPath` of"
        " your ssh configuration keeps; `ssh -o BatchMode=yes` to that host must let you in",
    ),
    _Kind("ends in its own start-up files", "see what `bash -lc env` prints there, and mend its profile"),
    _Kind("by ssh: .*(?:bad configuration option|cannot be run here|no such identity)", "see `ssh -G` to that host"),
    _Kind(
        "by ssh:",
        "see that `ssh` to that host works from here; submit again then, nothing is queued twice",
        transient=True,
    ),
    _Kind(
        "unable to contact slurm controller|socket timed out|connection (?:refused|failure|timed out)|connect failure"
        "|zero bytes were transmitted|transport endpoint|communication shutdown|resource temporarily unavailable"
        "|temporarily unable to accept|slurmctld is (?:down|not responding)|no answer within|try again"
        "|instead of a list of jobs|message (?:receive|send) failure|standby mode"
        # What a controller leaves that dies in the middle of an answer.
        "|missing socket|slurm_(?:msg|send|receive)\\w*|header lengths|insane message length|broken pipe|reset by peer"
        "|slurm database connection|problem talking to the database|unable to connect to database",
        _RESEND,
        transient=True,
    ),
    _Kind(
        "\\bmunge (?:encode|decode)|authentication (?:error|credential)|(?:expired|rewound) credential",
        "`munge` must run on this machine and its clock be right: submit again in a minute, or tell those who run it",
        transient=True,
    ),
    _Kind(
        "(?:QOS|Assoc)\\w*(?:Submit|MaxJobs|GrpJobs)\\w*|MaxSubmitJobs|job submit limit reached", _ROOM, transient=True
    ),
    _Kind(
        "establish a configuration source|unable to process configuration|slurm\\.conf",
        "log in to a node of the cluster, or set `SLURM_CONF`; without a cluster: `scheduler: local` in site.yaml",
    ),
    _Kind("invalid partition", "see `sinfo -s` for the partitions, then set `partition` in site.yaml"),
    _Kind("invalid account", "see `sacctmgr show associations user=$USER` for yours, then set `account` in site.yaml"),
    _Kind("invalid qos", "see `sacctmgr show associations user=$USER format=qos` for yours, then mend `qos`"),
    _Kind(
        "requested time limit is invalid|time limit",
        "see `sinfo -o '%P %l'` for each partition's longest time, then lower `resources.time`",
    ),
    _Kind(
        "generic resource|\\bgres\\b",
        "see `sinfo -o '%P %G'` for the GPUs of each partition, then mend `resources.gpus` or its type",
    ),
    _Kind("invalid feature|constraint", "see `sinfo -o '%P %f'` for the features of the nodes, then mend `constraint`"),
    _Kind(
        "node configuration is not available|more processors requested|node count|memory specification",
        "see `sinfo -o '%P %c %m %G'` for what the nodes have, then lower `resources`",
    ),
    _Kind("user's size and/or time limits|accounting/qos policy", "ask for less time or fewer GPUs, or another QoS"),
    _Kind(_DEPENDENCY, "submit the job it waits for first"),
    _Kind("access/permission denied|permission denied", "only your own jobs can be changed, in partitions open to you"),
    _Kind(
        "batch script|dos line breaks|unable to open file|unrecognized option|invalid --",
        "scaffold the experiment again with `ck scaffold --overwrite`",
    ),
    _Kind("invalid job array", "submit fewer runs at a time"),
)
_UNHEARD = _Kind("", "its own words are kept above; `scontrol show config` tells how this cluster is set up")

_PREFIX = re.compile(r"^(?:sbatch|scancel|squeue|sacct|scontrol): (?:error: )?|^(?:error: )")
_FRAME = re.compile(r"^(?:Batch job submission failed|slurm_load_jobs error|Kill job error on job id \S+): ")


def refusal(answer: Answer, what: str) -> CruijffError:
    """Return the error for a command that failed: `what` failed, Slurm's words, and what mends it.

    Args:
        answer: of a command that did not end well.
        what: what was refused, in the user's words, such as `Slurm refused job ...`.
    """
    if answer.code == ABSENT:
        hint = (
            "log in to a node where Slurm's commands are, or name one as `login_host` in site.yaml;"
            " without a cluster: `scheduler: local`"
        )
        return SiteError(f"{what}: `{_said(answer)}`", hint=hint)
    kind = _kind(answer)
    if kind.words == _DEPENDENCY:
        return DependencyError(f"{what}: `{_said(answer)}`", stderr=answer.err.strip(), hint=kind.hint)
    return SchedulerError(
        f"{what}: `{_said(answer)}`", transient=kind.transient, stderr=answer.err.strip(), hint=kind.hint
    )


def is_silence(answer: Answer) -> bool:
    """Return whether a command failed for want of an answer rather than by its content."""
    return answer.code == SILENT or _kind(answer).transient


def _kind(answer: Answer) -> _Kind:
    if answer.code < 0 or not answer.err.strip():
        # Somebody or something killed the command, whatever it had said by then, or it lost its controller in the
        # middle of an answer, as `scontrol` does without a word: a refusal has words.
        return _Kind("", _RESEND, transient=True)
    return next((kind for kind in _KINDS if re.search(kind.words, answer.err, re.IGNORECASE | re.DOTALL)), _UNHEARD)


def _said(answer: Answer) -> str:
    """Return a complaint on one line, each part of it once, without who complains and how to call for help."""
    lines = (_FRAME.sub("", _PREFIX.sub("", line.strip())) for line in answer.err.splitlines())
    told = dict.fromkeys(line for line in lines if line and not line.startswith("Try "))
    ended = f"exit code {answer.code}" if answer.code >= 0 else f"ended by signal {-answer.code}"
    return "; ".join(told) or f"{ended}, without a word"
