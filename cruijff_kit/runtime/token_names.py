"""Tokens as text: each id decoded on its own, once."""

from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.schema.prediction import TokenLogprob

__all__ = ["TokenNames"]


class TokenNames:
    """Tells the tokens of a model by their text."""

    def __init__(self, tokenizer: Tokenizer, *, vocabulary: int) -> None:
        """Take a tokenizer.

        Args:
            tokenizer: decodes ids.
            vocabulary: ids that it knows; the model may have more rows, which have no text.
        """
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._texts: dict[int, str] = {}

    def of(self, step: Step) -> tuple[TokenLogprob, tuple[TokenLogprob, ...]]:
        """Return the token of a step, and its candidates."""
        likely = zip(step.ids, step.logprobs, strict=True)
        # A token that cannot occur has no finite log-probability and is no candidate.
        top = tuple(self._named(token, value) for token, value in likely if value > float("-inf"))
        return self._named(step.token, step.logprob), top

    def _named(self, token: int, logprob: float) -> TokenLogprob:
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token]) if token < self._vocabulary else ""
        return TokenLogprob(token_id=token, token=self._texts[token], logprob=logprob)
