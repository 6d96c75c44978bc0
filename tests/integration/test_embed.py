"""`ck embed`: by hand and for a run, on record, and never showing a row."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from click.testing import CliRunner, Result
from transformers import AutoModelForCausalLM

from cruijff_kit.adapters.embedder import LocalEmbedder
from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.tensor_files import load_tensor_with_ids
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.embedding import EmbedOrder, EmbedReceipt, EmbedWork
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow.embed import embed_texts
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from tests.embedded import attributes, texts, world_without
from tests.fakes.designed import design, put_design, world_at
from tests.random_model import random_adapter, random_base

CPU = EmbedWork(device="cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("embed") / "base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_without(tmp_path)


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["embed", *arguments])


# By hand, outside any experiment.


def test_texts_of_any_format_are_embedded_outside_an_experiment(base: str, tmp_path: Path) -> None:
    rows = [{"key": f"k{at}", "text": f"word {at}"} for at in range(5)]
    (tmp_path / "x.csv").write_text("key,text\n" + "".join(f"{row['key']},{row['text']}\n" for row in rows))
    (tmp_path / "x.json").write_text(json.dumps({"test": rows, "train": [{"key": "z", "text": "z"}]}))
    shared = ("--text-column", "text", "--id-column", "key", "--prompt", "Say {input}.", "--layers", "0,-1")
    found = []
    for name, split in (("x.csv", "train"), ("x.json", "test")):
        out = tmp_path / f"{name}.h5"
        result = ran(base, "--data", str(tmp_path / name), "--split", split, "--out", str(out), "--json", *shared)
        assert result.exception is None, result.exception
        receipt = EmbedReceipt.model_validate_json(result.stdout)
        assert receipt.files[0].shape == (5, 2, 32)
        found.append(load_tensor_with_ids(out))
        assert found[-1].ids == [f"k{at}" for at in range(5)]
    assert (found[0].tensor - found[1].tensor).abs().max() <= 1e-5


def test_a_finished_file_tells_everything_about_itself(base: str, tmp_path: Path, world: World) -> None:
    adapter = random_adapter(tmp_path / "adapter", base)
    (tmp_path / "TIER").write_text("yellow\n")
    out, data = tmp_path / "x.h5", texts(tmp_path / "x.jsonl", 3)
    receipt = embed_texts(EmbedOrder(data=data, adapter=adapter, out=str(out), work=CPU), world=world)
    told = attributes(out)
    assert told["model_sha256"] == world.hub.facts(base).sha256
    assert told["adapter_sha256"] == world.store.digest(f"{adapter}/adapter_model.safetensors")
    assert told["data_sha256"] == world.store.digest(data)
    assert (told["pool"], told["layers"], told["dtype"]) == ("last_non_padding", '"last"', "fp32")
    assert told["tier"] == receipt.tier == "yellow"
    assert json.loads(told["versions"])["torch"] == torch.__version__
    assert json.loads(told["encoding"])["dataset_type"] == "text_completion"
    assert load_tensor_with_ids(out).ids == ["train-0", "train-1", "train-2"]


def test_unpooled_vectors_are_each_token_s_and_agree_with_the_pooled_ones(
    base: str, tmp_path: Path, world: World
) -> None:
    data = texts(tmp_path / "x.jsonl", 50)
    found = {}
    for pool in ("none", "mean", "last"):
        work = EmbedWork.model_validate({"pool": pool, "layers": "all", "device": "cpu"})
        embed_texts(EmbedOrder(data=data, model=base, out=str(tmp_path / f"{pool}.h5"), work=work), world=world)
        found[pool] = load_tensor_with_ids(tmp_path / f"{pool}.h5")
    lengths = found["none"].lengths
    assert lengths is not None
    tokens = found["none"].tensor.split(lengths)
    assert torch.allclose(torch.stack([each.mean(0) for each in tokens]), found["mean"].tensor, atol=1e-5)
    assert torch.allclose(torch.stack([each[-1] for each in tokens]), found["last"].tensor, atol=1e-5)


def test_all_that_is_wrong_with_texts_is_told_at_once_without_their_content(
    base: str, tmp_path: Path, world: World
) -> None:
    rows = [
        '{"input": "secret one", "key": "a"}',
        '{"key": "b"}',
        "{torn",
        '{"input": "secret two", "key": "a"}',
        json.dumps({"input": "s" * 300, "key": "c"}),
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(rows))
    order = EmbedOrder(
        data=str(tmp_path / "x.jsonl"), model=base, out=str(tmp_path / "x.h5"), id_column="key", work=CPU
    )
    with pytest.raises(SpecError) as caught:
        embed_texts(order, world=world)
    facts = (
        "column `input` is missing",
        "not valid JSON",
        "was given before",
        "has 301 tokens, and the model reads 256",
    )
    assert [fact in str(problem) for fact, problem in zip(facts, caught.value.problems, strict=True)] == [True] * 4
    assert [problem.place.rpartition(":")[2] for problem in caught.value.problems] == ["2", "3", "4", "5"]
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.glob("*x.h5*"))


def test_a_text_that_is_too_long_is_cut_when_asked(base: str, tmp_path: Path, world: World) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"input": "s" * 300}))
    work = EmbedWork(truncate=True, pool="none", device="cpu")
    order = EmbedOrder(data=str(tmp_path / "x.jsonl"), model=base, out=str(tmp_path / "x.h5"), work=work)
    assert embed_texts(order, world=world).files[0].shape == (256, 1, 32)


@pytest.mark.parametrize(
    "given,facts",
    (
        ({"out": "x.npz"}, ("no model is named", "no texts are named", "is no name of an HDF5 file")),
        ({"model": "m", "run": "r"}, ("brings its own model",)),
        ({"model": "m", "data": "d", "epochs": ("0",)}, ("epochs are those of a run",)),
    ),
)
def test_orders_that_contradict_themselves_are_refused_whole(
    world: World, given: dict[str, Any], facts: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError) as caught:
        embed_texts(EmbedOrder.model_validate({"out": "x.h5", **given}), world=world)
    assert len(caught.value.problems) == len(facts)
    assert all(fact in str(caught.value) for fact in facts)


def test_an_adapter_of_another_base_and_one_that_is_not_there_are_refused(
    base: str, tmp_path: Path, world: World
) -> None:
    data, other = texts(tmp_path / "x.jsonl", 2), random_base(tmp_path / "other", seed=9)
    adapter = random_adapter(tmp_path / "adapter", base)
    record = {"name": "tiny", "path": base, "sha256": world.hub.facts(base).sha256}
    (tmp_path / "adapter" / "base_model.json").write_text(json.dumps(record))
    for folder, fact in ((adapter, "was trained on another base"), (str(tmp_path / "gone"), "holds no")):
        with pytest.raises(SiteError, match=fact):
            embed_texts(EmbedOrder(data=data, model=other, adapter=folder, out=str(tmp_path / "x.h5")), world=world)


def test_a_place_that_cannot_be_written_is_a_fault_of_the_site(base: str, tmp_path: Path, world: World) -> None:
    data = texts(tmp_path / "x.jsonl", 2)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SiteError, match="cannot be written"):
        embed_texts(EmbedOrder(data=data, model=base, out=str(tmp_path / "file" / "x.h5"), work=CPU), world=world)


# For a run of an experiment.


class Ready(NamedTuple):
    """A scaffolded experiment of one run, its training as if done."""

    world: World
    run: str
    base: str


def ready(folder: Path, base: str, *, tier: str = "green") -> Ready:
    world = world_at(folder / "experiment")._replace(hub=LocalHub(cache=folder / "cache"), embedder=LocalEmbedder())
    spec = design(
        models=[{"name": "tiny", "path": base}], factors={}, runs=[],
        controls={"seeds": [1], "epochs": 2, "max_seq_len": 128, "system_prompt": "Count.", "prompt": "Is it {input}?"},
        evaluation={"tasks": []},
    )  # fmt: skip
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"tier": tier})})
    put_design(world.store.root, spec)
    scaffold_runs(world=world)
    (run,) = recorded_plan(world=world)[0].runs
    config = load_train_config(world.store.root / RunLayout(run.id).config)
    for number in config.epochs_to_save:
        random_adapter(Path(config.output_dir) / f"epoch_{number}", base, seed=number + 1)
    return Ready(world, run.id, base)


def events(world: World) -> list[AuditRecord]:
    return [record for record in world.audit.records() if record.verb == "embed"]


def test_every_epoch_of_a_run_is_embedded_on_the_prompts_it_was_trained_on(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    work = EmbedWork(layers="all", device="cpu")
    order = EmbedOrder(
        run=made.run[:5], epochs=("all",), split="validation", out=str(tmp_path / "states.h5"), work=work
    )
    receipt = embed_texts(order, world=made.world)
    assert [file.label for file in receipt.files] == ["base", "epoch_0", "epoch_1"]
    assert [Path(file.path).name for file in receipt.files] == [f"states_{file.label}.h5" for file in receipt.files]
    found = [load_tensor_with_ids(file.path) for file in receipt.files]
    config = load_train_config(made.world.store.root / RunLayout(made.run).config)
    trained = [row.ids[: row.prompt_length] for row in load_rows(config).val]
    assert found[0].lengths == [len(ids) for ids in trained]
    plain = AutoModelForCausalLM.from_pretrained(base, local_files_only=True).eval()
    with torch.inference_mode():
        states = [plain(torch.tensor([ids]), output_hidden_states=True).hidden_states for ids in trained]
    expected = torch.stack([torch.stack([layer[0, -1] for layer in each]) for each in states])
    assert (found[0].tensor - expected).abs().max() <= 1e-4
    assert len({each.tensor.numpy().tobytes() for each in found}) == 3
    alone = order.model_copy(update={"epochs": ("1",), "out": str(tmp_path / "one.h5")})
    embed_texts(alone, world=made.world)
    assert (load_tensor_with_ids(tmp_path / "one.h5").tensor - found[2].tensor).abs().max() <= 1e-5


def test_what_was_embedded_is_on_record_and_so_is_what_failed(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    order = EmbedOrder(run=made.run, split="validation", out=str(tmp_path / "x.h5"), work=CPU)
    (file,) = embed_texts(order, world=made.world).files
    with pytest.raises(CruijffError):
        embed_texts(order.model_copy(update={"work": EmbedWork(pool="first", device="cpu")}), world=made.world)
    done, failed = events(made.world)
    assert (done.action, done.subject, done.outputs[file.path]) == (Action.EMBED, str(tmp_path / "x.h5"), file.sha256)
    assert done.inputs[base] == made.world.hub.facts(base).sha256
    assert done.outputs["tier"] == "green"
    assert "other embeddings" in (failed.error or "")
    assert made.world.audit.verify().ok


def test_vectors_of_red_data_say_that_they_are_red(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base, tier="red")
    receipt = embed_texts(EmbedOrder(run=made.run, out=str(tmp_path / "x.h5"), work=CPU), world=made.world)
    assert receipt.tier == attributes(tmp_path / "x.h5")["tier"] == "red"
    inside = Path(texts(made.world.store.root / "own.jsonl", 2))
    (tmp_path / "linked.jsonl").symlink_to(inside)
    outside = Path(texts(tmp_path / "outside.jsonl", 2))
    for number, (data, tier) in enumerate(((inside, "red"), (tmp_path / "linked.jsonl", "red"), (outside, "yellow"))):
        order = EmbedOrder(data=str(data), model=base, out=str(tmp_path / f"y{number}.h5"), work=CPU)
        assert embed_texts(order, world=made.world).tier == tier


def test_epochs_that_are_not_kept_and_data_that_changed_are_refused(base: str, tmp_path: Path) -> None:
    made = ready(tmp_path, base)
    order = EmbedOrder(run=made.run, epochs=("7",), out=str(tmp_path / "x.h5"), work=CPU)
    with pytest.raises(RunError, match="keeps no epoch `7`; it keeps `0`, `1`"):
        embed_texts(order, world=made.world)
    with pytest.raises(SiteError, match=r"holds no `adapter_model\.safetensors`"):
        embed_texts(order.model_copy(update={"epochs": ("best",)}), world=made.world)
    config = load_train_config(made.world.store.root / RunLayout(made.run).config)
    Path(config.dataset.path).write_text(json.dumps({"train": [{"input": "a", "output": "b"}]}), encoding="utf-8")
    with pytest.raises(RunError, match="is not the one that was planned"):
        embed_texts(order.model_copy(update={"epochs": ()}), world=made.world)
