"""Answers to whoever asks while the model stays loaded: the evaluator's engine, batched as the evaluator batches.

A request's prompts become ids by `data.tokens`. Those that wait for like answers share a
batch, first come first served; each is followed token by token and can be ended by itself.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import anyio
import anyio.to_thread

from cruijff_kit.data.prompts import fill_template, placeholders
from cruijff_kit.data.tokens import Encoding, Turn, encode_conversation, stop_ids
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.batching import Batcher, Query
from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.runtime.sampling import DEFAULT_TOKENS, Chance, prove_greedy
from cruijff_kit.runtime.speech import Speech, cut_at
from cruijff_kit.runtime.token_names import TokenNames
from cruijff_kit.schema.prediction import Completion, PromptIds, TokenLogprob

__all__ = ["Answer", "Desk", "Following", "Piece", "TooLongError", "Wish"]


class TooLongError(SpecError):
    """Prompt and answer together exceed what a model reads."""


class Wish(NamedTuple):
    """One answer that is wanted."""

    prompt: PromptIds
    """Ids as the model reads them."""
    max_tokens: int
    """Longest answer in tokens."""
    chance: Chance = Chance(None, 1.0, 0)
    """How its tokens are chosen."""
    top_logprobs: int = 0
    """Candidates wanted per position."""
    stops: tuple[str, ...] = ()
    """Strings that end it and are no part of it."""
    plain: bool = False
    """Whether the prompt is plain text, so that no turn is to be ended."""
    sent: str | None = None
    """That text as it was sent; None where ids or messages were."""


class Piece(NamedTuple):
    """What became certain of an answer."""

    text: str
    """More of its text; may be empty."""
    tokens: tuple[Step, ...]
    """The tokens that were given since the last piece."""


class Answer(NamedTuple):
    """What became of a wish."""

    completion: Completion
    """Ids, text and log-probabilities."""
    text: str
    """Its text up to the stop string, where one ended it."""
    ended: bool
    """Whether it came to an end of its own, or by a stop string, before the limit."""


@dataclass(slots=True, eq=False)
class Following:
    """Whoever waits for an answer; called in the thread that makes it."""

    speech: Speech
    """Its text so far."""
    say: Callable[[Piece], None] | None = None
    """Told every piece; nobody where None."""
    over: bool = False
    """Whether nobody waits any more; may be set by any thread at any time."""
    heard: int = 0
    """Tokens followed."""
    _held: list[Step] = field(default_factory=list)

    def hear(self, at: int, step: Step) -> bool:
        """Take the token at a position and return whether another is wanted."""
        if self.over:
            return False
        # A batch that did not fit is made again in halves, and tells its beginning again.
        if at < self.heard:
            return True
        self.heard += 1
        self.speech.add(step.token)
        self._held.append(step)
        text = self.speech.take()
        if self.say is not None and text:
            self.say(Piece(text, self._all_held()))
        return not self.speech.stopped

    def finish(self, whole: str) -> Piece:
        """Return what is left once the answer has ended."""
        return Piece(self.speech.finish(whole), self._all_held())

    def _all_held(self) -> tuple[Step, ...]:
        held, self._held = tuple(self._held), []
        return held


class Desk:
    """Takes wishes from many at once and answers them by one model, with an adapter or bare."""

    def __init__(
        self,
        model: Resident,
        encoding: Encoding,
        *,
        adapters: Mapping[str, str | None],
        batch_size: int = 1,
        wrap: bool = False,
    ) -> None:
        """Take a loaded model.

        Args:
            model: what answers.
            encoding: how a conversation becomes tokens, and the system message where it has none.
            adapters: name of each model offered to the adapter directory it wears; None for the bare base.
            batch_size: most prompts per forward pass.
            wrap: whether each question is put into the prompt template.

        Raises:
            SpecError: questions are to be put into a template that asks for more than a question.
        """
        asked = [name for name in placeholders(encoding.prompt) if name != "input"]
        if wrap and asked:
            named = ", ".join(f"`{{{name}}}`" for name in asked)
            fact = f"the prompt template asks for {named}, which a question alone does not have"
            raise SpecError(fact, hint="send whole prompts: without `--wrap`, or in a chat with `--as-sent`")
        self._wrap = wrap
        self._model = model
        self.encoding = encoding
        self._plain = Encoding(dataset_type="text_completion", max_seq_len=encoding.max_seq_len)
        self._adapters = dict(adapters)
        self._batch_size = batch_size
        self._ends = {each: stop_ids(encoding=self._coded(each), tokenizer=model.tokenizer) for each in (False, True)}
        self._batchers = {
            (name, plain): Batcher(self._answering(adapter, plain=plain), most=batch_size)
            for name, adapter in self._adapters.items()
            for plain in (False, True)
        }
        self._names = TokenNames(model.tokenizer, vocabulary=model.vocabulary)
        # Tokenizers mind being asked by two threads at once.
        self._reading = Lock()
        self._tasks: set[asyncio.Task[Completion | None]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the models offered, the one to prefer first."""
        return tuple(self._adapters)

    def chat_ids(self, turns: Sequence[Turn]) -> PromptIds:
        """Return the ids that put a conversation's last question, the system message first.

        Raises:
            SpecError: the last turn is not the user's, or the template refuses the conversation.
        """
        own, template = self.encoding.system_prompt, self.encoding.prompt
        if self._wrap:
            turns = [_wrapped(turn, template) if turn["role"] == "user" else turn for turn in turns]
        if own and turns and turns[0]["role"] != "system":
            turns = [{"role": "system", "content": own}, *turns]
        with self._reading:
            return encode_conversation(turns, encoding=self.encoding, tokenizer=self._model.tokenizer)

    def text_ids(self, text: str) -> PromptIds:
        """Return the ids of plain text that a model goes on from."""
        turn: Turn = {"role": "user", "content": text}
        with self._reading:
            return encode_conversation([turn], encoding=self._plain, tokenizer=self._model.tokenizer)

    def limit(self, prompt: PromptIds, asked: int | None) -> int:
        """Return how long the answer to a prompt may be.

        Raises:
            SpecError: there is no prompt, or an id is none of the model's.
            TooLongError: both exceed what it reads.
        """
        if not prompt:
            raise SpecError("the prompt has no tokens", hint="send some text")
        if not all(0 <= token < self._model.vocabulary for token in prompt):
            raise SpecError(f"a prompt's ids go from 0 to {self._model.vocabulary - 1}")
        most = self._model.max_positions
        room = DEFAULT_TOKENS if most is None else most - len(prompt)
        wanted = min(DEFAULT_TOKENS, max(1, room)) if asked is None else asked
        if most is not None and wanted > room:
            fact = f"a prompt of {len(prompt)} tokens and an answer of {wanted} exceed the model's {most} positions"
            raise TooLongError(fact, hint="shorten the conversation, or ask for a shorter answer")
        return wanted

    def follow(self, wish: Wish, say: Callable[[Piece], None] | None = None) -> Following:
        """Return what follows the answer to a wish, and can end it."""
        speech = Speech(self._model.tokenizer, vocabulary=self._model.vocabulary, stops=wish.stops)
        return Following(speech, say)

    async def answer(self, wish: Wish, following: Following, *, name: str) -> Answer:
        """Return the answer to a wish, made together with its neighbours'.

        Raises:
            PlanError: memory does not do for the prompt.
            ResultError: the model's logits are not numbers.
        """
        loop = asyncio.get_running_loop()
        early: asyncio.Future[Completion] = loop.create_future()

        def done(found: Completion) -> None:
            loop.call_soon_threadsafe(lambda: early.done() or early.set_result(found))

        aside = Aside(wish.chance.seed, following.hear, done)
        query, scope = Query(wish.prompt, aside=aside), anyio.CancelScope()
        batcher, limits = self._batchers[name, wish.plain], _limits(wish, self._batch_size)

        async def waited() -> Completion | None:
            with scope:
                return await batcher.complete(query, limits)

        # Whoever waits may leave as soon as its own answer is there, though it answers for its neighbours too.
        task = asyncio.create_task(waited())
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        try:
            await asyncio.wait({task, early}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            following.over = True
            scope.cancel()
            raise
        found = early.result() if early.done() else task.result()
        if found is None:
            raise RuntimeError("an answer was given up that somebody still waits for")
        return _answer(wish, found)

    async def likelihoods(self, prompt: PromptIds, *, count: int, name: str) -> list[Step]:
        """Return, for every token of a prompt but the first, how likely it was and what else was."""
        read = self._model.read
        return await anyio.to_thread.run_sync(lambda: read(prompt, count=count, adapter=self._adapters[name]))

    def answer_now(self, wish: Wish, following: Following, *, name: str) -> Answer:
        """Return the answer to a wish that nobody else waits beside."""
        aside = Aside(wish.chance.seed, following.hear)
        complete = self._answering(self._adapters[name], plain=wish.plain)
        (found,) = complete([Query(wish.prompt, aside=aside)], _limits(wish, self._batch_size))
        return _answer(wish, found)

    def named(self, step: Step) -> tuple[TokenLogprob, tuple[TokenLogprob, ...]]:
        """Return the token of a step, and its candidates, as text."""
        return self._names.of(step)

    def decoded(self, ids: PromptIds) -> str:
        """Return the text of ids, special tokens written out."""
        return self._model.tokenizer.decode(ids)

    def _finished(self, task: "asyncio.Task[Completion | None]") -> None:
        """Forget a batch's turn; what went wrong in it is told to those who still wait."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _coded(self, plain: bool) -> Encoding:
        return self._plain if plain else self.encoding

    def _answering(
        self, adapter: str | None, *, plain: bool
    ) -> Callable[[Sequence[Query], Limits], Sequence[Completion]]:
        def answered(queries: Sequence[Query], limits: Limits) -> Sequence[Completion]:
            return self._model.complete(
                [query.prompt for query in queries],
                limits,
                adapter=adapter,
                stop_ids=self._ends[plain],
                asides=[query.aside for query in queries],
            )

        return answered


def _wrapped(turn: Turn, template: str) -> Turn:
    """Return a question as the rows of the training put theirs."""
    return {**turn, "content": fill_template(template, {"input": turn["content"]})}


def _limits(wish: Wish, batch_size: int) -> Limits:
    """Return the limits that wishes share which can be answered together; the seed is each one's own."""
    temperature, top_p, _ = wish.chance
    return Limits(wish.max_tokens, max(1, wish.top_logprobs), batch_size, temperature, top_p)


def _answer(wish: Wish, found: Completion) -> Answer:
    if wish.chance.temperature is None:
        prove_greedy(found)
    cut = cut_at(found.text, wish.stops)
    return Answer(found, found.text if cut is None else cut, found.stopped or cut is not None)
