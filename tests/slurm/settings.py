"""What a Slurm of the tests' own is made of: its settings, as the files its daemons read."""

import os
import pwd
import socket
from pathlib import Path
from typing import NamedTuple

__all__ = ["Ports", "Setup", "user_name", "write_files"]

_SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports.controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/{auth}
CredType=cred/{auth}
AuthInfo={auth_info}
CommunicationParameters=NoAddrCache,NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
MailProg=/bin/true
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/{track}
TaskPlugin=task/{task}
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams={over_memory}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
EnforcePartLimits={enforce}
ReturnToService=2
MessageTimeout={message_timeout}
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
KillWait=1
MinJobAge={min_job_age}
MaxJobCount=20000
MaxArraySize=10001
PropagateResourceLimits=NONE
"""
_NODE = "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={mem}"
_PARTITIONS = """\
PartitionName=debug Nodes=ALL Default=YES MaxTime=02:00:00 DefaultTime=00:10:00 DefMemPerCPU=1500 PriorityTier=10
PartitionName=low Nodes=ALL MaxTime=INFINITE DefMemPerCPU=1500 PriorityTier=1 GraceTime=1
"""
_ACCOUNTED = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports.accounting}
{pass_line}AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
JobCompType=jobcomp/none
"""
_UNACCOUNTED = "AccountingStorageType=accounting_storage/none\nJobCompType=jobcomp/none\n"
_PREEMPTION = """\
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
"""
_DATABASE = """\
AuthType=auth/{auth}
{auth_line}DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports.accounting}
SlurmUser={user}
PidFile={root}/run/slurmdbd.pid
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
CommitDelay=1
"""
_CGROUP = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainRAMSpace=yes\nConstrainSwapSpace=no\n"


class Setup(NamedTuple):
    """What one cluster is like."""

    nodes: int = 2
    """Virtual nodes, all on this host."""
    cpus: int = 8
    """CPUs that each node claims."""
    mem: int = 16000
    """Megabytes that each node claims."""
    gpus: int = 4
    """Pretend GPUs of each node."""
    accounting: bool = False
    """Whether slurmdbd and a database keep what jobs did; seconds more to start."""
    munge: bool = False
    """Whether messages are authenticated as on a real site; otherwise everybody is believed."""
    preemption: bool = False
    """Whether partition `debug` may take the nodes of jobs in `low`, which are then queued again."""
    kill_invalid: bool = False
    """Whether the cluster itself cancels jobs whose dependency can never be met."""
    enforce_limits: bool = True
    """Whether a job over its partition's limits is refused rather than left waiting."""
    prolog: str = ""
    """Program that prepares a node for each job; one that fails drains the node."""
    cgroup: bool = False
    """Whether memory is limited by cgroups; takes root and a writable cgroup v1."""
    message_timeout: int = 5
    """Seconds that a command waits for a daemon; few make a controller that is down tell so sooner."""
    min_job_age: int = 300
    """Seconds that the controller remembers a job that ended."""


class Ports(NamedTuple):
    """Free ports on the loopback interface."""

    controller: int
    """Of slurmctld."""
    accounting: int
    """Of slurmdbd."""
    nodes: tuple[int, ...]
    """Of each slurmd."""

    @classmethod
    def draw(cls, nodes: int) -> "Ports":
        """Return ports that are free at this moment."""
        held = [socket.socket() for _ in range(nodes + 2)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        controller, accounting, *rest = (each.getsockname()[1] for each in held)
        for each in held:
            each.close()
        return cls(controller, accounting, tuple(rest))


def user_name() -> str:
    """Return who the daemons run as: whoever this process is, whatever its environment says."""
    return pwd.getpwuid(os.geteuid()).pw_name


def write_files(root: Path, setup: Setup, *, ports: Ports, devices: list[Path]) -> None:
    """Write everything that the daemons of a cluster read below `root/etc`."""
    etc = root / "etc"
    auth = "munge" if setup.munge else "none"
    socket_info = f"socket={root}/run/munge.socket," if setup.munge else ""
    values = {
        "root": root,
        "ports": ports,
        "host": socket.gethostname().partition(".")[0],
        "user": user_name(),
        "auth": auth,
        # A job that is queued again waits until its old credential has expired.
        "auth_info": f"{socket_info}cred_expire=5",
        "auth_line": f"AuthInfo=socket={root}/run/munge.socket\n" if setup.munge else "",
        "pass_line": f"AccountingStoragePass={root}/run/munge.socket\n" if setup.munge else "",
        "track": "cgroup" if setup.cgroup else "linuxproc",
        "task": "cgroup" if setup.cgroup else "none",
        "over_memory": "NoOverMemoryKill" if setup.cgroup else "OverMemoryKill",
        "enforce": "ALL" if setup.enforce_limits else "NO",
        "message_timeout": setup.message_timeout,
        "min_job_age": setup.min_job_age,
    }
    gpus = f" Gres=gpu:h200:{len(devices)}" if devices else ""
    nodes = "".join(
        _NODE.format(number=number, host=values["host"], port=port, cpus=setup.cpus, mem=setup.mem) + f"{gpus}\n"
        for number, port in enumerate(ports.nodes, start=1)
    )
    parts = (
        _SLURM.format(**values),
        (_ACCOUNTED if setup.accounting else _UNACCOUNTED).format(**values),
        "GresTypes=gpu\n" if devices else "",
        "DependencyParameters=kill_invalid_depend\n" if setup.kill_invalid else "",
        _PREEMPTION if setup.preemption else "",
        f"Prolog={setup.prolog}\n" if setup.prolog else "",
        nodes,
        _PARTITIONS,
    )
    _write(etc / "slurm.conf", "".join(parts))
    _write(etc / "gres.conf", "".join(f"Name=gpu Type=h200 File={device}\n" for device in devices))
    _write(etc / "cgroup.conf", _CGROUP if setup.cgroup else "CgroupAutomount=no\n")
    if setup.accounting:
        _write(etc / "slurmdbd.conf", _DATABASE.format(**values), mode=0o600)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
