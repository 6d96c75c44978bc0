"""The failure policy of a design over its site's: key by key, budgets never above the site's."""

from typing import Any

import pytest

from cruijff_kit.planning.design_policy import allowed_gpu_hours, policy_of, policy_problems
from cruijff_kit.schema.policy import DesignPolicy, Ending, Policy, Reaction, Rule
from cruijff_kit.schema.site import Caps, Site

SITE = Site(policy=Policy(lost=Rule(reaction=Reaction.RETRY, retries=4, wait=60.0), max_retries=8, max_gpu_hours=50.0))


def asked(**said: Any) -> DesignPolicy:
    return DesignPolicy.model_validate(said)


def test_every_ending_but_the_orphaned_one_has_a_rule_in_site_and_design() -> None:
    endings = set(Ending) - {Ending.ORPHANED}
    assert endings <= set(Policy.model_fields)
    assert endings == set(DesignPolicy.model_fields) - {"max_retries", "max_gpu_hours"}


def test_a_design_that_says_nothing_has_the_policy_of_its_site() -> None:
    assert policy_of(None, SITE) == policy_of(asked(), SITE) == SITE.policy
    assert allowed_gpu_hours(None, SITE) == allowed_gpu_hours(asked(), SITE) == 50.0
    assert allowed_gpu_hours(None, Site(caps=Caps(max_gpu_hours=7.0))) == 7.0


def test_the_design_counts_over_the_site_and_the_site_over_the_default_key_by_key() -> None:
    found = policy_of(asked(lost={"retries": 2}, killed={"reaction": "stop"}), SITE)
    assert found.lost == Rule(reaction=Reaction.RETRY, retries=2, wait=60.0)
    assert found.killed == Rule(reaction=Reaction.STOP, retries=Policy().killed.retries)
    assert found.timed_out == Policy().timed_out
    assert found.forgotten_after == SITE.policy.forgotten_after


@pytest.mark.parametrize(
    "said,retries,hours",
    (({}, 8, 50.0), ({"max_retries": 3, "max_gpu_hours": 2.5}, 3, 2.5), ({"max_retries": 0}, 0, 50)),
)
def test_a_design_may_ask_for_less_of_a_budget(said: dict[str, Any], retries: int, hours: float) -> None:
    assert policy_of(asked(**said), SITE).max_retries == retries
    assert allowed_gpu_hours(asked(**said), SITE) == hours
    assert list(policy_problems(asked(**said), SITE)) == []


def test_a_budget_above_the_sites_is_a_problem_and_counts_as_the_sites_should_that_be_lowered_later() -> None:
    greedy = asked(max_retries=9, max_gpu_hours=51, failed={"retries": 9}, held={"retries": 8})
    assert [(each.path, each.hint.partition(",")[0]) for each in policy_problems(greedy, SITE)] == [
        ("policy.max_gpu_hours", "ask for at most 50"),
        ("policy.max_retries", "ask for at most 8"),
        ("policy.failed.retries", "ask for at most 8"),
    ]
    assert policy_of(greedy, SITE).max_retries == 8
    assert allowed_gpu_hours(greedy, SITE) == 50.0
