"""Models of this machine's disks, opened to programs over HTTP or to whoever sits at it."""

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.answer import AnswerForm
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.schema.serving import Address, ChatSettings, Place, Reply, Saying, ServedModel
from cruijff_kit.schema.verdict import Doubt

if TYPE_CHECKING:
    from cruijff_kit.runtime.answering import Desk, Following
    from cruijff_kit.runtime.classifying import Asker
    from cruijff_kit.runtime.resident_base import Resident

__all__ = ["LocalDialogue", "LocalScorer", "LocalServing"]


class LocalServing:
    """Models loaded in this process."""

    def serve(
        self, served: ServedModel, place: Place, *, ready: Callable[[Address], None], log: Callable[[str], None]
    ) -> bool:
        """Answer requests until a signal ends that; return whether it was an interrupt from the keyboard.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the place is taken or needs a token, the model cannot be loaded, or an extra is missing.
            SpecError: questions cannot be put to the model so.
        """
        try:
            from cruijff_kit.adapters.http_app import ServingApp
            from cruijff_kit.adapters.http_gate import Gate
            from cruijff_kit.adapters.http_server import HttpServer, bind, read_token, refuse_open
        except ImportError as err:
            raise _missing(err, "serving models") from err
        token = read_token(place.token_file)
        refuse_open(place.host, token=token, here_only=served.here_only)
        with bind(place) as listener:
            host, port = listener.getsockname()[:2]
            desk = _loaded(served)
            shown = f"[{host}]" if ":" in host else host
            address = Address(
                url=f"http://{shown}:{port}/v1", host=host, port=port, model=served.name, models=desk.names,
                token=token is not None, pid=os.getpid(),
            )  # fmt: skip
            app = ServingApp(desk, Gate(host, token=token), length=served.max_positions, log=log)
            server = HttpServer(app, ready=lambda: ready(address))
            server.run(sockets=[listener])
        return server.interrupted

    def open(self, served: ServedModel) -> "LocalDialogue":
        """Load a model to talk to.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the model cannot be loaded, or the extra that loads it is not installed.
            SpecError: questions cannot be put to the model so.
        """
        return LocalDialogue(_loaded(served))

    def scorer(self, served: ServedModel) -> "LocalScorer":
        """Load a model to score options by.

        Raises:
            SiteError: the model cannot be loaded, or the extra that loads it is not installed.
        """
        try:
            from cruijff_kit.runtime.residents import load_served
        except ImportError as err:
            raise _missing(err, "loading models") from err
        return LocalScorer(load_served(served), adapter=served.adapter)

    def classifier(self, served: ServedModel, form: AnswerForm) -> "Asker":
        """Load a model to ask for structured answers.

        Raises:
            PlanError: two labels are one to its tokenizer, or answers may not be long enough for the form.
            ResultError: the adapter does not fit.
            SiteError: the model cannot be loaded, or the extra that loads it is not installed.
            SpecError: questions cannot be put to the model so.
        """
        try:
            from cruijff_kit.runtime.classifying import load_asker
        except ImportError as err:
            raise _missing(err, "loading models") from err
        return load_asker(served, form, clock=time.perf_counter)


class LocalDialogue:
    """A model in this process that is talked to."""

    def __init__(self, desk: "Desk") -> None:
        """Take a loaded model."""
        self._desk = desk

    def answer(self, sayings: Sequence[Saying], settings: ChatSettings, *, heard: Callable[[str], None]) -> Reply:
        """Return the answer to a conversation whose last turn is the user's.

        An interrupt from the keyboard ends the answer, a second one the program.

        Raises:
            PlanError: settings contradict each other.
            SpecError: the conversation cannot be put to the model, or is too long for it.
        """
        from cruijff_kit.runtime.answering import Wish
        from cruijff_kit.runtime.sampling import choose_chance

        desk = self._desk
        seed = secrets.randbits(62) if settings.seed is None else settings.seed
        chance = choose_chance(settings.temperature, settings.top_p, seed=seed)
        prompt = desk.chat_ids([saying.model_dump() for saying in sayings])
        wish = Wish(prompt, desk.limit(prompt, settings.max_tokens), chance)
        following = desk.follow(wish, lambda piece: heard(piece.text))
        with _interruptible(following):
            answer = desk.answer_now(wish, following, name=desk.names[0])
        rest = following.finish(answer.completion.text)
        if rest.text:
            heard(rest.text)
        ended = "interrupted" if following.over else "stop" if answer.ended else "length"
        return Reply(text=answer.text, ended=ended, prompt_tokens=len(prompt), tokens=len(answer.completion.token_ids))


class LocalScorer:
    """Options scored by a resident base model, with or without an adapter on it."""

    def __init__(self, model: "Resident", *, adapter: str | None) -> None:
        """Take a loaded base and the adapter directory to use with it."""
        self._model, self._adapter = model, adapter

    def score(
        self, prompts: Sequence[PromptIds], *, options: Sequence[str], doubt: Doubt | None = None
    ) -> list[tuple[tuple[float, ...], ...]]:
        """Return, for each prompt, every option's log-probability: one row, or one for each pass or adapter.

        Raises:
            PlanError: a prompt exceeds the model's positions, or two options are the same tokens.
            ResultError: an adapter does not fit, or was trained without the dropout that is to be on.
            SiteError: an adapter cannot be loaded, or what computes has no such passes.
        """
        from cruijff_kit.runtime.inference import Limits
        from cruijff_kit.runtime.uncertainty import DeepEnsembleWrapper, MCDropoutWrapper

        if doubt is None:
            asked = [tuple(options)] * len(prompts)
            answers = self._model.complete(prompts, Limits(0), adapter=self._adapter, options=asked)
            return [(each.option_logprobs,) for each in answers]
        if doubt.source == "mc_dropout":
            several = MCDropoutWrapper(model=self._model, adapter=self._adapter, passes=doubt.passes, seed=doubt.seed)
        else:
            several = DeepEnsembleWrapper(model=self._model, adapters=(self._adapter, *doubt.adapters))
        found = several.option_logprobs(prompts=prompts, options=options).swapaxes(0, 1)
        return [tuple(tuple(map(float, row)) for row in rows) for rows in found]


def _loaded(served: ServedModel) -> "Desk":
    try:
        from cruijff_kit.runtime.served_model import load_desk
    except ImportError as err:
        raise _missing(err, "loading models") from err
    return load_desk(served)


def _missing(err: ImportError, what: str) -> SiteError:
    hint = "pip install 'cruijff-kit[serve]'"
    return SiteError(f"{what} needs `{err.name}`, which is not installed", hint=hint)


@contextmanager
def _interruptible(following: "Following") -> Iterator[None]:
    """Let an interrupt end the answer at its next token, and a second one do as it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        following.over = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
