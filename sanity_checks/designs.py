"""From a check, a size, a model and seeds to a design like any other's."""

from collections.abc import Sequence
from typing import Any

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.sanity_checks.checks import Check, Size

__all__ = ["ASKED", "design_text"]

ASKED = "asked"
"""Name of the evaluation of every check."""


def design_text(check: Check, size: Size, *, name: str, model: str, seeds: Sequence[int], created: str) -> str:
    """Return the design of a check as YAML.

    Args:
        check: the check.
        size: how large it is made.
        name: name of the experiment.
        model: directory of the base model.
        seeds: replicates of every arm.
        created: ISO-8601 date of the design.
    """
    return dump_yaml(
        {
            "name": name,
            "type": "sanity_check",
            "question": check.question,
            "hypothesis": check.hypothesis,
            "created": created,
            "tools": {"preparation": "peft"},
            "models": [{"name": "base", "path": model}],
            "data": {
                "tier": "green",
                "training": {"generator": check.generator, "arguments": dict(size.arguments)},
            },
            "design": "list",
            "runs": [{"name": arm.name, "parameters": dict(arm.parameters)} for arm in check.arms(size)],
            "controls": {"seeds": list(seeds), "epochs_to_save": "last", "keep_best": False, **size.controls},
            "evaluation": _evaluation(size),
            "analysis": {"primary_metric": "match", "primary_task": ASKED},
            "resources": dict(size.resources),
        }
    )


def _evaluation(size: Size) -> dict[str, Any]:
    return {
        "tasks": [{"name": ASKED, "task": "rows", "split": "test", "scorers": ["match"]}],
        "generation": {"max_tokens": size.max_tokens, "batch_size": 256, "top_logprobs": 0},
    }
