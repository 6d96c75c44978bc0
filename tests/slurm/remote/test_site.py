"""`ck site` where the cluster is behind a login host: found, asked for and tried through `ssh`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.adapters.login_probe import LoginProbe
from cruijff_kit.cli.main import cli
from tests.slurm.cluster import Cluster
from tests.slurm.remote.far import Laptop, far_variables
from tests.slurm.remote.login import Login, running_login


@pytest.fixture(scope="module")
def shared_login(slurm_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    far = tmp_path_factory.mktemp("far")
    with running_login({**far_variables(far), **slurm_cluster.environment}) as login:
        yield login


def ck(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), *words])


def checked(root: Path) -> dict[str, tuple[bool | None, str]]:
    done = ck(root, "site", "check", "--json")
    traits = json.loads(done.stdout)["traits"]
    return {trait["name"]: (trait["ok"], f"{trait['found']} {trait['hint']}") for trait in traits}


def test_settings_are_found_behind_a_login_host(login: Login, tmp_path: Path) -> None:
    done = ck(tmp_path / "exp", "site", "setup", "--login-host", login.name, "--project", "--yes")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "site.yaml").read_text(encoding="utf-8")
    assert "scheduler: slurm" in text
    assert f"login_host: {login.name}" in text
    assert "partition: debug" in text
    assert "type: h200" in text


def test_a_named_site_gets_a_file_of_its_own(login: Login, tmp_path: Path) -> None:
    words = ("--site", "far", "site", "setup", "--login-host", login.name, "--project", "--yes")
    assert ck(tmp_path / "exp", *words).exit_code == 0
    assert [path.name for path in tmp_path.glob("**/*.yaml")] == ["far.yaml"]
    shown = ck(tmp_path / "exp", "--site", "far", "site", "show", "--json")
    assert json.loads(shown.output)["site"]["login_host"] == login.name


def test_a_shared_directory_is_proven_and_the_cluster_and_python_there_are_tried(login: Login, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(f"scheduler: slurm\nlogin_host: {login.name}\n", encoding="utf-8")
    found = checked(tmp_path / "exp")
    assert {name: ok for name, (ok, _) in found.items() if ok is False} == {}
    assert {"login host", "shared directory", "programs", "cluster", "python", "package"} <= found.keys()
    assert list(tmp_path.glob(".ck-probe*")) == []


def test_a_directory_that_is_not_shared_is_told(login: Login, tmp_path: Path) -> None:
    found = LoginProbe(login.name).login(None, folder=str(tmp_path / "no"))
    assert found is not None
    assert found.shared is False


def test_each_fault_of_a_login_host_is_told_with_its_remedy(login: Login, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(f"scheduler: slurm\nlogin_host: {login.name}\n", encoding="utf-8")
    faults = {"hang_up": "Connection refused", "lock_out": "load your key", "distrust": "connect once by hand"}
    for fault, words in faults.items():
        login.restore()
        getattr(login, fault)()
        found = checked(tmp_path / "exp")
        assert list(found) == ["login host"]
        assert (found["login host"][0], words in found["login host"][1]) == (False, True), found
    login.restore()
    login.greet_with("echo Welcome\n")
    remote = f'remote: {{dir: "{tmp_path}/no", program: "/no/ck"}}\n'
    (tmp_path / "site.yaml").write_text(f"scheduler: slurm\nlogin_host: {login.name}\n{remote}", encoding="utf-8")
    found = checked(tmp_path / "exp")
    wrong = {name: words for name, (ok, words) in found.items() if ok is False}
    assert wrong.keys() == {"login shell", "remote directory", "cruijff-kit there"}
    assert "`Welcome`" in wrong["login shell"]
    assert "mkdir -p" in wrong["remote directory"]
    assert "`remote.program`" in wrong["cruijff-kit there"]
    assert found["rsync"][0] is True


def test_where_experiments_lie_there_the_rest_is_tried_there(login: Login, tmp_path: Path) -> None:
    far = Path(login.variables["XDG_CONFIG_HOME"]).parent
    laptop = Laptop(tmp_path / "here", far, login=login)
    told = laptop.ck("site", "check")
    here, _, there = told.partition(f"{login.name}:{laptop.home}:")
    assert "cruijff-kit there" in here
    assert "cluster" in there
    assert "package" in there
