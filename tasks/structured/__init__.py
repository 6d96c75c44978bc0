"""texts to decide on, answered with a label in JSON or with an abstention

A sample, with the prompt template `{metadata}: {text}` and `input_key: text`:

    input   user: {"source": "radio"}: The bridge is closed.
    target  "HIGH_RISK"

and a good answer:

    {"decision": "HIGH_RISK", "rationale": "A way is cut off.", "abstain": false}

A model of this machine is held to that form, its labels scored where the decision stands. What a
model behind an API says is read, and is an abstention with its reason where it cannot be.
"""

from pathlib import Path

from inspect_ai import Task, task

from cruijff_kit.data.structured import label_of
from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import row_task
from cruijff_kit.runtime.structured_solver import structured_classify

__all__ = ["structured"]


@task
def structured(config: str) -> Task:
    """Ask for a decision on every text of a split.

    Args:
        config: path of the `eval.yaml` that names data, prompt, model, labels and scorers.
    """
    cell = load_eval_config(Path(config))
    solver = structured_classify(options=list(cell.rules.options))
    return row_task(cell, solver=solver, target=lambda row: label_of(row, output_key=cell.dataset.output_key))
