"""Several training runs in the processes of one `torchrun`, so that tests start few of them.

    python -m torch.distributed.run … -m tests.many_runs CONFIG …

Its recipe is a user's own: `lora_distributed`, which also notes the share of the base
that lies in the first process.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from cruijff_kit.recipes import peft_lora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.trainee import Trainee
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.tune_lora import TuneLora
from cruijff_kit.schema.config import TrainConfig

__all__ = ["build", "train_all"]


class MeasuredLora(TuneLora):
    """Notes how much of its blocks' frozen weights lies here, whenever its adapter is written."""

    def adapter(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return trainable weights under peft's names."""
        frozen = [weight for block in self.blocks() for weight in block.parameters() if not weight.requires_grad]
        here = sum((weight.to_local() if isinstance(weight, DTensor) else weight).numel() for weight in frozen)
        share = here / sum(weight.numel() for weight in frozen)
        Path(self.config.run_dir, "share.txt").write_text(f"{share}\n", encoding="utf-8")
        return super().adapter(weights)


def build(config: TrainConfig, ranks: Ranks) -> Trainee:
    """Return the model of `lora_distributed`, measured; that of `peft_lora` in runs named so."""
    if "peft" in config.run_dir:
        return peft_lora.build(config, ranks)
    return MeasuredLora.from_config(config, shared=ranks.shares_base(config.strategy))


def train_all(configs: Sequence[str]) -> int:
    """Train one configuration after the other; return the exit code of the first that failed."""
    dist.init_process_group("gloo")
    codes = (run_recipe(build, name="many_runs", argv=["--config", config, "--resume"]) for config in configs)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(train_all(sys.argv[1:]))
