"""The provider `hf` of inspect-ai, which cannot score options: it is asked for the first token's chances."""

import tempfile
from collections.abc import Callable, Sequence

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate
from job import BATCH, MAX_TOKENS, PLAIN, Job, inspect_settings, run


def prepare(job: Job) -> Callable[[Job], Sequence[int]]:
    """Load the model; a template that changes nothing stands in for plain text, which the provider does not know."""
    model = get_model(
        "hf/tiny", memoize=False, model_path=job.model, device="cpu", do_sample=False, chat_template=PLAIN
    )
    scored = job.task == "options"
    settings = GenerateConfig(
        logprobs=True, top_logprobs=20 if scored else 1, max_tokens=1 if scored else MAX_TOKENS, max_connections=BATCH
    )

    def evaluate(job: Job) -> Sequence[int]:
        samples = [Sample(id=f"{at}", input=prompt, target="x") for at, prompt in enumerate(job.prompts())]
        task = Task(dataset=MemoryDataset(samples), solver=[generate()], scorer=match(), config=settings)
        with tempfile.TemporaryDirectory() as folder:
            (log,) = inspect_ai.eval(task, model=model, max_samples=4 * BATCH, **inspect_settings(folder))
        if log.results is None or log.results.completed_samples != job.samples:
            raise RuntimeError(f"the log is not whole: {log.status}")
        return model.api.tokenizer(job.prompts(1)[0])["input_ids"]  # pyright: ignore[reportAttributeAccessIssue] -- its own attribute

    return evaluate


if __name__ == "__main__":
    run(prepare)
