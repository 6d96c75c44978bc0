"""What every home of a mirrored experiment promises: the one in another folder, and the one behind `ssh`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.adapters.mirror import SshHome
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Home
from cruijff_kit.schema.site import Remote, Site
from tests.fakes.home import FakeHome
from tests.slurm.remote.login import Login, running_login

NAME = "ex'p $(x)"


class Sides(NamedTuple):
    """Both sides of a mirrored experiment."""

    kind: str
    copy: Path
    there: Path
    login: Login | None

    def home(self) -> Home:
        """Return the home, as another process would have it."""
        if self.login is None:
            return FakeHome(self.copy, self.there, act=lambda words: 3 if words == ["a b", "$(c)"] else 1)
        site = Site(
            login_host=self.login.name, remote=Remote(dir=str(self.there.parent), program=str(self.there.parent / "ck"))
        )
        return SshHome(self.copy, root=self.copy.parent, site=site, name=None)


@pytest.fixture(params=["fake", pytest.param("ssh", marks=pytest.mark.slurm)])
def sides(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    for name in ("here", ".the re"):
        (tmp_path / name).mkdir()
    copy, there = tmp_path / "here" / NAME, tmp_path / ".the re" / NAME
    if request.param == "fake":
        yield Sides("fake", copy, there, None)
        return
    program = there.parent / "ck"
    program.write_text('#!/bin/sh\ntest "$3" = "a b" && test "$4" = \'$(c)\' && exit 3; exit 1\n', encoding="utf-8")
    program.chmod(0o755)
    with running_login({}) as login:
        monkeypatch.setenv("CRUIJFF_SSH_CONFIG", str(login.config))
        yield Sides("ssh", copy, there, login)


def test_inputs_go_there_once_and_again_when_their_content_is_another(sides: Sides) -> None:
    path = sides.copy.parent / "inputs" / "a" / "da'ta.json"
    path.parent.mkdir(parents=True)
    path.write_text("1", encoding="utf-8")
    home, there = sides.home(), sides.there.parent / "inputs" / "a" / "da'ta.json"
    assert home.send() == ("inputs/a/da'ta.json",)
    assert home.send() == ()
    facts = path.stat()
    path.write_text("2", encoding="utf-8")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert home.send() == ("inputs/a/da'ta.json",)
    assert there.read_text(encoding="utf-8") == "2"
    path.unlink()
    assert home.send() == ()
    assert there.exists()


def test_what_is_hidden_among_inputs_stays_here_links_too(sides: Sides) -> None:
    hidden = sides.copy.parent / "inputs" / ".venv"
    hidden.mkdir(parents=True)
    (hidden / "python").symlink_to("/usr/bin/env")
    (sides.copy.parent / "inputs" / "seen.txt").write_text("1", encoding="utf-8")
    assert sides.home().send() == ("inputs/seen.txt",)
    assert [path.name for path in (sides.there.parent / "inputs").iterdir()] == ["seen.txt"]


def test_results_come_from_there_without_what_is_hidden_and_nothing_is_deleted(sides: Sides) -> None:
    home = sides.home()
    assert home.fetch().files == ()
    sides.there.mkdir()
    for name in ("plan.json", ".plan.json.17.part", "runs/r/DONE", "outputs/a.bin"):
        path = sides.there / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    assert set(home.fetch().files) == {"plan.json", "runs/r/DONE"}
    assert home.fetch().files == ()
    assert home.fetch(adapters=True).files == ("outputs/a.bin",)
    assert home.fetch(adapters=True, again=True).files == ()
    (sides.there / "plan.json").unlink()
    assert home.fetch().files == ()
    assert (sides.copy / "plan.json").read_text(encoding="utf-8") == "plan.json"


def test_where_texts_stay_figures_and_configurations_come(sides: Sides) -> None:
    home = sides.home()
    figures = {"plan.json", "runs/r/DONE", "runs/r/eval/t/DONE", "report/a/b.png", "logs/audit.jsonl"}
    texts = {"words.json", "data/x.json", "runs/r/slurm-1.out", "runs/r/eval/t/logs/a.eval", "outputs/plan.json"}
    for name in figures | texts:
        path = sides.there / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    assert set(home.fetch(texts=False).files) == figures
    assert home.fetch(texts=False).files == ()
    assert set(home.fetch().files) == texts - {"outputs/plan.json"}


def test_the_inputs_that_would_go_there_are_told(sides: Sides) -> None:
    folder = sides.copy.parent / "inputs"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.json").write_text("1", encoding="utf-8")
    assert sides.home().inputs() == (folder / "a" / "b.json",)


def test_a_file_that_changed_here_is_made_as_it_is_there(sides: Sides) -> None:
    home = sides.home()
    sides.there.mkdir()
    (sides.there / "plan.json").write_text("one", encoding="utf-8")
    home.fetch()
    mine = sides.copy / "plan.json"
    facts = mine.stat()
    mine.chmod(0o644)
    mine.write_text("two", encoding="utf-8")
    os.utime(mine, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert home.fetch().files == ("plan.json",)
    assert mine.read_text(encoding="utf-8") == "one"


def test_a_folder_with_files_of_its_own_is_left_alone(sides: Sides) -> None:
    sides.copy.mkdir()
    (sides.copy / "plan.json").write_text("mine", encoding="utf-8")
    home = sides.home()
    for verb in (home.send, home.fetch, lambda: home.call(["status"])):
        with pytest.raises(SiteError, match="files of its own"):
            verb()
    assert (sides.copy / "plan.json").read_text(encoding="utf-8") == "mine"


def test_a_verb_is_called_there_with_its_words_as_they_are_and_its_code_comes_back(sides: Sides) -> None:
    home = sides.home()
    assert home.call(["a b", "$(c)"]) == 3
    assert home.call(["other"]) == 1
    assert home.words
