"""Metrics beside the loss: what they see, how they are averaged, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cruijff_kit.errors import RunError
from cruijff_kit.recipes.lora_single_device import build, main
from cruijff_kit.runtime.custom_metrics import load_metrics
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.seeding import seed_everything
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.run import MetricPoint
from tests.training_runs import metric_points, write_run

# Rows of several lengths whose answers begin differently.
ROWS = [{"input": "ab" * count, "output": "10"[count % 2] * count} for count in range(1, 8)]
SPLITS = {"train": ROWS, "validation": ROWS[:2]}
WHOLE = {"splits": SPLITS, "batch_size": 7, "lr_scheduler": {"num_warmup_steps": 0}}


def first_point(config: Path) -> MetricPoint:
    settings = load_train_config(config)
    rows, metrics = load_rows(settings), load_metrics(settings)
    seed_everything(settings.seed)
    return next(Loop(settings, build(settings, Ranks()), rows=rows, ranks=Ranks(), metrics=metrics).take())


def test_the_label_format_is_the_chance_of_a_label_where_the_answer_begins(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, custom_metrics="label_format", **WHOLE)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    chances = []
    for row in load_rows(load_train_config(config)).train:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).logits[0, row.prompt_length - 1]
        chances.append(logits.softmax(-1)[tokenizer.convert_tokens_to_ids(["0", "1"])])
    # The update of a fresh adapter is zero: the first step sees the base itself.
    zero, one = torch.stack(chances).mean(0).tolist()
    told = first_point(config).custom
    assert told == pytest.approx({"p0": zero, "p1": one, "p0_plus_p1": zero + one}, rel=1e-4)


@pytest.mark.parametrize("split", ({"batch_size": 2, "gradient_accumulation_steps": 4}, {"packed": True}))
def test_metrics_are_the_same_however_a_step_is_split(base: Path, tmp_path: Path, split: dict[str, int]) -> None:
    whole = write_run(tmp_path / "whole", base, custom_metrics="label_format", **WHOLE)
    other = write_run(tmp_path / "other", base, custom_metrics="label_format", **{**WHOLE, **split})
    assert first_point(other).custom == pytest.approx(first_point(whole).custom, rel=1e-4)


HOOK = """
def calculate_custom_metrics(logits, labels, tokenizer, ignore_index):
    taught = labels != ignore_index
    right = (logits.argmax(-1) == labels) & taught
    assert logits.shape[:2] == labels.shape and logits.shape[2] >= len(tokenizer)
    return {
        "rows": len(labels), "taught": taught.sum(1).float().mean(), "right": right.sum() / taught.sum(),
        "nothing": float("nan"),
    }
"""


def test_a_file_of_the_users_sees_what_is_taught_and_is_logged(base: Path, tmp_path: Path) -> None:
    hook = tmp_path / "hook.py"
    hook.write_text(HOOK, encoding="utf-8")
    config = write_run(
        tmp_path, base, splits=SPLITS, batch_size=4, epochs=3, epochs_to_save=[], log_every_n_steps=2,
        custom_metrics=str(hook),
    )  # fmt: skip
    assert main(["--config", str(config)]) == 0
    logged = {point.step: point.custom for point in metric_points(config)}
    # An epoch is a step of four rows and one of three, of which the second is logged.
    assert set(logged) == {2, 4, 6}
    assert all(set(values) == {"rows", "taught", "right"} and values["rows"] == 3 for values in logged.values())
    lines = (config.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["custom"]["rows"] == 3
    # Seven answers of one to seven letters, each with its end of turn, seen in passes of four and three rows.
    every = write_run(tmp_path / "every", base, custom_metrics=str(hook), **{**WHOLE, "batch_size": 7})
    assert first_point(every).custom["taught"] == pytest.approx(sum(range(2, 9)) / 7)


@pytest.mark.parametrize(
    "source,words",
    (
        ("x = 1\n", "calculate_custom_metrics"),
        ("def calculate_custom_metrics(logits:\n", "SyntaxError"),
        ("import nowhere_to_be_found\n", "nowhere_to_be_found"),
        ("def calculate_custom_metrics(logits, labels, tokenizer, ignore_index):\n    return 3\n", "AttributeError"),
        ("def calculate_custom_metrics(logits):\n    return {}\n", "TypeError"),
    ),
)
def test_a_file_that_cannot_work_is_refused_before_training(
    source: str, words: str, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = tmp_path / "hook.py"
    hook.write_text(source, encoding="utf-8")
    config = write_run(tmp_path, base, custom_metrics=str(hook))
    assert main(["--config", str(config)]) == 5
    told = capsys.readouterr().err
    assert words in told
    assert "returning a dict of numbers" in told
    assert not (config.parent / "metrics.jsonl").exists()


@pytest.mark.parametrize("named,words", (("label_format:yes,no", "no single token"), ("accuracy", "is `accuracy`")))
def test_labels_that_are_no_tokens_and_unknown_names_are_refused(
    named: str, words: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=words):
        load_metrics(load_train_config(write_run(tmp_path, base, custom_metrics=named)))
