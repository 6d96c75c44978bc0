"""Several processes of one training, as `torchrun` starts them: gloo on CPUs, NCCL on GPUs.

Each process takes its share of the rows of every optimiser step. The adapter is whole in
every process and its gradients are summed, in one exchange a step. What `fsdp` shares
out is the frozen base: each decoder block lies in pieces and is put together for the
moment it computes. So optimiser, clipping, checkpoints and adapter files are the same
in both ways, and the same as in one process.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from cruijff_kit.errors import RunError, SiteError
from cruijff_kit.runtime.devices import choose_device
from cruijff_kit.runtime.job_files import Stopped
from cruijff_kit.runtime.ranks import Ranks

if TYPE_CHECKING:
    from cruijff_kit.runtime.trainee import Trainee
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["ProcessGroup", "join_processes"]

# One process may write adapters or hash a large base while the others wait for it.
_PATIENCE = timedelta(minutes=30)
_SOURCE = re.compile(r"^\[[^\]]*\] ?")
_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux."""


@contextmanager
def join_processes(config: "TrainConfig") -> Iterator[Ranks]:
    """Yield the processes of this training: one by itself, or those that `torchrun` started.

    A group that the program has made already is used, and left to it.

    Raises:
        SiteError: what `torchrun` tells a process is missing, or there are more processes than GPUs.
        RunError: the others did not come, or were lost on the way.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        hint = f"start it with `python -m torch.distributed.run --standalone --nproc-per-node {size} …`"
        raise SiteError(f"`WORLD_SIZE` is {size} and `{missing[0]}` is not set", hint=hint)
    _die_with_parent()
    device = choose_device(config.device)
    if device.type == "mps":
        fact = f"Apple's GPU trains in one process, and {size} were started"
        raise SiteError(fact, hint="set `resources.gpus: 1`, and start the recipe without `torchrun`")
    rank = int(os.environ["RANK"])
    found = dist.is_initialized()
    with _words_for_losses(rank, size=size, run_id=config.run_id):
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not found:
            gpu = device if device.type == "cuda" else None
            dist.init_process_group("nccl" if gpu else "gloo", timeout=_PATIENCE, device_id=gpu)
        try:
            yield ProcessGroup(rank, size=size, device=device)
        except Stopped:
            _stay_for_first()
            _leave(found)
            raise
    _leave(found)


def _stay_for_first() -> None:
    """Stay until the first process has made its checkpoint and said its last words.

    A launcher whose processes have gone ends with an error, for which `srun` ends all other nodes.
    """
    with suppress(RuntimeError):
        dist.barrier()


def _leave(found: bool) -> None:
    """Leave a group of our own; after an error nobody does, for that would wait for processes that are lost."""
    if not found:
        dist.destroy_process_group()


class ProcessGroup(Ranks):
    """This process among several; every method but `share` has to be called by all of them."""

    def __init__(self, rank: int, *, size: int, device: torch.device) -> None:
        """Take a place in the group that `torch.distributed` has made."""
        self.rank = rank
        self.size = size
        self._device = device

    def total(self, *values: float) -> tuple[float, ...]:
        """Return each value summed over all processes, in double precision."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.all_reduce(tensor)
        return tuple(tensor.tolist())

    def everyone(self, value: Any) -> list[Any]:
        """Return a value of every process, in order of rank."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Make every process's gradients the sum over all of them, added up in single precision."""
        gradients = [weight.grad for weight in parameters if weight.grad is not None]
        flat = torch.cat([gradient.float().flatten() for gradient in gradients])
        dist.all_reduce(flat)
        _copy_pieces(flat, gradients)

    def spread(self, trainee: "Trainee", *, strategy: str) -> None:
        """Start every process from one adapter, draw its own dropout, and share out the base under `fsdp`."""
        weights = [weight.detach() for weight in trainee.network.parameters() if weight.requires_grad]
        flat = torch.cat([weight.float().flatten() for weight in weights])
        dist.broadcast(flat, src=0)
        _copy_pieces(flat, weights)
        if self.shares_base(strategy):
            _share_base(trainee)
        if not self.main:
            # The same dropout on other rows would be no fresh draw.
            torch.manual_seed(torch.initial_seed() + self.rank)

    def wait(self) -> None:
        """Return once every process has come here."""
        dist.barrier()

    def told(self, run_id: str) -> AbstractContextManager[None]:
        """Return a context in which the loss of other processes is told in words."""
        return _words_for_losses(self.rank, size=self.size, run_id=run_id)


def _copy_pieces(flat: Tensor, tensors: list[Tensor]) -> None:
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, piece in zip(tensors, flat.split(sizes), strict=True):
        tensor.copy_(piece.view_as(tensor))


def _share_base(trainee: "Trainee") -> None:
    """Cut the frozen weights of every decoder block into one piece a process.

    Embeddings and output layer stay whole: every pass needs them at both ends, and the
    loss works on the plain matrix. Weights that learn stay whole too, so their gradients
    never pass through FSDP.
    """
    from torch.distributed.fsdp import fully_shard

    network, blocks = trainee.network, trainee.blocks()
    inside = {weight for block in blocks for weight in block.parameters() if not weight.requires_grad}
    named = network.named_parameters()
    packed = [name for name, weight in named if weight in inside and not weight.is_floating_point()]
    if packed:
        fact = f"`strategy: fsdp` cannot share out `{packed[0]}`, which is stored in 4 bits"
        raise SiteError(fact, hint="use `strategy: ddp` with a quantised base, or `quantization: none` with `fsdp`")
    whole = set(network.parameters()) - inside
    for block in blocks:
        fully_shard(block, ignored_params=whole)
    # The outermost one has no piece of its own; it lets a block be fetched while the one before computes.
    fully_shard(network, ignored_params=whole)


@contextmanager
def _words_for_losses(rank: int, *, size: int, run_id: str) -> Iterator[None]:
    try:
        yield
    except dist.DistError as err:
        raise _lost(rank, size=size, run_id=run_id, err=err) from err
    except RuntimeError as err:
        # gloo tells of a lost connection in no type of its own.
        if not any(word in str(err) for word in ("gloo", "Connection", "Timed out")):
            raise
        raise _lost(rank, size=size, run_id=run_id, err=err) from err


def _lost(rank: int, *, size: int, run_id: str, err: Exception) -> RunError:
    # gloo begins with the place in its source, and ends with advice that is no help here.
    said = _SOURCE.sub("", str(err).strip().splitlines()[0]).partition(". ")[0]
    fact = f"process {rank} of {size} lost the others: {said}"
    return RunError(fact, run_id=run_id, hint="the first error above, of any process, is the cause")


def _die_with_parent() -> None:
    """See that no process writes on after its `torchrun` was killed and the run was started again."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
