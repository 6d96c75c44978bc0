"""torchtune's own `lora_finetune_single_device`, as it is installed."""

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from job import RANK, SIZES, Job, run
from omegaconf import OmegaConf

from cruijff_kit.runtime.llama import llama_arguments


def train_torchtune(job: Job) -> Iterator[float]:
    """Train with torchtune's `lora_finetune_single_device` as it is installed; nothing is saved."""
    package = find_spec("torchtune")
    assert package is not None
    assert package.origin is not None
    # The package `recipes` beside it refuses to be imported; the file in it is a whole program.
    path = Path(package.origin).parents[1] / "recipes" / "lora_finetune_single_device.py"
    found = spec_from_file_location("stock", path)
    assert found is not None
    assert found.loader is not None
    stock = module_from_spec(found)
    found.loader.exec_module(stock)
    TuneStamps.clock, settings = [job.now], stock_config(job)
    recipe = stock.LoRAFinetuneRecipeSingleDevice(cfg=settings)
    recipe.setup(cfg=settings)
    recipe.save_checkpoint = lambda epoch: None
    recipe.train()
    yield from TuneStamps.moments


def stock_config(job: Job) -> Any:
    """Return what `tune run` would read from its YAML file."""
    folder = Path(job.folder)
    model = llama_arguments(folder / "model", max_seq_len=512)
    return OmegaConf.create(
        {
            "output_dir": str(folder / "stock"),
            "model": {
                "_component_": "torchtune.models.llama3_2.lora_llama3_2",
                "lora_attn_modules": ["q_proj", "k_proj", "v_proj", "output_proj"],
                "apply_lora_to_mlp": True,
                "lora_rank": RANK,
                "lora_alpha": 2 * RANK,
                "lora_dropout": 0.0,
                **model,
            },
            "tokenizer": {"_component_": "__main__.TunePadding"},
            "checkpointer": {
                "_component_": "torchtune.training.FullModelHFCheckpointer",
                "checkpoint_dir": str(folder / "model"),
                "checkpoint_files": ["model.safetensors"],
                "output_dir": str(folder / "stock"),
                "model_type": "LLAMA3_2",
            },
            "resume_from_checkpoint": False,
            "dataset": {"_component_": "__main__.TuneRows", "path": str(folder / f"{job.shape}.json")},
            "seed": 1,
            "shuffle": True,
            "batch_size": job.batch,
            "optimizer": {"_component_": "torch.optim.AdamW", "fused": True, "weight_decay": 0.01, "lr": 1e-4},
            "lr_scheduler": {
                "_component_": "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
                "num_warmup_steps": 0,
            },
            "loss": {"_component_": "torchtune.modules.loss.CEWithChunkedOutputLoss"},
            "epochs": job.epochs,
            "max_steps_per_epoch": None,
            "gradient_accumulation_steps": 1,
            "clip_grad_norm": 1.0,
            "compile": False,
            "log_every_n_steps": SIZES[job.size].steps,
            "metric_logger": {"_component_": "__main__.TuneStamps"},
            "device": job.device,
            "dtype": job.dtype,
            "enable_activation_checkpointing": False,
        }
    )


class TunePadding:
    """The one thing the stock recipe asks of a tokenizer once rows are tokens."""

    pad_id = 0
    """Id that fills short rows up."""


class TuneRows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Rows as the stock recipe's collation takes them."""

    def __init__(self, tokenizer: TunePadding, path: str) -> None:
        """Read them."""
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        self._rows = [{"tokens": each["input_ids"], "labels": each["labels"]} for each in rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> dict[str, list[int]]:
        # The collation pads in place.
        return {name: list(values) for name, values in self._rows[at].items()}


class TuneStamps:
    """A logger that notes when it was called: at the last step of each epoch."""

    clock: list[Callable[[], float]] = []  # noqa: RUF012 - as below
    """Tells the moment; the job sets it."""
    moments: list[float] = []  # noqa: RUF012 - read once the recipe, which makes the logger itself, has ended
    """When."""

    def log_config(self, config: Any) -> None:
        """Keep nothing."""

    def log_dict(self, payload: Any, step: int) -> None:
        """Note the moment."""
        TuneStamps.moments.append(TuneStamps.clock[0]())

    def close(self) -> None:
        """Close nothing."""


if __name__ == "__main__":
    run(train_torchtune)
