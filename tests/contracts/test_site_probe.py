"""What every probe of a machine and every pair of site files does, the fake one as the real one."""

import os
import sys
from pathlib import Path

import pytest

from cruijff_kit.adapters.login_probe import LoginProbe
from cruijff_kit.adapters.site_file import DiskSiteFiles
from cruijff_kit.adapters.site_probe import MachineProbe
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.ports import SiteFiles, SiteProbe
from cruijff_kit.schema.site import GpuKind
from cruijff_kit.schema.site_facts import FolderFacts, OldScript, ScriptAnswer
from tests.fakes.site_probe import FakeProbe, FakeSiteFiles

HELLO = "#!/bin/bash\nset -e\necho hello; echo problem >&2; exit 3\n"
OLD = '#!/bin/bash\n#SBATCH -p gpu --account=lab\nmodule load cuda/12\nsource /envs/kit/bin/activate\neval "$X"\n'


@pytest.fixture(params=("fake", "real"))
def probe(request: pytest.FixtureRequest, tmp_path: Path) -> SiteProbe:
    if request.param == "real":
        return MachineProbe()
    there = FolderFacts(path=str(tmp_path), exists=True, writable=True, locks=True, free=10**12, skew=0.0)
    options = {"partition": "gpu", "account": "lab"}
    old = OldScript(options=options, modules=("cuda/12",), venv="/envs/kit", left=('eval "$X"',))
    return FakeProbe(there, answer=ScriptAnswer(code=3, output="hello\n", errors="problem\n"), old=old)


def test_a_folder_is_tried_and_left_as_it_was(probe: SiteProbe, tmp_path: Path) -> None:
    found = probe.folder(str(tmp_path))
    assert (found.exists, found.writable, found.locks, found.fault) == (True, True, True, "")
    assert (found.free or 0) > 0
    assert abs(found.skew or 0.0) < 60
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_only_looked_at_is_not_written(probe: SiteProbe, tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    found = probe.folder(str(tmp_path), tries=False)
    assert (found.exists, found.locks, found.skew) == (True, None, None)
    assert (found.free or 0) > 0
    assert tmp_path.stat().st_mtime_ns == before


def test_an_absent_folder_is_told_and_not_made(probe: SiteProbe, tmp_path: Path) -> None:
    found = probe.folder(str(tmp_path / "no"))
    assert (found.exists, found.writable, found.locks) == (False, False, None)
    assert not (tmp_path / "no").exists()


def test_a_machine_that_jobs_are_submitted_from_tells_of_no_login_host(probe: SiteProbe, tmp_path: Path) -> None:
    assert probe.login(None, folder=str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_script_is_run_and_its_words_and_code_are_kept(probe: SiteProbe) -> None:
    answer = probe.run_script(HELLO, fresh=True, seconds=30)
    assert (answer.code, answer.output, answer.errors) == (3, "hello\n", "problem\n")


def test_an_old_script_is_read_and_not_run(probe: SiteProbe, tmp_path: Path) -> None:
    path = tmp_path / "old.slurm"
    path.write_text(OLD, encoding="utf-8")
    found = probe.old_script(str(path))
    assert found.options == {"partition": "gpu", "account": "lab"}
    assert (found.modules, found.venv, found.conda, found.left) == (("cuda/12",), "/envs/kit", None, ('eval "$X"',))


def test_what_is_told_of_a_machine_names_its_shell(probe: SiteProbe) -> None:
    assert probe.machine().commands["bash"]


def test_the_gpus_of_a_machine_are_told_alone_as_with_the_rest_of_it(probe: SiteProbe) -> None:
    assert probe.gpus() == probe.machine().gpus


@pytest.mark.parametrize("probe", (MachineProbe(), LoginProbe("nowhere.invalid")))
def test_gpus_are_those_of_this_machine_and_no_shell_is_asked_for_them(
    probe: SiteProbe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("nvidia-smi", "echo 24576"), ("bash", "touch asked"), ("ssh", "touch asked")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    assert probe.gpus() == (GpuKind(memory="24G"),)
    assert not (tmp_path / "asked").exists()


def test_a_script_sees_no_secret_and_nothing_that_is_active_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("VIRTUAL_ENV", "/envs/active")
    monkeypatch.setenv("PATH", f"/envs/active/bin:{os.environ['PATH']}")
    bare = MachineProbe().run_script("env", fresh=True, seconds=30).output
    assert "secret" not in bare
    assert "/envs/active" not in bare
    assert "/envs/active/bin" in MachineProbe().run_script("env", fresh=False, seconds=30).output


def test_a_script_that_does_not_end_is_ended() -> None:
    answer = MachineProbe().run_script("exec tail -f /dev/null", fresh=True, seconds=0.2)
    assert answer.code == 124
    assert "did not end" in answer.errors


def test_a_folder_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    # `/proc` takes no files, whoever asks.
    found = MachineProbe().folder("/proc" if sys.platform == "linux" else "/dev")
    assert not found.writable
    assert found.fault


@pytest.fixture(params=("fake", "real"))
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteFiles:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return DiskSiteFiles(tmp_path / "project") if request.param == "real" else FakeSiteFiles()


def test_only_sites_with_a_file_of_their_own_have_names(files: SiteFiles) -> None:
    files.write("project", "partition: cpu\n")
    assert files.names() == ()


def test_what_is_written_is_read_and_the_project_counts_over_the_user(files: SiteFiles) -> None:
    assert [each.text for each in files.files()] == [None, None]
    files.write("user", "partition: gpu\naccount: lab\n")
    files.write("project", "partition: cpu\n")
    assert [(each.level, each.text) for each in files.files()] == [
        ("user", "partition: gpu\naccount: lab\n"),
        ("project", "partition: cpu\n"),
    ]
    reading = read_sites(files.files())
    assert (reading.site.partition, reading.site.account) == ("cpu", "lab")


def test_a_file_that_is_not_valid_is_told_with_its_line(files: SiteFiles) -> None:
    files.write("project", "account: lab\npartiton: gpu\n")
    with pytest.raises(SpecError, match=r"site\.yaml:2 partiton: unknown key `partiton`\n  hint: write `partition`"):
        read_sites(files.files())


def test_a_file_that_cannot_be_read_or_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "cruijff-kit").write_text("in the way", encoding="utf-8")
    with pytest.raises(SiteError, match="cannot be"):
        DiskSiteFiles(tmp_path).write("user", "scheduler: local\n")
