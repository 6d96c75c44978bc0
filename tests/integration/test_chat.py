"""`ck chat`: one question, lines of a pipe, and a conversation at a real terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from cruijff_kit.adapters.serving import LocalDialogue
from cruijff_kit.cli.main import cli
from cruijff_kit.data.tokens import encode_conversation, stop_ids
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.served_model import load_desk
from cruijff_kit.schema.serving import ChatSettings, Saying
from tests.random_model import random_base
from tests.served import ENCODING, served_model
from tests.tiny_base import tiny_base

pytestmark = pytest.mark.once

__all__ = ["tiny_base"]


def ran(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["chat", *arguments], input=typed)


def expected(base: Path, *turns: str) -> str:
    """Return the evaluator's answer to a conversation of questions, each answered before the next."""
    model, said = ResidentModel(str(base), device="cpu"), list[dict[str, str]]()
    ends = stop_ids(encoding=ENCODING, tokenizer=model.tokenizer)
    answer = ""
    for turn in turns:
        said.append({"role": "user", "content": turn})
        prompt = encode_conversation(said, encoding=ENCODING, tokenizer=model.tokenizer)
        answer = model.complete([prompt], Limits(32), stop_ids=ends)[0].text
        said.append({"role": "assistant", "content": answer})
    return answer


def test_one_question_is_answered_as_the_evaluator_would(tiny_base: Path) -> None:
    torch.set_num_threads(1)
    result = ran("--model", str(tiny_base), "--device", "cpu", "--max-tokens", "32", "--once", "river")
    assert (result.exit_code, result.stdout) == (0, f"{expected(tiny_base, 'river')}\n"), result.exception


def test_lines_of_a_pipe_are_questions_by_themselves_answered_a_line_each(tiny_base: Path) -> None:
    words = ["river", "stone", "river"]
    result = ran("--model", str(tiny_base), "--max-tokens", "32", typed="".join(f"{word}\n" for word in words))
    assert result.stdout.splitlines() == [expected(tiny_base, word) for word in words]
    empty = ran("--model", str(tiny_base), typed="")
    assert (empty.exit_code, empty.stdout) == (0, "")


def test_a_line_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    result = ran("--model", random_base(tmp_path / "small"), "--max-tokens", "4", typed=f"river\n{'x' * 300}\n")
    assert isinstance(result.exception, SpecError)
    assert "line 2 cannot be asked" in str(result.exception)
    assert "an answer of 4 exceed the model's 256 positions" in str(result.exception)
    assert len(result.stdout.splitlines()) == 1


def test_settings_bind_what_is_drawn(tiny_base: Path) -> None:
    options = ("--model", str(tiny_base), "--once", "river", "--temperature", "2", "--max-tokens", "12")
    drawn = [ran(*options, "--seed", str(seed)).stdout for seed in (1, 2, 3)]
    assert len(set(drawn)) > 1
    assert ran(*options, "--seed", "1").stdout == drawn[0]
    refused = ran("--model", str(tiny_base), "--once", "river", "--top-p", "0.5")
    assert isinstance(refused.exception, CruijffError)
    assert "nothing would be drawn" in str(refused.exception)


def test_an_interrupt_ends_the_answer_and_what_was_said_stays(tiny_base: Path) -> None:
    dialogue = LocalDialogue(load_desk(served_model(str(tiny_base), max_positions=128)))
    pieces: list[str] = []

    def heard(text: str) -> None:
        pieces.append(text)
        if len(pieces) == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    drawn = ChatSettings(temperature=2, seed=1, max_tokens=40)
    reply = dialogue.answer([Saying(role="user", content="river")], drawn, heard=heard)
    assert reply.ended == "interrupted"
    assert reply.tokens < 40
    assert "".join(pieces) == reply.text
    assert signal.getsignal(signal.SIGINT) == before


_AT_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Makes standard input the terminal that interrupts come from, and goes on as the command."""


class Terminal:
    """`ck chat` at a real terminal, typed at and read from."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, "-m", "cruijff_kit.cli.main", "chat", *arguments],
            cwd=folder,
            stdin=other,
            stdout=other,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"},
        )
        os.close(other)
        self.said = ""

    def until(self, ending: str) -> str:
        """Read until the terminal shows an ending; return what it showed since the last time."""
        said = ""
        while not said.endswith(ending):
            ready, _, _ = select([self._own], [], [], 60)
            assert ready, said
            said += os.read(self._own, 4096).decode().replace("\r\n", "\n")
        return said

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)


@pytest.fixture
def terminal(tiny_base: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: str) -> Terminal:
        made = Terminal("--model", str(tiny_base), "--device", "cpu", "--max-tokens", "32", *arguments, folder=tmp_path)
        opened.append(made)
        return made

    yield open_one
    for each in opened:
        each.close()


def test_a_conversation_is_kept_until_it_is_begun_anew_and_ends_as_it_is_told(
    terminal: Callable[..., Terminal], tiny_base: Path, tmp_path: Path
) -> None:
    chat = terminal()
    chat.until("> ")
    told = {}
    for name, typed in (("first", "river"), ("second", "stone"), ("unknown", "/what"), ("reset", "/reset")):
        chat.type(f"{typed}\n")
        told[name] = chat.until("> ").removeprefix(f"{typed}\n").removesuffix("> ")
    chat.type("stone\n")
    told["anew"] = chat.until("> ").removeprefix("stone\n").removesuffix("> ")
    assert told["first"] == f"{expected(tiny_base, 'river')}\n"
    assert told["second"] == f"{expected(tiny_base, 'river', 'stone')}\n"
    assert told["anew"] == f"{expected(tiny_base, 'stone')}\n"
    assert (told["unknown"], told["reset"]) == ("", "")
    # An interrupt where nothing is being answered ends nothing.
    chat.type("half a li\x03")
    chat.until("> ")
    chat.type("\x04")
    assert chat.process.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []


def test_quit_ends_it(terminal: Callable[..., Terminal]) -> None:
    chat = terminal()
    chat.until("> ")
    chat.type("/quit\n")
    assert chat.process.wait(timeout=60) == 0


def test_escapes_in_an_answer_never_reach_the_terminal(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cruijff_kit.cli.chat import _say

    shown: list[Any] = []
    monkeypatch.setattr("click.echo", lambda text, **_: shown.append(text))
    _say("a\x1b]0;owned\x07b\u202ec\n")
    assert json.dumps(shown) == json.dumps(["abc\n"])
