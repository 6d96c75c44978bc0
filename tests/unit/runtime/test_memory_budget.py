from pathlib import Path

import pytest
import torch

from cruijff_kit.runtime.memory_budget import Footprint, free_bytes, group_free


def put(folder: Path, *, limit: str, used: int, cached: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n", encoding="ascii")
    (folder / "memory.current").write_text(f"{used}\n", encoding="ascii")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {cached}\nslab 3\n", encoding="ascii")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return the file that names a job's group, as the kernel writes it."""
    file = tmp_path / "own"
    file.write_text("1:name=old:/elsewhere\n0::/slurm/job_7\n", encoding="utf-8")
    return file


def test_a_job_has_what_its_group_leaves_and_pages_of_files_are_given_back(tmp_path: Path, own: Path) -> None:
    put(tmp_path / "root/slurm/job_7", limit="1000", used=700, cached=150)
    assert group_free(own=own, root=tmp_path / "root") == 450


def test_the_tightest_of_the_groups_around_a_job_counts(tmp_path: Path, own: Path) -> None:
    put(tmp_path / "root/slurm/job_7", limit="1000", used=100)
    put(tmp_path / "root/slurm", limit="2000", used=1900)
    assert group_free(own=own, root=tmp_path / "root") == 100


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path, own: Path) -> None:
    put(tmp_path / "root/slurm/job_7", limit="1000", used=1200)
    assert group_free(own=own, root=tmp_path / "root") == 0


def test_groups_without_a_limit_or_without_files_limit_nothing(tmp_path: Path, own: Path) -> None:
    put(tmp_path / "root/slurm/job_7", limit="max", used=700)
    assert group_free(own=own, root=tmp_path / "root") is None
    assert group_free(own=tmp_path / "none", root=tmp_path / "nowhere") is None


def test_free_memory_is_that_of_the_machine_or_less() -> None:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    assert 0 < free_bytes(torch.device("cpu")) <= total


def test_a_batch_takes_what_its_tokens_and_its_logits_take() -> None:
    assert Footprint(token=10, logits=7).of(3, tokens=5, logits=4) == 3 * 5 * 10 + 4 * 7
