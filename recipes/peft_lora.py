"""LoRA fine-tuning of any causal language model of transformers, with peft's layers and a loop of our own.

    python -m cruijff_kit.recipes.peft_lora --config finetune.yaml [--resume]

Everything the run needs is in the configuration. It leaves `metrics.jsonl`,
`status.json`, one adapter directory per saved epoch and the best one in peft's format,
`manifest.json`, and last `DONE`. A finished run, started again, ends at once; an
unfinished one starts afresh, or with `--resume` from its last checkpoint.

Started by `torch.distributed.run` it trains in several processes: `strategy: ddp` keeps
the base whole in each, `fsdp` shares its decoder blocks out.

To change how a run trains, copy this file (`ck recipe copy peft_lora`), name the copy
in `controls.recipe`, and edit `build`: whatever it returns is trained.
"""

import sys
from collections.abc import Sequence

from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.schema.config import TrainConfig

__all__ = ["build", "main"]


def build(config: TrainConfig, ranks: Ranks) -> PeftLora:
    """Return the base model with LoRA layers on it, all but those frozen."""
    return PeftLora.from_config(config, shared=ranks.shares_base(config.strategy))


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    return run_recipe(build, name="peft_lora", argv=argv)


if __name__ == "__main__":
    sys.exit(main())
