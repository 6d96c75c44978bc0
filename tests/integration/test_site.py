"""`ck site`: settings found, asked for, shown with their source and tried."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.site_probe import MachineProbe
from cruijff_kit.cli.main import cli, main
from cruijff_kit.errors import PlanError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.site import Caps, Environment, GpuKind, Partition, Site
from cruijff_kit.schema.site_facts import ClusterFacts, FolderFacts, OldScript, ScriptAnswer, SiteTrait
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.site import propose_site, show_site, write_site
from cruijff_kit.workflow.site_check import check_site
from cruijff_kit.workflow.submit import preview_submission, submit_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.site_probe import CLUSTER, FakeProbe, FakeSiteFiles, printed

pytestmark = pytest.mark.once

GOOD = "scheduler: slurm\npartition: gpu\naccount: lab\nqos: urgent\nconstraint: a100&ib\n"


def world_with(tmp_path: Path, text: str, probe: FakeProbe | None = None) -> World:
    """Return a world whose user's site file says something, around a folder that is fine unless told otherwise."""
    root = tmp_path / "parity"
    root.mkdir(exist_ok=True)
    files = FakeSiteFiles(user=text)
    probe = probe or FakeProbe()
    probe.folders.setdefault(str(root), folder(root))
    return world_at(root)._replace(site=files.read().site, sites=files, probe=probe)


def folder(path: Path, **changes: object) -> FolderFacts:
    fine = {"path": str(path), "exists": True, "writable": True, "locks": True, "free": 10**12, "skew": 0.01}
    return FolderFacts.model_validate({**fine, **changes})


def wrong(world: World) -> dict[str, SiteTrait]:
    return {trait.name: trait for trait in check_site(world=world).traits if trait.ok is False}


def test_a_site_that_will_do_has_nothing_wrong_and_writes_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, GOOD)
    report = check_site(world=world)
    assert {trait.name for trait in report.traits} >= {"cluster", "partition", "account", "qos", "constraint", "python"}
    assert wrong(world) == {}
    assert list(world.store.root.iterdir()) == []


@pytest.mark.parametrize(
    "text,probe,name,words",
    (
        (GOOD, FakeProbe(commands={"bash": "/bin/bash"}), "programs", ("sbatch", "scheduler: local")),
        (GOOD, FakeProbe(cluster=None), "cluster", ("not here", "scontrol ping")),
        (GOOD, FakeProbe(cluster=ClusterFacts(fault="connect failure\nmore")), "cluster", ("connect failure",)),
        ("scheduler: slurm\npartition: gpux\n", None, "partition", ("`gpux` is not known", "did you mean `gpu`?")),
        ("scheduler: slurm\naccount: zzz\n", None, "account", ("`zzz`", "the cluster has lab, root")),
        ("scheduler: slurm\nqos: urgnt\n", None, "qos", ("did you mean `urgent`?",)),
        ("scheduler: slurm\nconstraint: a100|v100\n", None, "constraint", ("`v100` is not known",)),
        (
            "scheduler: slurm\npartitions: [{name: gpu, max_time: '03:00:00'}]\n",
            None,
            "partition gpu",
            ("allows 02:00:00", "write `max_time: 02:00:00`"),
        ),
        (
            "scheduler: slurm\npartitions: [{name: cpu, gpus: [{type: a100}]}]\n",
            None,
            "partition cpu",
            ("its nodes have none", "ck site setup"),
        ),
        (
            "scheduler: slurm\n",
            FakeProbe(cluster=CLUSTER.model_copy(update={"max_submit": 50})),
            "caps",
            ("you may have 50 jobs",),
        ),
        ("output_dir_base: /scratch\n", None, "output_dir_base", ("is not there", "mkdir -p")),
        ("models_dir: /models\n", None, "models_dir", ("is not there",)),
        ("environment: {kind: none, modules: [cuda]}\n", None, "modules", ("does not know `module`",)),
        ("login_host: ada@cluster\n", FakeProbe(commands={"bash": "/bin/bash"}), "programs", ("ssh",)),
        (
            "environment: {kind: conda, name: kit}\n",
            FakeProbe(answer=ScriptAnswer(code=1, output="", errors="line 1\nconda: not found\n")),
            "python",
            ("conda: not found", "ck scaffold --dry-run"),
        ),
        ("scheduler: local\n", FakeProbe(answer=printed(version="0.0.9")), "package", ("0.0.9", "install the same")),
        (
            "scheduler: local\n",
            FakeProbe(answer=printed({"/models/tiny": "no `config.json`"})),
            "input",
            ("/models/tiny", "no network"),
        ),
    ),
)  # fmt: skip
def test_each_thing_that_will_not_do_is_told_with_its_remedy(
    text: str, probe: FakeProbe | None, name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    found = wrong(world_with(tmp_path, text, probe))
    assert set(found) == {name}
    told = f"{found[name].found} {found[name].hint}"
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize(
    "changes,words",
    (
        ({"writable": False, "fault": "Permission denied"}, "Permission denied"),
        ({"locks": False}, "did not keep another process out"),
        ({"free": 10**8}, "less than 1 GB"),
        ({"quota_left": 5}, "less than 1 GB"),
        ({"skew": 30.0}, "+30 s"),
    ),
)
def test_a_folder_that_will_not_do_is_told(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    root = tmp_path / "parity"
    found = wrong(world_with(tmp_path, "scheduler: local\n", FakeProbe(folder(root, **changes))))
    assert words in found["experiment"].found
    assert found["experiment"].hint


def test_the_cluster_s_surprises_are_told_and_fail_nothing(tmp_path: Path) -> None:
    probe = FakeProbe(cluster=CLUSTER.model_copy(update={"warnings": ("no accounting is kept",), "accounts": ()}))
    report = check_site(world=world_with(tmp_path, GOOD, probe))
    open_ = [trait.found for trait in report.traits if trait.ok is None]
    assert "no accounting is kept" in open_
    assert any("lists none to compare with" in found for found in open_)
    assert not [trait for trait in report.traits if trait.ok is False]


def test_the_lines_of_a_job_are_what_is_tried_in_a_bare_shell(tmp_path: Path) -> None:
    probe = FakeProbe()
    text = "environment: {kind: venv, name: /envs/kit, variables: {NCCL_DEBUG: INFO}}\nwandb_mode: disabled\n"
    check_site(world=world_with(tmp_path, text, probe))
    ((script, fresh),) = probe.scripts
    assert fresh
    for line in ("source /envs/kit/bin/activate\n", "export NCCL_DEBUG=INFO\n", "export WANDB_MODE=disabled\n"):
        assert line in script
    assert "exec python -m cruijff_kit.runtime.preflight" in script


def test_the_inputs_of_a_sealed_plan_are_tried(tmp_path: Path) -> None:
    probe = FakeProbe()
    world = world_with(tmp_path, "scheduler: local\n", probe)
    put_design(world.store.root, design())
    scaffold_runs(world=world)
    check_site(world=world)
    ((script, _),) = probe.scripts
    assert "--model /models/tiny" in script
    assert f"--data {world.store.root}/data/" in script


def test_settings_are_found_on_the_cluster_and_an_old_script_counts_over_its_defaults(tmp_path: Path) -> None:
    options = {"partition": "gpu", "account": "gone", "mail-user": "ada", "time": "01:00:00"}
    old = OldScript(options=options, modules=("cuda",), conda="kit", left=("eval x",))
    found = propose_site(script="old.slurm", world=world_with(tmp_path, "", FakeProbe(old=old)))
    said = {each.key: (each.value, each.source) for each in found.proposals}
    assert said["scheduler"] == ("slurm", "Slurm 22.05.8")
    assert said["partition"] == ("gpu", "the old script")
    assert said["account"] == ("lab", "the cluster")
    assert said["mail"] == ("ada", "the old script")
    assert json.loads(said["environment"][0]) == {"kind": "conda", "name": "kit", "modules": ["cuda"]}
    told = "\n".join(found.notes)
    for words in ("account `gone` is not known", "set `resources.time` there", "`eval x` was not understood"):
        assert words in told


def test_what_is_found_makes_a_site_file_that_is_valid_and_checks(tmp_path: Path) -> None:
    gpus = (GpuKind(type="a100", count=4),)
    cluster = CLUSTER.model_copy(update={"partitions": (Partition(name="gpu", max_time="02:00:00", gpus=gpus),)})
    world = world_with(tmp_path, "", FakeProbe(cluster=cluster))
    found = propose_site(world=world)
    told = {each.key: each.value for each in found.proposals if each.value}
    written = write_site(told, world=world)
    assert written.written
    site = show_site(world=world).site
    assert (site.scheduler, site.partitions[0].gpus, site.accounts) == ("slurm", gpus, ("lab", "root"))
    assert wrong(world) == {}
    assert write_site(told, world=world).diff == ""


def test_without_a_cluster_the_scheduler_built_in_is_found(tmp_path: Path) -> None:
    found = propose_site(world=world_with(tmp_path, "", FakeProbe(cluster=None)))
    assert {each.key: each.value for each in found.proposals}["scheduler"] == "local"
    with pytest.raises(SiteError, match="cannot be read"):
        propose_site(script="nowhere", world=world_with(tmp_path, ""))


def test_a_setting_that_is_not_valid_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    world = world_with(tmp_path, "account: lab\n")
    with pytest.raises(SpecError, match="unknown key `acount`"):
        write_site({"acount": "x"}, world=world)
    assert show_site(world=world).site == Site(account="lab")


def test_a_dry_run_shows_the_change_and_writes_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, "account: lab\n")
    planned = write_site({"account": "other"}, dry_run=True, world=world)
    assert "-account: lab\n+account: other\n" in planned.diff
    assert not planned.written
    assert show_site(world=world).site.account == "lab"


@pytest.fixture
def ck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Return a caller of `ck` in an empty project of a user without settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "project" / "parity").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "parity")

    def call(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, words)
        error = str(done.exception) if done.exception is not None else ""
        return getattr(done.exception, "exit_code", done.exit_code), done.output + error

    return call


def test_this_machine_is_set_up_shown_and_checked(ck: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    own = tmp_path / "config" / "cruijff-kit" / "site.yaml"
    code, said = ck("site", "setup", "--dry-run")
    assert code == 0
    assert "+scheduler: " in said
    assert not own.exists()
    code, said = ck("site", "setup", "--yes")
    assert (code, own.is_file()) == (0, True)
    assert ck("site", "setup", "--yes") == (0, f"{own} says all of it already\n")
    code, said = ck("site", "show")
    assert f"{own}:2" in said
    own.write_text("environment: {kind: python}\n", encoding="utf-8")
    code, said = ck("site", "check", "--json")
    report = json.loads(said)
    assert (code, {trait["ok"] for trait in report["traits"]}) == (0, {True, None})
    # The interpreter that runs this is the one whose job was tried.
    assert any(str(Path(sys.executable).parent) in trait["found"] for trait in report["traits"])


def test_a_check_that_fails_ends_with_3_and_says_what_to_do(ck: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "project" / "site.yaml").write_text(f"output_dir_base: {tmp_path}/no\n", encoding="utf-8")
    code, said = ck("site", "check")
    assert code == 3
    for words in ("WRONG", f"`{tmp_path}/no` is not there", "To mend:", "mkdir -p", "one thing will not do"):
        assert words in said


def test_a_file_that_says_otherwise_is_never_replaced_without_a_word(
    ck: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    own = tmp_path / "config" / "cruijff-kit" / "site.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# mine\nenvironment: {kind: none}\n", encoding="utf-8")
    code, said = ck("site", "setup", "--yes")
    assert code == 3
    assert "-environment: {kind: none}" in said
    assert "no terminal" in said
    assert own.read_text(encoding="utf-8") == "# mine\nenvironment: {kind: none}\n"
    assert ck("site", "setup")[0] == 3


def test_a_site_file_with_problems_is_told_by_every_command(
    ck: Callable[..., tuple[int, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project" / "site.yaml").write_text("partiton: gpu\n", encoding="utf-8")
    for words in (("site", "show"), ("site", "check"), ("status",)):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        assert "site.yaml:1 partiton: unknown key" in capsys.readouterr().err


def test_a_preflight_refuses_the_network_and_names_what_does_not_resolve(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    job = f"exec {sys.executable} -m cruijff_kit.runtime.preflight --model {tmp_path} --data {tmp_path}/rows.json"
    answer = MachineProbe().run_script(f"{job} --data {tmp_path}/empty --data {tmp_path}/no", fresh=True, seconds=120)
    assert answer.code == 0, answer.errors
    found = json.loads(answer.output)["inputs"]
    assert found == {
        str(tmp_path): "no `config.json`",
        f"{tmp_path}/rows.json": "",
        f"{tmp_path}/empty": "the directory is empty",
        f"{tmp_path}/no": "No such file or directory",
    }


def scaffolded(tmp_path: Path, probe: FakeProbe | None = None, **resources: object) -> tuple[World, str]:
    root = tmp_path / "parity"
    put_design(root, design(resources=resources))
    world = world_at(root, site=Site(mail="ada"))._replace(probe=probe)
    return world, scaffold_runs(world=world).plan_id


def test_one_mail_is_asked_for_with_the_last_job_of_a_submission(tmp_path: Path) -> None:
    world, plan_id = scaffolded(tmp_path, notify=True)
    submit_jobs(plan_id, world=world)
    assert isinstance(world.scheduler, FakeScheduler)
    requests = list(world.scheduler.requests.values())
    assert [request.mail for request in requests] == [*[None] * (len(requests) - 1), "ada"]


def test_a_submission_that_has_no_room_is_refused_before_anything_is_queued(tmp_path: Path) -> None:
    root = tmp_path / "parity"
    for changes in ({"free": 1000}, {"quota_left": 1000}):
        probe = FakeProbe(folder(root / "outputs", **changes))
        world, plan_id = scaffolded(tmp_path, probe)
        for verb in (preview_submission, submit_jobs):
            with pytest.raises(PlanError, match=r"the trainings keep about .* GB, and 1e-06 GB are") as caught:
                verb(plan_id, world=world)
        assert "ck disk" in str(caught.value)
        assert isinstance(world.scheduler, FakeScheduler)
        assert not world.scheduler.requests


def test_what_the_site_does_not_allow_is_refused_at_submission_too(tmp_path: Path) -> None:
    world, plan_id = scaffolded(tmp_path, time="03:00:00")
    gpu = Partition(name="gpu", max_time="02:00:00")
    site = Site(partition="gpu", partitions=(gpu,), caps=Caps(), environment=Environment())
    with pytest.raises(PlanError, match="longer than partition `gpu` allows"):
        submit_jobs(plan_id, world=world._replace(site=site))


def test_at_a_terminal_each_setting_is_asked_for_and_written_once_agreed(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    command = [sys.executable, "-m", "cruijff_kit.cli.main", "site", "setup"]
    env = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": "/usr/bin:/bin",
        "SLURM_CONF": "/dev/null",
        "SCRATCH": "",
    }
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command, cwd=tmp_path / "project", env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    answers = {
        "Which scheduler": "local", "How do jobs reach Python": "{kind: none}", "base models": str(tmp_path),
        "checkpoints go": "-", "may lose": "", "Write ": "y",
    }  # fmt: skip
    screen, seen = "", ""
    try:
        while more := os.read(ours, 4096):
            screen, seen = screen + more.decode(), seen + more.decode()
            if seen.rstrip().endswith(":"):
                # What only this machine has, a GPU say, is left out.
                asked = next((question for question in answers if question in seen), "")
                os.write(ours, answers.pop(asked, "-").encode() + b"\n")
                seen = ""
    except OSError:
        pass  # Linux tells the end of a terminal by an error.
    os.close(ours)
    assert child.wait() == 0, screen
    assert answers == {}
    own = (tmp_path / "config" / "cruijff-kit" / "site.yaml").read_text(encoding="utf-8")
    assert own.splitlines()[1:] == ["scheduler: local", "environment:", "  kind: none", f"models_dir: {tmp_path}"]
