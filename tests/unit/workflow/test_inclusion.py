"""Inclusion: each line of a record proven alone, and every change of a proof noticed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.cli.main import main
from cruijff_kit.errors import CruijffError, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.inclusion import LineProof, LogRoot
from cruijff_kit.workflow.inclusion import check_proof, log_root, prove_line
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.designed import world_at

ACTOR = Actor(kind="human", name="ada")
LONGEST = 70


def event(number: int) -> AuditEvent:
    told = {"reason": f"secret-{number:03}-ü", "outputs": {"digest": f"{number:064x}"}}
    return AuditEvent(actor=ACTOR, verb="design", action=Action.DECIDE_CONFIG, subject=f"run-{number}", **told)


def recorded(count: int) -> World:
    """Return a world whose record has so many lines."""
    log = FakeAuditLog()
    log.append(*map(event, range(count)))
    return world_at(Path("/nowhere/experiment"))._replace(audit=log)


@pytest.fixture(scope="module")
def grown() -> World:
    return recorded(LONGEST)


def test_every_line_of_logs_of_1_to_70_lines_is_proven_and_shows_no_other(grown: World) -> None:
    raw = [line.decode() for line in grown.audit.raw_lines()]
    for size in range(1, LONGEST + 1):
        root = log_root(lines=size, world=grown).token
        for seq in {0, 1, size // 2, size - 2, size - 1} & set(range(size)) if size > 9 else range(size):
            text = prove_line(seq + 1, lines=size, world=grown).model_dump_json()
            verdict = check_proof(text, root=root)
            assert (verdict.number, verdict.lines, verdict.line) == (seq + 1, size, raw[seq])
            assert not [other for other in range(LONGEST) if other != seq and f"secret-{other:03}" in text]
            assert not [other for other in range(LONGEST) if other != seq and f"run-{other}\\" in text]


@given(number=st.integers(1, 45), data=st.data())
def test_any_byte_of_a_proof_that_is_changed_is_noticed(number: int, data: st.DataObject) -> None:
    world = recorded(45)
    root, text = log_root(world=world).token, prove_line(number, world=world).model_dump_json()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda each: each != text[at]))
    with pytest.raises(CruijffError):
        check_proof(text[:at] + other + text[at + 1 :], root=root)


def _path(proof: dict[str, Any], change: str) -> list[str]:
    path = proof["path"]
    return {
        "shorter": path[:-1],
        "longer": [*path, path[0]],
        "turned": path[::-1],
        "other": ["0" * 64, *path[1:]],
    }[change]


@pytest.mark.parametrize("change", ("shorter", "longer", "turned", "other"))
def test_a_path_that_was_changed_is_noticed(grown: World, change: str) -> None:
    proof = json.loads(prove_line(11, world=grown).model_dump_json())
    spoilt = json.dumps({**proof, "path": _path(proof, change)})
    with pytest.raises(ResultError, match="does not hold"):
        check_proof(spoilt, root=log_root(world=grown).token)


@pytest.mark.parametrize("field", ("leaf_index", "lines"))
def test_another_position_or_size_is_noticed_wherever_it_points(grown: World, field: str) -> None:
    proof = json.loads(prove_line(11, lines=69, world=grown).model_dump_json())
    for value in set(range(1, 72)) - {proof[field]}:
        with pytest.raises(ResultError):
            check_proof(json.dumps({**proof, field: value}), root=log_root(lines=69, world=grown).token)


def test_a_proof_of_another_log_is_refused_though_it_holds_by_itself(grown: World) -> None:
    other = FakeAuditLog()
    other.append(*map(event, range(1, LONGEST + 1)))
    proof = prove_line(3, world=grown._replace(audit=other))
    assert check_proof(proof.model_dump_json(), root=f"{proof.lines}:{proof.root}").number == 3
    with pytest.raises(ResultError, match="does not hold"):
        check_proof(proof.model_dump_json(), root=log_root(world=grown).token)


def test_the_root_names_the_line_that_the_chain_goes_on_from(grown: World) -> None:
    following = json.loads(list(grown.audit.raw_lines())[20])
    assert log_root(lines=20, world=grown).last == following["prev"]


def test_nothing_is_proven_by_a_record_that_does_not_hold() -> None:
    world = recorded(5)
    assert isinstance(world.audit, FakeAuditLog)
    world.audit.lines[2] = world.audit.lines[2].replace(b"secret", b"changed")
    for attempt in (lambda: log_root(world=world), lambda: prove_line(4, world=world)):
        with pytest.raises(ResultError, match="line 3"):
            attempt()


@pytest.mark.parametrize(
    "asked, problem",
    (({"number": 71}, "lines 1 to 70"), ({"number": 0}, "not among"), ({"number": 1, "lines": 71}, "70 lines")),
)
def test_a_line_that_is_not_there_is_refused(grown: World, asked: dict[str, int], problem: str) -> None:
    with pytest.raises(ResultError, match=problem):
        prove_line(**asked, world=grown)


def test_an_empty_record_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no audit log"):
        log_root(world=world_at(tmp_path))


@pytest.mark.parametrize("roots", ({}, {"root": "1:" + "0" * 64, "anchor": "{}"}))
def test_a_proof_is_checked_against_one_root(roots: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="one root"):
        check_proof("{}", **roots)


def test_a_hash_without_the_number_of_lines_is_no_root(grown: World) -> None:
    with pytest.raises(SpecError, match="LINES:HEX"):
        check_proof("{}", root=log_root(world=grown).root)


def test_the_commands_write_root_and_proof_which_hold_without_the_experiment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, away = tmp_path / "experiment", tmp_path / "away"
    away.mkdir()
    world_at(experiment).audit.append(*map(event, range(9)))
    _ck("-C", str(experiment), "audit", "root", "--out", str(away / "root.json"))
    root = capsys.readouterr().out.strip()
    _ck("-C", str(experiment), "audit", "prove", "5", "--out", str(away / "proof.json"))
    said = capsys.readouterr().out
    assert root in said
    assert "line 5 of 9" in said
    _ck("-C", str(experiment), "audit", "show", "--after", "4", "-n", "1")
    assert re.match(r" *5  .*run-4", capsys.readouterr().out)
    assert LogRoot.model_validate_json((away / "root.json").read_bytes()).token == root
    assert LineProof.model_validate_json((away / "proof.json").read_bytes()).leaf_index == 4
    for anchored in (("--root", root), ("--anchor", str(away / "root.json"))):
        _ck("-C", str(away), "audit", "check-proof", str(away / "proof.json"), *anchored)
        said = capsys.readouterr().out
        assert "line 5 of 9" in said
        assert "secret-004" in said
    spoilt = (away / "proof.json").read_text(encoding="utf-8").replace("secret-004", "secret-005")
    (away / "spoilt.json").write_text(spoilt, encoding="utf-8")
    assert _ck("audit", "check-proof", str(away / "spoilt.json"), "--root", root) == ResultError.exit_code
    assert _ck("-C", str(experiment), "audit", "root", "--out", str(away / "root.json")) == 3


def _ck(*words: str) -> int:
    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
