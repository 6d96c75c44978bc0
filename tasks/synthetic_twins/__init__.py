"""pairs of twins told by their traits: are they identical, and how sure is that

A sample, with the prompt template `{input}`:

    input   user: "V1: 0.31, 0.29; V2: -1.02, 0.44"
    target  "1"

Made by the generators `synthetic_twins`, which knows the probability of each answer, and `twins`, from a table;
`preproc` makes files of rows of a folder of such tables. Planned with `risk` and `options: ["0", "1"]`.
"""

from pathlib import Path

from inspect_ai import Task, task

from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import row_task

__all__ = ["synthetic_twins"]


@task
def synthetic_twins(config: str) -> Task:
    """Ask which pairs are identical.

    Args:
        config: path of the `eval.yaml` that names data, prompt, model, options and scorers.
    """
    return row_task(load_eval_config(Path(config)))
