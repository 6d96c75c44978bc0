"""The recipe of one device as a user might change it: it also writes down what passes through its model."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchtune.modules import TransformerSelfAttentionLayer

from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.tune_lora import TuneLora
from cruijff_kit.schema.config import TrainConfig

TRACE = "trace.jsonl"


def build(config: TrainConfig, ranks: Ranks) -> TuneLora:
    """Return the model, a line written at each of its passes."""
    model = TuneLora.from_config(config)
    path, states = Path(config.run_dir) / TRACE, Path(config.output_dir) / "recipe_state"
    block = next(each for each in model.network.modules() if isinstance(each, TransformerSelfAttentionLayer))
    seen = {"blocks": 0}

    def count(*_: Any) -> None:
        seen["blocks"] += 1

    def note(network: Any, inputs: tuple[Any, ...]) -> None:
        line = {
            "training": network.training,
            "rows": inputs[0].shape[0],
            "dtype": str(next(network.parameters()).dtype),
            "blocks": seen["blocks"],
            "strategy": config.strategy,
            "compiled": getattr(block, "_compiled_call_impl", None) is not None,
            "checkpoints": sorted(folder.name for folder in states.glob("step_*")),
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    if not config.compile:
        block.register_forward_pre_hook(count)
    model.network.register_forward_pre_hook(note)
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    return run_recipe(build, name="probe", argv=argv)


if __name__ == "__main__":
    sys.exit(main())
