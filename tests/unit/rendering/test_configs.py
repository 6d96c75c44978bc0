"""Configurations: the quick way writes what the plain way writes, and everything reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.planning.job_configs import Places, eval_config, train_config
from cruijff_kit.rendering.configs import read_config, render_config, render_entries, render_run
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.evaluation import Generation
from tests.fakes.designed import design
from tests.unit.planning.test_runs import FACTS, planned

SPEC = design(controls={"seeds": [1], "prompt": "Q: {input}\nA:", "system_prompt": "yes", "epochs_to_save": [0]})
PLACES = Places("/tmp/a b'c", "/scratch/x")
RUN, BASE = planned(SPEC)[0], planned(SPEC)[-1]
TRAIN = train_config(RUN, FACTS, spec=SPEC, places=PLACES)
EVAL = eval_config(RUN, RUN.cells[0], facts=FACTS, spec=SPEC, places=PLACES)

scalars = (
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)


@given(st.dictionaries(names, scalars | st.lists(scalars, max_size=3).map(tuple), max_size=6))
def test_entries_are_written_as_the_whole_would_be(values: dict[str, object]) -> None:
    text = render_entries(values)
    assert text == (dump_yaml(values) if values else "")


@pytest.mark.parametrize(
    "word", ("yes", "null", "true", "1e-3", "12:30:00", "a: b", "# x", "", "-", "2026-11-20", "nan")
)
def test_text_that_looks_like_something_else_stays_text(word: str) -> None:
    assert load_yaml(render_entries({"prompt": word}), name="x").value == {"prompt": word}


def test_numbers_that_are_equal_and_of_another_type_are_told_apart() -> None:
    assert (
        render_entries({"a": 1}) + render_entries({"a": 1.0}) + render_entries({"a": True}) == "a: 1\na: 1.0\na: true\n"
    )


def test_a_training_configuration_reads_back_equal() -> None:
    text = render_config(TRAIN)
    assert read_config(TrainConfig, text, name="finetune.yaml") == TRAIN
    assert text == dump_yaml(TRAIN.model_dump(mode="json"))


def test_an_evaluation_configuration_reads_back_equal() -> None:
    text = render_config(EVAL)
    assert read_config(EvalConfig, text, name="eval.yaml") == EVAL
    assert text == dump_yaml(EVAL.model_dump(mode="json"))


def test_training_and_evaluation_share_the_words_that_become_tokens() -> None:
    assert TRAIN.dataset == EVAL.dataset


def test_a_base_model_is_evaluated_without_an_adapter() -> None:
    config = eval_config(BASE, BASE.cells[0], facts=FACTS, spec=SPEC, places=PLACES)
    assert (config.adapter, config.epoch, config.name) == (None, None, "bits")


def test_samples_are_drawn_alike_for_every_run() -> None:
    spec = design(evaluation={"tasks": [{"name": "bits", "task": "rows", "samples": 5}]})
    configs = [
        eval_config(run, cell, facts=FACTS, spec=spec, places=PLACES) for run in planned(spec) for cell in run.cells
    ]
    assert {(config.seed, config.samples, config.expected_samples) for config in configs} == {(1, 5, 5)}


def test_a_file_with_fewer_rows_than_samples_expects_what_it_has() -> None:
    spec = design(evaluation={"tasks": [{"name": "bits", "task": "rows", "samples": 99}], "generation": {}})
    run = planned(spec)[0]
    config = eval_config(run, run.cells[0], facts=FACTS, spec=spec, places=PLACES)
    assert (config.expected_samples, config.generation) == (8, Generation())


def test_a_job_without_a_gpu_trains_on_the_cpu() -> None:
    with_gpu = train_config(RUN, FACTS, spec=design(resources={"gpus": 1}), places=PLACES)
    assert (TRAIN.device, with_gpu.device) == ("cpu", "cuda")


def test_on_a_mac_the_gpu_that_is_asked_for_is_apple_s_and_an_evaluation_without_one_stays_off_it() -> None:
    given, bare = (design(resources={"gpus": count}) for count in (1, 0))
    devices = {
        spec.resources.gpus: (
            train_config(RUN, FACTS, spec=spec, places=PLACES, gpu="mps").device,
            eval_config(RUN, RUN.cells[0], facts=FACTS, spec=spec, places=PLACES, gpu="mps").device,
        )
        for spec in (given, bare)
    }
    assert devices == {1: ("mps", "mps"), 0: ("cpu", "cpu")}
    assert "device" not in render_config(EVAL)
    mac = eval_config(RUN, RUN.cells[0], facts=FACTS, spec=given, places=PLACES, gpu="mps")
    assert read_config(EvalConfig, render_config(mac), name="eval.yaml") == mac


def test_a_resolved_run_names_the_source_of_every_value() -> None:
    text = render_run(RUN, {"experiment": "parity"}, asked="")
    found = load_yaml(text, name="run.yaml").value
    assert found["id"] == RUN.id
    assert found["settings"]["lora_rank"] == {"value": 4, "source": "factor"}
    assert found["settings"]["lora_alpha"] == {"value": 8.0, "source": "derived"}
    assert found["settings"]["prompt"] == {"value": "Q: {input}\nA:", "source": "design"}
    assert found["settings"]["dtype"] == {"value": "fp32", "source": "default"}
    assert found["settings"]["epochs_to_save"] == {"value": [0], "source": "design"}
    assert set(found["settings"]) == set(RUN.settings)
