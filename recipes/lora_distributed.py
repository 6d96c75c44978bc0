"""LoRA fine-tuning in several processes, with torchtune's components and a loop of our own.

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m
        cruijff_kit.recipes.lora_distributed --config finetune.yaml [--resume]

One process a GPU, or several on the CPU. A step has the same rows, the same loss and
the same update as in `lora_single_device`: `batch_size` x `gradient_accumulation_steps`
rows, of which every process takes its share. `strategy: ddp` keeps the base whole in
every process; `fsdp` shares its decoder blocks out, for a base that is large.

To change how a run trains, copy this file (`ck recipe copy lora_distributed`), name
the copy in `controls.recipe`, and edit `build`: whatever it returns is trained.
"""

import sys
from collections.abc import Sequence

from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.tune_lora import TuneLora
from cruijff_kit.schema.config import TrainConfig

__all__ = ["build", "main"]


def build(config: TrainConfig, ranks: Ranks) -> TuneLora:
    """Return the base model with LoRA layers on it, all but those frozen; alike in every process."""
    return TuneLora.from_config(config, shared=ranks.shares_base(config.strategy))


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    return run_recipe(build, name="lora_distributed", argv=argv)


if __name__ == "__main__":
    sys.exit(main())
