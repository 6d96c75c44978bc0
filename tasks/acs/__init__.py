"""persons of the American Community Survey, asked a yes or no whose probability is scored, or a number

A sample of `ACSIncome`, with the prompt template `{input}`:

    input   user: "- The age is: 41 years
                   - The class of worker is: employee of local government
                   - The highest level of schooling is: bachelor's degree
                   …

                   Was this person's income in the past 12 months more than 50,000 dollars? Answer 1 for yes, 0 for no."
    target  "1"

Made by the generators `acs`, from its user's own person file, and `acs_stand_in`. What answers yes or no is
planned with `risk` and `options: ["0", "1"]`, what answers with a number with `continuous`; `groups: [SEX, RAC1P]`
tells results apart.
"""

from pathlib import Path

from inspect_ai import Task, task

from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.row_task import row_task

__all__ = ["acs"]


@task
def acs(config: str) -> Task:
    """Ask of persons of the survey.

    Args:
        config: path of the `eval.yaml` that names data, prompt, model, options and scorers.
    """
    return row_task(load_eval_config(Path(config)))
