"""Structured answers held to their form: one whole JSON object, whatever the model, within the tokens there are.

The decision is the likeliest of the labels and `null`, as they are scored in front of it; its
tokens and those of the keys are given. Of the rationale llguidance says which tokens may
follow. The last tokens are kept for the end, which is given when nothing else fits any more.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.data.labels import DecisionIds
from cruijff_kit.data.structured import answer_tail
from cruijff_kit.errors import PlanError, SiteError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

__all__ = ["JsonGuide", "JsonGuides"]

_LETTERS = r'([^"\\\x00-\x1f]|\\["\\/nt])*'
"""What a rationale may hold: text, and the escapes that text needs."""

_PENDING = 4
"""Tokens of one byte that end any letter or escape that was begun."""


class _Ending(NamedTuple):
    """How a rationale is written and ended."""

    matcher: "LLMatcher"
    """Stands in front of the rationale's first letter; copied for every answer."""
    tokens: tuple[int, ...]
    """The end."""
    most: int
    """Tokens that the end takes wherever the model itself has begun it."""


class JsonGuides:
    """Guides for the answers of one model."""

    def __init__(self, tokenizer: Any, ids: DecisionIds) -> None:
        """Learn a tokenizer's bytes.

        Args:
            tokenizer: the base model's, a fast one of transformers.
            ids: the heads of the answers.

        Raises:
            PlanError: the tokenizer's bytes cannot be told.
            SiteError: the extra is not installed.
        """
        try:
            from llguidance.hf import from_tokenizer
        except ImportError as err:
            fact = f"holding answers to JSON needs `{err.name}`, which is not installed"
            raise SiteError(fact, hint="pip install 'cruijff-kit[structured]'") from err
        try:
            # Without its slices a mask of 150,000 tokens takes a tenth of the time here.
            self.bytes: LLTokenizer = from_tokenizer(tokenizer, slices=[])
            self._endings = {abstain: self._ending(abstain=abstain) for abstain in (False, True)}
        except ValueError as err:
            fact = f"answers cannot be held to JSON with this tokenizer: {str(err).splitlines()[0]}"
            raise PlanError(fact, hint="ask without `--constrained`, or use a model with a fast tokenizer") from err
        self.ids = ids
        self.sizes = _sizes(self.bytes)

    @property
    def least(self) -> int:
        """Return the fewest tokens behind the lead that any answer fits into."""
        head = max(len(self.ids.head(at)) for at in range(len(self.ids.decisions)))
        return head + max(each.most for each in self._endings.values()) + _PENDING

    def guide(self) -> "JsonGuide":
        """Return a guide for one answer."""
        return JsonGuide(self)

    def ending(self, *, abstain: bool) -> _Ending:
        """Return how a rationale is written and ended."""
        return self._endings[abstain]

    def _ending(self, *, abstain: bool) -> _Ending:
        from llguidance import LLMatcher

        text = answer_tail(None if abstain else "")
        written = text.replace("}", r"\}")
        matcher = LLMatcher(self.bytes, LLMatcher.grammar_from_regex(f"{_LETTERS}{written}"))
        tokens = tuple(self.bytes.greedy_tokenize(text))
        if matcher.is_error() or matcher.validate_tokens(list(tokens)) != len(tokens):
            raise ValueError(matcher.get_error() or "it cannot write the end of an answer")
        most = max(len(self.bytes.greedy_tokenize(text[at:])) for at in range(len(text)))
        return _Ending(matcher, tokens, most + 1)


class JsonGuide:
    """Holds one answer to a structured one, from behind the lead to its closing brace."""

    def __init__(self, guides: JsonGuides) -> None:
        """Take what is known of the model's tokens."""
        self._guides = guides
        self._due: deque[int] = deque()
        self._ending: _Ending = guides.ending(abstain=True)
        self._matcher: LLMatcher | None = None
        self.finished = False

    def begin(self, logprobs: Sequence[float]) -> None:
        """Begin anew with the likeliest decision, the first of equals; where none was scored, with none."""
        none = len(self._guides.ids.decisions) - 1
        chosen = int(np.argmax(logprobs)) if logprobs else none
        self._due = deque(self._guides.ids.head(chosen))
        self._ending = self._guides.ending(abstain=chosen == none)
        self._matcher = None
        self.finished = False

    def allowed(self, left: int) -> NDArray[np.intp]:
        """Return the ids of the tokens that may come next."""
        if not self._due:
            self._due.extend(self._forced(left))
        if self._due:
            return np.array([self._due[0]])
        open_ = _open(self._in_rationale())
        if left > self._ending.most + _PENDING:
            return open_
        # A letter or an escape was begun, and is ended byte by byte before the end can be given.
        sizes = self._guides.sizes[open_]
        return open_[sizes == sizes.min()]

    def take(self, token: int) -> None:
        """Take the token that was given."""
        if self._due:
            self._due.popleft()
        if self._matcher is not None:
            self._matcher.consume_token(token)
            self.finished = self._matcher.is_accepting()

    def _forced(self, left: int) -> Sequence[int]:
        """Return the tokens that alone may follow: the rest of an end that was begun, or the end when it is time."""
        matcher = self._in_rationale()
        rest = matcher.compute_ff_bytes()
        if rest:
            return self._guides.bytes.greedy_tokenize(rest.decode("utf-8"))
        end = list(self._ending.tokens)
        late = left <= self._ending.most + _PENDING
        return end if late and matcher.validate_tokens(end) == len(end) else ()

    def _in_rationale(self) -> "LLMatcher":
        if self._matcher is None:
            self._matcher = self._ending.matcher.deep_copy()
        return self._matcher


def _open(matcher: "LLMatcher") -> NDArray[np.intp]:
    """Return the ids that a matcher lets follow."""
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))


def _sizes(tokens: "LLTokenizer") -> NDArray[np.intp]:
    """Return how many bytes each token is."""
    return np.array([len(tokens.decode_bytes([token])) for token in range(tokens.vocab_size)])
