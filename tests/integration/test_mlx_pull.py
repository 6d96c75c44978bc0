"""A model that is pulled in fewer bits lies there whole too, and what MLX made of it answers."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.utils import load

from tests.hub_server import REPO, Hub, pull
from tests.training_runs import random_base


@pytest.mark.parametrize("named, bits", (("4bit", 4), ("8bit", 8)))
def test_a_model_is_kept_whole_and_written_in_fewer_bits_beside_it(named: str, bits: int, tmp_path: Path) -> None:
    base = random_base(tmp_path / "published")
    hub = Hub({path.name: path.read_bytes() for path in base.iterdir()})
    try:
        done = pull(hub, tmp_path / "project", REPO, "-q", named)
    finally:
        hub.server.shutdown()
        hub.server.server_close()
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "project" / "models" / "tiny-llama"
    small = whole.with_name(f"tiny-llama-{named}")
    assert f"is in {small}" in done.stdout
    assert (whole / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert json.loads((small / "config.json").read_text(encoding="utf-8"))["quantization"]["bits"] == bits
    model, _ = load(str(small))
    logits, exact = (each(mx.array([[5, 6, 7, 8]])) for each in (model, load(str(whole))[0]))
    apart = float(mx.abs(logits - exact).max()) / float(mx.abs(exact).max())
    assert 0 < apart < (0.5 if bits == 4 else 0.05)
