"""Parts of a training job that load torch, each for those jobs alone that need it.

Loading torch takes longer than all else of a small job's start, and a job in MLX needs none of it.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from cruijff_kit.runtime.ranks import Ranks

if TYPE_CHECKING:
    from cruijff_kit.runtime.course import Course
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["processes_of", "torch_loop"]


def torch_loop() -> "type[Course]":
    """Return the loop that torch computes."""
    from cruijff_kit.runtime.loop import Loop

    return Loop


def processes_of(config: "TrainConfig") -> AbstractContextManager[Ranks]:
    """Return the processes of a training: this one by itself, or those that `torchrun` started."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return nullcontext(Ranks())
    from cruijff_kit.runtime.process_group import join_processes

    return join_processes(config)
