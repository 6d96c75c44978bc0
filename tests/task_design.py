"""A design that puts tasks to a base model, nothing trained."""

__all__ = ["task_design"]

_DESIGN = """\
name: anyone
question: What does the base say?
created: 2026-11-20
models: [{{name: tiny, path: {base}}}]
data:
  training: {{generator: bit_sequences, arguments: {{bit_length: 6, N: 40, val_size: 8, test_size: 8}}}}
  tier: green
design: list
runs: [{{name: base, type: control}}]
evaluation:
  tasks:
{tasks}
  generation: {{max_tokens: 4}}
"""


def task_design(base: object, *tasks: str) -> str:
    """Return the text of a design: one control run on these tasks, each an item of a YAML list on one line."""
    return _DESIGN.format(base=base, tasks="\n".join(f"    {task}" for task in tasks))
