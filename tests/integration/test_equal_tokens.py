"""The promise of equal tokens: training, evaluation and spot check read the same ids for a row."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.data.tokens import prompt_sha256
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.runtime.job_files import artefact_hashes, now
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.plan import make_plan
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from cruijff_kit.workflow.spot_check import spot_check_run
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.random_model import random_adapter, random_base
from tests.tokenizer_zoo import CHATML, LLAMA3_DATED

CASES = {
    "chat, template with a clock": (LLAMA3_DATED, {"dataset_type": "chat_completion"}),
    "chat, default system text": (CHATML, {"dataset_type": "chat_completion", "prompt": "Is it {input}?"}),
    "chat with a system prompt": (CHATML, {"dataset_type": "chat_completion", "system_prompt": "Count the ones."}),
    "a named template, none of its own": (None, {"template": "alpaca", "max_seq_len": 220}),
    "a named template, another of its own": (CHATML, {"template": "llama", "system_prompt": "Count."}),
    "a template of the user's own": (CHATML, {"template": "Bits: {input}\nOnes: {output}"}),
    "plain text, template at hand": (LLAMA3_DATED, {"dataset_type": "text_completion", "prompt": "{input} ->"}),
    "plain text, no template": (None, {"dataset_type": "text_completion", "prompt": "{input}\n"}),
}


class Ready(NamedTuple):
    """A scaffolded experiment of one run, its training as if done."""

    world: World
    run: PlannedRun
    layout: RunLayout

    def at(self, path: str) -> Path:
        return self.world.store.root / path


TALKS = {
    split: [
        {"dialogue": [{"from": ("human", "gpt")[at % 2], "value": f"{split} {row} {at}"} for at in range(2 * row + 2)]}
        for row in range(3)
    ]
    for split in ("train", "validation")
}


def ready(
    folder: Path, template: str | None, controls: Mapping[str, Any], *, data: Mapping[str, Any] = DESIGN["data"]
) -> Ready:
    base = random_base(folder / "base", template=template)
    world = world_at(folder / "experiment")._replace(hub=LocalHub(cache=folder / "cache"))
    spec = design(
        models=[{"name": "tiny", "path": base}],
        data=data,
        factors={},
        runs=[],
        controls={"seeds": [1], "template_date": "03 Feb 2021", "max_seq_len": 128, **controls},
        evaluation={"tasks": [{"name": "bits", "task": "rows", "split": "validation"}]},
    )
    put_design(world.store.root, spec)
    scaffold_runs(world=world)
    (run,) = recorded_plan(world=world)[0].runs
    made = Ready(world, run, RunLayout(run.id))
    config = load_train_config(made.at(made.layout.config))
    adapter = random_adapter(Path(config.output_dir) / "epoch_0", base)
    hashes = artefact_hashes(Path(adapter).glob("adapter_*"), experiment=world.store.root)
    done = Done(exit_code=0, artefacts=hashes, finished=now())
    made.at(made.layout.done("train")).write_text(done.model_dump_json(), encoding="utf-8")
    return made


def trained_on(made: Ready) -> list[tuple[int, ...]]:
    """Return the prompt ids of the validation rows as the recipe's data set holds them."""
    rows = load_rows(load_train_config(made.at(made.layout.config))).val
    return [row.ids[: row.prompt_length] for row in rows]


def evaluated_on(made: Ready) -> list[tuple[int, ...]]:
    """Return the prompt ids of the same rows from the log of a real evaluation."""
    path = made.at(made.layout.cell_config(made.run.cells[0].name))
    config = load_eval_config(path)
    log = read_eval_log(run_cell(config, path, place=place_of(config), facts={}, answered=lambda count: None).path)
    samples = sorted(log.samples or [], key=lambda sample: int(str(sample.id).rpartition("-")[2]))
    ids = [tuple((sample.output.metadata or {})["prompt_token_ids"]) for sample in samples]
    hashes = [(sample.output.metadata or {})["prompt_token_sha256"] for sample in samples]
    assert [prompt_sha256(each) for each in ids] == hashes
    return ids


@pytest.mark.parametrize("case", CASES)
def test_a_rows_prompt_has_the_same_ids_wherever_a_model_reads_it(tmp_path: Path, case: str) -> None:
    template, controls = CASES[case]
    made = ready(tmp_path, template, controls)
    trained = trained_on(made)
    assert evaluated_on(made) == trained
    looked_at = spot_check_run(made.run.id, count=len(trained), world=made.world).samples
    assert [sample.prompt_ids for sample in looked_at] == trained


@pytest.mark.parametrize("system", ("", "Count."))
def test_the_last_question_of_a_conversation_has_the_same_ids_wherever_a_model_reads_it(
    tmp_path: Path, system: str
) -> None:
    data = tmp_path / "experiment" / "talks"
    data.mkdir(parents=True)
    for split, rows in TALKS.items():
        (data / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    training = {"path": "talks", "columns": {"messages": "dialogue"}}
    controls = {"dataset_type": "chat", "system_prompt": system, "max_seq_len": 220}
    made = ready(tmp_path, CHATML, controls, data={"training": training, "tier": "green"})
    trained = trained_on(made)
    assert evaluated_on(made) == trained
    found = spot_check_run(made.run.id, count=3, world=made.world).samples
    assert [sample.prompt_ids for sample in found] == trained
    assert [sample.expected for sample in found] == [f"validation {row} {2 * row + 1}" for row in range(3)]
    assert all((system or "You are helpful.") in sample.prompt for sample in found)
    assert "validation 2 1<|eot|>\n<|start|>user\nvalidation 2 2" in found[2].prompt


ITEMS = [
    {"instruction": "Count.", "input": "0110", "output": "2"},
    {"messages": [{"role": "user", "content": "111"}, {"role": "assistant", "content": "3"}]},
    {"prompt": "1", "completion": 1},
]


def test_rows_of_several_forms_and_a_template_file_have_the_same_ids_wherever_a_model_reads_them(
    tmp_path: Path,
) -> None:
    root = tmp_path / "experiment"
    root.mkdir()
    (root / "mine.txt").write_text("Task: {instruction}\nBits: {input}\nOnes: {output}\n", encoding="utf-8")
    named = {"train": [*ITEMS, {"text": "Bits 0 ones 0"}], "validation": [{**ITEMS[0], "input": "01"}, ITEMS[1]]}
    named["validation"][1] = {"prompt": "11", "completion": "2"}
    (root / "mixed.json").write_text(json.dumps(named), encoding="utf-8")
    data = {"training": {"path": "mixed.json"}, "tier": "green"}
    controls = {"dataset_type": "auto", "template": "mine.txt"}
    made = ready(tmp_path, CHATML, controls, data=data)
    rows = load_rows(load_train_config(made.at(made.layout.config)))
    assert len(rows.train) == 4
    trained = [row.ids[: row.prompt_length] for row in rows.val]
    assert evaluated_on(made) == trained
    found = spot_check_run(made.run.id, count=2, world=made.world).samples
    assert [sample.prompt_ids for sample in found] == trained
    assert [sample.prompt for sample in found] == [
        f"<|bos|>Task: {each}\nOnes: " for each in ("Count.\nBits: 01", "11\nBits: ")
    ]
    assert [sample.expected for sample in found] == ["2", "2"]


def test_a_plan_knows_a_template_file_by_what_it_holds(tmp_path: Path) -> None:
    root = tmp_path / "experiment"
    root.mkdir()
    (root / "mine.txt").write_text("Q {input} A {output}", encoding="utf-8")
    made = ready(tmp_path, CHATML, {"template": "mine.txt"})
    inline = ready(tmp_path / "inline", CHATML, {"template": "Q {input} A {output}"})
    assert made.run.id == inline.run.id
    assert load_train_config(made.at(made.layout.config)).dataset.template == "Q {input} A {output}"
    (root / "mine.txt").write_text("Q: {input} A: {output}", encoding="utf-8")
    assert make_plan(read_design(made.world), world=made.world).runs[0].id != made.run.id
    (root / "mine.txt").write_text("Q: {input}", encoding="utf-8")
    with pytest.raises(SpecError, match=r"template file `mine\.txt`: it names no answer"):
        make_plan(read_design(made.world), world=made.world)


def test_a_template_that_asks_the_clock_is_told_the_pinned_date(tmp_path: Path) -> None:
    made = ready(tmp_path, LLAMA3_DATED, {"dataset_type": "chat_completion"})
    prompts = [sample.prompt for sample in spot_check_run(made.run.id, world=made.world).samples]
    assert all("Today: 03 Feb 2021 2021/02" in prompt for prompt in prompts)
    assert not any(str(datetime.now(UTC).year) in prompt for prompt in prompts)
