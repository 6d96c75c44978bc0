"""Token parity for twelve tokenizer families: the ids that reach a network, recorded in training and in evaluation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai.log import read_eval_log
from transformers import LlamaConfig, LlamaForCausalLM

from cruijff_kit.data.tokens import Encoded
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.recipes.peft_lora import main as train
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from tests.tokenizer_families import FAMILIES
from tests.training_runs import write_run

ASKED = ("Amber?", "  outer blanks ", "Answer: Basin\n", "ünï—cödé {braces}")
QUESTIONS = [{"input": text, "output": "Amber"} for text in ASKED]
TALKS = [{"messages": [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(ASKED)]}]
BRIEF = {"prompt": "Question: {input}\n"}

CASES = {
    **{
        f"{name}, {kind}": (name, kind, BRIEF, QUESTIONS)
        for name, family in FAMILIES.items()
        for kind in ("text_completion", "chat_completion")
        if kind == "text_completion" or family.end
    },
    **{
        f"{name}, system": (name, "chat_completion", {**BRIEF, "system_prompt": "Be brief."}, QUESTIONS)
        for name, family in FAMILIES.items()
        if family.end and family.system
    },
    **{f"{name}, chat": (name, "chat", {}, TALKS) for name, family in FAMILIES.items() if family.end and family.steady},
}


def family_base(folder: Path, name: str) -> Path:
    tokenizer = FAMILIES[name].build()
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def ids_that_arrive() -> Iterator[list[tuple[int, ...]]]:
    """Record every row of ids that an embedding is given while this lasts."""
    rows: list[tuple[int, ...]] = []

    def note(module: torch.nn.Module, given: Any) -> None:
        if isinstance(module, torch.nn.Embedding):
            rows.extend(tuple(row.tolist()) for row in given[0])

    hook = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield rows
    finally:
        hook.remove()


def cell_of(config: TrainConfig, folder: Path, *, rows: int) -> tuple[EvalConfig, Path]:
    """Return an evaluation of a training's own rows by its base model, one prompt a batch and one token an answer."""
    settings = {
        "run_id": config.run_id,
        "cell_dir": str(folder),
        "name": "parity",
        "task": "rows",
        "base_model": config.base_model.model_dump(mode="json"),
        "dataset": config.dataset.model_dump(mode="json"),
        "split": "train",
        "expected_samples": rows,
        "scorers": ["match"],
        "generation": {"max_tokens": 1, "batch_size": 1, "top_logprobs": 0},
        "seed": 1,
    }
    path = folder / "eval.yaml"
    folder.mkdir(parents=True)
    path.write_text(dump_yaml(settings), encoding="utf-8")
    return load_eval_config(path), path


def holds(row: Sequence[int], part: Sequence[int]) -> bool:
    return any(tuple(row[at : at + len(part)]) == tuple(part) for at in range(len(row) - len(part) + 1))


def trained_rows(path: Path) -> list[Encoded]:
    """Train and return the rows, each seen whole, prompt and answer, where the network begins."""
    with ids_that_arrive() as arrived:
        assert train(["--config", str(path)]) == 0
    rows = load_rows(load_train_config(path)).train
    assert all(any(holds(row, encoded.ids) for row in arrived) for encoded in rows)
    return rows


def evaluated_prompts(config: EvalConfig, path: Path) -> list[tuple[int, ...]]:
    """Evaluate and return the prompts that arrived at the network; what all share may arrive once, before the rest."""
    with ids_that_arrive() as arrived:
        log = read_eval_log(run_cell(config, path, place=place_of(config), facts={}, answered=lambda count: None).path)
    told = [tuple((sample.output.metadata or {})["prompt_token_ids"]) for sample in log.samples or []]
    parts: dict[tuple[int, ...], list[tuple[tuple[int, ...], ...]]] = {ids: [(ids,)] for ids in told if ids in arrived}
    for ids in told:
        parts.setdefault(ids, []).extend((row, ids[len(row) :]) for row in arrived if ids[: len(row)] == row != ids)
    found = {ids: [whole for whole in ways if set(whole) <= set(arrived)] for ids, ways in parts.items()}
    assert all(found[ids] for ids in told)
    assert set(arrived) <= {part for ways in found.values() for whole in ways for part in whole}
    return told


@pytest.mark.parametrize("case", CASES)
def test_a_network_is_evaluated_on_the_ids_that_it_is_trained_on(tmp_path: Path, case: str) -> None:
    name, kind, controls, rows = CASES[case]
    base = family_base(tmp_path / "base", name)
    dataset = {"dataset_type": kind, "max_seq_len": 512, **controls}
    path = write_run(
        tmp_path / "experiment",
        base,
        splits={"train": rows, "validation": rows},
        dataset=dataset,
        model={"target_modules": ["q_proj"]},
        max_steps_per_epoch=1,
    )
    trained = trained_rows(path)
    config = load_train_config(path)
    cell, file = cell_of(config, Path(config.run_dir) / "eval" / "parity_base", rows=len(rows))
    evaluated = evaluated_prompts(cell, file)
    assert sorted(evaluated) == sorted(row.ids[: row.prompt_length] for row in trained)
