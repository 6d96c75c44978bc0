"""`ck embed` killed at any moment, gone on with, and in flat memory."""

import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.runtime import block_file
from cruijff_kit.runtime.tensor_files import load_tensor_with_ids
from cruijff_kit.schema.embedding import EmbedOrder, EmbedWork
from cruijff_kit.workflow.embed import embed_texts
from tests.embedded import attributes, texts, world_without
from tests.killed import kill_at
from tests.random_model import random_base

pytestmark = pytest.mark.once

CPU = EmbedWork(device="cpu")
SAMPLE, SOAK = 3, 40
"""Kills of the everyday test, and of `make soak`."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return random_base(tmp_path_factory.mktemp("embed") / "base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_without(tmp_path)


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
