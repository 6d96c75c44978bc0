"""An answer as it grows: ids become text that will not be taken back, and a stop string ends it."""

from collections.abc import Sequence

from cruijff_kit.ports import Tokenizer

__all__ = ["Speech", "cut_at"]

_TORN = "\ufffd"


def cut_at(text: str, stops: Sequence[str]) -> str | None:
    """Return what stands before the first of some stop strings; None where none occurs."""
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return text[: min(found)] if found else None


class Speech:
    """Text of an answer that is still being made.

    A character may be several tokens and a stop string many, so what could still become
    another character, or the start of a stop string, is held back.
    """

    def __init__(self, tokenizer: Tokenizer, *, vocabulary: int, stops: Sequence[str] = ()) -> None:
        """Begin with nothing said.

        Args:
            tokenizer: reads ids.
            vocabulary: ids that the tokenizer knows; the model may have more rows.
            stops: strings that end the answer and are no part of it.
        """
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._stops = tuple(stops)
        self._ids: list[int] = []
        # A token may read otherwise at the start of a text, so each is read behind those before it.
        self._start = self._read = 0
        self._text = ""
        self._taken = 0
        self.stopped = False

    def add(self, token: int) -> None:
        """Take one more token of the answer."""
        if token >= self._vocabulary:
            return
        self._ids.append(token)
        known = self._decoded(self._ids[self._start : self._read])
        now = self._decoded(self._ids[self._start :])
        if len(now) > len(known) and not now.endswith(_TORN):
            self._text += now[len(known) :]
            self._start, self._read = self._read, len(self._ids)
            self._stop()

    def take(self) -> str:
        """Return what has become certain since the last call."""
        return self._take(len(self._text) if self.stopped else len(self._text) - self._held())

    def finish(self, whole: str) -> str:
        """Return what is left once the answer has ended, given its whole text."""
        if not self.stopped and whole.startswith(self._text):
            self._text = whole
            self._stop()
        return self._take(len(self._text))

    def _take(self, end: int) -> str:
        taken, self._taken = self._taken, max(end, self._taken)
        return self._text[taken : self._taken]

    def _stop(self) -> None:
        cut = cut_at(self._text, self._stops)
        if cut is not None:
            self._text, self.stopped = cut, True

    def _held(self) -> int:
        """Return how many characters at the end may be the start of a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        sizes = range(min(longest, len(self._text)), 0, -1)
        return next((size for size in sizes if any(stop.startswith(self._text[-size:]) for stop in self._stops)), 0)

    def _decoded(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)
