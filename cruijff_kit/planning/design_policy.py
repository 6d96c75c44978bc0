"""The failure policy of a design over that of its site; pure.

A rule of the design counts key by key over the site's, which counts over the default. Budgets
are the site's to give: a design may ask for less of them, never for more.
"""

from collections.abc import Iterator

from cruijff_kit.errors import Problem
from cruijff_kit.schema.policy import DesignPolicy, DesignRule, Policy, Rule
from cruijff_kit.schema.site import Site

__all__ = ["allowed_gpu_hours", "policy_of", "policy_problems"]


def policy_of(asked: DesignPolicy | None, site: Site) -> Policy:
    """Return the policy that counts: the design's word over the site's, its budgets at most the site's."""
    if asked is None:
        return site.policy
    rules = {ending: _over(rule, getattr(site.policy, ending)) for ending, rule in asked.stated.items()}
    most, own = site.policy.max_retries, asked.max_retries
    changes = {**rules, "max_retries": most if own is None else min(most, own)}
    return site.policy.model_copy(update=changes)


def allowed_gpu_hours(asked: DesignPolicy | None, site: Site) -> float:
    """Return the GPU-hours that all attempts of an experiment may take."""
    most, own = _site_gpu_hours(site), asked.max_gpu_hours if asked is not None else None
    return most if own is None else min(most, own)


def policy_problems(asked: DesignPolicy | None, site: Site) -> Iterator[Problem]:
    """Yield a problem for every budget that is more than the site gives, and for retries that none could spend."""
    if asked is None:
        return
    hours, retries = _site_gpu_hours(site), site.policy.max_retries
    budgets = (("max_gpu_hours", asked.max_gpu_hours, hours), ("max_retries", asked.max_retries, retries))
    for name, wanted, most in budgets:
        if wanted is not None and wanted > most:
            fact = f"`{name}: {wanted:g}` is more than this site's budget, `{most:g}`"
            yield Problem(fact, f"policy.{name}", hint=f"ask for at most {most:g}, or leave it out")
    allowed = policy_of(asked, site).max_retries
    for ending, rule in asked.stated.items():
        if rule.retries is not None and rule.retries > allowed:
            fact = f"`retries: {rule.retries}` can never be spent: all rules together may open {allowed} attempts"
            yield Problem(fact, f"policy.{ending}.retries", hint=f"ask for at most {allowed}")


def _over(asked: DesignRule, rule: Rule) -> Rule:
    said = {name: value for name, value in asked if value is not None}
    return rule.model_copy(update=said)


def _site_gpu_hours(site: Site) -> float:
    most = site.policy.max_gpu_hours
    return site.caps.max_gpu_hours if most is None else most
