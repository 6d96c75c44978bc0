"""Questions on a finished experiment, made by code: right answers are its own figures, and nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, TypeVar

from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.quiz import Question
from cruijff_kit.schema.report import Reference, Trace
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.scoring.figure_names import FIGURES, shown_name

__all__ = ["Material", "make_questions"]

_Item = TypeVar("_Item")
_OPTIONS, _FEWEST_WRONG = 4, 2
_SHIFTS = (0.05, -0.05, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3)
_HELD = ("epochs", "batch_size", "lr_scheduler", "weight_decay", "lora_dropout", "prompt", "dataset_type", "lora_rank")
_RELIABILITY = ("ece", "mce", "brier_binary", "brier_multiclass", "log_loss")


class Material(NamedTuple):
    """What questions are made of."""

    spec: ExperimentSpec
    """The design."""
    plan: Plan
    """The sealed plan."""
    figures: Sequence[Trace]
    """Figures of the report."""
    references: Mapping[str, Reference]
    """Files they were computed from, by label."""
    hashes: Mapping[str, str]
    """Hash of design and plan, by path."""


class _Draft(NamedTuple):
    """A question before its answers are mixed."""

    text: str
    right: str
    wrong: Sequence[str]
    why: str
    source: str
    path: str
    sha256: str | None


def make_questions(material: Material, *, count: int, seed: int) -> tuple[Question, ...]:
    """Return up to so many questions, of as many kinds as the experiment has figures for.

    Args:
        material: figures and design.
        count: how many at most.
        seed: decides which are asked, and which answers stand beside the right ones.
    """
    kinds = [
        _mixed(list(kind), f"{seed}", key=lambda draft: (draft.text, draft.right))
        for kind in (
            _best(material), _differences(material), _varied(material), _reliability(material), _values(material),
            _plausible(material), _samples(material), _seeds(material),
        )
    ]  # fmt: skip
    turns = [kind[at] for at in range(max(map(len, kinds), default=0)) for kind in kinds if at < len(kind)]
    asked = {draft.text: draft for draft in turns if len(set(draft.wrong) - {draft.right}) >= _FEWEST_WRONG}
    return tuple(_question(draft, seed) for draft in list(asked.values())[:count])


def _best(material: Material) -> Iterator[_Draft]:
    """Ask which run was best at the last epoch, where one alone was."""
    by_task: dict[tuple[str, str], list[Trace]] = {}
    for each in _accuracies(material):
        _, _, task, _, metric = each.figure.split("/", 4)
        by_task.setdefault((task, metric), []).append(each)
    for (task, metric), figures in by_task.items():
        ordered = sorted(figures, key=lambda each: each.value or 0.0, reverse=True)
        if len(ordered) < 2 or ordered[0].value == ordered[1].value:
            continue
        names = [each.figure.split("/")[1] for each in ordered]
        top = ordered[0]
        yield _of(
            top, material, right=names[0], wrong=names[1:],
            text=f"Which run has the highest {shown_name(metric)} on {task} at its last epoch?",
            why=f"it has {top.value:.3f}; the next one has {ordered[1].value:.3f}",
        )  # fmt: skip


def _differences(material: Material) -> Iterator[_Draft]:
    """Ask what the interval of a difference says."""
    lies = ("The whole interval lies above 0", "The whole interval lies below 0", "The interval includes 0")
    for each in material.figures:
        kind, _, rest = each.figure.partition("/")
        if kind not in {"effect", "base"} or rest.count("/") != 1 or each.value is None:
            continue
        about, what = rest.split("/")
        none = "There is no interval: the spread is unknown"
        told = f"the difference is {each.value:+.3f}"
        if each.low is None or each.high is None:
            right, why = none, f"{told}, and nothing tells how sure it is"
        else:
            right = lies[0] if each.low > 0 else lies[1] if each.high < 0 else lies[2]
            why = f"{told}, with the interval [{each.low:+.3f}, {each.high:+.3f}]"
        asked = f"the effect of {about} ({what})" if kind == "effect" else f"{about} minus its base on {what}"
        wrong = [option for option in (*lies, none) if option != right]
        yield _of(each, material, right=right, wrong=wrong, text=f"What does the interval of {asked} say?", why=why)


def _varied(material: Material) -> Iterator[_Draft]:
    """Ask what the design varied, and what it held fixed."""
    spec = material.spec
    factors = list(dict.fromkeys(name for run in material.plan.runs for name in run.factors))
    settings: dict[str, set[str]] = {}
    for run in (each for each in material.plan.runs if each.type == "fine-tuned"):
        for name, each in run.settings.items():
            settings.setdefault(name, set()).add(repr(each.value))
    fixed = [name for name in _HELD if name not in factors and len(settings.get(name, ())) == 1]
    where = (ExperimentLayout.plan, material.hashes.get(ExperimentLayout.plan))
    for name in factors:
        levels = list(dict.fromkeys(str(run.factors[name]) for run in material.plan.runs if name in run.factors))
        if fixed and len(levels) > 1:
            yield _Draft(
                f"Which of these did `{spec.name}` vary?", name, fixed, f"its levels are {', '.join(levels)}",
                f"factors.{name}", *where,
            )  # fmt: skip
    for name in fixed[:2]:
        if factors:
            value = next(iter(settings[name]))
            yield _Draft(
                f"Which of these did `{spec.name}` hold fixed?", name, factors, f"it is {value} in every training",
                f"controls.{name}", *where,
            )  # fmt: skip


def _reliability(material: Material) -> Iterator[_Draft]:
    """Ask for a figure that tells how far probabilities can be believed."""
    for each in material.figures:
        parts = each.figure.split("/")
        if parts[0] == "probability" and len(parts) == 5 and parts[4] in _RELIABILITY and each.value is not None:
            others = [other.value for other in material.figures if other.figure.endswith(f"/{parts[4]}")]
            yield _of(
                each, material, right=f"{each.value:.3f}", wrong=_numbers(each.value, others),
                text=f"How large is the {_called(parts[4])} of {parts[1]} on {parts[2]}? (0 is perfect)",
                why="the report's table of probabilities holds it",
            )  # fmt: skip


def _values(material: Material) -> Iterator[_Draft]:
    """Ask for an accuracy."""
    found = _accuracies(material)
    for each in found:
        _, run, task, epoch, metric = each.figure.split("/", 4)
        when = "as a base model" if epoch == "base" else f"after epoch {epoch}"
        yield _of(
            each, material, right=f"{each.value:.3f}", wrong=_numbers(each.value or 0.0, [one.value for one in found]),
            text=f"How large is the {shown_name(metric)} of {run} on {task}, {when}?",
            why=f"it rests on {each.n} samples",
        )  # fmt: skip


def _plausible(material: Material) -> Iterator[_Draft]:
    """Ask which true value an interval leaves possible."""
    for each in _accuracies(material):
        if each.low is None or each.high is None or each.value is None or each.high - each.low > 0.7:
            continue
        outside = [value / 100 for value in range(2, 99, 4) if not each.low - 0.02 <= value / 100 <= each.high + 0.02]
        inside = each.low + 0.75 * (each.high - each.low)
        _, run, task, _, metric = each.figure.split("/", 4)
        wrong = [f"{value:.2f}" for value in _mixed(outside, each.figure)[: _OPTIONS - 1]]
        yield _of(
            each, material, right=f"{inside:.2f}", wrong=wrong,
            text=f"{shown_name(metric)} of {run} on {task}: {each.value:.3f}. What may it truly be, by its interval?",
            why=f"the interval is [{each.low:.3f}, {each.high:.3f}]",
        )  # fmt: skip


def _samples(material: Material) -> Iterator[_Draft]:
    """Ask how many samples figures rest on."""
    for task in dict.fromkeys(each.figure.split("/")[2] for each in _accuracies(material)):
        first = next(each for each in _accuracies(material) if each.figure.split("/")[2] == task)
        n = first.n or 0
        wrong = [str(each) for each in (n * 2, n // 2, n * 10, n + 7) if each != n]
        yield _of(
            first, material, right=str(n), wrong=wrong, text=f"How many samples does a figure on {task} rest on?",
            why="errored and unparsed samples count as wrong and stay in n",
        )  # fmt: skip


def _seeds(material: Material) -> Iterator[_Draft]:
    """Ask how often each combination was trained."""
    cells: dict[str, set[int]] = {}
    for run in (each for each in material.plan.runs if each.type == "fine-tuned"):
        cells.setdefault(repr(sorted(run.factors.items())), set()).add(run.seed)
    counts = {len(each) for each in cells.values()}
    if len(counts) == 1:
        right = counts.pop()
        wrong = [str(each) for each in range(1, 7) if each != right]
        yield _Draft(
            "With how many seeds was each combination of levels trained?", str(right), wrong,
            "one run is one observation: without several seeds the spread between trainings is unknown",
            "controls.seeds", ExperimentLayout.plan, material.hashes.get(ExperimentLayout.plan),
        )  # fmt: skip


def _accuracies(material: Material) -> list[Trace]:
    """Return the accuracy of each run, task and scorer at its last epoch."""
    last: dict[tuple[str, str, str], tuple[int, Trace]] = {}
    for each in material.figures:
        parts = each.figure.split("/", 4)
        # What stands behind a scorer's name is a figure of its own.
        if parts[0] != "accuracy" or len(parts) != 5 or "/" in parts[4] or each.value is None:
            continue
        key, epoch = (parts[1], parts[2], parts[4]), -1 if parts[3] == "base" else int(parts[3])
        if key not in last or epoch > last[key][0]:
            last[key] = (epoch, each)
    return [each for _, each in last.values()]


def _numbers(right: float, others: Sequence[float | None]) -> list[str]:
    """Return numbers that are told apart from the right one: others of the report, then shifted ones."""
    # A share is never above 1, and whoever knows that would not be asked much.
    shifted = [right + each for each in _SHIFTS if right > 1 or right + each <= 1]
    told = [each for each in others if each is not None] + shifted
    words = dict.fromkeys(f"{each:.3f}" for each in told if each >= 0 and abs(each - right) >= 0.01)
    return list(words)


def _called(name: str) -> str:
    return FIGURES[name].words if name in FIGURES else name


def _of(trace: Trace, material: Material, *, text: str, right: str, wrong: Sequence[str], why: str) -> _Draft:
    reference = next((material.references[each] for each in trace.references if each in material.references), None)
    path, digest = (reference.path, reference.sha256) if reference else (ExperimentLayout.traces, None)
    return _Draft(text, right, wrong, why, trace.figure, path, digest)


def _question(draft: _Draft, seed: int) -> Question:
    wrong = [each for each in _mixed(list(dict.fromkeys(draft.wrong)), f"{seed} {draft.text}") if each != draft.right]
    options = _mixed([draft.right, *wrong[: _OPTIONS - 1]], f"{seed} order {draft.text} {draft.source}")
    return Question(
        text=draft.text,
        options=tuple(options),
        right=options.index(draft.right),
        why=draft.why,
        source=draft.source,
        path=draft.path,
        sha256=draft.sha256,
    )


def _mixed(items: Sequence[_Item], words: str, *, key: Callable[[_Item], object] = repr) -> list[_Item]:
    """Return items in an order that follows from words, and from what each is known by, alone."""
    return sorted(items, key=lambda each: sha256(f"{words}\n{key(each)!r}".encode()).digest())
