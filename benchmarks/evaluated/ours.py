"""This package's model provider, through inspect-ai."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate
from job import BATCH, LABELS, MAX_TOKENS, WARM, Job, inspect_settings, run

import cruijff_kit.runtime.inspect_registry  # noqa: F401 -- makes the provider known
from cruijff_kit.runtime.garbage import seldom_collected


def prepare(job: Job) -> Callable[[Job], Sequence[int]]:
    """Load the model as a job does: adapters, prompts' ids and log-probabilities at hand."""
    options: dict[str, Any] = {"dataset_type": "text_completion", "batch_size": BATCH, "device": "cpu"}
    model = get_model("cruijff/tiny", memoize=False, model_path=job.model, **options)
    scored: dict[str, Any] = {"max_tokens": 1, "extra_body": {"options": list(LABELS)}}
    generated: dict[str, Any] = {"max_tokens": MAX_TOKENS}
    settings = GenerateConfig(logprobs=True, top_logprobs=0, **(scored if job.task == "options" else generated))

    def evaluate(job: Job) -> Sequence[int]:
        samples = [Sample(id=f"{at}", input=prompt, target="x") for at, prompt in enumerate(job.prompts())]
        task = Task(dataset=MemoryDataset(samples), solver=[generate()], scorer=match(), config=settings)
        waiting = 4 * BATCH
        with tempfile.TemporaryDirectory() as folder, seldom_collected():
            (log,) = inspect_ai.eval(
                task,
                model=model,
                max_connections=waiting,
                max_samples=waiting,
                log_buffer=2 * waiting,
                **inspect_settings(folder),
            )
            if log.results is None or log.results.completed_samples != job.samples:
                raise RuntimeError(f"the log is not whole: {log.status}")
            return first_ids(log, scored=job.task == "options") if job.samples == WARM else ()

    return evaluate


def first_ids(log: EvalLog, *, scored: bool) -> Sequence[int]:
    """Return the ids that the first prompt was read as, and make sure that options were scored where asked for."""
    metadata = (log.samples or [])[0].output.metadata or {}
    if scored != ("option_mass" in metadata):
        raise RuntimeError("options were not scored as asked")
    return metadata["prompt_token_ids"]


if __name__ == "__main__":
    run(prepare)
