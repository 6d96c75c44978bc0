"""`ck embed`: by hand and for a run, in flat memory, killed at any moment, on record, and never showing a row."""

import json
import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import pytest
import torch
from click.testing import CliRunner, Result
from transformers import AutoModelForCausalLM

from cruijff_kit.adapters.embedder import LocalEmbedder
from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, ResultError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime import block_file
from cruijff_kit.runtime.tensor_files import load_tensor_with_ids
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.embedding import EmbedOrder, EmbedReceipt, EmbedWork
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow.embed import embed_texts
from cruijff_kit.workflow.scaffold import recorded_plan, scaffold_runs
from tests.fakes.designed import design, put_design, world_at
from tests.killed import kill_at
from tests.random_model import random_adapter, random_base

CPU = EmbedWork(device="cpu")
SAMPLE, SOAK = 3, 40
"""Kills of the everyday test, and of `make soak`."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("embed") / "base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world without an experiment."""
    hub = LocalHub(cache=tmp_path / "cache")
    return world_at(tmp_path / "nowhere")._replace(hub=hub, embedder=LocalEmbedder())


def texts(path: Path, count: int, *, longest: int = 40) -> str:
    dice = random.Random(1)
    lines = [json.dumps({"input": "x" * dice.randint(1, longest), "key": f"k{at}"}) + "\n" for at in range(count)]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def attributes(path: Path) -> dict[str, str]:
    with h5py.File(path) as file:
        return {name: str(value) for name, value in file.attrs.items()}


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


# Killed.


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_file, "_MOST_ROWS", 8)


def noted(out: Path) -> int:
    """Return how many blocks a killed job has noted as finished."""
    journal = out.with_name(f".{out.name}.journal")
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def _tell(pipe: int) -> None:
    os.write(pipe, b".")


def check_same(path: Path, whole: Path) -> None:
    """Check that a file is that of a job which nobody killed; where weights lie in memory may move a last digit."""
    found, expected = load_tensor_with_ids(path), load_tensor_with_ids(whole)
    assert (found.ids, found.lengths) == (expected.ids, expected.lengths)
    assert attributes(path) == attributes(whole)
    assert (found.tensor - expected.tensor).abs().max() <= 1e-5
    assert path.stat().st_size == whole.stat().st_size


def killed_after(messages: int, work: Callable[[Callable[[int, int, str], None]], object]) -> bool:
    """Do some work in a child and kill it from outside once it has told of its progress so often."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        work(lambda *_: _tell(writes))
        os._exit(0)
    os.close(writes)
    heard = b""
    while len(heard) < messages and (told := os.read(reads, 1)):
        heard += told
    os.kill(child, signal.SIGKILL)
    os.close(reads)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("kills", (SAMPLE, pytest.param(SOAK, marks=pytest.mark.soak)))
def test_a_job_killed_from_outside_again_and_again_ends_with_the_same_file(
    base: str, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    small_blocks(monkeypatch)
    data, dice = texts(tmp_path / "x.jsonl", 8 * 4 * kills), random.Random(kills)

    def order(name: str) -> EmbedOrder:
        return EmbedOrder(data=data, model=base, out=str(tmp_path / name), id_column="key", work=CPU)

    embed_texts(order("whole.h5"), world=world)
    done = 0
    for _ in range(kills):
        messages = done + dice.randint(1, 4)
        if killed_after(messages, lambda tell: embed_texts(order("x.h5"), progress=tell, world=world)):
            assert done <= noted(tmp_path / "x.h5")
            done = noted(tmp_path / "x.h5")
    (file,) = embed_texts(order("x.h5"), world=world).files
    assert file.embedded == file.rows - 8 * done
    check_same(tmp_path / "x.h5", tmp_path / "whole.h5")
    assert not list(tmp_path.glob(".*x.h5*"))


@pytest.mark.parametrize("kills", (SAMPLE, pytest.param(SOAK, marks=pytest.mark.soak)))
def test_a_job_that_dies_at_any_line_is_finished_by_a_repeat(
    base: str, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    small_blocks(monkeypatch)
    data, dice = texts(tmp_path / "x.jsonl", 40), random.Random(kills)

    def order(name: str) -> EmbedOrder:
        return EmbedOrder(data=data, model=base, out=str(tmp_path / name), work=EmbedWork(pool="none", device="cpu"))

    embed_texts(order("whole.h5"), world=world)
    for at in range(kills):
        # Reading texts takes some two thousand lines, what follows some hundreds.
        line, name = dice.randint(1, 2500), f"x{at}.h5"
        kill_at(line, lambda name=name: embed_texts(order(name), world=world), watched=("/cruijff_kit/runtime/",))
        embed_texts(order(name), world=world)
        check_same(tmp_path / name, tmp_path / "whole.h5")
        assert not list(tmp_path.glob(f".*{name}*")), line


def test_a_job_is_not_gone_on_with_under_other_settings(
    base: str, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    order = EmbedOrder(data=texts(tmp_path / "x.jsonl", 40), model=base, out=str(tmp_path / "x.h5"), work=CPU)
    assert killed_after(2, lambda tell: embed_texts(order, progress=tell, world=world))
    for change, fact in (
        ({"work": EmbedWork(pool="first", device="cpu")}, "`pool` was `last_non_padding` and is `first`"),
        ({"prompt": "Say {input}"}, "`encoding` was"),
        ({"model": random_base(tmp_path / "other", seed=5)}, "`model_sha256` was"),
    ):
        with pytest.raises(ResultError, match=f"was begun with other embeddings.*{fact}"):
            embed_texts(order.model_copy(update=change), world=world)
    smaller = order.model_copy(update={"work": EmbedWork(batch_size=3, device="cpu")})
    assert embed_texts(smaller, world=world).files[0].embedded < 40


# Memory.


def resident() -> int:
    """Return the most that this process has held in memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_memory_does_not_grow_with_the_texts(base: str, tmp_path: Path, world: World) -> None:
    few, many = (texts(tmp_path / f"{count}.jsonl", count) for count in (2_100, 9_000))
    work = EmbedWork(pool="none", layers="all", device="cpu")
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        embed_texts(EmbedOrder(data=few, model=base, out=str(tmp_path / "few.h5"), work=work), world=world)
        before = resident()
        embed_texts(EmbedOrder(data=many, model=base, out=str(tmp_path / "many.h5"), work=work), world=world)
        os.write(writes, str(resident() - before).encode())
        os._exit(0)
    os.close(writes)
    told = os.read(reads, 100)
    os.close(reads)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "many.h5").stat().st_size > 64 * 2**20
    assert int(told) < 12 * 2**20


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
    inside = texts(made.world.store.root / "own.jsonl", 2)
    order = EmbedOrder(data=inside, model=base, out=str(tmp_path / "y.h5"), work=CPU)
    assert embed_texts(order, world=made.world).tier == "red"


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
