"""What every test on a real Slurm stands on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import Cluster

# Minutes each, and a file is run by one process: whoever begins with them is not left waiting for them.
LONG = ("test_nodes", "test_mirror", "test_resumed", "test_kills", "test_experiment", "test_memory")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder, and begin with what takes longest."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slurm)
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture
def bench(slurm: Cluster, tmp_path: Path) -> Iterator[SlurmBench]:
    """Yield a bench on the shared cluster."""
    with slurm_bench(slurm, tmp_path) as real:
        yield real
