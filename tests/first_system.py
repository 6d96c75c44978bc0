"""A directory as the first system left it in autumn 2025, its logs written through inspect-ai."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample

__all__ = ["ANSWERS", "QUESTION", "WORDS", "FirstSystem", "evaluate", "left_behind"]

WORDS = ("apple", "house", "river", "stone", "cloud", "bread", "tiger", "lemon")
QUESTION = "Does a higher LoRA rank teach a small model to capitalise five-letter words?"
ANSWERS: Mapping[tuple[str, int | None], int] = {
    ("rank4", 0): 3,
    ("rank4", 1): 5,
    ("rank16", 0): 6,
    ("rank16", 1): 8,
    ("base", None): 1,
}
"""Run and epoch to how many of the words are answered right; the others come back as they were."""

_SUMMARY = f"""# Experiment: cap_5L_rank_2025-11-03

## Overview

- **Type:** experiment
- **Runs:** 2 fine-tuned + 1 control
- **Question**: {QUESTION}
- **Created:** 2025-11-03

## Tools

- **Model Preparation**: torchtune
- **Evaluation**: inspect-ai

## Variables

| Factor | Levels |
|--------|--------|
| lora_rank | 4, 16 |

## All Runs

| Run Name | Model | LoRA Rank | Type | Est. Time |
|----------|-------|-----------|------|-----------|
| rank4 | Llama-3.2-1B-Instruct | 4 | Fine-tuned | ~10 min |
| rank16 | Llama-3.2-1B-Instruct | 16 | Fine-tuned | ~10 min |
| base | Llama-3.2-1B-Instruct | - | Control | - |
| rank64 | Llama-3.2-1B-Instruct | 64 | Fine-tuned | ~10 min |

## Resources

### Models
- **Llama-3.2-1B-Instruct**: `/models/Llama-3.2-1B-Instruct` (verified)

## Evaluation Plan

Every run after every epoch.
"""


class FirstSystem(NamedTuple):
    """Where everything lies."""

    folder: Path
    """The experiment."""
    data: Path
    """Its data file."""


def left_behind(root: Path, *, data: bool = True) -> FirstSystem:
    """Write such a directory: prose, two trained runs with two epochs, a base model, and what they left."""
    folder, words = root / "cap_5L_rank_2025-11-03", root / "data" / "green" / "capitalization" / "words_5L_80P_8.json"
    _write(folder / "experiment_summary.md", _SUMMARY)
    _write(folder / "design-experiment.log", "[2025-11-03 10:00:00] CREATE_SUMMARY: cap_5L_rank_2025-11-03\n")
    if data:
        rows = [{"instruction": "", "input": word, "output": word.capitalize()} for word in WORDS]
        _write(words, json.dumps({"train": rows, "validation": rows}))
    for name, rank in (("rank4", 4), ("rank16", 16)):
        _trained(folder, name, rank=rank, data=words)
    for (name, epoch), right in ANSWERS.items():
        place = folder / name / "eval" / (f"capitalization_epoch{epoch}" if epoch is not None else "capitalization")
        arguments = {"dataset_path": str(words)} if epoch is None else {"config_dir": str(folder / name / "epoch_0")}
        evaluate(place / "logs", right=right, arguments=arguments, metadata={} if epoch is None else {"epoch": epoch})
    return FirstSystem(folder, words)


def evaluate(folder: Path, *, right: int, arguments: Mapping[str, str], metadata: Mapping[str, object]) -> Path:
    """Write the log of an evaluation as its task left it: exact match and includes over every word; return the log."""
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
        EvalStats,
        write_eval_log,
    )

    scores = [
        EvalScore(name=name, scorer=name, metrics={"accuracy": EvalMetric(name="accuracy", value=right / len(WORDS))})
        for name in ("match", "includes")
    ]
    log = EvalLog(
        status="success",
        eval=EvalSpec(
            created="2025-11-03T12:00:00-05:00",
            task="capitalization",
            task_file="run_inspect.py",
            task_args={**arguments, "split": "validation"},
            dataset=EvalDataset(name="json", location="json", samples=len(WORDS)),
            model="hf/local",
            config=EvalConfig(),
            metadata={"run": "what its own system called it", **metadata},
        ),
        results=EvalResults(total_samples=len(WORDS), completed_samples=len(WORDS), scores=scores),
        stats=EvalStats(started_at="2025-11-03T12:00:00-05:00", completed_at="2025-11-03T12:01:00-05:00"),
        samples=[_sample(at, word, right=at <= right) for at, word in enumerate(WORDS, start=1)],
    )
    path = folder / "2025-11-03T12-00-00-05-00_capitalization_ab12.eval"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_eval_log(log, path, format="eval")
    return path


def _sample(at: int, word: str, *, right: bool) -> "EvalSample":
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    answer = word.capitalize() if right else word
    score = Score(value="C" if right else "I", answer=answer, explanation=answer)
    turns = [ChatMessageSystem(content="Capitalise."), ChatMessageUser(content=word)]
    return EvalSample(
        id=at,
        epoch=1,
        input=word,
        target=word.capitalize(),
        messages=[*turns, ChatMessageAssistant(content=answer)],
        output=ModelOutput.from_content("hf/local", answer),
        scores={"match": score, "includes": score},
    )


def _trained(folder: Path, name: str, *, rank: int, data: Path) -> None:
    run, output = folder / name, folder / "ck-outputs" / f"ck-out-{name}"
    setup = (
        "my_wandb_project: capitalization_2025-11-03\n"
        f"my_wandb_run_name: {name}\n"
        f"input_dir_base: {data.parents[1]}\n"
        f"input_formatting: {data.parent.name}\n"
        f"dataset_label: {data.stem}\n"
        "dataset_ext: .json\n"
        "models_dir: /models\n"
        f"lora_rank: {rank}\nlr: 1e-4\nepochs: 2\nbatch_size: 4\nsave_adapter_weights_only: 'true'\n"
        "conda_env: cruijff\nstashed_by: nobody\n"
    )
    _write(run / "setup_finetune.yaml", setup)
    _write(run / "finetune.yaml", _finetune(rank, data))
    _write(run / "finetune.slurm", "#!/bin/bash\n#SBATCH --job-name=" + name + "\ntune run lora_finetune\n")
    losses = "".join(f"\r{1 + step // 3}|{step}|Loss: {2.0 / step:.4f}: 50%|##| " for step in range(1, 5))
    _write(run / f"slurm-{400 + rank}.out", f"INFO:torchtune: starting\n{losses}\nwandb: done\n")
    for epoch in (0, 1):
        place = output / f"epoch_{epoch}"
        _write(place / "adapter_config.json", json.dumps({"r": rank, "base_model_name_or_path": "/models/x"}))
        (place / "adapter_model.safetensors").write_bytes(f"weights of {name} {epoch}".encode())
    _write(output / "setup_finetune.yaml", setup)


def _finetune(rank: int, data: Path) -> str:
    return (
        "models_dir: /models\n"
        "output_dir: ./out\n"
        "seed: 1234\n"
        "epochs: 2\n"
        "batch_size: 4\n"
        f"model:\n  _component_: torchtune.models.llama3_2.lora_llama3_2_1b\n  lora_rank: {rank}\n"
        f"  lora_alpha: {2 * rank}\n  lora_dropout: 0.0\n"
        "optimizer:\n  lr: 0.0001\n  weight_decay: 0.01\n"
        "checkpointer:\n  checkpoint_dir: ${models_dir}/Llama-3.2-1B-Instruct\n"
        f"dataset:\n  packed: true\n  data_files: {data}\n"
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
