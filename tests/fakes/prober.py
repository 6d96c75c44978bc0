"""A prober that tells what it was told, and keeps what it was asked."""

from collections.abc import Sequence

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import RunError
from cruijff_kit.schema.estimate import Probe

__all__ = ["FakeProber"]


class FakeProber:
    """Steps at a given speed, on a given device."""

    def __init__(self, *, speed: float = 500.0, device: str = "cpu", fails: str = "") -> None:
        self.speed, self.device, self.fails = speed, device, fails
        self.asked: list[tuple[str, ...]] = []

    def probe(self, config: str, *, command: Sequence[str], steps: int) -> Probe:
        run_id = load_yaml(config, name="finetune.yaml").value["run_id"]
        self.asked.append(tuple(command))
        if self.fails:
            raise RunError(f"the first steps failed; the recipe said:\n{self.fails}", run_id=run_id)
        return Probe(
            run_id=run_id,
            steps=steps,
            tokens_per_second=self.speed,
            low=self.speed * 0.9,
            high=self.speed * 1.1,
            peak_memory_bytes=10**9,
            device=self.device,
        )
