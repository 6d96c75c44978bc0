"""Several clusters: an experiment is scaffolded for one of them, remembers it, and is never submitted to another."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cruijff_kit.adapters.site_file import DiskSiteFiles
from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, PlanError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import read_lock, recorded_plan
from cruijff_kit.workflow.submit import submit_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def opened(root: Path, site: str | None = None) -> World:
    return open_world(root, root=root.parent, kind="human", name="ada", client=None, site=site)


def ck(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), *words])


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a designed experiment at a site called `alpha`."""
    put_design(tmp_path / "parity", design())
    return world_at(tmp_path / "parity")._replace(site_name="alpha", scheduler=FakeScheduler())


def test_a_named_site_counts_over_what_all_sites_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own, project = tmp_path / "config" / "cruijff-kit", tmp_path / "project"
    write(own / "site.yaml", "allow_unattended: true\npartition: cpu\naccount: lab\n")
    write(own / "sites" / "alpha.yaml", "scheduler: slurm\npartition: gpu\n")
    write(project / "sites" / "alpha.yaml", "qos: urgent\n")
    write(project / "sites" / "beta.yaml", "partition: big\n")
    alpha, plain = opened(project / "exp", "alpha"), opened(project / "exp")
    assert (alpha.site.scheduler, alpha.site.partition, alpha.site.qos) == ("slurm", "gpu", "urgent")
    assert (alpha.site.account, alpha.site.allow_unattended, alpha.site_name) == ("lab", True, "alpha")
    assert (plain.site.partition, plain.site_name) == ("cpu", None)
    assert ck(project / "exp", "site", "list").output == "alpha\nbeta\n"
    monkeypatch.setenv("CRUIJFF_SITE", "beta")
    assert opened(project / "exp").site.partition == "big"
    assert opened(project / "exp", "alpha").site.partition == "gpu"


def test_a_site_that_nobody_tells_of_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path / "sites" / "alpha.yaml", "partition: gpu\n")
    with pytest.raises(SiteError, match=r"there is no site `alpa`[\s\S]*there are: `alpha`"):
        opened(tmp_path / "exp", "alpa")
    for name in ("../alpha", "", "a b", "-x", "a/b", "a\nb"):
        with pytest.raises(CruijffError):
            DiskSiteFiles(tmp_path, name).read()


def test_a_project_cannot_grant_leave_in_a_named_site_either(tmp_path: Path) -> None:
    write(tmp_path / "sites" / "alpha.yaml", "allow_unattended: true\n")
    with pytest.raises(CruijffError, match="counts only in your own site file"):
        opened(tmp_path / "exp", "alpha")


def test_the_seal_says_which_site_and_the_experiment_remembers_it(world: World, tmp_path: Path) -> None:
    write(tmp_path / "sites" / "alpha.yaml", "partition: gpu\n")
    scaffold_runs(world=world)
    lock = read_lock(world)
    assert lock is not None
    assert lock.site == "alpha"
    assert opened(tmp_path / "parity").site_name == "alpha"


def test_another_site_is_refused_for_whatever_looks_or_acts(world: World) -> None:
    plan_id = scaffold_runs(world=world).plan_id
    for other in (None, "beta"):
        elsewhere = world._replace(site_name=other)
        with pytest.raises(PlanError, match="was scaffolded for site `alpha`"):
            recorded_plan(world=elsewhere)
        with pytest.raises(PlanError, match="was scaffolded for site `alpha`"):
            submit_jobs(plan_id, world=elsewhere)
    assert world.scheduler.find([]) == {}


def test_before_anything_was_submitted_it_may_be_scaffolded_for_another_site(world: World) -> None:
    first = scaffold_runs(world=world)
    again = scaffold_runs(world=world._replace(site_name="beta"))
    assert again.plan_id == first.plan_id
    lock = read_lock(world)
    assert lock is not None
    assert lock.site == "beta"


def test_after_a_submission_it_stays_with_its_site(world: World) -> None:
    plan_id = scaffold_runs(world=world).plan_id
    submit_jobs(plan_id, world=world)
    before = (world.store.root / "design.lock.json").read_bytes()
    for other in ("beta", None):
        with pytest.raises(PlanError, match="were submitted to site `alpha`"):
            scaffold_runs(world=world._replace(site_name=other))
    assert (world.store.root / "design.lock.json").read_bytes() == before


def test_a_folder_that_is_a_copy_is_not_worked_on_here_whatever_the_site_says(tmp_path: Path) -> None:
    mark = '{"site": null, "host": "login.example", "dir": "/far/exp"}'
    write(tmp_path / "exp" / ".mirror.json", mark)
    with pytest.raises(SiteError, match="experiment `exp` lies on another machine"):
        opened(tmp_path / "exp")


def test_a_copy_of_one_site_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    write(tmp_path / "exp" / ".mirror.json", '{"site": "alpha", "host": "one", "dir": "/far/exp"}')
    # The seal was made there, where the site has no name.
    write(tmp_path / "exp" / "design.lock.json", '{"site": null}')
    for name in ("alpha", "beta"):
        write(tmp_path / "sites" / f"{name}.yaml", f"login_host: {name}.invalid\nremote: {{dir: /far}}\n")
    done = ck(tmp_path / "exp", "--site", "beta", "sync")
    assert isinstance(done.exception, SiteError)
    assert "is a copy of one:/far/exp, and beta.invalid:/far/exp is asked for" in str(done.exception)
    assert "alpha.invalid:/far/exp is asked for" in str(ck(tmp_path / "exp", "sync").exception)


def test_a_directory_there_needs_a_host(tmp_path: Path) -> None:
    write(tmp_path / "site.yaml", "remote: {dir: /far}\n")
    with pytest.raises(CruijffError, match="`login_host` is not set"):
        opened(tmp_path / "exp")
    assert Site(login_host="a", remote={"dir": "/far"}).remote is not None  # type: ignore[arg-type]  # as a file says it


def test_help_is_shown_here_and_names_the_option(tmp_path: Path) -> None:
    write(tmp_path / "site.yaml", "login_host: nowhere.invalid\nremote: {dir: /far}\n")
    assert "--reason" in ck(tmp_path / "exp", "submit", "--help").output
    assert "--site" in CliRunner().invoke(cli, ["--help"]).output


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an experiment of a project, with a yellow input, whose user keeps experiments on a login host."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write(tmp_path / "config" / "cruijff-kit" / "site.yaml", "login_host: nowhere.invalid\nremote: {dir: /far}\n")
    write(tmp_path / "project" / "inputs" / "words.json", "[]")
    return tmp_path / "project" / "exp"


def test_a_reason_too_long_to_be_a_file_name_is_a_reason(elsewhere: Path) -> None:
    reason = "for many words " * 30
    allowed = ("data", "allow", "inputs/words.json", "--way", "host")
    for words in (("submit",), ("data", "show"), allowed, ("data", "allow", reason, "--way", "host")):
        assert isinstance(ck(elsewhere, *words, "--reason", reason).exception, CruijffError), words


@pytest.mark.parametrize("said", (("--way", "host"), ("--way=host",)))
def test_consent_to_inputs_is_given_here_and_any_other_where_the_experiment_lies(
    elsewhere: Path, said: tuple[str, ...]
) -> None:
    reason = ("--reason", "the host may have it")
    here = ck(elsewhere, "data", "allow", *said, "inputs/words.json", *reason)
    assert "there is no terminal" in str(here.exception)
    for words in (("inputs/words.json", "--way", "show"), ("data/words.json", *said), said):
        there = ck(elsewhere, "data", "allow", *words, *reason)
        assert "inputs may not go to nowhere.invalid:/far/exp" in str(there.exception), words


@pytest.mark.parametrize(
    "command", ("init", "info", "mcp install", "mcp install --ssh h.invalid --root /far", "train list-data")
)
def test_what_is_about_this_machine_is_done_on_it_wherever_experiments_lie(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(elsewhere.parent)
    done = ck(elsewhere.parent, *command.split())
    assert done.exit_code == 0, done.output
    assert not (elsewhere.parent / ".mirror.json").exists()
