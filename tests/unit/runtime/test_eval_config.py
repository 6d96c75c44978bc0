from pathlib import Path

import pytest

from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.runtime.eval_config import checkpoint_sha256, load_eval_config, place_of
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from tests.evaluated_run import RUN, Evaluated, ready_run


@pytest.fixture
def run(tmp_path: Path) -> Evaluated:
    return ready_run(tmp_path / "experiment", cells=({}, {"epoch": None, "adapter": None}))


def test_the_place_of_a_cell_is_its_experiment_and_run(run: Evaluated) -> None:
    place = place_of(load_eval_config(run.configs[0]))
    assert place == (run.experiment, RunLayout(RUN), None)
    assert place.done == run.experiment / RunLayout(RUN).done("eval")
    assert place.status == run.experiment / RunLayout(RUN).status("eval")


def test_a_cell_that_stands_alone_is_its_own_job_below_the_folder_it_was_set_up_in(run: Evaluated) -> None:
    lone = {"alone": True, "cell_dir": "/runs/mine/eval/words_base"}
    place = place_of(load_eval_config(run.configs[0]).model_copy(update=lone))
    assert (place.experiment, place.folder) == (Path("/runs/mine"), Path("/runs/mine/eval/words_base"))
    assert (place.done, place.status) == (place.folder / "DONE", place.folder / "status.json")
    stray = load_eval_config(run.configs[0]).model_copy(update={**lone, "cell_dir": "/runs/mine/words_base"})
    with pytest.raises(SpecError, match="no absolute `eval/<cell>`"):
        place_of(stray)


def test_an_adapter_that_no_training_vouches_for_is_the_one_that_was_set_up(run: Evaluated) -> None:
    config, weights = load_eval_config(run.configs[0]), Path(run.adapter) / "adapter_model.safetensors"
    known = config.model_copy(update={"adapter_sha256": file_sha256(weights)})
    (run.experiment / RunLayout(RUN).done("train")).unlink()
    assert checkpoint_sha256(known, place_of(known)) == file_sha256(weights)
    weights.write_bytes(b"another")
    with pytest.raises(RunError, match="is not the file that was set up"):
        checkpoint_sha256(known, place_of(known))


def test_a_cell_outside_a_runs_folder_is_refused(run: Evaluated) -> None:
    config = load_eval_config(run.configs[0])
    elsewhere = config.model_copy(update={"cell_dir": "/tmp/words0_epoch_0"})
    with pytest.raises(SpecError, match="does not end in"):
        place_of(elsewhere)


def test_a_checkpoint_is_the_adapter_that_training_vouches_for(run: Evaluated) -> None:
    config = load_eval_config(run.configs[0])
    expected = file_sha256(Path(run.adapter) / "adapter_model.safetensors")
    assert checkpoint_sha256(config, place_of(config)) == expected


def test_the_checkpoint_of_a_base_model_is_the_model(run: Evaluated) -> None:
    config = load_eval_config(run.configs[1])
    assert checkpoint_sha256(config, place_of(config)) == config.base_model.sha256


@pytest.mark.parametrize("name", ("adapter_model.safetensors", "adapter_config.json"))
def test_an_adapter_changed_since_its_training_is_refused(run: Evaluated, name: str) -> None:
    with (Path(run.adapter) / name).open("ab") as file:
        file.write(b" ")
    config = load_eval_config(run.configs[0])
    with pytest.raises(RunError, match="is not the file that its training wrote"):
        checkpoint_sha256(config, place_of(config))


def test_an_adapter_without_finished_training_is_refused(run: Evaluated) -> None:
    marker = run.experiment / RunLayout(RUN).done("train")
    done = Done.model_validate_json(marker.read_bytes())
    config = load_eval_config(run.configs[0])
    for content in (b"{", done.model_copy(update={"exit_code": 1}).model_dump_json().encode(), None):
        marker.unlink() if content is None else marker.write_bytes(content)
        with pytest.raises(RunError, match="left no valid"):
            checkpoint_sha256(config, place_of(config))


def test_an_adapter_that_the_training_did_not_write_is_refused(run: Evaluated) -> None:
    config = load_eval_config(run.configs[0]).model_copy(update={"adapter": "/models/other/epoch_0"})
    with pytest.raises(RunError, match="did not write"):
        checkpoint_sha256(config, place_of(config))


def test_every_wrong_key_of_a_configuration_is_told_at_once(run: Evaluated) -> None:
    text = run.configs[0].read_text(encoding="utf-8").replace("split:", "splitt:").replace("seed: 3", "seed: many")
    run.configs[0].write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as refusal:
        load_eval_config(run.configs[0])
    assert {problem.path for problem in refusal.value.problems} == {"split", "splitt", "seed"}


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        load_eval_config(tmp_path / "eval.yaml")


def test_values_that_contradict_each_other_are_told_in_our_own_words(run: Evaluated) -> None:
    text = run.configs[0].read_text(encoding="utf-8")
    run.configs[0].write_text(text.replace("generation:", "generation:\n  do_sample: true"), encoding="utf-8")
    with pytest.raises(SpecError) as refusal:
        load_eval_config(run.configs[0])
    told = [(problem.path, problem.message) for problem in refusal.value.problems]
    assert told == [("generation", "`do_sample: true` needs a `temperature` above 0")]
