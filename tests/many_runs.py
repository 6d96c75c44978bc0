"""Several training runs in the processes of one `torchrun`, so that tests start few of them.

    python -m torch.distributed.run … -m tests.many_runs CONFIG …
"""

import sys
from collections.abc import Sequence

import torch.distributed as dist

from cruijff_kit.recipes.lora_distributed import main

__all__ = ["train_all"]


def train_all(configs: Sequence[str]) -> int:
    """Train one configuration after the other; return the exit code of the first that failed."""
    dist.init_process_group("gloo")
    return next((code for config in configs if (code := main(["--config", config, "--resume"]))), 0)


if __name__ == "__main__":
    sys.exit(train_all(sys.argv[1:]))
