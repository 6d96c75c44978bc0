"""the ports: what the verbs need of the world, as Protocols"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cruijff_kit.ports.archive import FileFacts, Tree, Vault
    from cruijff_kit.ports.clients import ClientFiles
    from cruijff_kit.ports.clock import Clock, Progress
    from cruijff_kit.ports.jobs import Prober, Scheduler
    from cruijff_kit.ports.library import Library, Stamped
    from cruijff_kit.ports.mirror import Home, Mirror
    from cruijff_kit.ports.models import Adapters, Asking, Embedder, Inference, ModelHub
    from cruijff_kit.ports.record import AuditLog, EvalLogs, RunStore, Shelf, Tracking
    from cruijff_kit.ports.sampling import Proposer
    from cruijff_kit.ports.serving import Classifier, Dialogue, OptionScorer, Serving
    from cruijff_kit.ports.site import Environments, SiteFiles, SiteProbe
    from cruijff_kit.ports.tokenizer import Tokenizer
    from cruijff_kit.ports.world import World

__all__ = [
    "Adapters",
    "Asking",
    "AuditLog",
    "Classifier",
    "ClientFiles",
    "Clock",
    "Dialogue",
    "Embedder",
    "Environments",
    "EvalLogs",
    "FileFacts",
    "Home",
    "Inference",
    "Library",
    "Mirror",
    "ModelHub",
    "OptionScorer",
    "Prober",
    "Progress",
    "Proposer",
    "RunStore",
    "Scheduler",
    "Serving",
    "Shelf",
    "SiteFiles",
    "SiteProbe",
    "Stamped",
    "Tokenizer",
    "Tracking",
    "Tree",
    "Vault",
    "World",
]

_MODULES = (
    *("tokenizer", "clock", "jobs", "record", "models", "site", "archive", "clients"),
    *("library", "mirror", "sampling", "serving", "world"),
)
"""Where ports are looked for, those first that jobs ask for: with one of them come only the nouns it speaks of."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in (import_module(f"{__name__}.{each}") for each in _MODULES):
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"`{__name__}` has no port `{name}`")
