"""`torchrun` as jobs start it: patient with its processes, and it ends with the exit code of the one that failed first.

    python -m cruijff_kit.runtime.launcher [options of torch.distributed.run] -m RECIPE …

`torchrun` alone ends with 1 whatever happened, below its own traceback, and a second
signal makes it leave its processes in the middle of a checkpoint. Schedulers send two as
a rule: to the job's steps, and by `srun` once more.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Start the processes of this node, wait for them, and return the exit code that tells most."""
    words = list(sys.argv[1:] if argv is None else argv)
    # `srun` ends the other nodes with SIGTERM when one has failed, and passes on the highest code: that of the cause.
    ended = 128 + signal.SIGTERM if "--standalone" in words else 1
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ended))
    # Where a node has gone, the others would bury the cause below a stack of C++ for every look at its store.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import parse_args, run

    _heed_one_signal()
    try:
        run(parse_args(words))
    except ChildFailedError as err:
        return _failure(err)
    except SignalException as err:
        sys.stderr.write(f"stopped by {err.sigval.name}\n")
        return ended if err.sigval == signal.SIGTERM else 128 + err.sigval
    except (RendezvousError, DistError) as err:
        sys.stderr.write(f"this node lost, or never met, the others: {str(err).strip().splitlines()[0]}\n")
        return 1
    return 0


def _failure(err: "ChildFailedError") -> int:
    """Tell of the process of this node that failed first, and return its exit code as a shell would."""
    rank, first = err.get_first_failure()
    killed = first.exitcode < 0
    how = f"was killed by {first.signal_name()}" if killed else f"ended with exit code {first.exitcode}"
    sys.stderr.write(f"process {rank} (number {first.pid} on this node) {how}\n")
    return 128 - first.exitcode if killed else first.exitcode


def _heed_one_signal() -> None:
    """Let only the first signal end the wait for processes: they get the later ones themselves."""
    from torch.distributed.elastic.multiprocessing import api

    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            name = signal.Signals(number)
            raise api.SignalException(f"stopped by {name.name}", sigval=name)

    # There is no public way to say so; where the name has changed, a second signal is as abrupt as it was.
    api.__dict__["_terminate_process_handler"] = hear


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # An interpreter that tidies up takes a while, and dies of any signal meanwhile.
    os._exit(code)
