"""A whole experiment on a cluster whose directories are not seen here: sent, run there, fetched, verified."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.mirror import SshHome
from cruijff_kit.bootstrap import open_world
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.site import Remote, Site
from tests.fakes.designed import DESIGN, design, put_design
from tests.gated_bench import until
from tests.slurm.cluster import Cluster
from tests.slurm.remote.far import Laptop, far_variables
from tests.slurm.remote.login import running_login
from tests.slurm.remote.test_login import SAFE

GREEN = design(data={**DESIGN["data"], "tier": "green"})
"""Lets texts of an experiment come here."""


@pytest.fixture
def laptop(slurm_cluster: Cluster, tmp_path: Path) -> Iterator[Laptop]:
    far = tmp_path / "far side's"
    far.mkdir()
    with running_login({**far_variables(far), **slurm_cluster.environment}) as login:
        yield Laptop(tmp_path / "here", far, login=login)
        slurm_cluster.clear()


def steps(laptop: Laptop) -> dict[str, dict[str, Any]]:
    return {step["run_id"]: step for step in json.loads(laptop.ck("status", "--json"))["steps"]}


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file that a copy should hold."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def test_an_experiment_runs_whole_on_another_host_and_its_results_are_here(
    laptop: Laptop, slurm_cluster: Cluster
) -> None:
    laptop.write_design()
    laptop.ck("design", "write", "inputs/design.yaml", "--reason", "shown")
    laptop.ck("scaffold")
    slurm_cluster.say("scontrol", "update", "partitionname=debug", "state=down")
    laptop.ck("submit", "--yes", "--reason", "approved")
    before = steps(laptop)
    victim = min(before)
    laptop.ck("cancel", victim, "--yes", "--reason", "not this one")
    slurm_cluster.say("scontrol", "update", "partitionname=debug", "state=up")
    laptop.ck("watch", "--poll", "0.2")
    assert sorted(step["phase"] for step in steps(laptop).values()) == ["cancelled", "completed"]
    laptop.ck("retry", victim, "--yes", "--reason", "this one after all")
    laptop.ck("watch", "--poll", "0.2")
    after = steps(laptop)
    assert {step["phase"] for step in after.values()} == {"completed"}
    assert {run_id: len(step["attempts"]) for run_id, step in after.items()} == {
        run_id: 2 if run_id == victim else 1 for run_id in before
    }
    for run_id in before:
        assert (laptop.copy / "runs" / run_id / "ran.txt").read_text(encoding="utf-8").count("\n") == 1
    assert "Best setting" in laptop.ck("report")
    assert "Best setting" in (laptop.copy / "summary.md").read_text(encoding="utf-8")
    assert (laptop.copy / "report" / "index.html").stat().st_size > 1000
    assert not (laptop.copy / "outputs").exists()
    receipt = json.loads(laptop.ck("sync", "--adapters", "--json"))
    assert (len(receipt["fetched"]), receipt["verified"], receipt["sent"]) == (2, 2, [])
    assert receipt["lines"] > 10
    assert hashes(laptop.copy) == hashes(laptop.home)
    # No job was told of a place here.
    scripts = "".join(path.read_text(encoding="utf-8") for path in laptop.copy.glob("runs/*/finetune.*"))
    assert str(laptop.root) not in scripts
    assert str(laptop.home) in scripts.replace("'\"'\"'", "'")
    assert [line for line in laptop.login.lines() if not any(re.fullmatch(safe, line) for safe in SAFE)] == []


def test_an_input_that_is_changed_goes_there_by_its_content(laptop: Laptop) -> None:
    path = laptop.root / "inputs" / "some data.json"
    path.write_text("[1, 2]", encoding="utf-8")
    facts = path.stat()
    assert json.loads(laptop.ck("sync", "--json"))["sent"] == ["inputs/some data.json"]
    # As many characters, at the same moment: size and time do not tell.
    path.write_text("[1, 3]", encoding="utf-8")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert json.loads(laptop.ck("sync", "--json"))["sent"] == ["inputs/some data.json"]
    there = laptop.home.parent / "inputs" / "some data.json"
    assert there.read_text(encoding="utf-8") == "[1, 3]"
    path.unlink()
    assert json.loads(laptop.ck("sync", "--json"))["sent"] == []
    assert there.exists()


def test_a_copy_that_is_killed_leaves_whole_files_and_the_next_one_finishes(laptop: Laptop) -> None:
    put_design(laptop.home, GREEN)
    small, big = laptop.home / "runs" / "a_run" / "status.json", laptop.home / "data" / "big.bin"
    sent, arriving = laptop.root / "inputs" / "big.bin", laptop.copy / ".arriving"
    small.parent.mkdir(parents=True)
    big.parent.mkdir(parents=True)

    def under_way(going: "subprocess.Popen[str]") -> bool:
        # Some are killed on the way there, some on the way back.
        with contextlib.suppress(FileNotFoundError):
            return going.poll() is not None or any(arriving.iterdir())
        return False

    killed = 0
    for count in range(8):
        for path in (small, big, sent):
            # Written aside and renamed, as everything is: a copy that lost its parent may still be reading.
            aside = path.with_name(".aside")
            aside.write_bytes(bytes([count]) * (20_000_000 if path.suffix == ".bin" else 20))
            aside.replace(path)
        going = laptop.start("sync")
        until(lambda going=going: under_way(going), "a file on its way")
        killed += going.poll() is None
        going.send_signal(signal.SIGKILL)
        going.communicate()
        for path in (*laptop.copy.rglob("*"), *laptop.home.parent.rglob("inputs/big.bin")):
            whole = path.name in (small.name, big.name) and path.is_file() and ".arriving" not in path.parts
            assert not whole or len(set(path.read_bytes())) == 1, path
            assert not whole or path.stat().st_size in (20, 20_000_000)
    assert killed
    laptop.ck("sync")
    assert hashes(laptop.copy) == hashes(laptop.home)
    assert (laptop.home.parent / "inputs" / "big.bin").read_bytes() == sent.read_bytes()
    assert not arriving.exists()


def test_two_copies_at_once_wait_for_each_other(laptop: Laptop) -> None:
    put_design(laptop.home, GREEN)
    (laptop.home / "data").mkdir(parents=True)
    (laptop.home / "data" / "big.bin").write_bytes(bytes(20_000_000))
    both = [laptop.start("sync"), laptop.start("sync")]
    for each in both:
        out, err = each.communicate(timeout=300)
        assert each.returncode == 0, out + err
    assert hashes(laptop.copy) == hashes(laptop.home)


def test_a_folder_with_files_of_its_own_is_never_copied_over(laptop: Laptop) -> None:
    laptop.copy.mkdir()
    (laptop.copy / "experiment_summary.md").write_text("mine", encoding="utf-8")
    assert "holds files of its own" in laptop.ck("sync", code=3)
    assert (laptop.copy / "experiment_summary.md").read_text(encoding="utf-8") == "mine"
    assert not laptop.home.exists()


def test_a_file_that_differs_from_what_its_job_vouches_for_is_told(laptop: Laptop) -> None:
    put_design(laptop.home, GREEN)
    folder = laptop.home / "runs" / "a_run"
    folder.mkdir(parents=True)
    (folder / "made.json").write_text("{}", encoding="utf-8")
    done = {"exit_code": 0, "artefacts": {"runs/a_run/made.json": "0" * 64}, "finished": "2026-01-02T03:04:05.000Z"}
    (folder / "DONE").write_text(json.dumps(done), encoding="utf-8")
    told = laptop.ck("sync", code=6)
    assert "`runs/a_run/made.json` is not the file that `runs/a_run/DONE` vouches for" in told


def test_inputs_that_are_links_or_hold_the_experiment_do_not_go_anywhere(laptop: Laptop, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine", encoding="utf-8")
    (laptop.root / "inputs" / "link").symlink_to(secret)
    assert "`inputs/link` is a link" in laptop.ck("sync", code=3)
    (laptop.root / "inputs" / "link").unlink()
    site = laptop.site.read_text(encoding="utf-8")
    laptop.site.write_text(site.replace("remote: {", "remote: {inputs: [far/data], "), encoding="utf-8")
    (laptop.copy / "data").mkdir(exist_ok=True)
    assert "lie in each other" in laptop.ck("sync", code=3)
    assert not any(laptop.home.parent.rglob("link"))


def test_large_files_stay_there_and_are_named(laptop: Laptop) -> None:
    site = laptop.site.read_text(encoding="utf-8")
    laptop.site.write_text(site.replace("remote: {", "remote: {largest: 1K, "), encoding="utf-8")
    put_design(laptop.home, GREEN)
    (laptop.home / "small.txt").write_text("few", encoding="utf-8")
    (laptop.home / "small.txt").chmod(0o600)
    (laptop.home / "large\n'file").write_bytes(bytes(1025))
    (laptop.home / ".hidden.part").write_bytes(bytes(2000))
    receipt = json.loads(laptop.ck("sync", "--json"))
    assert (receipt["fetched"], receipt["left"]) == (["experiment_summary.md", "small.txt"], ["large\n'file"])
    # Read-only, and as private as it is there.
    assert (laptop.copy / "small.txt").stat().st_mode & 0o777 == 0o400


def test_a_copy_that_cannot_be_written_here_is_told_and_no_traceback(laptop: Laptop) -> None:
    laptop.home.mkdir()
    laptop.ck("sync")
    (laptop.copy / ".arriving").write_text("in the way", encoding="utf-8")
    assert ".arriving` cannot be written" in laptop.ck("sync", code=3)


def test_a_site_that_is_called_otherwise_has_the_same_copy(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop.ck("sync")
    monkeypatch.setenv("CRUIJFF_SSH_CONFIG", str(laptop.login.config))
    sites = {
        name: Site(login_host=laptop.login.name, remote=Remote(dir=str(folder)))
        for name, folder in (("same", laptop.home.parent), ("other", laptop.far))
    }
    homes = {name: SshHome(laptop.copy, root=laptop.root, site=site, name=name) for name, site in sites.items()}
    assert homes["same"].send() == ()
    with pytest.raises(SiteError, match="is a copy of"):
        homes["other"].send()


def test_an_experiment_that_lies_elsewhere_is_refused_where_no_terminal_command_acts(laptop: Laptop) -> None:
    with pytest.raises(SiteError, match=r"experiment `far` lies on `login\.test`"):
        open_world(laptop.copy, root=laptop.root, kind="assistant", name="tool", client=None)


def test_a_host_that_is_gone_is_told_and_the_copy_stays_as_it_was(laptop: Laptop) -> None:
    laptop.home.mkdir()
    (laptop.home / "summary.md").write_text("figures", encoding="utf-8")
    laptop.ck("sync")
    laptop.login.hang_up()
    for words in (("sync",), ("status",), ("submit", "--yes")):
        assert "`login.test cannot be reached by ssh" in laptop.ck(*words, code=3)
    assert hashes(laptop.copy) == hashes(laptop.home)
    laptop.login.listen()
    laptop.ck("sync")


def test_a_package_that_is_not_there_is_told_with_the_key_to_set(laptop: Laptop) -> None:
    site = laptop.site.read_text(encoding="utf-8")
    laptop.site.write_text(site.replace("bin/ck", "bin/no"), encoding="utf-8")
    told = laptop.ck("status", code=3)
    assert "is not there on `login.test`" in told
    assert "`remote.program` in site.yaml" in told
