"""words in lower case, answered with a capital letter

A sample, with the prompt template `{input}`:

    input   user: "hello"
    target  "Hello"

Made by the generator `capitalization`; the split `test` holds words of the trained
length never seen in training, `other_lengths` words of other lengths.
"""

from pathlib import Path

from inspect_ai import Task, task

from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import row_task

__all__ = ["capitalization"]


@task
def capitalization(config: str) -> Task:
    """Ask for words with a capital letter.

    Args:
        config: path of the `eval.yaml` that names data, prompt, model and scorers.
    """
    return row_task(load_eval_config(Path(config)))
