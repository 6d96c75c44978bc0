"""Decide: put on record a question, its options, what was chosen, by whom and why."""

from collections.abc import Sequence

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.decision import Chooser
from cruijff_kit.schema.receipt import DecisionReceipt
from cruijff_kit.workflow.audit import render_views

__all__ = ["record_decision"]

_VERB = "decide"


def record_decision(
    question: str,
    *,
    choice: str,
    options: Sequence[str] = (),
    chosen_by: Chooser = "user",
    reason: str,
    world: World,
) -> DecisionReceipt:
    """Append a decision to the audit log; saying the same again records nothing more.

    The record tells two things apart: who decided, as `chosen_by` says, and who says so, which is
    the actor of the event.

    Args:
        question: what was asked.
        choice: what was chosen; one of `options`, or the user's own words where none of them fitted.
        options: what was offered.
        chosen_by: who chose: the user, the assistant for them, or a default nobody changed.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        SpecError: question, choice or reason is empty, or an option is offered twice.
    """
    _check(question, choice=choice, options=options, reason=reason)
    inputs = {"question": question.strip(), **{f"option {n}": each for n, each in enumerate(options, start=1)}}
    event = AuditEvent(
        actor=world.actor,
        verb=_VERB,
        action=Action.DECIDE_CONFIG,
        subject=world.store.root.name,
        reason=reason,
        inputs=inputs,
        outputs={"choice": choice.strip(), "chosen_by": chosen_by, "offered": str(choice in options).lower()},
    )
    told = (each for each in world.audit.records() if each.verb == _VERB)
    same = [each for each in told if each.inputs.get("question") == question.strip()]
    # The first record of a log tells more than what it was handed.
    if same and _said(same[-1]) == _said(event):
        return DecisionReceipt(seq=same[-1].seq, changed=False, replaces=None)
    anchor = world.audit.append(event)
    render_views(world=world)
    return DecisionReceipt(seq=anchor.seq, changed=True, replaces=same[-1].seq if same else None)


def _said(event: AuditEvent) -> tuple[object, ...]:
    return event.reason, event.inputs, event.outputs.get("choice"), event.outputs.get("chosen_by")


def _check(question: str, *, choice: str, options: Sequence[str], reason: str) -> None:
    said = {"question": question, "choice": choice, "reason": reason}
    empty = (name for name, text in said.items() if not text.strip())
    problems = [Problem(message=f"`{name}` is empty", path=name, hint="say it in words") for name in empty]
    if len(set(options)) < len(options):
        problems.append(Problem(message="an option is offered twice", path="options", hint="offer each once"))
    if problems:
        raise SpecError("the decision cannot be recorded", problems=problems)
