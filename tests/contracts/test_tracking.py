"""What every tracking service promises; run on the one in memory and on offline runs of Weights & Biases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.tracking import WandbRuns
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Tracking
from tests.fakes.tracking import FakeTracking

Open = Callable[..., Tracking]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    run = tmp_path / "offline-run-1"
    (run / "files").mkdir(parents=True)
    (run / "run.wandb").write_bytes(b":W&B")
    (run / "files" / "note").write_bytes(b"123")
    (tmp_path / "latest-run").symlink_to(run.name)
    return str(tmp_path)


@pytest.fixture(params=("memory", "wandb"))
def service(request: pytest.FixtureRequest, folder: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opened(*, offline: bool = False) -> Tracking:
        if request.param == "memory":
            return FakeTracking({folder: 7}, offline=offline)
        monkeypatch.setenv("WANDB_MODE", "offline" if offline else "online")
        return WandbRuns()

    return opened


def test_a_run_has_a_size_and_nothing_has_none(service: Open, folder: str) -> None:
    assert service().size(folder) == 7
    assert service().size(f"{folder}/nothing") is None


def test_nothing_to_send_is_no_error(service: Open) -> None:
    service().upload([])


def test_who_is_set_offline_sends_nothing(service: Open, folder: str) -> None:
    with pytest.raises(SiteError, match="WANDB_MODE"):
        service(offline=True).upload([folder])


def test_without_an_account_the_service_is_never_asked(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "NETRC"):
        monkeypatch.setenv(name, folder)
    monkeypatch.setenv("NETRC", f"{folder}/netrc")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(SiteError, match="wandb login"):
        WandbRuns().upload([folder])
