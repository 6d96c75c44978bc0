"""`ck chat`: a small conversation with a model in the terminal."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.cli.model_options import choose, model_options
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import CruijffError, SpecError
from cruijff_kit.schema.serving import ChatSettings, Reply, Saying

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import Dialogue

__all__ = ["chat"]

_HELP = "/reset begins anew, /quit or Ctrl-D ends, Ctrl-C stops an answer"


@click.command()
@model_options
@click.option("--as-sent", is_flag=True, help="Send questions as they are, not in the training's prompt template.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Draw from the model; its likeliest answer if absent.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw from this mass of likely tokens alone.")
@click.option("--seed", type=int, help="Decides what is drawn; another one each time if absent.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer; 256, or what there is room for, if absent.")
@click.option("--once", metavar="TEXT", help="Ask this, print the answer and end.")
@click.pass_obj
def chat(
    experiment: str,
    *,
    as_sent: bool,
    temperature: float | None,
    top_p: float | None,
    seed: int | None,
    max_tokens: int | None,
    once: str | None,
    **options: object,
) -> None:
    """Talk to a model, an adapter or a run.

    Without a terminal each line of standard input is a question by itself, answered on one line.
    """
    settings = ChatSettings(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
    world = enter(experiment)
    served = choose(world, wrap=not as_sent, **options)
    talk = _Talk(workflow.open_dialogue(served, world=world), settings)
    if once is not None:
        reply = talk.ask(once, say=_say)
        click.echo("", nl=not reply.text.endswith("\n"))
        if reply.ended == "interrupted":
            raise SystemExit(130)
    elif not sys.stdin.isatty():
        _answer_lines(talk)
    else:
        click.echo(f"{served.name}: {_HELP}", err=True)
        _converse(talk)


class _Talk:
    """A conversation, and how it is answered."""

    def __init__(self, dialogue: "Dialogue", settings: ChatSettings) -> None:
        self._dialogue, self._settings = dialogue, settings
        self.sayings: list[Saying] = []

    def ask(self, text: str, *, say: Callable[[str], None]) -> Reply:
        """Return the answer to a question, kept with it; a question that fails is not kept."""
        asked = [*self.sayings, Saying(role="user", content=text)]
        reply = self._dialogue.answer(asked, self._settings, heard=say)
        self.sayings = [*asked, Saying(role="assistant", content=reply.text)]
        return reply


def _say(text: str) -> None:
    """Print more of an answer at once, without what could steer a terminal."""
    click.echo(workflow.safe_text(text), nl=False)


def _answer_lines(talk: _Talk) -> None:
    """Answer each line of standard input by itself, on one line."""
    for number, line in enumerate(sys.stdin, start=1):
        talk.sayings.clear()
        try:
            reply = talk.ask(line.rstrip("\r\n"), say=lambda _: None)
        except SpecError as err:
            raise SpecError(f"line {number} cannot be asked: {err}") from err
        click.echo(workflow.safe_text(reply.text).replace("\\", "\\\\").replace("\n", "\\n"))
        if reply.ended == "interrupted":
            raise SystemExit(130)


def _converse(talk: _Talk) -> None:
    """Answer what is typed until the user ends it; nothing of it is kept on disk."""
    with suppress(ImportError):
        # With it a line can be edited as it is typed.
        import readline  # noqa: F401 -- importing it is all that it takes

    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            click.echo("", err=True)
            return
        except KeyboardInterrupt:
            click.echo(f"\n{_HELP}", err=True)
            continue
        match text:
            case "":
                continue
            case "/quit":
                return
            case "/reset":
                talk.sayings.clear()
                click.echo("begun anew", err=True)
            case _ if text.startswith("/"):
                click.echo(f"there is no `{text.split()[0]}`; {_HELP}", err=True)
            case _:
                _answer(talk, text)


def _answer(talk: _Talk, text: str) -> None:
    try:
        reply = talk.ask(text, say=_say)
    except CruijffError as err:
        click.echo(f"error: {err}", err=True)
        return
    told = {"length": " [cut at --max-tokens]", "interrupted": " [stopped]", "stop": ""}[reply.ended]
    click.echo(told)
