"""lm-evaluation-harness: its model of transformers, and a task of its own kinds."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from job import BATCH, LABELS, MAX_TOKENS, Job, run
from lm_eval import evaluator
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM

KINDS: dict[str, dict[str, Any]] = {
    "generation": {
        "output_type": "generate_until",
        "doc_to_target": "{{target}}",
        "generation_kwargs": {"until": ["\0"], "max_gen_toks": MAX_TOKENS, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    },
    "options": {
        "output_type": "multiple_choice",
        "doc_to_target": 0,
        "doc_to_choice": list(LABELS),
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
}


def prepare(job: Job) -> Callable[[Job], Sequence[int]]:
    """Load the model, its cache of logits of one-token options on, as it is."""
    logging.disable(logging.WARNING)
    # Registering the class hides from type checkers what it takes.
    kind: Any = HFLM
    lm = kind(pretrained=job.model, tokenizer=job.model, device="cpu", dtype="float32", batch_size=BATCH)

    def evaluate(job: Job) -> Sequence[int]:
        rows = [{"question": prompt, "target": "x"} for prompt in job.prompts()]
        config = {
            "task": "bench",
            "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "target_delimiter": " ",
            **KINDS[job.task],
        }
        task = ConfigurableTask(config=config)
        found: Any = evaluator.evaluate(lm=lm, task_dict={"bench": task}, log_samples=True, bootstrap_iters=0)
        if found is None or len(found["samples"]["bench"]) != job.samples:
            raise RuntimeError("the harness lost samples")
        return lm.tok_encode(job.prompts(1)[0])

    return evaluate


if __name__ == "__main__":
    run(prepare)
