"""What is read of the first system's own files: its prose, its YAML, and the losses that its jobs printed."""

import pytest

from cruijff_kit.data.first_config import read_first_config
from cruijff_kit.data.first_summary import SummaryRun, read_first_summary
from cruijff_kit.data.loss_lines import PrintedLoss, printed_losses

PROSE = """# bits_2025-10-28

## Overview
**Type**: Sanity check
**Question:** Is parity learnt?

## All Runs
| Run | Base Model | Type |
|:----|---|---|
| `r8_lr1e-5` | Llama-3.2-1B | Fine-tuned |
| ctl | Llama-3.2-1B | Control (base) |

## Resources
- **Dataset**: `/data/green/bits.json` (json, 3 MB)
"""


def test_prose_gives_what_it_says_and_nothing_else() -> None:
    found, problems = read_first_summary(PROSE, name="experiment_summary.md")
    assert not problems
    assert (found.name, found.type, found.question, found.created) == (
        "bits_2025-10-28", "sanity_check", "Is parity learnt?", "",
    )  # fmt: skip
    assert found.runs == (
        SummaryRun("r8_lr1e-5", "Llama-3.2-1B", "fine-tuned"),
        SummaryRun("ctl", "Llama-3.2-1B", "control"),
    )
    assert found.data == "/data/green/bits.json"
    for title, name in (("# Experiment Summary", "bits"), ("# Experiment Summary: cap", "cap"), ("# bits_2", "bits_2")):
        text = PROSE.replace("# bits_2025-10-28", title, 1).replace("**Type**", "**Experiment:** bits\n**Type**")
        assert read_first_summary(text, name="experiment_summary.md")[0].name == name
    assert read_first_summary("no headings at all", name="experiment_summary.md") == (
        found._replace(name="", type="", question="", runs=(), models={}, data=""), [],
    )  # fmt: skip


@pytest.mark.parametrize(
    "text,name,fact",
    (
        ("---\nname: x\nschema_version: 1\n---\n", "experiment_summary.md", "this is an experiment of this package"),
        ("runs: []\n", "experiment_summary.yaml", "it has no section `experiment`"),
        ("experiment: [\n", "experiment_summary.yaml", ""),
    ),
)
def test_a_summary_of_another_form_is_a_problem(text: str, name: str, fact: str) -> None:
    _, problems = read_first_summary(text, name=name)
    assert problems
    assert fact in problems[0].message


@pytest.mark.parametrize("other", ("5", "{a: 1}", "true"))
def test_what_should_be_a_list_and_is_none_names_nothing(other: str) -> None:
    text = f"experiment: {{name: bits}}\nruns: {other}\nmodels: {{base: {other}}}\n"
    found, problems = read_first_summary(text, name="experiment_summary.yaml")
    assert (found.name, found.runs, found.models, problems) == ("bits", (), {}, [])


def test_losses_are_read_from_a_bar_that_rewrites_its_line_each_step_once() -> None:
    text = "1|1|Loss: 2.5: 10%|#\r1|2|Loss: 1.25e+00: 20%|##\r1|2|Loss: 1.24: 21%\n2|3|Loss: .9\n2|4|Loss: 0.75\n"
    assert printed_losses(text) == [PrintedLoss(0, 1, 2.5), PrintedLoss(0, 2, 1.24), PrintedLoss(1, 4, 0.75)]


def test_where_two_configurations_differ_the_one_that_the_recipe_read_counts() -> None:
    found = read_first_config(
        "lora_rank: 8\nlr: 1e-4\n", "model: {lora_rank: 16}\nseed: 7\nbatch_size: ${size}\nsize: 2\n",
        where="r", form="autumn",
    )  # fmt: skip
    assert (found.controls["lora_rank"], found.controls["lr"], found.controls["batch_size"]) == (16, 1e-4, 2)
    assert found.seed == 7
    told = ("setup_finetune.yaml: lora_rank", "`finetune.yaml`, which the recipe read, says another value")
    assert told in found.outcomes


def test_what_neither_says_is_the_default_of_its_form() -> None:
    autumn, later = (
        read_first_config("lr: 1e-4\n", None, where="r", form=form).defaults for form in ("autumn", "later")
    )
    assert (autumn["packed"], later["packed"]) == (True, False)
    assert (autumn["prompt"], later["prompt"]) == ("{input}", "{input}\n")
    assert autumn["target_modules"] == ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
