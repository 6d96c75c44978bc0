"""A run whose answers were scored option by option, from a world whose true probabilities are known."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from cruijff_kit.ports import World
from cruijff_kit.rendering.tables import predictions_parquet
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.temperature import option_probabilities
from tests.drawn import drawn_answers
from tests.fakes.designed import world_at
from tests.fakes.experiment import SMALL, design_of, plan_of, seal

__all__ = ["OPTIONS", "gather", "optioned", "optioned_answers", "sealed_world"]

OPTIONS = ("no", "yes", "unsure")


def sealed_world(root: Path) -> tuple[World, Plan]:
    """Return a world around a sealed experiment of which nothing is collected yet."""
    plan = plan_of(SMALL)
    root.mkdir(parents=True, exist_ok=True)
    seal(root, design_of(SMALL), plan=plan)
    return world_at(root), plan


def optioned(world: World, run: str, *, sizes: dict[str, int], **changes: Any) -> None:
    """Collect answers of a run: so many of each split, all changed alike."""
    gather(
        world,
        [
            each.model_copy(update=changes)
            for split, n in sizes.items()
            for each in optioned_answers(run, split=split, n=n)
        ],
    )


def gather(world: World, records: Sequence[Prediction], *, beside: str = "") -> None:
    """Write one run's predictions as collecting does, and record that, with those of another run beside them."""
    path, content = ExperimentLayout.predictions_of(records[0].run), predictions_parquet(records)
    world.store.write(path, content)
    kept = ExperimentLayout.predictions_of(beside) if beside else path
    outputs = {path: sha256(content).hexdigest(), kept: world.store.digest(kept) or ""}
    world.audit.append(
        AuditEvent(
            actor=world.actor, verb="collect", action=Action.COLLECT_RESULTS, subject="experiment", outputs=outputs
        )
    )


def optioned_answers(run: str, *, split: str, n: int, spread: float = 2.5) -> Iterator[Prediction]:
    """Yield the answers of an overconfident model: log-probabilities twice what they should be."""
    seed = int.from_bytes(sha256(split.encode()).digest()[:4], "big")
    logits, labels = drawn_answers(n, seed=seed, options=len(OPTIONS), spread=spread)
    rows = np.log(np.maximum(option_probabilities(logits, temperature=0.5), 1e-300)) - 0.1
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        chosen = int(row.argmax())
        yield Prediction(
            sample_id=f"{split}-{number}",
            run=run,
            epoch=0,
            task=f"opinions_{split}",
            split=split,
            groups={"site": "north" if number % 3 else "south"},
            target=OPTIONS[label],
            options=OPTIONS,
            option_logprobs=tuple(float(each) for each in row),
            option_mass=float(np.exp(row).sum()),
            prediction=OPTIONS[chosen],
            correct=chosen == label,
            confidence=min(1.0, float(np.exp(row.max()))),
            completion=OPTIONS[chosen],
            prompt_token_sha256=sha256(f"{split}-{number}".encode()).hexdigest(),
            checkpoint_sha256="34" * 32,
        )
