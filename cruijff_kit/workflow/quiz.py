"""Quiz: a page of questions on a finished experiment that grades itself, made from its own figures."""

from hashlib import sha256

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.quiz_page import render_quiz
from cruijff_kit.rendering.redaction import redact
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.quiz import Quiz, QuizReceipt
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.collect import record_once
from cruijff_kit.workflow.lesson_evidence import read_report
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.results import require_current
from cruijff_kit.workflow.seal import recorded_plan, refuse_absent

__all__ = ["write_quiz"]

_MOST, _FEWEST = 40, 3


def write_quiz(*, count: int = 10, seed: int = 14, world: World) -> QuizReceipt:
    """Write `quiz/index.html` from the figures of the report on disk; the same figures and seed give the same page.

    Args:
        count: questions at most, from 3 to 40.
        seed: decides which are asked, and which answers stand beside the right ones.
        world: the experiment and its surroundings.

    Raises:
        SpecError: `count` is out of range.
        PlanError: the experiment is not scaffolded.
        ResultError: there is no report, results were collected since, or it holds too little to ask about.
    """
    from cruijff_kit.analysis.questions import Material, make_questions

    if not _FEWEST <= count <= _MOST:
        raise SpecError(f"`count` is `{count}`", hint=f"ask from {_FEWEST} to {_MOST} questions")
    report = read_report(world)
    if report is None:
        refuse_absent(world)
        raise ResultError("nothing was reported yet", hint="`ck report` computes the figures to ask about")
    require_current(report.made_of, world)
    plan, lock = recorded_plan(world=world)
    spec = read_design(world)
    hashes = {ExperimentLayout.plan: lock.files[ExperimentLayout.plan]}
    material = Material(spec, plan, report.figures, report.references, hashes)
    questions = make_questions(material, count=count, seed=seed)
    if len(questions) < _FEWEST:
        fact = f"the report holds figures for {len(questions)} questions; at least {_FEWEST} make a quiz"
        raise ResultError(fact, hint="wait until more runs have ended, then `ck report`")
    quiz = Quiz(
        experiment=spec.name,
        question=redact(spec.question, world.secrets),
        seed=seed,
        questions=questions,
        report_sha256=report.sha256,
    )
    page = render_quiz(quiz).encode()
    changed = world.store.read(ExperimentLayout.quiz) != page
    if changed:
        world.store.write(ExperimentLayout.quiz, page)
    digest = sha256(page).hexdigest()
    _record(quiz, digest, world=world)
    return QuizReceipt(path=ExperimentLayout.quiz, sha256=digest, questions=len(questions), changed=changed)


def _record(quiz: Quiz, digest: str, *, world: World) -> None:
    counts = {"seed": str(quiz.seed), "questions": str(len(quiz.questions))}
    event = AuditEvent(
        actor=world.actor,
        verb="quiz",
        action=Action.GENERATE_QUIZ,
        subject=quiz.experiment,
        inputs={ExperimentLayout.traces: quiz.report_sha256, **counts},
        outputs={ExperimentLayout.quiz: digest},
    )
    record_once(event, world=world)
    render_views(world=world)
