"""The page *Audit*: the record with filters and its verification, and the audit of a model where there is one."""

from collections.abc import Iterable, Sequence

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.schema.audit import AuditRecord, AuditVerdict
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, GroupFigure
from cruijff_kit.schema.pages import Opening
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.sight import choose_experiment, world_of
from cruijff_kit.ui.words import figure, plain, shown

__all__ = ["MOST", "filtered", "show_audit"]

_PAGE = 1_000
MOST = 20_000
"""Records that a page holds."""
_SIGNS = {"pass": "✓ pass", "fail": "✗ fail", "not_assessed": "· not assessed"}


def filtered(
    records: Iterable[AuditRecord],
    *,
    words: str,
    actions: Sequence[str],
    outcomes: Sequence[str],
    actors: Sequence[str],
) -> list[AuditRecord]:
    """Return the records that hold all words and are of one of these actions, outcomes and actors; empty means any."""
    wanted = words.casefold().split()
    return [
        each
        for each in records
        if (not actions or each.action.value in actions)
        and (not outcomes or each.result.value in outcomes)
        and (not actors or each.actor.kind in actors)
        and all(word in _text(each) for word in wanted)
    ]


def show_audit(opening: Opening) -> None:
    """Show the page."""
    st.title("Audit")
    name = choose_experiment(opening)
    if name is None:
        return
    world = world_of(opening.project, name, site=opening.site)
    _verdict(workflow.verify_audit(world=world))
    head = world.audit.head()
    records = _records(opening, name, head=head.seq if head is not None else -1)
    first, second, third, fourth = st.columns([3, 3, 2, 2])
    words = first.text_input("Filter", key="audit_words", placeholder="a subject, a reason, a hash …")
    known = sorted({each.action.value for each in records})
    actions = second.multiselect("Actions", known, key="audit_actions", placeholder="any")
    outcomes = third.multiselect("Outcomes", ["success", "warning", "failure"], key="audit_outcomes", placeholder="any")
    actors = fourth.multiselect(
        "Actors", sorted({each.actor.kind for each in records}), key="audit_actors", placeholder="any"
    )
    found = filtered(records, words=words, actions=actions, outcomes=outcomes, actors=actors)
    st.subheader(f"{len(found)} of {len(records)} records")
    _table(found)
    earlier = head.seq + 1 - MOST if head is not None else 0
    if earlier > 0:
        st.caption(f"The first {earlier:,} records are left out; `ck audit show` has them.")
    offer("audit", lambda: [each.model_dump(mode="json") for each in found])
    _model_audit(opening, name)


def _verdict(found: AuditVerdict) -> None:
    if not found.lines:
        st.info("There is no audit log here, so nothing is proven.")
    elif not found.ok:
        place = f" at line {found.line}" if found.line is not None else ""
        st.error(f"The log does not hold{place}: {plain(found.problem or '')}", icon=":material/gpp_bad:")
    else:
        anchor = "chain and anchors hold" if found.anchored else "the chain holds; no anchor outside it was found"
        st.success(f"Verified: {found.lines} lines, {anchor}.", icon=":material/verified:")
    for note in found.notes:
        st.caption(plain(note))


@st.cache_resource(max_entries=20, show_spinner=False)
def _records(opening: Opening, name: str, *, head: int) -> list[AuditRecord]:
    """Return the records, the newest first; read again once the log has grown beyond `head`."""
    world = world_of(opening.project, name, site=opening.site)
    after, found = max(-1, head - MOST), list[AuditRecord]()
    while True:
        page = workflow.read_audit(after=after, limit=_PAGE, world=world)
        found += workflow.page_without_texts(page, world=world).records
        if page.next_after is None:
            return found[::-1]
        after = page.next_after


def _text(each: AuditRecord) -> str:
    parts = (each.action.value, each.verb, each.subject, each.reason, each.error, each.actor.name, each.actor.client)
    pairs = (f"{name} {value}" for held in (each.inputs, each.outputs) for name, value in held.items())
    return " ".join((*(part or "" for part in parts), *pairs)).casefold()


def _table(found: Sequence[AuditRecord]) -> None:
    table = {
        "line": [each.seq + 1 for each in found],
        "when (UTC)": [f"{each.ts:%Y-%m-%d %H:%M:%S}" for each in found],
        "who": [shown(each.actor.client or f"{each.actor.kind} {each.actor.name}") for each in found],
        "action": [each.action.value for each in found],
        "subject": [shown(each.subject) for each in found],
        "result": [each.result.value for each in found],
        "reason": [shown(each.reason or "") for each in found],
        "error": [shown(each.error or "") for each in found],
        "outputs": [shown("; ".join(f"{name}: {value}" for name, value in each.outputs.items())) for each in found],
    }
    st.dataframe(table, hide_index=True, width="stretch", height=420, key="records")


def _model_audit(opening: Opening, name: str) -> None:
    """Show the audits of models that there are, each check with its limit."""
    world = world_of(opening.project, name, site=opening.site)
    for found in workflow.read_audits(world=world).audits:
        st.subheader(f"Audit of {plain(found.run)}: {_SIGNS[found.verdict]}")
        st.caption(plain(found.subject))
        st.dataframe(_checks(found.components), hide_index=True, width="stretch")
        if found.figures:
            st.dataframe(_groups(found.figures), hide_index=True, width="stretch")
        for note in found.notes:
            st.caption(plain(note))


def _checks(parts: Sequence[AuditComponent]) -> dict[str, list[str]]:
    """Return every check of an audit as the columns of a table; a part without any has a line of its own."""
    lines = [
        (part.name, each.name, _SIGNS[each.verdict], _interval(each.figure), _limit(each), each.reason)
        for part in parts
        for each in part.checks
    ]
    lines += [(part.name, "", _SIGNS[part.verdict], "", "", part.reason) for part in parts if not part.checks]
    names = ("part", "check", "verdict", "figure", "limit", "why")
    return {name: [shown(line[at]) for line in lines] for at, name in enumerate(names)}


def _groups(figures: Iterable[GroupFigure]) -> dict[str, list[str]]:
    """Return the figures of groups as the columns of a table."""
    lines = [(f"{each.column}={each.level}", each.metric, _interval(each.figure), each.reason) for each in figures]
    return {name: [shown(line[at]) for line in lines] for at, name in enumerate(("group", "metric", "figure", "why"))}


def _interval(found: Interval | None) -> str:
    return "" if found is None else f"{figure(found.value, found.low, found.high)}, n = {found.n}"


def _limit(check: AuditCheck) -> str:
    return check.rule if check.threshold is None else f"{check.rule} {check.threshold:g}"
