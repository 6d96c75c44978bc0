"""This package's training: the loop of every recipe, and the files a job writes as it goes."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from job import IGNORE, RANK, Job, run

from cruijff_kit.data.tokens import Encoded
from cruijff_kit.runtime.job_files import MetricsFile, StatusFile
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.seeding import seed_everything
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig

RECIPES = {"ours, torchtune": "lora_single_device", "ours, peft": "peft_lora"}


def train_ours(job: Job) -> Iterator[float]:
    """Train with this package: the loop, and the files a job writes as it goes."""
    config, ranks, folder = our_config(job), Ranks(), Path(job.folder)
    seed_everything(config.seed)
    model = import_module(f"cruijff_kit.recipes.{RECIPES[job.system]}").build(config, ranks)
    taught = [(each["input_ids"], each["labels"]) for each in job.rows()]
    rows = Rows([Encoded(tuple(ids), tuple(labels), labels.count(IGNORE)) for ids, labels in taught], [])
    loop = Loop(config, model, rows=rows, ranks=ranks)
    with MetricsFile(folder / "metrics.jsonl") as metrics, StatusFile(folder / "status.json") as status:
        for point in loop.take():
            metrics.write(point)
            status.advance(point.step, loop.total, epoch=point.epoch)
            if point.step % loop.per_epoch == 0:
                yield job.now()


def our_config(job: Job) -> TrainConfig:
    """Return the configuration of a training of ours; ragged rows are packed."""
    nowhere, sha = str(Path(job.folder) / "nowhere"), "0" * 64
    return TrainConfig.model_validate(
        {
            "run_id": "bench-00000000",
            "run_dir": nowhere,
            "output_dir": nowhere,
            "base_model": {"name": "random", "path": str(Path(job.folder) / "model"), "sha256": sha},
            "dataset": {
                "path": nowhere,
                "sha256": sha,
                "dataset_type": "text_completion",
                "prompt": "{input}",
                "system_prompt": "",
                "template_date": "26 Jul 2024",
                "max_seq_len": 512,
            },
            "model": {"lora_rank": RANK, "lora_alpha": 2 * RANK, "lora_dropout": 0.0},
            "optimizer": {"lr": 1e-4, "weight_decay": 0.01},
            "lr_scheduler": {"name": "cosine", "num_warmup_steps": 0},
            "epochs": job.epochs,
            "max_steps_per_epoch": None,
            "batch_size": job.batch,
            "batch_size_val": job.batch,
            "gradient_accumulation_steps": 1,
            "clip_grad_norm": 1.0,
            "dtype": job.dtype,
            "device": job.device,
            "seed": 1,
            "log_every_n_steps": 1,
            "run_val_every_n_steps": 0,
            "epochs_to_save": [],
            "packed": job.shape == "ragged",
        }
    )


if __name__ == "__main__":
    run(train_ours)
