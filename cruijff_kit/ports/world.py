"""Everything outside, as the verbs are given it."""

from collections.abc import Callable
from typing import NamedTuple

from cruijff_kit.ports.archive import Vault
from cruijff_kit.ports.clock import Clock
from cruijff_kit.ports.jobs import Prober, Scheduler
from cruijff_kit.ports.library import Library
from cruijff_kit.ports.models import Adapters, Embedder, ModelHub
from cruijff_kit.ports.record import AuditLog, EvalLogs, RunStore, Shelf
from cruijff_kit.ports.sampling import Proposer
from cruijff_kit.ports.serving import Serving
from cruijff_kit.ports.site import Environments, SiteFiles, SiteProbe
from cruijff_kit.schema.audit import Actor
from cruijff_kit.schema.roots import Roots
from cruijff_kit.schema.site import Site

__all__ = ["World"]


class World(NamedTuple):
    """Everything outside that one experiment's verbs may touch, chosen by `bootstrap`."""

    store: RunStore
    """Files of the experiment."""
    audit: AuditLog
    """Its record."""
    scheduler: Scheduler
    """Where its jobs run."""
    clock: Clock
    """Time."""
    hub: ModelHub
    """Base models."""
    adapters: Adapters
    """LoRA adapters."""
    evaluations: EvalLogs
    """Evaluation logs."""
    site: Site
    """Settings of this machine."""
    actor: Actor
    """On whose behalf the verbs act."""
    prober: Prober | None = None
    """Takes first steps; None where a world does without."""
    embedder: Embedder | None = None
    """Writes embeddings; None where a world does without."""
    sites: SiteFiles | None = None
    """The site files; None where a world does without."""
    probe: SiteProbe | None = None
    """Looks at the machine; None where a world does without."""
    environments: Environments | None = None
    """Environments made for jobs; None where a world does without."""
    shelf: Shelf | None = None
    """Output directories; None where a world does without."""
    settings: Callable[[], Site] | None = None
    """Reads the site's settings anew, for verbs that go on for long; None where they never change."""
    roots: Roots | None = None
    """Directories that whatever is named must lie in; None where a person acts, who may name any."""
    site_name: str | None = None
    """What the site is called where it is one of several; None where it is the only one."""
    secrets: tuple[str, ...] = ()
    """Values that nothing written for readers may hold."""
    library: Library | None = None
    """Experiments, looked through together; None where a world does without."""
    serving: Serving | None = None
    """Lets models answer people and programs; None where a world does without."""
    proposer: Proposer | None = None
    """Proposes what a search tries next; None where a world does without."""
    vault: Vault | None = None
    """Puts whole experiments away; None where a world does without."""
