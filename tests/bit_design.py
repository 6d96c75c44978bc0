"""A design of fast trainings on bit sequences, for tests of queues and of what kills."""

__all__ = ["bit_design"]

_DESIGN = """\
name: {name}
question: Does anything get lost?
created: "2026-01-02"
{evaluation}
models:
  - {{name: base, path: {model}}}
data:
  tier: green
  training:
    generator: bit_sequences
    arguments: {{bit_length: 8, N: 200, val_size: 20, test_size: 20, seed: 1}}
factors:
  lora_rank: [2, 4]
controls:
  seeds: {seeds}
  batch_size: {batch_size}
  recipe: {recipe}
  max_seq_len: 64
"""


def bit_design(
    name: str, *, model: object, recipe: object, seeds: tuple[int, ...], batch_size: int = 4, evaluated: bool = False
) -> str:
    """Return the text of a design: two ranks, one run a seed of each, evaluated or not."""
    evaluation = "evaluation: {tasks: [{name: bits, task: rows}]}" if evaluated else "tools: {evaluation: none}"
    values = {"model": model, "recipe": recipe, "seeds": list(seeds), "batch_size": batch_size}
    return _DESIGN.format(name=name, evaluation=evaluation, **values)
