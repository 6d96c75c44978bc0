"""Lessons: what was learnt, appended to `findings.md` with the figures that show it."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from hashlib import sha256

from cruijff_kit.analysis.lesson_numbers import number_problems
from cruijff_kit.errors import PlanError, Problem, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.lesson_text import parse_lessons, render_lesson
from cruijff_kit.rendering.untrusted import clean_text
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.lesson import Evidence, Lesson, LessonReceipt
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import Trace
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.lesson_evidence import Reported, cite, read_report, stale
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.results import require_current
from cruijff_kit.workflow.seal import recorded_plan, refuse_absent

__all__ = ["add_lesson", "named_in", "read_lessons"]

_PATH = ExperimentLayout.findings
_LONGEST = 2_000


def add_lesson(text: str, *, evidence: Sequence[str], world: World) -> LessonReceipt:
    """Append a lesson to `findings.md`, each figure it cites with its value and the hash of its files.

    Every number in the text must be one that a cited figure holds. What people wrote in the
    file is kept to the byte, and the same lesson on the same evidence is written once.

    Args:
        text: what was learnt, in one paragraph.
        evidence: names of figures of the report, as `ck results` lists them.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the text is empty or too long, a figure is none of the report, or holds no such number.
        ResultError: there is no report, it is damaged, or results were collected since.
        PlanError: the experiment is not scaffolded.
    """
    words = " ".join(clean_text(text).split())
    report = read_report(world)
    if report is None:
        raise ResultError("there is no report to learn from yet", hint="`ck report` computes the figures")
    require_current(report.made_of, world)
    known = {each.figure: each for each in report.figures}
    cited = [cite(known[name], report) for name in dict.fromkeys(evidence) if name in known]
    problems = [*_form(words, evidence, known=known), *_numbers(words, cited, world=world)]
    if problems:
        raise SpecError("the lesson cannot be written; nothing was", problems=problems)
    with world.store.lock("findings"):
        return _append(words, cited, world=world)


def read_lessons(*, world: World) -> tuple[Lesson, ...]:
    """Return the lessons of `findings.md`, each with what of its evidence has changed since; never writes.

    Raises:
        PlanError: there is no such experiment.
        ResultError: the report is damaged.
    """
    refuse_absent(world)
    found = parse_lessons(world.store.read_text(_PATH) or "")
    if not found:
        return ()
    report = read_report(world) or Reported()
    return tuple(stale(each, report) for each in found)


def _append(text: str, cited: Sequence[Evidence], *, world: World) -> LessonReceipt:
    before = world.store.read_text(_PATH) or ""
    for each in parse_lessons(before):
        if each.text == text and each.evidence == tuple(cited):
            return LessonReceipt(lesson=each, path=_PATH, changed=False)
    # Milliseconds are what the file keeps.
    now = world.clock.now()
    moment = now.replace(microsecond=now.microsecond // 1000 * 1000)
    lesson = Lesson(text=text, ts=moment, by=world.actor.kind, evidence=tuple(cited))
    gap = "" if not before or before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
    world.store.write(_PATH, f"{before}{gap}{render_lesson(lesson)}")
    event = AuditEvent(
        actor=world.actor,
        verb="lesson",
        action=Action.ADD_LESSON,
        subject=_PATH,
        # Its words may tell of red data, and the record is read more widely than the file.
        inputs={"lesson_sha256": sha256(text.encode()).hexdigest(), "figures": str(len(cited))},
        outputs={"sha256": world.store.digest(_PATH) or ""},
    )
    world.audit.append(event)
    render_views(world=world)
    return LessonReceipt(lesson=lesson, path=_PATH, changed=True)


def _form(text: str, evidence: Sequence[str], *, known: dict[str, Trace]) -> Iterator[Problem]:
    if not text:
        yield Problem("the lesson is empty", hint="say in one paragraph what was learnt")
    if len(text) > _LONGEST:
        yield Problem(f"the lesson has {len(text)} characters; at most {_LONGEST}", hint="write two lessons")
    if not evidence:
        yield Problem("no figure is cited", hint="name one with `--evidence`; `ck results` lists them")
    for name in dict.fromkeys(evidence):
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"nearest is `{near[0]}`" if near else "`ck results` lists them"
            yield Problem(f"`{name[:120]}` is no figure of the report", hint=hint)


def _numbers(text: str, cited: Sequence[Evidence], *, world: World) -> list[Problem]:
    plan, _ = recorded_plan(world=world)
    try:
        factors = read_design(world).factors
    except (PlanError, SpecError):
        # The runs tell their levels too, where the design was damaged since.
        factors = {}
    return number_problems(text, cited, names=named_in(plan, cited), factors=factors)


def named_in(plan: Plan, cited: Sequence[Evidence]) -> list[str]:
    """Return the names whose digits are no numbers: of runs, models, tasks, data sets and cited figures."""
    names = [plan.experiment, *(facts.key for facts in plan.datasets), *(each.figure for each in cited)]
    for run in plan.runs:
        names += [run.id, run.model.name, *(cell.task.name for cell in run.cells)]
    return list(dict.fromkeys(names))
