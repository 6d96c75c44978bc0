"""Rows of a user's data file as the verbs on data files read them: every row, or what is wrong with it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.bundled import bundled, bundled_path
from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.items import TEXT, item_facts, item_form, item_turns
from cruijff_kit.data.streams import Streamed
from cruijff_kit.data.template_registry import MODEL, get
from cruijff_kit.data.tokens import encode_row
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, Tokenizer, World
from cruijff_kit.runtime.data_files import data_names, data_sha256
from cruijff_kit.runtime.row_files import all_rows
from cruijff_kit.schema.dataset_report import Unit
from cruijff_kit.workflow.chat_templates import read_template

__all__ = [
    "SHOWN",
    "Gathered",
    "Measure",
    "item_problems",
    "measure_of",
    "opened_rows",
    "refuse_changing",
    "reported",
    "source_bytes",
    "source_sha256",
    "text_of",
    "unchanged",
]

SHOWN = 20
"""Problems that are listed; all are counted."""

_HINT = "mend the row; `ck data validate` lists every such row"
_UNLIMITED = 2**31
_TOLD = 5000


class Measure(NamedTuple):
    """How rows are measured."""

    template: str
    """Template by name or as text."""
    tokenizer: Tokenizer | None
    """What tokenises; None where characters are counted."""

    @property
    def unit(self) -> Unit:
        """Return what lengths count."""
        return "characters" if self.tokenizer is None else "tokens"

    @property
    def joint(self) -> str:
        """Return what goes between an instruction and its input."""
        return get(self.template).joint

    def length(self, each: Streamed) -> int:
        """Return the tokens that a training reads of a sound row, else its characters.

        Raises:
            SpecError: the row cannot be tokenised; its problems tell where it is.
        """
        if self.tokenizer is None:
            return len(text_of(each.row, joint=self.joint))
        encoding = Encoding(dataset_type="auto", template=self.template, max_seq_len=_UNLIMITED)
        try:
            return len(encode_row(each.row, encoding=encoding, tokenizer=self.tokenizer).ids)
        except SpecError as err:
            problems = [problem._replace(place=each.place) for problem in err.problems]
            raise SpecError("tokens cannot be counted", problems=problems, hint=err.hint) from err


class Gathered:
    """Problems as they are met: the first are kept, all are counted."""

    def __init__(self) -> None:
        """Start with none."""
        self.problems: list[Problem] = []
        self.count = 0

    def add(self, *problems: Problem) -> None:
        """Count problems, and keep them while there is room."""
        self.count += len(problems)
        self.problems += problems[: max(SHOWN - len(self.problems), 0)]

    def listed(self, path: str) -> list[Problem]:
        """Return the problems kept, and how many more there are."""
        more = self.count - len(self.problems)
        return [*self.problems, *([Problem(f"and {more} more like these", place=path)] if more else [])]


def opened_rows(source: str, *, world: World) -> Callable[[], Iterator[Streamed]]:
    """Return what reads a data file, folder or bundled data set from its start, places as the user wrote the path.

    Raises:
        SpecError: there is no such file.
    """
    place = _place(source, world)

    def rows() -> Iterator[Streamed]:
        try:
            for each in all_rows(place):
                yield _as_named(each, place=str(place), source=source)
        except SpecError as err:
            problems = [each._replace(place=each.place.replace(str(place), source)) for each in err.problems]
            raise SpecError(
                str(err).partition("\n")[0].replace(str(place), source), problems=problems, hint=err.hint
            ) from err

    return rows


def reported(rows: Iterable[Streamed], progress: Progress | None) -> Iterator[Streamed]:
    """Yield rows, and tell now and then how many were read."""
    for number, each in enumerate(rows, start=1):
        if progress is not None and number % _TOLD == 0:
            progress(0, number, "reading rows")
        yield each


def source_sha256(source: str, *, world: World) -> str:
    """Return the hash of a data file or folder."""
    return data_sha256(_place(source, world))


def refuse_changing(source: str, sha256: str, *, world: World) -> None:
    """Refuse a data file or folder that is not what it was when it was hashed.

    Raises:
        SpecError: somebody wrote it meanwhile.
    """
    if source_sha256(source, world=world) != sha256:
        raise SpecError(f"`{source}` changed while it was read", hint="try again when nothing writes it")


def unchanged(parts: Iterable[bytes], source: str, *, sha256: str, world: World) -> Iterator[bytes]:
    """Yield what is made of a data file, and fail at the end, before it has a name, if the file changed meanwhile.

    Raises:
        SpecError: somebody wrote it.
    """
    try:
        yield from parts
    except ValueError:
        # Other rows than those looked at at first.
        refuse_changing(source, sha256, world=world)
        raise
    refuse_changing(source, sha256, world=world)


def source_bytes(source: str, *, world: World) -> int:
    """Return the size of a data file, or of a folder's data files."""
    place = _place(source, world)
    files = [place / name for name in data_names(place)] if place.is_dir() else [place]
    return sum(file.stat().st_size for file in files)


def item_problems(each: Streamed, *, hint: str = _HINT) -> list[Problem]:
    """Return what keeps a row from being learnt, all at once; `hint` tells how to mend it."""
    if each.problem is not None:
        return [each.problem]
    return [Problem(fact, column, each.place, hint) for column, fact in item_facts(each.row)]


def text_of(row: Mapping[str, Any], *, joint: str) -> str:
    """Return all that a sound row says, as one text."""
    if item_form(row) == "text":
        return str(row[TEXT])
    return "\n".join(turn["content"] for turn in item_turns(row, joint=joint))


def measure_of(template: str, model: str | None, *, world: World) -> Measure:
    """Return how rows are measured: in the tokens of a model, or in characters where none is named.

    Args:
        template: a template's name, text or file.
        model: directory, relative to the experiment or the site's models; or how the hub calls it.
        world: the experiment and the models here.

    Raises:
        SpecError: there is no such template.
        SiteError: the model's tokenizer cannot be read.
    """
    try:
        named = read_template(template, root=world.store.root)
    except ValueError as err:
        hint = "name a template, write one with `{input}` and `{output}`, or name a file that holds one"
        raise SpecError(str(err), hint=hint) from err
    tokenizer = None if model is None else world.hub.tokenizer(_model_place(model, world))
    if tokenizer is not None and named == MODEL and not tokenizer.chat_template:
        hint = "name one with `--template`, such as `chatml`"
        raise SpecError(f"`{model}` has no chat template of its own", hint=hint)
    return Measure(named, tokenizer)


def _place(source: str, world: World) -> Path:
    place = world.store.root / source
    if place.exists():
        return place
    if source in {each.name for each in bundled()}:
        return bundled_path(source)
    raise SpecError(f"`{source}` does not exist", hint="mend the path, or name a data set of `ck data list`")


def _model_place(model: str, world: World) -> str:
    here = world.store.root / model
    if here.is_dir():
        return str(here)
    pulled = (path for path, source in world.hub.present().items() if model in {source.get("repo"), Path(path).name})
    return next(pulled, None) or str(Path(world.site.models_dir or world.store.root) / model)


def _as_named(each: Streamed, *, place: str, source: str) -> Streamed:
    problem = each.problem and each.problem._replace(place=each.problem.place.replace(place, source))
    return each._replace(place=each.place.replace(place, source), problem=problem)
