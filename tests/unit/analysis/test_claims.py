"""Claims: what confirms, violates or leaves one open, and how often that is wrong."""

import re
from collections.abc import Sequence
from random import Random

import pytest
from pydantic import ValidationError

from cruijff_kit.analysis.claim_cases import Case
from cruijff_kit.analysis.claim_evidence import Evidence, from_changes, from_counts, from_seeds
from cruijff_kit.analysis.claims import judge_claims, verdicts_of
from cruijff_kit.analysis.clustered import design_effect
from cruijff_kit.analysis.findings import find_all
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.planning.claim_checks import check_claims
from cruijff_kit.schema.claims import Claim, ClaimVerdict
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.spec import Analysis, ExperimentSpec, RunSpec
from tests.architecture.source import ROOT
from tests.fakes.experiment import Size, answers, design_of, plan_of

SIZE = Size(words=50, others=2, seeds=(1, 2, 3))
PLAN = plan_of(SIZE)
SPEC = design_of(SIZE).model_copy(update={"runs": (RunSpec(name="base", type="control"),)})
RANKS = ({"lora_rank": 16}, {"lora_rank": 4})
RATES = ({"lr": 1e-3}, {"lr": 3e-4})
DRAWS = 2_000
SAMPLES = [each for run in PLAN.runs for cell in run.cells for each in answers(run, cell, size=SIZE)]


def claim(**fields: object) -> Claim:
    return Claim.model_validate(fields)


def table_of(samples: Sequence[Prediction] = SAMPLES, plan: Plan = PLAN) -> ResultTable:
    counts: dict[tuple[str, str], list[bool]] = {}
    for each in samples:
        counts.setdefault((each.run, each.task), []).append(each.correct is True)
    rows = [
        ResultRow(
            run=run.id, type=run.type, model="tiny", factors=run.factors, seed=run.seed, task=cell.task.name,
            epoch=cell.epoch, metric="match", value=sum(right) / len(right) if right else None, n=len(right),
            successes=sum(right) if right else None, reason="" if right else "lost",
        )
        for run in plan.runs for cell in run.cells if (right := counts.get((run.id, cell.task.name), [])) is not None
    ]  # fmt: skip
    return ResultTable(experiment=SPEC.name, rows=tuple(rows), runs=(), predictions=tuple(samples))


def judged(
    *claims: Claim, table: ResultTable | None = None, plan: Plan = PLAN, **changes: object
) -> list[ClaimVerdict]:
    table = table or table_of()
    analysis = Analysis(claims=claims).model_copy(update=changes)
    spec = SPEC.model_copy(update={"analysis": analysis})
    findings = find_all(spec, plan, table=table)
    return list(judge_claims(spec, plan, table=table, findings=findings))


def seeds_of(chance: Random, *, shift: float = 0.0) -> Evidence:
    cells = [[chance.gauss(shift, 1) for _ in range(3)], [chance.gauss(0, 1) for _ in range(3)]]
    return from_seeds(cells, (1.0, -1.0), level=0.95)


def pairs_of(chance: Random, *, clustered: bool = False) -> Evidence:
    changes: dict[str, list[int]] = {}
    for place in range(40):
        whole = chance.choice((-1, 1)) if clustered else 0
        own = chance.choices((1, -1, 0), weights=(0.15, 0.15, 0.7), k=3 if clustered else 1)
        changes[str(place)] = [whole if chance.random() < 0.4 else each for each in own]
    return from_changes(changes, clustered=clustered, level=0.95)


def test_a_wrong_verdict_on_any_of_several_claims_is_no_likelier_than_alpha() -> None:
    chance, alpha, wrong = Random(9), 0.05, 0
    higher, bound = claim(compare=RANKS), claim(at_least=0.7)
    for _ in range(DRAWS):
        # Every difference is nothing and every bound is the truth: either verdict on any of them is wrong.
        pieces = (
            (higher, seeds_of(chance)),
            (higher, pairs_of(chance)),
            (higher, pairs_of(chance, clustered=True)),
            (bound, from_counts(sum(chance.random() < 0.7 for _ in range(60)), 60, level=0.95)),
        )
        found = verdicts_of([Case(each, "t", "m", (piece,)) for each, piece in pieces], alpha=alpha)
        wrong += any(verdict != "inconclusive" for verdict, _ in found)
    # Three standard errors of a share of 0.05.
    assert wrong / DRAWS <= alpha + 3 * (alpha * (1 - alpha) / DRAWS) ** 0.5
    assert wrong


@pytest.mark.parametrize("expect,shift", (("higher", 0.5), ("lower", -0.5), ("same", 1.0)))
def test_a_claim_that_is_false_by_its_margin_is_seldom_confirmed(expect: str, shift: float) -> None:
    chance, margin = Random(4), 1.0 if expect == "same" else 0.5
    case, confirmed = claim(compare=RANKS, expect=expect, margin=margin), 0
    for _ in range(DRAWS):
        found = verdicts_of([Case(case, "t", "m", (seeds_of(chance, shift=shift),))], alpha=0.05)
        confirmed += found[0][0] == "confirmed"
    assert confirmed / DRAWS <= 0.025 + 3 * (0.025 * 0.975 / DRAWS) ** 0.5


def test_a_large_effect_is_confirmed_one_way_and_violates_the_other() -> None:
    piece = from_seeds([[0.91, 0.9, 0.92], [0.41, 0.4, 0.42]], (1.0, -1.0), level=0.95)
    ways = {
        way: verdicts_of([Case(claim(compare=RANKS, expect=way, margin=0.1), "t", "m", (piece,))], alpha=0.05)[0][0]
        for way in ("higher", "lower", "same")
    }
    assert ways == {"higher": "confirmed", "lower": "violated", "same": "violated"}
    near = from_seeds([[0.905, 0.9, 0.902], [0.9, 0.901, 0.905]], (1.0, -1.0), level=0.95)
    same = claim(compare=RANKS, expect="same", margin=0.05)
    assert verdicts_of([Case(same, "t", "m", (near,))], alpha=0.05)[0][0] == "confirmed"


def test_a_verdict_of_one_claim_agrees_with_the_interval_that_is_shown() -> None:
    chance = Random(2)
    for _ in range(200):
        for piece, rule in ((seeds_of(chance, shift=2), RANKS), (pairs_of(chance, clustered=True), RANKS)):
            verdict = verdicts_of([Case(claim(compare=rule), "t", "m", (piece,))], alpha=0.05)[0][0]
            assert (verdict == "confirmed") == ((piece.figure.low or 0) > 0)
            assert (verdict == "violated") == ((piece.figure.high or 0) < 0)


def test_settings_are_compared_over_seeds_and_matched_on_what_a_claim_does_not_name() -> None:
    found = judged(claim(text="a higher rank helps", compare=RANKS), claim(compare=RATES), claim(compare=RATES[::-1]))
    assert [each.verdict for each in found] == ["confirmed", "confirmed", "violated"]
    assert all(len(each.runs) == 12 and "seeds" in each.test for each in found)
    effect = next(e for e in find_all(SPEC, PLAN, table=table_of()).effects if e.factor == "lora_rank")
    assert found[0].figure is not None
    assert found[0].figure.value == pytest.approx(effect.figure.value)
    assert found[0].figure.low == pytest.approx(effect.figure.low)


def test_an_interaction_is_the_difference_of_two_differences() -> None:
    found = judged(claim(compare=RANKS, more_at=RATES))[0]
    effect = next(e for e in find_all(SPEC, PLAN, table=table_of()).effects if " x " in e.factor)
    assert found.figure is not None
    assert found.figure.value == pytest.approx(effect.figure.value)
    assert found.verdict == "confirmed"


def test_every_run_must_bear_out_a_claim_about_the_base_and_one_about_a_bound() -> None:
    beats, high, low = judged(
        claim(compare=[{"lora_rank": 16}, "base"]), claim(at_least=0.6), claim(of={"lr": 1e-3}, at_least=0.3)
    )
    assert (beats.verdict, high.verdict, low.verdict) == ("confirmed", "violated", "confirmed")
    assert len(beats.runs) == 6
    assert re.search(r"each of 6 runs must bear it out; least so does `rank16_lr3e-04", beats.reason)


def test_a_run_without_result_keeps_a_claim_about_every_run_from_being_confirmed() -> None:
    lost = next(run.id for run in PLAN.runs if run.factors == {"lora_rank": 16, "lr": 1e-3})
    table = table_of([each for each in SAMPLES if each.run != lost])
    each, over = judged(claim(compare=[{"lora_rank": 16}, "base"]), claim(compare=RATES), table=table)
    assert (each.verdict, over.verdict) == ("inconclusive", "confirmed")
    assert "1 of 6 pairs without a shared sample" in each.reason
    assert over.reason == "1 of 12 runs without a result"
    (nothing,) = judged(claim(compare=[{"lora_rank": 16}, "base"]), table=table_of([]))
    assert nothing.reason.endswith("a side of it has no result")


def test_one_seed_a_setting_leaves_a_claim_open_and_says_why() -> None:
    size = SIZE._replace(seeds=(1,))
    plan = plan_of(size)
    samples = [each for run in plan.runs for cell in run.cells for each in answers(run, cell, size=size)]
    found = judged(claim(compare=RANKS), table=table_of(samples, plan), plan=plan)[0]
    assert found.verdict == "inconclusive"
    assert "one run a setting" in found.reason
    assert found.p_adjusted is None


def test_a_hypothesis_without_comparisons_is_shown_and_never_guessed() -> None:
    found = judged()
    assert [(each.text, each.verdict) for each in found] == [
        ("Both help, and the rank helps more at the higher learning rate.", "not testable")
    ]
    told = judged(claim(text="ranks matter"), claim(compare=RANKS))
    assert [each.verdict for each in told] == ["not testable", "confirmed"]


def test_planned_comparisons_are_claims_of_a_difference_that_cannot_be_violated() -> None:
    found = judged(comparisons=("lora_rank", "base"))[1:]
    assert [(each.text, each.verdict) for each in found] == [
        ("lora_rank makes a difference", "confirmed"),
        ("training changes the answers of at least one run", "confirmed"),
    ]
    assert judged(comparisons=("lora_rank",), alpha=1e-12)[1].verdict == "inconclusive"


def test_samples_that_come_in_clusters_count_as_such() -> None:
    outcomes = {str(place): [place % 5 > 0] * 8 for place in range(20)}
    plain = from_counts(128, 160, level=0.95)
    clustered = from_counts(128, 160, clusters=design_effect(outcomes), level=0.95)
    assert plain.above(0.7) < 0.01 < clustered.above(0.7)


@pytest.mark.parametrize(
    "fields,words",
    (
        ({"compare": [{"lora_rnk": 4}, {"lora_rank": 16}]}, "unknown `lora_rnk`"),
        ({"compare": [{"lora_rank": 8}, {"lora_rank": 16}]}, "unknown `8`"),
        ({"compare": [{"lora_rank": 4}, {"lora_rank": 4}]}, "the same runs"),
        ({"compare": ["bse", {"lora_rank": 4}]}, "unknown `bse`"),
        ({"compare": ["base", {"lora_rank": 4}]}, "`base` is the first side"),
        ({"compare": [{"lora_rank": 4}, "base"], "metric": "includes"}, "cannot be paired"),
        ({"compare": RANKS, "metric": "mtch"}, "unknown `mtch`"),
        ({"compare": RANKS, "task": "capitalisation"}, "unknown `capitalisation`"),
        ({"at_least": 1.2}, "`1.2` is no value that accuracy can have"),
        ({"compare": [{}, {"lora_rank": 4}]}, "names no level"),
    ),
)
def test_a_claim_that_cannot_be_tested_by_the_design_is_refused(fields: dict[str, object], words: str) -> None:
    spec = SPEC.model_copy(update={"analysis": Analysis(claims=(claim(**fields),))})
    problems = list(check_claims(spec))
    assert any(words in problem.message for problem in problems), problems
    assert all(problem.path.startswith("analysis.claims[0]") and problem.hint for problem in problems)


def test_claims_that_the_design_can_test_pass() -> None:
    claims = (
        claim(compare=RANKS, more_at=RATES), claim(compare=[{"lr": 1e-3}, "base"]), claim(metric="val_loss", at_most=2),
        claim(text="words alone"), claim(of="base", at_most=0.1),
    )  # fmt: skip
    spec: ExperimentSpec = SPEC.model_copy(update={"analysis": Analysis(claims=claims)})
    assert list(check_claims(spec)) == []


def test_the_claims_that_the_documentation_shows_can_be_tested() -> None:
    shown = (ROOT / "docs/claims.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    analysis = Analysis.model_validate(load_yaml(shown, name="claims.md").value["analysis"])
    assert list(check_claims(SPEC.model_copy(update={"analysis": analysis}))) == []
    assert [claim.testable for claim in analysis.claims] == [True] * 6 + [False]


@pytest.mark.parametrize(
    "fields",
    (
        {}, {"at_least": 0.1, "at_most": 0.2}, {"text": "x", "margin": 0.1}, {"compare": RANKS, "expect": "same"},
        {"compare": RANKS, "of": {"lr": 1e-3}}, {"compare": RANKS, "margin": -1},
    ),
)  # fmt: skip
def test_a_claim_that_contradicts_itself_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        claim(**fields)
