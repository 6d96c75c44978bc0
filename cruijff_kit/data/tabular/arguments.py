"""Arguments of the generator taken together: what contradicts itself before any file is read."""

from collections.abc import Iterator

from cruijff_kit.errors import Problem
from cruijff_kit.schema.table import Tabular

__all__ = ["argument_problems"]

_LISTS = ("features", "groups", "perturbations", "perturbed")
_OWN_COLUMNS = ("context", "copy", "input", "output", "row")


def argument_problems(arguments: Tabular) -> list[Problem]:
    """Return what is wrong with arguments taken together; paths are argument names."""
    return [*_answer(arguments), *_style(arguments), *_splits(arguments), *_names(arguments)]


def _answer(told: Tabular) -> Iterator[Problem]:
    if told.threshold is not None and told.mapping:
        yield Problem("`threshold` and `mapping` both make the answer", "mapping", hint="keep one of the two")
    if told.target in told.features:
        yield Problem(f"`{told.target}` is the answer and would be told", "features", hint="remove it")


def _style(told: Tabular) -> Iterator[Problem]:
    if told.style == "narrative" and told.template is None:
        yield Problem("a `narrative` needs a template", "template", hint="name a Jinja file with `template`")
    if told.style != "narrative" and told.template is not None:
        yield Problem(
            f"a `{told.style}` takes no template", "template", hint="write `style: narrative`, or leave it out"
        )
    yield from _written(told)
    if told.context_placement != "before" and not told.context.strip():
        hint = "write it, or remove `context_placement`"
        yield Problem("there is no `context` to place", "context_placement", hint=hint)


def _written(told: Tabular) -> Iterator[Problem]:
    if told.style == "written" and told.texts is None:
        yield Problem("`written` needs what was written", "texts", hint="make it with `ck data narrate`, and name it")
    if told.style != "written" and told.texts is not None:
        yield Problem(f"a `{told.style}` takes no texts", "texts", hint="write `style: written`, or leave it out")
    if told.style == "written" and told.perturbations:
        hint = "remove them, or tell the rows in another style"
        yield Problem("a text that a model wrote has no clauses to change", "perturbations", hint=hint)


def _splits(told: Tabular) -> Iterator[Problem]:
    if told.validation + told.test >= 1:
        yield Problem("nothing is left to train on", "test", hint="lower `validation` or `test`")
    if told.copies > 1 and ("train" not in told.perturbed or not told.perturbations):
        hint = "name `perturbations`, and `train` in `perturbed`"
        yield Problem("the texts of a row would all be the same", "copies", hint=hint)


def _names(told: Tabular) -> Iterator[Problem]:
    for argument in _LISTS:
        names = getattr(told, argument)
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            yield Problem(f"`{name}` is named twice", argument, hint="name it once")
    for name in _OWN_COLUMNS:
        if name in told.groups:
            fact = f"column `{name}` is written by the generator itself"
            yield Problem(fact, "groups", hint="give the variable another name in the schema")
