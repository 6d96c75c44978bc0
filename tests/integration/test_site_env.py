"""`ck site env`: built offline from wheels, locked by hashes, held against the lock, interrupted, left alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.environments import DiskEnvironments
from cruijff_kit.adapters.site_probe import MachineProbe
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.lock_text import parse_lock
from cruijff_kit.schema.environment import LOCK_FILE, BuildWish
from cruijff_kit.schema.site_facts import FolderFacts, ScriptAnswer, SiteTrait
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.site import show_site
from cruijff_kit.workflow.site_env import build_environment, check_environment, lock_environment
from cruijff_kit.workflow.submit import preview_submission
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.environments import FakeEnvironments
from tests.fakes.site_probe import FakeProbe, FakeSiteFiles
from tests.gated_bench import until
from tests.tiny_wheels import stand_ins, tiny_wheel

pytestmark = pytest.mark.once

SITE = (
    "# mine\nscheduler: local\nenvironment: {kind: python, variables: {NCCL_DEBUG: INFO}}  # as it was\naccount: lab\n"
)
NEEDED = ("click", "numpy", "pydantic", "pyyaml", "regex", "rich")


class Project(NamedTuple):
    """A user's settings and a project, with an environment that a killed build had begun."""

    home: Path
    """Folder of all of it."""
    said: str
    """What the build after the kill said."""

    @property
    def site(self) -> Path:
        """Return the user's site file."""
        return self.home / "config" / "cruijff-kit" / "site.yaml"

    @property
    def built(self) -> Path:
        """Return where the environment lies."""
        return self.home / "with space" / "env"

    def environment(self) -> dict[str, str]:
        """Return the variables that commands of this user see."""
        return {**os.environ, "XDG_CONFIG_HOME": str(self.home / "config")}

    def words(self, *words: str) -> list[str]:
        """Return the command line of a `ck` in this project."""
        return [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(self.home / "parity"), *words]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose build was killed as soon as it had begun, and then repeated."""
    project = Project(tmp_path_factory.mktemp("site"), "")
    project.site.parent.mkdir(parents=True)
    project.site.write_text(SITE, encoding="utf-8")
    (project.home / "parity").mkdir()
    wheels = stand_ins(project.home / "wheels", *NEEDED)
    build = project.words(
        "site", "env", "build", "--extras", "live", "--wheels", str(wheels), "--into", str(project.built)
    )
    with subprocess.Popen(build, env=project.environment(), stdout=subprocess.DEVNULL, start_new_session=True) as child:
        until((project.built / ".ck-environment").exists, "the begin of a build")
        os.killpg(child.pid, signal.SIGKILL)
    assert DiskEnvironments().state(str(project.built)) == "unfinished"
    assert project.site.read_text(encoding="utf-8") == SITE
    done = subprocess.run(build, env=project.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return project._replace(said=done.stdout)


@pytest.fixture
def ck(project: Project, monkeypatch: pytest.MonkeyPatch) -> "Ck":
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project.home / "config"))
    return Ck(project)


class Ck:
    """A person who types commands in the project."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def __call__(self, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["-C", str(self.project.home / "parity"), *words])
        error = str(done.exception) if done.exception is not None else ""
        return getattr(done.exception, "exit_code", done.exit_code), done.output + error

    def wrong(self) -> dict[str, str]:
        """Return what `ck site env check` finds wrong."""
        code, said = self("site", "env", "check", "--json")
        traits = json.loads(said[: said.rindex("}") + 1])["traits"]
        found = {trait["name"]: trait["found"] for trait in traits if trait["ok"] is False}
        assert code == (3 if found else 0)
        return found


def test_a_build_after_a_kill_says_so_and_ends_whole_named_and_equal_to_its_lock(project: Project, ck: Ck) -> None:
    assert project.said.startswith("an unfinished build was removed first\nbuilt: venv of Python 3.")
    lock = parse_lock((project.built / LOCK_FILE).read_text(encoding="utf-8"), name="lock")
    assert {each.name for each in lock.packages} == {*NEEDED, "cruijff-kit"}
    assert all(each.sha256 for each in lock.packages)
    site = show_site_of(ck)
    assert site == {
        "kind": "venv", "name": str(project.built), "variables": {"NCCL_DEBUG": "INFO"},
        "lock": str(project.built / LOCK_FILE),
    }  # fmt: skip
    text = project.site.read_text(encoding="utf-8")
    assert (text.startswith("# mine\nscheduler: local\n"), "account: lab\n" in text) == (True, True)
    assert ck.wrong() == {}


def show_site_of(ck: Ck) -> Mapping[str, object]:
    values = json.loads(ck("site", "show", "--json")[1])["site"]["environment"]
    return {name: value for name, value in values.items() if value}


def test_the_environment_has_this_very_code_and_no_path_back_to_it(project: Project) -> None:
    shown = "import cruijff_kit.runtime.inventory as i, sys; print(i.__file__); print(i.inventory()['package']['code'])"
    python = project.built / "bin" / "python"
    said = subprocess.run([python, "-I", "-c", shown], capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0].startswith(f"{project.built}/lib/")
    assert said[1] == DiskEnvironments().own().package.code


def test_a_second_build_finds_it_whole_and_changes_nothing(project: Project, ck: Ck) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.built.rglob("*") if path.is_file()}
    wheels = str(project.home / "wheels")
    build = ("site", "env", "build", "--extras", "live", "--wheels", wheels, "--into", str(project.built))
    code, said = ck(*build)
    assert (code, said.partition(":")[0]) == (0, "there already")
    assert ck(*build, "--dry-run")[1].endswith("it is there already\n")
    assert {path: path.stat().st_mtime_ns for path in project.built.rglob("*") if path.is_file()} == before
    code, said = ck("site", "env", "build", "--extras", "train", "--into", str(project.built))
    assert code == 3
    assert "holds an environment of other versions" in said
    assert "jobs may be running" in said


def test_a_package_that_went_or_changed_or_came_is_told(project: Project, ck: Ck) -> None:
    packages = next((project.built / "lib").glob("python*")) / "site-packages"
    (rich,) = packages.glob("rich-*.dist-info")
    (click,) = packages.glob("click-*.dist-info")
    shutil.move(rich, project.home / rich.name)
    metadata = (click / "METADATA").read_text(encoding="utf-8")
    (click / "METADATA").write_text(metadata.replace("Version: 8", "Version: 7"), encoding="utf-8")
    added = packages / "leftover-1.0.dist-info"
    added.mkdir()
    (added / "METADATA").write_text("Metadata-Version: 2.1\nName: leftover\nVersion: 1.0\n", encoding="utf-8")
    own = packages / "cruijff_kit" / "schema" / "noun.py"
    source = own.read_text(encoding="utf-8")
    own.write_text(f"{source}\nCHANGED = True\n", encoding="utf-8")
    try:
        wrong = ck.wrong()
        site_check = ck("site", "check")[1]
    finally:
        shutil.move(project.home / rich.name, rich)
        (click / "METADATA").write_text(metadata, encoding="utf-8")
        shutil.rmtree(added)
        own.write_text(source, encoding="utf-8")
    assert set(wrong) == {"locked packages", "locked code"}
    assert wrong["locked packages"].startswith("missing `rich`; changed `click 7")
    assert "locked packages" in site_check
    assert ck.wrong() == {}


def test_a_lock_that_is_gone_or_no_lock_is_told_with_what_to_do(project: Project, ck: Ck) -> None:
    lock = project.built / LOCK_FILE
    text = lock.read_text(encoding="utf-8")
    try:
        lock.write_text("# made: yesterday\nrm -rf /\n", encoding="utf-8")
        assert "is no line of a lock" in ck.wrong()["lock"]
        lock.unlink()
        code, said = ck("site", "env", "check")
        assert (code, "its build did not end" in said) == (3, True)
    finally:
        lock.write_text(text, encoding="utf-8")


def test_a_wheel_that_is_not_the_locked_one_is_not_installed(project: Project, tmp_path: Path) -> None:
    # The report names the hashes of one folder, then another file of the same name and version lies there.
    wheels = stand_ins(tmp_path / "wheels", *NEEDED)
    lock = parse_lock((project.built / LOCK_FILE).read_text(encoding="utf-8"), name="lock")
    version = next(each.version for each in lock.packages if each.name == "click")
    tiny_wheel(wheels, "click", version, text="import os  # another file\n")
    pip = [str(project.built / "bin" / "python"), "-m", "pip", "install", "--no-index", "--find-links", str(wheels)]
    pip += ["--target", str(tmp_path / "there"), "--no-deps", "--require-hashes", "-r", str(project.built / LOCK_FILE)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_a_version_that_is_not_to_be_had_fails_in_words_and_names_nothing(project: Project, tmp_path: Path) -> None:
    wheels = stand_ins(tmp_path / "wheels", *NEEDED, releases={"rich": "0.1"})
    files = FakeSiteFiles(user="scheduler: local\n")
    world = world_at(tmp_path)._replace(sites=files, environments=DiskEnvironments())
    wish = BuildWish(into=str(tmp_path / "env"), extras=("live",), wheels=str(wheels))
    with pytest.raises(SiteError, match=r"python -m pip install. failed; it said") as caught:
        build_environment(wish, world=world)
    assert "more `--wheels`" in str(caught.value)
    assert files.texts["user"] == "scheduler: local\n"
    assert DiskEnvironments().state(str(tmp_path / "env")) == "unfinished"


def told_world(tmp_path: Path, text: str, **changes: object) -> tuple[World, FakeSiteFiles, FakeEnvironments]:
    files, environments = FakeSiteFiles(user=text), FakeEnvironments()
    world = world_at(tmp_path)._replace(sites=files, environments=environments, probe=FakeProbe())
    return world._replace(**changes), files, environments


def test_what_is_not_said_is_as_it_is_here_and_lies_below_scratch(tmp_path: Path) -> None:
    world, files, environments = told_world(tmp_path, "scratch_dir: /home/ada\nenvironment: {modules: [python/3.12]}\n")
    receipt = build_environment(BuildWish(build="cu128"), world=world)
    (order,) = environments.orders
    assert order.folder == f"/home/ada/ck-environments/0.1.0-{order.key}"
    assert (order.extras, order.modules, order.python) == (("eval", "train"), ("python/3.12",), "/usr/bin/python3")
    assert order.pins["torch"] == "2.13.0+cu128"
    assert receipt.diff
    site = show_site(world=world).site.environment
    assert (site.kind, site.name, site.modules) == ("venv", order.folder, ("python/3.12",))
    # Another wish is another environment: nothing that jobs run in is changed.
    build_environment(BuildWish(build="cpu"), world=world)
    assert environments.orders[1].folder != order.folder
    assert files.texts["project"] is None


def test_the_site_file_that_says_environment_is_the_one_that_is_changed(tmp_path: Path) -> None:
    world, files, _ = told_world(tmp_path, "scheduler: local\n")
    files.texts["project"] = "environment: {kind: none}\n"
    build_environment(BuildWish(), world=world)
    assert files.texts["user"] == "scheduler: local\n"
    assert "kind: venv" in str(files.texts["project"])


def test_a_dry_run_builds_and_writes_nothing(tmp_path: Path) -> None:
    world, files, environments = told_world(tmp_path, "scheduler: local\n")
    receipt = build_environment(BuildWish(), dry_run=True, world=world)
    assert (receipt.built, receipt.state, environments.orders) == (False, "absent", [])
    assert files.texts["user"] == "scheduler: local\n"


def test_wishes_that_cannot_be_met_are_refused_all_at_once(tmp_path: Path) -> None:
    world, _, environments = told_world(tmp_path, "scheduler: local\n")
    with pytest.raises(SpecError) as caught:
        build_environment(BuildWish(extras=("trian", "eval"), wheels=str(tmp_path / "no")), world=world)
    assert [problem.path for problem in caught.value.problems] == ["--extras", "--wheels"]
    with pytest.raises(SiteError, match=r"Python 3\.6\.8, and 3\.11 or newer"):
        build_environment(BuildWish(python="/usr/bin/python3.6"), world=world)
    with pytest.raises(SiteError, match=r"Python 3\.9, and 3\.11 or newer"):
        build_environment(BuildWish(conda=True, python="3.9"), world=world)
    environments.foreign.add("/envs/mine")
    with pytest.raises(SiteError, match="was not made by `ck site env build`"):
        build_environment(BuildWish(into="/envs/mine"), world=world)
    assert environments.orders == []


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    room = FolderFacts(path="/envs/kit", exists=False, free=10**12, quota_left=4 * 10**9, quota_of="user ada")
    world, files, environments = told_world(tmp_path, "scheduler: local\n", probe=FakeProbe(room))
    with pytest.raises(SiteError, match=r"about 9 GB, and 4 GB are left by the quota of user ada at `/envs/kit`"):
        build_environment(BuildWish(into="/envs/kit"), world=world)
    assert (environments.orders, files.texts["user"]) == ([], "scheduler: local\n")
    assert build_environment(BuildWish(into="/envs/kit", build="cpu"), world=world).built


def test_conda_is_asked_for_a_version_and_named_as_such(tmp_path: Path) -> None:
    world, _, environments = told_world(tmp_path, "scheduler: local\n")
    build_environment(BuildWish(conda=True, python="3.12"), world=world)
    assert (environments.orders[0].kind, environments.orders[0].python) == ("conda", "3.12")
    assert show_site(world=world).site.environment.kind == "conda"


def test_the_environment_that_jobs_use_is_locked_as_it_is(tmp_path: Path) -> None:
    world, _, environments = told_world(tmp_path, "environment: {kind: python}\n", probe=MachineProbe())
    world = world._replace(environments=environments)
    receipt = lock_environment(into=str(tmp_path / LOCK_FILE), world=world)
    lock = parse_lock(environments.locks[receipt.path], name="lock")
    assert receipt.packages == len(lock.packages) > 50
    assert {each.sha256 for each in lock.packages} == {None}
    assert show_site(world=world).site.environment.lock == receipt.path
    traits = {trait.name: trait.ok for trait in check_environment(world=world).traits}
    assert (traits["locked packages"], traits["locked python"], traits["locked code"]) == (True, True, True)


def test_a_file_that_is_no_lock_or_one_with_hashes_is_not_overwritten(tmp_path: Path) -> None:
    world, _, environments = told_world(tmp_path, "environment: {kind: python}\n", probe=MachineProbe())
    environments.locks["/home/ada/thesis.txt"] = "years of work\n"
    with pytest.raises(SiteError, match="is not the lock of an environment"):
        lock_environment(into="/home/ada/thesis.txt", world=world)
    built = build_environment(BuildWish(into="/envs/kit", extras=("ui",)), world=world).lock
    with pytest.raises(SiteError, match="versions alone would replace its hashes"):
        lock_environment(into=built, world=world._replace(sites=FakeSiteFiles(user="scheduler: local\n")))
    assert environments.locks["/home/ada/thesis.txt"] == "years of work\n"


def test_an_environment_that_does_not_run_is_told(tmp_path: Path) -> None:
    answer = ScriptAnswer(code=127, output="", errors="bash: python: command not found\n")
    world, _, _ = told_world(tmp_path, "environment: {kind: none}\n", probe=FakeProbe(answer=answer))
    (trait,) = check_environment(world=world).traits
    assert (trait.ok, "command not found" in trait.found) == (False, True)
    with pytest.raises(SiteError, match="cannot be asked: bash: python"):
        lock_environment(world=world)


def test_a_submission_warns_of_an_environment_that_is_not_its_lock(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "parity"
    put_design(root, design())
    lock = str(tmp_path / LOCK_FILE)
    text = (project.built / LOCK_FILE).read_text(encoding="utf-8")
    Path(lock).write_text(re.sub(r"^click==\S+", "click==0.1", text, flags=re.MULTILINE), encoding="utf-8")
    files = FakeSiteFiles(user=f"environment: {{kind: python, lock: '{lock}'}}\nprove_inputs: false\n")
    changes = {"sites": files, "environments": DiskEnvironments(), "probe": MachineProbe()}
    world = world_at(root, site=files.read().site)._replace(**changes)
    plan_id = scaffold_runs(world=world).plan_id
    warnings = preview_submission(plan_id, world=world).warnings
    assert any("locked packages" in warning and "ck site env build" in warning for warning in warnings)


def test_traits_of_an_environment_are_nouns_that_a_report_holds(tmp_path: Path) -> None:
    world, _, _ = told_world(tmp_path, "environment: {kind: python}\n", probe=MachineProbe())
    report = check_environment(world=world)
    assert all(isinstance(trait, SiteTrait) for trait in report.traits)
    assert {trait.name for trait in report.traits} >= {"environment", "package", "torch", "lock"}


def test_values_that_nothing_can_be_made_of_are_refused_in_words(ck: Ck) -> None:
    code, said = ck("site", "env", "build", "--cuda", "banana", "--into", "a\nb", "--dry-run")
    assert code == 2
    assert "--cuda: `'cubanana'` has a form" in said
    assert r"--into: `'a\nb'` has a form" in said
    assert ck("site", "env", "build", "--cuda", "12.8", "--cpu")[0] == 2
