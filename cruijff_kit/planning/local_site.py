"""The site that is always there: this machine, with the queue built in, whatever cluster the settings tell of."""

from cruijff_kit.schema.site import Site

__all__ = ["LOCAL", "is_here", "on_this_machine"]

LOCAL = "local"
"""Name of that site, unless a file of the user's has it."""

_KEPT = frozenset(
    {"allow_unattended", "caps", "policy", "models_dir", "scratch_dir", "wandb_mode", "prove_inputs", "models"}
)


def is_here(site: Site) -> bool:
    """Return whether a site's jobs run on this machine, in the queue built in."""
    return site.scheduler == "local" and site.login_host is None and site.remote is None


def on_this_machine(site: Site) -> Site:
    """Return a site without its cluster: models and limits stay, partitions, hosts and environments do not."""
    told = site.model_dump(include=set(_KEPT & site.model_fields_set))
    return Site.model_validate({**told, "scheduler": "local"})
