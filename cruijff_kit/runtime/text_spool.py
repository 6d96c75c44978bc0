"""Texts of a data file in a model's tokens, kept on disk until they are embedded."""

import json
import tempfile
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.streams import Streamed
from cruijff_kit.data.templates import no_template
from cruijff_kit.data.tokens import encode_prompt, row_text
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, Tokenizer
from cruijff_kit.runtime.row_files import all_rows, no_rows
from cruijff_kit.schema.embedding import EmbedJob
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["Text", "TextSpool"]

_SHOWN = 20
_UNLIMITED = 1 << 62
_TOLD = 1000


class Text(NamedTuple):
    """One text as a model reads it."""

    id: str
    """Its id."""
    ids: PromptIds
    """Its tokens."""


class TextSpool:
    """The texts of a job, checked and tokenised once, all that is wrong told together.

    They lie in a file without a name, so that nothing is left of it whatever happens; in
    memory is only each one's length, and a mark of each id where a column gives them.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder whose disk holds the texts."""
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115 — `__exit__` closes it
        self._file: IO[str] = temporary
        self.lengths = array("I")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def fill(self, job: EmbedJob, *, tokenizer: Tokenizer, progress: Progress | None = None) -> None:
        """Read and tokenise every text of a job.

        Raises:
            SpecError: the data cannot be used; at most twenty problems are listed.
            SiteError: the extra that reads its format is not installed.
        """
        encoding = Encoding.of(job.dataset)
        asks = encoding.dataset_type != "text_completion" and encoding.template == "model"
        if asks and not tokenizer.chat_template:
            raise SpecError("texts cannot be put to the model", problems=[no_template(encoding)])
        reader = _Reader(job, tokenizer)
        for count, text in enumerate(reader.texts(), start=1):
            self._file.write(json.dumps(text) + "\n")
            self.lengths.append(len(text.ids))
            if progress is not None and count % _TOLD == 0:
                progress(0, count, "reading texts")
        reader.judge()
        self._file.flush()

    def read(self, *, start: int = 0) -> Iterator[Text]:
        """Yield the texts from one on; only one reader at a time."""
        self._file.seek(0)
        for line in islice(self._file, start, None):
            name, ids = json.loads(line)
            yield Text(name, tuple(ids))


class _Reader:
    """From rows to texts; what is wrong is kept until all have been seen."""

    def __init__(self, job: EmbedJob, tokenizer: Tokenizer) -> None:
        self._job, self._tokenizer, self._path = job, tokenizer, Path(job.dataset.path)
        # The longest text is the model's own here, not that of a training which still has to answer.
        self._encoding = Encoding.of(job.dataset).model_copy(update={"max_seq_len": _UNLIMITED})
        self._ours = {theirs: name for name, theirs in job.dataset.columns}
        self._problems: list[Problem] = []
        self._more = 0
        self._seen: set[int] = set()
        self._splits: set[str] = set()
        self._rows = 0

    def texts(self) -> Iterator[Text]:
        """Yield the texts of the split that can be used."""
        for streamed in all_rows(self._path):
            if streamed.problem is not None:
                self._keep(streamed.problem)
                continue
            self._splits.add(streamed.split)
            if self._job.split not in (None, streamed.split):
                continue
            self._rows += 1
            try:
                yield self._text(streamed)
            except SpecError as err:
                for problem in err.problems:
                    self._keep(problem)

    def judge(self) -> None:
        """Raise what was wrong.

        Raises:
            SpecError: anything was, or there were no texts.
        """
        if self._problems:
            more = [Problem(f"and {self._more} more like these", place=str(self._path))] if self._more else []
            raise SpecError(f"`{self._path}` cannot be embedded", problems=[*self._problems, *more])
        if not self._rows:
            raise no_rows(self._path, self._job.split, known=self._splits)

    def _text(self, streamed: Streamed) -> Text:
        row = {self._ours.get(column, column): value for column, value in streamed.row.items()}
        ids = encode_prompt(row, encoding=self._encoding, tokenizer=self._tokenizer, place=streamed.place)
        limit = self._job.max_positions
        if not ids:
            raise _wrong("the text has no tokens", streamed.place, hint="remove the row, or give it text")
        if len(ids) > limit and not self._job.work.truncate:
            hint = "shorten it, or cut all such texts at their end with `--truncate`"
            raise _wrong(f"the text has {len(ids)} tokens, and the model reads {limit}", streamed.place, hint=hint)
        return Text(self._id(row, streamed), ids[:limit])

    def _id(self, row: dict[str, object], streamed: Streamed) -> str:
        column = self._job.id_column
        if column is None:
            return f"{streamed.split}-{streamed.number}"
        name = row_text(row, column, place=streamed.place)
        mark = hash(name)
        if mark in self._seen:
            hint = "give every row an id of its own, name one `--split`, or leave the column out"
            raise _wrong(f"the id in column `{column}` was given before", streamed.place, hint=hint)
        self._seen.add(mark)
        return name

    def _keep(self, problem: Problem) -> None:
        if len(self._problems) < _SHOWN:
            self._problems.append(problem)
        else:
            self._more += 1


def _wrong(fact: str, place: str, *, hint: str) -> SpecError:
    return SpecError("a text cannot be embedded", problems=[Problem(fact, place=place, hint=hint)])
