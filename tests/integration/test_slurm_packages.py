"""Slurm's packages are installed without a question, a service or a change to what is there, or it is said why not."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.slurm import packages
from tests.slurm.packages import APT, NotInstalled, install

# Notes what it is asked for, and what a package would be told that asks whether to start its service.
APT_GET = """\
#!/bin/sh
echo "$@" >> "{notes}"
echo "service: $("{policy}" slurmctld start > /dev/null 2>&1; echo $?)" >> "{notes}"
echo "{said}"
exit {code}
"""
ALLOWS, DENIES = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 101\n"


class Machine(NamedTuple):
    """A machine whose packages are managed by a script that notes what it is asked for."""

    folder: Path

    def manager(self, *, code: int = 0, said: str = "") -> None:
        text = APT_GET.format(notes=self.folder / "notes", policy=self.policy, said=said, code=code)
        (self.folder / "bin" / "apt-get").write_text(text, encoding="utf-8")
        (self.folder / "bin" / "apt-get").chmod(0o755)

    def notes(self) -> list[str]:
        return (self.folder / "notes").read_text(encoding="utf-8").splitlines()

    @property
    def policy(self) -> Path:
        return self.folder / "policy-rc.d"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name in ("bin", "lists"):
        (tmp_path / name).mkdir()
    for name in ("dpkg", "dpkg-query", "systemctl"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    made.manager()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(packages, "_POLICY", made.policy)
    monkeypatch.setattr(packages, "_LISTS", tmp_path / "lists")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return made


def test_lists_are_fetched_where_there_are_none_and_nothing_is_removed_upgraded_or_started(machine: Machine) -> None:
    install()
    update, denied, asked, denied_too = machine.notes()
    assert update.endswith(" update")
    assert denied == denied_too == "service: 101"
    assert {"--no-remove", "--no-upgrade", "--no-install-recommends", "-y", *APT.split()[4:]} <= set(asked.split())
    assert "Dpkg::Options::=--force-confold" in asked
    assert not machine.policy.exists()


def test_lists_that_are_there_are_fetched_anew_only_after_a_failure(machine: Machine) -> None:
    (machine.folder / "lists" / "debian_Packages.lz4").write_bytes(b"")
    install()
    assert [note.split()[-1] == "update" for note in machine.notes()[::2]] == [False]
    machine.manager(code=100, said="E: something is broken")
    with pytest.raises(NotInstalled, match="something is broken"):
        install()
    assert [note.split()[-1] == "update" for note in machine.notes()[2::2]] == [False, True, False]
    assert not machine.policy.exists()


def test_a_machine_without_a_network_is_told_so(machine: Machine) -> None:
    machine.manager(code=100, said="Err: Temporary failure resolving 'deb.debian.org'")
    with pytest.raises(NotInstalled, match="is this machine offline"):
        install()


@pytest.mark.parametrize("policy", (ALLOWS, DENIES), ids=("allows", "denies"))
def test_a_policy_that_is_there_is_kept_and_decides(machine: Machine, policy: str) -> None:
    machine.policy.write_text(policy, encoding="utf-8")
    machine.policy.chmod(0o755)
    if policy == ALLOWS:
        with pytest.raises(NotInstalled, match="lets packages start services"):
            install()
        assert not (machine.folder / "notes").exists()
    else:
        install()
        assert set(machine.notes()[1::2]) == {"service: 101"}
    assert machine.policy.read_text(encoding="utf-8") == policy


def test_who_may_not_install_is_told_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotInstalled, match="as root only"):
        install()
    (machine.folder / "bin" / "apt-get").unlink()
    monkeypatch.setenv("PATH", f"{machine.folder}/bin")
    with pytest.raises(NotInstalled, match="Debian and Ubuntu only"):
        install()
