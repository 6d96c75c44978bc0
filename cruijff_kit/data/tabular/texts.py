"""Tables to texts: rows read twice and more, never held; what is kept of each is a few numbers."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations, islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.data.tabular.arguments import argument_problems
from cruijff_kit.data.tabular.cells import one_line
from cruijff_kit.data.tabular.division import NONE, SPLITS, Marks, digest, divide
from cruijff_kit.data.tabular.features import Feature, known
from cruijff_kit.data.tabular.perturbations import Draw, added, renamed, reordered
from cruijff_kit.data.tabular.readers import TableRow
from cruijff_kit.data.tabular.row_reader import RowReader, Telling
from cruijff_kit.data.tabular.styles import STYLES, dictionary, narrative, template_variables
from cruijff_kit.data.tabular.written import written
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress
from cruijff_kit.schema.table import TableSchema, Tabular

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Scan", "scan_table", "split_names", "telling", "told_rows"]

_Opened = Callable[[], IO[bytes]]
"""Opens the table anew; whoever gives it closes what it opened."""

_STEP = 20_000
_FEW = 20


class Scan(NamedTuple):
    """A table seen once: which split each row is in, and what was left out."""

    splits: "np.ndarray[Any, Any]"
    """Code of each row's split."""
    skipped: Mapping[str, int]
    """Rows left out, by reason."""
    answers: Mapping[str, Mapping[str, int]]
    """Rows by split and answer; empty where there are many answers."""

    @property
    def rows(self) -> int:
        """Return the rows of the table."""
        return len(self.splits)


def split_names(arguments: Tabular) -> tuple[str, ...]:
    """Return the splits that have a share."""
    shares = {"train": 1.0, "validation": arguments.validation, "test": arguments.test}
    return tuple(name for name in SPLITS if shares[name] > 0)


def telling(
    arguments: Tabular, schema: TableSchema, *, template: str | None, texts: Mapping[str, str] | None = None
) -> Telling:
    """Return how rows are told.

    Args:
        arguments: how they are to be.
        schema: what the columns mean.
        template: of a `narrative`.
        texts: of `written`, by `told_key`.

    Raises:
        SpecError: arguments, schema and template do not fit; all problems at once, placed at argument names.
        SiteError: the extra that renders templates is not installed.
    """
    problems = argument_problems(arguments)
    variables = schema.variables
    problems += known((arguments.target,), variables, argument="target")
    problems += known(arguments.features, variables, argument="features")
    problems += known(arguments.groups, variables, argument="groups")
    if problems:
        raise SpecError("the table cannot be told like that", problems=problems)
    file = arguments.template or "template"
    named = tuple(variables) if template is None else _named(template, schema, arguments=arguments, file=file)
    features = arguments.features or tuple(name for name in named if name != arguments.target)
    if not features:
        raise SpecError(
            "there is nothing to tell",
            problems=[
                Problem("the target is the only variable", "features", hint="describe more columns in the schema")
            ],
        )
    if template is not None:
        return Telling(arguments, schema, features, narrative(template, name=file), " ")
    if arguments.style == "written":
        style = written(texts or {}, name=arguments.texts or "texts")
        return Telling(arguments, schema, features, style, "\n", likeness=dictionary)
    return Telling(arguments, schema, features, *STYLES[arguments.style])


def _named(template: str, schema: TableSchema, *, arguments: Tabular, file: str) -> tuple[str, ...]:
    """Return the variables that a template names, which are told and are not the answer."""
    named = template_variables(template, schema, name=file)
    if arguments.target in named:
        fact = f"`{arguments.target}` is the answer, and the template tells it"
        raise SpecError("the answer would be told", problems=[Problem(fact, "template", hint="remove it there")])
    untold = [name for name in named if arguments.features and name not in arguments.features]
    if untold:
        fact = f"the template names {', '.join(f'`{name}`' for name in untold)}, which `features` leaves out"
        problem = Problem(fact, "features", hint="add them, or leave `features` out")
        raise SpecError("the template cannot be used", problems=[problem])
    return named


def scan_table(telling: Telling, file: IO[bytes], *, progress: Progress | None = None) -> Scan:
    """Read a table once and return which split each row is in.

    Raises:
        SpecError: the table does not fit the schema, or a split would be empty.
        SiteError: the extra that reads the format is not installed.
    """
    reader, marks, seed = RowReader(telling, file), Marks.empty(), telling.arguments.seed
    skipped: Counter[str] = Counter()
    answers: dict[str, int] = {}
    for number, row in enumerate(reader.rows, 1):
        read = reader.read(row, number)
        if isinstance(read, str):
            skipped[read] += 1
            marks.skip(reader.entity is not None)
            continue
        text = telling.alike(read.features)
        entity = None if reader.entity is None else _entity(row[reader.entity], number, telling=telling)
        marks.add(digest(text, seed=seed), entity=entity, answer=answers.setdefault(read.answer, len(answers)))
        if progress and number % _STEP == 0:
            progress(number, number, "rows looked at")
    reader.finish()
    splits = divide(marks, telling.arguments, answers=len(answers))
    if telling.arguments.limit is not None:
        beyond = int((splits == NONE).sum()) - sum(skipped.values())
        skipped["beyond `limit`"] = beyond
    return Scan(
        splits, {why: count for why, count in skipped.items() if count}, _counted(marks, splits, answers=answers)
    )


def _entity(cell: str, number: int, *, telling: Telling) -> int:
    """Return the digest of a row's entity; a row that names none stands for itself."""
    known_as = f"entity {cell}" if cell not in telling.schema.missing else f"row {number}"
    return digest(known_as, seed=telling.arguments.seed)


def _counted(marks: Marks, splits: Any, *, answers: Mapping[str, int]) -> dict[str, dict[str, int]]:
    import numpy as np

    if len(answers) > _FEW:
        return {}
    labels = np.frombuffer(marks.answers, dtype=np.uint32)
    return {
        name: {answer: int(((splits == code) & (labels == at)).sum()) for answer, at in sorted(answers.items())}
        for code, name in enumerate(SPLITS)
        if (splits == code).any()
    }


def told_rows(
    telling: Telling, scan: Scan, *, opened: _Opened, progress: Progress | None = None, most: int | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (split, row) of every text, split by split in file order; the table is read once a split.

    Args:
        telling: how rows are told.
        scan: what was seen of the table.
        opened: opens the table anew.
        progress: told of rows read, of all that will be.
        most: texts of each split; all where None.

    Raises:
        SpecError: a template cannot tell a row, or perturbed texts of two splits are the same.
    """
    names = split_names(telling.arguments)
    seen, together = {name: array("Q") for name in names}, telling.arguments.same_text == "together"
    for turn, name in enumerate(names, 1):

        def step(number: int, *, turn: int = turn, name: str = name) -> None:
            if progress and number % _STEP == 0:
                progress(turn * scan.rows + number, (len(names) + 1) * scan.rows, f"rows told for {name}")

        with opened() as file:
            rows = islice(_of_split(telling, scan, file=file, split=name, step=step), most)
            yield from ((name, row) for row in _noted(rows, seen[name] if together else None))
    _refuse_shared(seen)


def _noted(rows: Iterable[dict[str, Any]], seen: "array[int] | None") -> Iterator[dict[str, Any]]:
    """Yield rows and keep the digests of their texts, where they are wanted."""
    for row in rows:
        if seen is not None:
            seen.append(digest(str(row["input"]), seed=0))
        yield row


def _of_split(
    telling: Telling, scan: Scan, *, file: IO[bytes], split: str, step: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    reader, code = RowReader(telling, file), SPLITS.index(split)
    for number, row in enumerate(reader.rows, 1):
        step(number)
        if scan.splits[number - 1] == code:
            yield from _texts(telling, reader, row=row, number=number, split=split)


def _texts(telling: Telling, reader: RowReader, *, row: TableRow, number: int, split: str) -> Iterator[dict[str, Any]]:
    read = reader.read(row, number)
    if isinstance(read, str):
        raise SpecError(
            f"`{telling.arguments.source}` changed while it was read", hint="try again when nothing writes it"
        )
    arguments = telling.arguments
    kinds = arguments.perturbations if split in arguments.perturbed else ()
    copies = arguments.copies if split == "train" else 1
    column = {"context": one_line(arguments.context)} if arguments.context_placement == "column" else {}
    for copy in range(copies):
        draw = Draw(arguments.seed, number, copy, kinds)
        text = _text(telling, read.features, draw=draw)
        which = {"copy": copy} if arguments.copies > 1 else {}
        yield {"input": text, "output": read.answer, **column, **read.groups, "row": number, **which}


def _text(telling: Telling, features: list[Feature], *, draw: Draw) -> str:
    said = renamed(features, draw)
    clauses = [*reordered(telling.style(said), draw), *added(said, draw)]
    told, context = telling.joint.join(clauses), telling.arguments.context.strip()
    placement = telling.arguments.context_placement
    parts = (
        context if placement == "before" else "",
        told,
        context if placement == "after" else "",
        telling.arguments.question.strip(),
    )
    return "\n\n".join(part for part in parts if part)


def _refuse_shared(seen: Mapping[str, "array[int]"]) -> None:
    import numpy as np

    digests = {name: np.unique(np.frombuffer(found, dtype=np.uint64)) for name, found in seen.items()}
    for first, second in combinations(digests, 2):
        count = len(np.intersect1d(digests[first], digests[second], assume_unique=True))
        if count:
            fact = f"{count} texts of `{first}` and `{second}` are the same once perturbed"
            problem = Problem(
                fact,
                "perturbations",
                hint="give values and variables shorter forms of their own, or set `same_text: spread`",
            )
            raise SpecError("two splits share texts", problems=[problem])
