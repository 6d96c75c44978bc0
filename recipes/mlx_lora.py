"""LoRA fine-tuning in MLX, with mlx-lm's models and layers and a loop of our own: for Apple silicon.

    python -m cruijff_kit.recipes.mlx_lora --config finetune.yaml [--resume]

The configuration, the rows and their tokens are those of the other recipes, and so is
what it leaves: `metrics.jsonl`, `status.json`, one adapter directory per saved epoch and
the best one in peft's format, `manifest.json`, and last `DONE`. So whatever evaluates,
merges or shares adapters takes these too. A finished run, started again, ends at once; an
unfinished one starts afresh, or with `--resume` from its last checkpoint.

LoRA, rsLoRA and DoRA, on a base in 32 or 16 bits or, with `quantization: int4`, in 4. It
needs the extra `[mlx]`, whose libraries have an environment of their own (`make mlx`).
On Linux it computes on the CPU.

To change how a run trains, copy this file (`ck recipe copy mlx_lora`), name the copy in
`controls.recipe`, and edit `build`: whatever it returns is trained by `MlxLoop`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.mlx_start import load_mlx_lm
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.schema.config import TrainConfig

if TYPE_CHECKING:
    from cruijff_kit.runtime.mlx_lora import MlxLora

__all__ = ["build", "main"]


def build(config: TrainConfig, ranks: Ranks) -> "MlxLora":
    """Return the base model with LoRA layers on it, all but those frozen.

    Raises:
        SiteError: several processes were started.
    """
    if ranks.size > 1:
        raise SiteError(f"MLX trains in one process, and {ranks.size} were started", hint="set `resources.gpus: 0`")
    from cruijff_kit.runtime.mlx_lora import MlxLora

    return MlxLora.from_config(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    from cruijff_kit.runtime.mlx_loop import MlxLoop

    return run_recipe(build, name="mlx_lora", argv=argv, course=MlxLoop)


if __name__ == "__main__":
    load_mlx_lm()
    sys.exit(main())
