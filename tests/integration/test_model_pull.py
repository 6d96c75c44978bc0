"""Pulling a model, from a hub of the test's own on the loopback: whole, at one commit, and never by accident."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from tests.hub_server import COMMIT, REPO, Hub, pull
from tests.training_runs import random_base

EXTRA = {"modeling_tiny.py": b"raise SystemExit\n", "original/params.safetensors": b"x", "README.md": b"a model\n"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    base = random_base(tmp_path_factory.mktemp("published"))
    return {path.name: path.read_bytes() for path in base.iterdir()} | EXTRA


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    served = Hub(dict(files))
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_a_model_is_pulled_whole_with_its_commit_beside_it_and_found_the_second_time(hub: Hub, tmp_path: Path) -> None:
    first = pull(hub, tmp_path)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "models" / "tiny-llama"
    facts = LocalHub(models_dir=str(tmp_path / "models"), cache=tmp_path / "cache").facts("tiny-llama")
    assert (facts.repo, facts.revision) == (REPO, COMMIT)
    assert facts.sha256 in first.stdout
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "pulled.json"} <= names
    assert not names & {"modeling_tiny.py", "original", "README.md", ".cache"}
    asked = len(hub.asked)
    second = pull(hub, tmp_path)
    assert second.stdout == first.stdout
    assert not [path for path in hub.asked[asked:] if "/resolve/" in path]


def test_another_model_s_directory_is_never_overwritten(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "tiny-llama"
    folder.mkdir(parents=True)
    (folder / "mine").write_text("keep", encoding="utf-8")
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "holds a model that was not pulled by this command" in refused.stderr
    assert (folder / "mine").read_text(encoding="utf-8") == "keep"


def test_offline_is_said_in_words_and_nothing_is_asked(hub: Hub, tmp_path: Path) -> None:
    refused = pull(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert refused.returncode == 3
    assert "HF_HUB_OFFLINE is set, so nothing is pulled" in refused.stderr
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached_is_said_in_words_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.server.server_close()
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "the hub cannot be reached: connection refused" in refused.stderr
    assert "copy the model's directory to where `ck info` says models lie" in refused.stderr


def test_terms_that_were_not_accepted_are_told_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "is gated, and this account has no access" in refused.stderr
    assert "hf auth login" in refused.stderr


def test_a_repository_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    refused = pull(hub, tmp_path)
    assert refused.returncode == 3
    assert "publishes no `*.safetensors` weights" in refused.stderr
    assert not (tmp_path / "models" / "tiny-llama").exists()


def test_the_token_stays_in_the_hub_s_own_store(hub: Hub, tmp_path: Path) -> None:
    secret = "hf" + "_" + 4 * "nosecret"
    store = tmp_path / "hf" / "token"
    store.parent.mkdir(parents=True)
    store.write_text(secret, encoding="utf-8")
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert not [path for path in written if secret.encode() in path.read_bytes()]


def test_fewer_bits_are_refused_where_nothing_writes_them_before_anything_is_asked(hub: Hub, tmp_path: Path) -> None:
    if find_spec("mlx_lm") is not None:
        assert pull(hub, tmp_path, REPO, "-q", "3bit").returncode == 2
        assert hub.asked == []
        return
    refused = pull(hub, tmp_path, REPO, "-q", "4bit")
    assert refused.returncode == 3
    assert "MLX, which is not installed, and nothing was pulled" in refused.stderr
    assert "without `-q`" in refused.stderr
    assert hub.asked == []
    assert not (tmp_path / "models").exists()
