"""Which model `ck serve` and `ck chat` take: found, checked by hash, and asked as its training asked it."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.data.tokens import Encoding, encode_prompt
from cruijff_kit.errors import PlanError, ResultError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.served_model import load_desk
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.serving import ModelChoice, ServedModel
from cruijff_kit.workflow import choose_model, open_dialogue, recorded_plan, scaffold_runs
from cruijff_kit.workflow.consent import allow_data, preview_allow
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.serving import FakeServing
from tests.random_model import random_adapter, random_base, wide_base
from tests.served import record_base

SYSTEM, PROMPT = "Count.", "Is it {input}?"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("choice") / "tiny-base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_at(tmp_path / "nowhere")._replace(hub=LocalHub(cache=tmp_path / "cache"))


def chosen(world: World, **choice: Any) -> ServedModel:
    return choose_model(ModelChoice.model_validate({"device": "cpu", **choice}), world=world)


class Ready(NamedTuple):
    """A scaffolded experiment of a training and a control, its adapters as if trained."""

    world: World
    tuned: PlannedRun
    control: PlannedRun

    @property
    def output(self) -> Path:
        return Path(load_train_config(self.world.store.root / RunLayout(self.tuned.id).config).output_dir)


def ready(folder: Path, base: str, *, tier: str = "green", consent: bool = False, recorded: bool = True) -> Ready:
    world = world_at(folder / "experiment")._replace(hub=LocalHub(cache=folder / "cache"))
    spec = design(
        models=[{"name": "tiny", "path": base}], factors={}, runs=[{"name": "base", "type": "control"}],
        controls={"seeds": [1], "epochs": 2, "max_seq_len": 128, "system_prompt": SYSTEM, "prompt": PROMPT},
    )  # fmt: skip
    told: dict[str, Any] = {"tier": tier}
    if consent:
        told["consent"] = {"who": "ada", "when": "2026-11-20", "why": "a trial"}
    data = type(spec.data).model_validate({**spec.data.model_dump(), **told})
    put_design(world.store.root, spec.model_copy(update={"data": data}))
    scaffold_runs(world=world)
    if consent and recorded:
        allow_data(preview_allow(way="show", world=world), reason="a trial", who="ada", world=world)
    runs = recorded_plan(world=world)[0].runs
    made = Ready(
        world, next(run for run in runs if run.type == "fine-tuned"), next(run for run in runs if run.type == "control")
    )
    for number in (0, 1):
        record_base(random_adapter(made.output / f"epoch_{number}", base, seed=number + 1), base)
    return made


# By hand.


def test_a_base_is_named_by_its_directory_or_by_its_name_among_the_models(base: str, world: World) -> None:
    served = chosen(world, model=base)
    assert (served.base, served.name, served.base_name) == (base, "tiny-base", "tiny-base")
    assert served.base_sha256 == world.hub.facts(base).sha256
    assert (served.dataset_type, served.system_prompt, served.dtype) == ("chat_completion", "", "fp32")
    there = world._replace(hub=LocalHub(models_dir=str(Path(base).parent)))
    assert chosen(there, model="tiny-base").base == base
    with pytest.raises(SiteError, match="does not exist"):
        chosen(world, model="no-such-model")


def test_what_computes_is_torch_here_and_another_library_is_refused_with_how_to_have_it(
    base: str, world: World
) -> None:
    assert chosen(world, model=base).backend == chosen(world, model=base, backend="torch").backend == "torch"
    with pytest.raises(SiteError, match="backend `mlx` needs `mlx_lm`, which is not installed") as caught:
        chosen(world, model=base, backend="mlx")
    assert "[mlx]" in caught.value.hint


def test_a_base_without_a_chat_template_is_asked_in_plain_text(tmp_path: Path, world: World) -> None:
    plain = random_base(tmp_path / "plain", template=None)
    served = chosen(world, model=plain)
    assert served.dataset_type == "text_completion"
    desk = load_desk(served)
    assert desk.chat_ids([{"role": "user", "content": "tree"}]) == desk.text_ids("tree")


def test_an_adapter_brings_its_base_which_is_checked_by_its_hash(base: str, tmp_path: Path, world: World) -> None:
    adapter = random_adapter(tmp_path / "mine", base)
    served = chosen(world, adapter=adapter)
    assert (served.base, served.adapter, served.name, served.base_name) == (base, adapter, "mine", "tiny-base")
    assert served.adapter_sha256 == file_sha256(Path(adapter) / "adapter_model.safetensors")
    assert served.notes == ("the adapter does not record its base's hash, so nothing proves that it is this base",)
    record_base(adapter, base)
    assert chosen(world, adapter=adapter).notes == ()
    other = random_base(tmp_path / "other", seed=9)
    with pytest.raises(SiteError, match="was trained on another base than") as caught:
        chosen(world, adapter=adapter, model=other)
    assert base in caught.value.hint
    settings = json.loads((tmp_path / "mine" / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = other
    (tmp_path / "mine" / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(SiteError, match="was trained on another base than"):
        chosen(world, adapter=adapter)


def test_an_adapter_of_another_shape_is_told_when_it_is_loaded(base: str, tmp_path: Path, world: World) -> None:
    adapter = random_adapter(tmp_path / "mine", wide_base(tmp_path / "wide", base))
    with pytest.raises(ResultError, match="does not fit the base model: size mismatch"):
        load_desk(chosen(world, adapter=adapter, model=base))


@pytest.mark.parametrize("what", ("gone", "empty"))
def test_a_folder_that_is_no_adapter_is_told(base: str, tmp_path: Path, world: World, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SiteError, match="holds no adapter"):
        chosen(world, adapter=str(tmp_path / what))


def test_all_that_is_wrong_with_a_choice_is_told_at_once(world: World) -> None:
    for choice, count in (({}, 1), ({"epoch": "0"}, 2), ({"run": "r", "model": "m"}, 1)):
        with pytest.raises(SpecError) as caught:
            chosen(world, **choice)
        assert len(caught.value.problems) == count


# Of a run.


def test_a_run_is_asked_as_its_training_was(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    served = chosen(made.world, run=made.tuned.id[:5] if made.tuned.id[:5] != made.control.id[:5] else made.tuned.id)
    assert (served.base, served.adapter) == (base, str(made.output / "epoch_1"))
    assert (served.name, served.base_name) == (f"{made.tuned.id}_epoch_1", "tiny-base")
    assert [note.partition(";")[0] for note in served.notes] == [f"training put its inputs into `{PROMPT}`"]
    wrapped = chosen(made.world, run=made.tuned.id, wrap=True)
    assert wrapped.notes == ()
    desk = load_desk(wrapped)
    config = load_train_config(made.world.store.root / RunLayout(made.tuned.id).config)
    trained = encode_prompt(
        {"input": "0101"}, encoding=Encoding.of(config.dataset), tokenizer=LocalHub().tokenizer(base)
    )
    assert desk.chat_ids([{"role": "user", "content": "0101"}]) == trained
    assert desk.names == (f"{made.tuned.id}_epoch_1", "tiny-base")


def test_any_saved_epoch_the_base_and_the_control_may_be_asked(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    assert chosen(made.world, run=made.tuned.id, epoch="0").adapter == str(made.output / "epoch_0")
    bare = chosen(made.world, run=made.tuned.id, epoch="base")
    assert (bare.adapter, bare.system_prompt) == (None, SYSTEM)
    control = chosen(made.world, run=made.control.id)
    assert (control.adapter, control.base, control.name) == (None, base, f"{made.control.id}_base")
    assert control.system_prompt == SYSTEM
    with pytest.raises(RunError, match="keeps no epoch `7`; it keeps `0`, `1`"):
        chosen(made.world, run=made.tuned.id, epoch="7")
    with pytest.raises(RunError, match="does not train"):
        chosen(made.world, run=made.control.id, epoch="0")
    with pytest.raises(SiteError, match=r"holds no `adapter_model\.safetensors`"):
        chosen(made.world, run=made.tuned.id, epoch="best")


def test_a_configuration_edited_to_what_is_none_is_told_with_its_place(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    config = made.world.store.root / RunLayout(made.tuned.id).config
    config.write_text(config.read_text(encoding="utf-8") + "epocs: many\n", encoding="utf-8")
    with pytest.raises(PlanError, match="cannot be used") as caught:
        chosen(made.world, run=made.tuned.id)
    assert [problem.path for problem in caught.value.problems] == ["epocs"]
    cell = made.world.store.root / RunLayout(made.control.id).cell_config(made.control.cells[0].name)
    text = cell.read_text(encoding="utf-8")
    cell.write_text(text.replace("do_sample: false", "do_sample: true"), encoding="utf-8")
    with pytest.raises(PlanError, match="cannot be used") as caught:
        chosen(made.world, run=made.control.id)
    assert [problem.message for problem in caught.value.problems] == ["`do_sample: true` needs a `temperature` above 0"]


def test_an_adapter_of_a_run_named_by_its_folder_is_asked_the_same(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    by_run = chosen(made.world, run=made.tuned.id)
    by_folder = chosen(made.world, adapter=str(made.output / "epoch_1"))
    differing = {name for name in ServedModel.model_fields if getattr(by_run, name) != getattr(by_folder, name)}
    assert differing <= {"dataset"}
    assert by_run.dataset is not None
    assert by_folder.dataset is not None
    assert Encoding.of(by_run.dataset) == Encoding.of(by_folder.dataset)
    shutil.copytree(made.output / "epoch_1", made.output / "best")
    best = [chosen(made.world, run=made.tuned.id, epoch="best"), chosen(made.world, adapter=str(made.output / "best"))]
    assert [each.name for each in best] == [f"{made.tuned.id}_best"] * 2


def test_a_base_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    own = random_base(tmp_path / "models" / "own")
    made = ready(tmp_path, own)
    random_base(Path(own), seed=5)
    with pytest.raises(SiteError, match="is not the base that run"):
        chosen(made.world, run=made.tuned.id)


@pytest.mark.parametrize(
    "tier, consent, fact",
    (
        ("green", False, ""),
        ("yellow", False, "yellow data without recorded consent"),
        ("yellow", True, ""),
        ("red", False, "red data"),
    ),
)
def test_a_model_that_learnt_from_guarded_data_stays_on_this_machine(
    base: str, tmp_path: Path, tier: str, consent: bool, fact: str
) -> None:
    made = ready(tmp_path, base, tier=tier, consent=consent)
    inside = made.world.store.root / "kept"
    random_adapter(inside, base)
    for choice in ({"run": made.tuned.id}, {"adapter": str(inside)}, {"adapter": str(made.output / "epoch_0")}):
        told = chosen(made.world, **choice).here_only
        assert fact in told
        assert bool(told) == bool(fact)
    assert chosen(made.world, model=base).here_only == ""


def test_consent_that_stands_in_the_design_alone_opens_nothing(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base, tier="yellow", consent=True, recorded=False)
    assert "yellow data without recorded consent" in chosen(made.world, run=made.tuned.id).here_only


def test_a_model_whose_data_are_marked_red_stays_on_this_machine_whatever_the_design_says(
    base: str, tmp_path: Path
) -> None:
    made = ready(tmp_path, base, tier="yellow", consent=True)
    for dataset in recorded_plan(world=made.world)[0].datasets:
        (made.world.store.root / dataset.path).with_name("TIER").write_text("red\n", encoding="utf-8")
    assert "red data" in chosen(made.world, run=made.tuned.id).here_only


def test_a_world_that_serves_nothing_says_so(base: str, world: World) -> None:
    served = chosen(world, model=base)
    with pytest.raises(SiteError, match="this world serves no models"):
        open_dialogue(served, world=world)
    serving = FakeServing()
    open_dialogue(served, world=world._replace(serving=serving))
    assert serving.served == [served]
