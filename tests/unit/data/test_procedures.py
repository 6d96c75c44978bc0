"""Rules for answers: every kind, read from YAML with its faults, and the examples."""

import pytest

from cruijff_kit.data.procedures import EXAMPLES, keeps, parse_procedure
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.procedure import AnswerRule, JsonField

FIELD = AnswerRule(name="decided", json_field=JsonField(name="decision", type="string", one_of=("yes", "no")))


@pytest.mark.parametrize(
    "rule,good,bad",
    (
        (AnswerRule(name="r", regex=r"(?i)\bconsult\b"), "Consult a physician", "consultancy"),
        (AnswerRule(name="r", must_contain=("physician", "doctor")), "see a DOCTOR", "see a nurse"),
        (AnswerRule(name="r", must_not_contain=("guaranteed",)), "likely", "It is Guaranteed"),
        (AnswerRule(name="r", order=("first", "then")), "First this, then that", "then this, first that"),
        (FIELD, '{"decision": "yes"}', '{"decision": "maybe"}'),
        (FIELD, ' {"decision": "no", "why": 1} ', "decision: no"),
        (FIELD, '{"decision": "no"}', '{"decision": true}'),
        (FIELD, '{"decision": "no"}', '{"decision": 1' + "0" * 9_000 + "}"),
        (AnswerRule(name="r", json_field=JsonField(name="n", type="number")), '{"n": 1.5}', '{"n": true}'),
        (AnswerRule(name="r", json_field=JsonField(name="t", not_empty=True)), '{"t": "x"}', '{"t": "  "}'),
        (AnswerRule(name="r", json_field=JsonField(name="t")), '{"t": null}', "[1]"),
    ),
)
def test_each_kind_of_rule_tells_good_from_bad(rule: AnswerRule, good: str, bad: str) -> None:
    assert (keeps(rule, good), keeps(rule, bad)) == (True, False)


def test_every_example_says_that_it_is_one_and_accepts_a_sober_answer() -> None:
    assert set(EXAMPLES) == {"general", "medical", "legal", "financial"}
    for procedure in EXAMPLES.values():
        assert "example" in procedure.about
        assert len(procedure.rules) >= 4
        assert all(keeps(rule, "I cannot tell; please ask somebody who can.") for rule in procedure.rules)


def test_a_file_of_rules_is_read() -> None:
    text = "name: ours\nrules:\n  - name: polite\n    must_contain: [please]\n    when: [grant]\n"
    found = parse_procedure(text, name="rules.yaml")
    assert (found.name, found.rules[0].must_contain, found.rules[0].when) == ("ours", ("please",), ("grant",))
    assert parse_procedure("- {name: a, regex: b}\n", name="rules.yaml").name == "rules.yaml"


@pytest.mark.parametrize(
    "text,said",
    (
        ("rules:\n  - {name: a, regex: '('}\n", "rules.yaml:2"),
        ("rules:\n  - {name: a}\n", "it has none"),
        ("rules:\n  - {name: a, regex: b, order: [c, d]}\n", "`regex` and `order`"),
        ("rules:\n  - {name: a, order: [c]}\n", "two texts at least"),
        ("rules:\n  - {name: a, order: 5}\n", "rules.yaml:2"),
        ("rules:\n  - {name: a, regex: b}\n  - {name: a, regex: c}\n", "two rules are called `a`"),
        ("rules:\n  - {name: Polite, regex: b}\n  - {name: Polite, regex: c}\n", "two rules are called `Polite`"),
        ("rules: []\n", "rules.yaml:1"),
        ("- {name: a, regx: b}\n", "rules.yaml:1"),
    ),
)
def test_what_is_wrong_with_rules_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_procedure(text, name="rules.yaml")
    assert said in str(refused.value)
