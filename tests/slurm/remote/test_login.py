"""Commands on a login host: what reaches it, what comes back, and what is said where nothing does."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from cruijff_kit.adapters.login_host import UNREACHED, LoginHost
from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.adapters.slurm_commands import ABSENT, NOWHERE, SILENT
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.adapters.ssh import Ssh
from cruijff_kit.errors import SchedulerError, SiteError
from cruijff_kit.schema.job import JobRequest, JobState
from cruijff_kit.schema.site import Remote, Site
from tests.slurm.remote.login import Login, running_login

HOSTILE = ("with space", "quo'te", 'dou"ble', "$(no)", "`no`", "new\nline", "a; echo no", "-n", "ünï", "!!", "")
SAFE = (
    r"/bin/sh -s",
    r"""/bin/sh -c 'eval "\$\(echo [A-Za-z0-9+/=]+ \| base64 -d\)"'""",
    r"rsync --server [-A-Za-z0-9., ]+",
)
"""Lines that every login shell reads alike."""


@pytest.fixture(scope="module")
def shared_login() -> Iterator[Login]:
    with running_login({"SLURM_CONF": "/far away/slurm.conf", "HF_TOKEN": "secret", "SBATCH_ACCOUNT": "x"}) as login:
        yield login


@pytest.fixture
def host(login: Login) -> LoginHost:
    return LoginHost(login.name)


def test_words_arrive_as_they_were_said(host: LoginHost) -> None:
    assert host.run(("printf", "%s|", *HOSTILE)).out == "".join(f"{word}|" for word in HOSTILE)


def test_no_word_of_anybodys_stands_in_a_line_that_a_login_shell_reads(host: LoginHost, login: Login) -> None:
    host.run(("true", *HOSTILE), folder="/$(x)")
    script = host.script(("true", *HOSTILE))
    assert isinstance(script, str)
    assert host.ssh.attach(f"{script}\nexit $code", terminal=False) == 0
    assert [line for line in login.lines() if not any(re.fullmatch(safe, line) for safe in SAFE)] == []


def test_code_output_and_complaint_come_back_apart(host: LoginHost) -> None:
    for code in (0, 3, 124, 254, 255):
        answer = host.run(("sh", "-c", f"printf 'a\\n\\n'; echo b >&2; exit {code}"))
        assert answer == (code, "a\n\n", "b\n")


def test_a_folder_that_is_not_there_and_a_command_that_is_not_are_told_apart(host: LoginHost, tmp_path: Path) -> None:
    folder = tmp_path / "quo'te $(x)"
    assert host.order("pwd", folder=str(folder)).code == NOWHERE
    folder.mkdir()
    assert host.order("pwd", folder=str(folder)).out == f"{folder}\n"
    answer = host.order("no-such-program", folder=str(folder))
    assert (answer.code, "login.test" in answer.err) == (ABSENT, True)
    assert isinstance(refusal(answer, "nothing was submitted"), SiteError)


def test_a_command_has_what_a_login_there_has_and_no_keys_of_either_side(
    host: LoginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("SLURM_CONF", "/here/slurm.conf")
    names = {name: value for name, _, value in (line.partition("=") for line in host.order("env").out.splitlines())}
    assert names["SLURM_CONF"] == "/far away/slurm.conf"
    assert names["PATH"]
    assert {"HF_TOKEN", "SBATCH_ACCOUNT", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK"}.isdisjoint(names)


def test_a_command_that_waits_for_input_gets_none(host: LoginHost) -> None:
    assert host.run(("cat",)).out == ""


def test_what_a_login_prints_by_itself_is_no_part_of_an_answer(host: LoginHost, login: Login) -> None:
    login.greet_with("printf 'Welcome!\\nYou have mail\\n'; echo beware >&2")
    assert host.run(("echo", "answer")) == (0, "answer\n", "")


def test_a_command_without_an_end_is_given_up_and_not_taken_as_failed(host: LoginHost) -> None:
    host.user()
    answer = host.run(("sleep", "60"), seconds=-29.0)
    assert answer.code == SILENT
    assert refusal(answer, "x").transient  # type: ignore[attr-defined]  # it is a SchedulerError, which has it


def test_one_connection_serves_many_commands(host: LoginHost, login: Login) -> None:
    before = login.connections()
    for _ in range(5):
        assert host.ask("true").code == 0
    assert login.connections() - before == 1


def test_a_connection_that_the_users_configuration_keeps_is_used_instead(login: Login, tmp_path: Path) -> None:
    login.configure(f"ControlPath {tmp_path}/%C")
    words = Ssh(login.name).words()
    assert not [word for word in words if "Control" in word]


def test_the_options_pass_on_no_agent_no_display_and_ask_for_no_password(login: Login) -> None:
    words = Ssh(login.name).words()
    assert {"-a", "-x", "-T", "BatchMode=yes", "ClearAllForwardings=yes"} <= set(words)
    assert not [word for word in words if "StrictHostKeyChecking" in word]


@pytest.mark.parametrize(
    "fault,words,hint,passes",
    (
        ("hang_up", "Connection refused", "works from here", True),
        ("distrust", "Host key verification failed", "connect once by hand", False),
        (
            "impersonate",
            "(?i)host key verification failed",
            "connect once by hand",
            False,
        ),
        ("lock_out", "Permission denied", "load your key", False),
    ),
)
def test_a_host_that_is_not_reached_is_told_with_its_remedy_and_is_no_verdict(
    host: LoginHost, login: Login, *, fault: str, words: str, hint: str, passes: bool
) -> None:
    getattr(login, fault)()
    answer = host.ask("squeue")
    assert answer.code == UNREACHED
    told = refusal(answer, "the queue could not be read")
    assert isinstance(told, SchedulerError)
    assert re.search(words, str(told))
    assert hint in told.hint
    assert told.transient is passes
    scheduler = SlurmScheduler(host)
    report = scheduler.reports(["17"], tags={"17": "tag"})["17"]
    assert (report.state, "cannot be reached by ssh" in report.reason) == (JobState.UNKNOWN, True)
    with pytest.raises(SchedulerError):
        scheduler.submit(JobRequest(script="/a", tag="t", name="n", chdir="/"))


def test_a_connection_that_breaks_is_made_anew(host: LoginHost, login: Login) -> None:
    assert host.ask("true").code == 0
    login.hang_up()
    assert host.ask("true").code == UNREACHED
    login.listen()
    assert host.ask("true").code == 0


def test_a_connection_that_breaks_under_a_command_is_told_without_what_the_command_printed(
    host: LoginHost, login: Login, tmp_path: Path
) -> None:
    host.user()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    said = f"echo 'permission denied' >&2; echo begun > {gate}; exec sleep 60"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(host.run, ("sh", "-c", said))
        gate.read_text(encoding="utf-8")
        login.hang_up()
        answer = asked.result()
    assert answer == (UNREACHED, "", "login.test cannot be reached by ssh: the connection broke while sh was at work")
    assert refusal(answer, "x").transient  # type: ignore[attr-defined]  # it is a SchedulerError, which has it


@pytest.mark.parametrize("code", (0, 3))
def test_a_login_whose_profile_ends_it_is_told_and_not_taken_for_an_empty_environment(
    host: LoginHost, login: Login, tmp_path: Path, code: int
) -> None:
    (tmp_path / ".bash_profile").write_text(f"exit {code}\n", encoding="utf-8")
    login.greet_with(f"export HOME={tmp_path}")
    answer = host.ask("squeue")
    assert "ends in its own start-up files" in answer.err
    assert "bash -lc env" in refusal(answer, "the queue could not be read").hint


def test_what_an_account_that_is_closed_says_is_told(host: LoginHost, login: Login) -> None:
    login.greet_with("echo 'This account is currently not available.'; exit 1")
    assert host.user().err.endswith("by ssh: This account is currently not available.")


def test_a_host_that_has_no_name_is_told(login: Login) -> None:
    assert "cannot be reached by ssh" in LoginHost("no-such-host.invalid").user().err


@pytest.mark.parametrize(
    "name",
    ("-oProxyCommand=touch x", "a;touch x", "a b", "$(touch x)", "me@-oProxy", "a:b", "a\nb", "a/b", ""),
)
def test_no_site_takes_a_host_that_ssh_or_a_shell_would_read_otherwise(name: str) -> None:
    with pytest.raises(ValidationError):
        Site(login_host=name)


@pytest.mark.parametrize("path", ("relative", "~/x", "/", "//server/x", "/a\nb", "/a\x1bb", "-x", ""))
def test_no_site_takes_a_directory_there_that_is_none(path: str) -> None:
    with pytest.raises(ValidationError):
        Remote(dir=path)


@pytest.mark.parametrize("path", ("../x", "a/../../b", "/etc", "-x", ".ssh", "a//b", "a\nb", "~", "", "data/.raw"))
def test_no_site_sends_what_lies_outside_of_the_project_or_is_hidden(path: str) -> None:
    with pytest.raises(ValidationError):
        Remote(dir="/a", inputs=(path,))
