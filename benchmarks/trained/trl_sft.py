"""TRL's `SFTTrainer` with peft, padded, its rows tokenised beforehand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from job import LINEAR, RANK, SIZES, Job, run
from peft import LoraConfig
from transformers import AutoModelForCausalLM, TrainerCallback
from trl import SFTConfig, SFTTrainer

from cruijff_kit.recipes.tiny_llama import build_tokenizer


def train_trl(job: Job) -> Iterator[float]:
    """Train with TRL's `SFTTrainer` and peft, padded, its rows tokenised beforehand."""
    moments: list[float] = []

    class Stamps(TrainerCallback):
        """Notes the end of each epoch."""

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            moments.append(job.now())

    folder = Path(job.folder)
    dtype = torch.bfloat16 if job.dtype == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa")
    settings = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=job.batch,
        num_train_epochs=job.epochs,
        learning_rate=1e-4,
        weight_decay=0.01,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=SIZES[job.size].steps,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        gradient_checkpointing=False,
        use_cpu=job.device == "cpu",
        bf16=job.dtype == "bf16",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        seed=1,
    )
    adapter = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=list(LINEAR), task_type="CAUSAL_LM"
    )
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(job.rows()),
        processing_class=padding_tokenizer(),
        peft_config=adapter,
        callbacks=[Stamps()],
    )
    trainer.train()
    yield from moments


def padding_tokenizer() -> Any:
    """Return a tokenizer that TRL takes the padding from and nothing else."""
    return build_tokenizer()


if __name__ == "__main__":
    run(train_trl)
