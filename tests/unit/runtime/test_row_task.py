from typing import Any

import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import chosen_rows, row_task
from cruijff_kit.schema.config import EvalConfig
from tests.evaluated_run import ROWS, Evaluated, ready_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return ready_run(tmp_path_factory.mktemp("row_task") / "experiment")


@pytest.fixture
def config(run: Evaluated) -> EvalConfig:
    return load_eval_config(run.configs[0])


def changed(config: EvalConfig, **dataset: Any) -> EvalConfig:
    return config.model_copy(update={"dataset": config.dataset.model_copy(update=dataset)})


def test_each_row_is_a_sample_with_its_own_id_target_and_groups(config: EvalConfig) -> None:
    samples = list(row_task(config).dataset)
    assert [sample.id for sample in samples] == [f"test-{number}" for number in range(len(ROWS))]
    assert [sample.target for sample in samples] == [row["output"] for row in ROWS]
    assert [sample.metadata for sample in samples] == [{"word_length": row["word_length"]} for row in ROWS]


def test_a_sample_is_the_conversation_of_its_row(config: EvalConfig) -> None:
    task = row_task(changed(config, prompt="Write: {input}", system_prompt="Be brief."))
    turns = [(message.role, message.text) for message in task.dataset[0].input if not isinstance(message, str)]
    assert turns == [("system", "Be brief."), ("user", "Write: house")]


def test_an_empty_system_prompt_is_no_message(config: EvalConfig) -> None:
    task = row_task(config)
    assert [message.role for message in task.dataset[0].input if not isinstance(message, str)] == ["user"]


def test_a_subset_is_fixed_by_its_seed_and_keeps_the_ids_of_its_rows(config: EvalConfig) -> None:
    few = config.model_copy(update={"samples": 3})
    rows = chosen_rows(few)
    assert rows == chosen_rows(few)
    assert all(ROWS[number] == row for number, row in rows)
    assert rows == sorted(rows, key=lambda pair: pair[0])
    others = [chosen_rows(few.model_copy(update={"seed": seed})) for seed in range(5)]
    assert any(other != rows for other in others)


def test_exactly_the_planned_scorers_run(config: EvalConfig) -> None:
    from inspect_ai._util.registry import registry_unqualified_name

    task = row_task(config.model_copy(update={"scorers": ("includes",)}))
    assert [registry_unqualified_name(scorer) for scorer in task.scorer or []] == ["includes"]


def test_a_missing_split_is_refused_with_those_that_exist(config: EvalConfig) -> None:
    with pytest.raises(SpecError, match="no rows in split `dev`; it has `train`, `test`"):
        row_task(config.model_copy(update={"split": "dev"}))


def test_a_group_that_is_no_column_is_refused(config: EvalConfig) -> None:
    with pytest.raises(SpecError, match="column `length` is missing"):
        row_task(config.model_copy(update={"groups": ("length",)}))


def test_the_tasks_of_this_package_build_from_the_path_of_a_configuration(run: Evaluated) -> None:
    from importlib import import_module

    from cruijff_kit.data.tasks import TASKS

    for name in TASKS:
        task = getattr(import_module(f"cruijff_kit.tasks.{name}"), name)(config=str(run.configs[0]))
        assert len(task.dataset) == len(ROWS)
