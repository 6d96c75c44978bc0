"""any data set of rows with a question and an answer

A sample, with the prompt template `Is it even? {input}`:

    input   user: "Is it even? 14"
    target  "yes"
"""

from pathlib import Path

from inspect_ai import Task, task

from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import row_task

__all__ = ["rows"]


@task
def rows(config: str) -> Task:
    """Ask every question of a split.

    Args:
        config: path of the `eval.yaml` that names data, prompt, model and scorers.
    """
    return row_task(load_eval_config(Path(config)))
