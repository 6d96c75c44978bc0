"""One evaluation that is measured: what it is, and how it is measured in a process of its own."""

import json
import random
import resource
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["BATCH", "LABELS", "MAX_TOKENS", "PLAIN", "WARM", "Job", "inspect_settings", "run"]

BATCH = 64
LABELS = ("agree", "disagree", "neither", "no answer")
MAX_TOKENS = 16
PLAIN = "{{ messages[0]['content'] }}"
"""A chat template that leaves a prompt as it is."""
WARM = 8
"""Samples of the evaluation before the one that is timed."""


class Job(NamedTuple):
    """One evaluation of one system in one process."""

    system: str
    """Which one."""
    model: str
    """Directory of the model."""
    shape: str
    """`short`: a question alone; `few-shot`: instructions and examples before every question, the same ones."""
    task: str
    """`generation` or `options`."""
    samples: int
    """Questions asked."""

    def prompts(self, count: int | None = None) -> list[str]:
        """Return the prompts, a question at the end of each."""
        draw = random.Random(0)
        shared = "".join(f"{_statement(draw)} -> {draw.choice(LABELS)}\n" for _ in range(16))
        before = f"How would the speaker answer?\n{shared}" if self.shape == "few-shot" else ""
        return [f"{before}{_statement(draw)} ->" for _ in range(count or self.samples)]


def _statement(draw: random.Random) -> str:
    return " ".join(
        "".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9))) for _ in range(draw.randint(4, 14))
    )


def inspect_settings(log_dir: str) -> dict[str, Any]:
    """Return how inspect-ai runs, with our provider and its own: nothing is shown, nothing written on the way."""
    return {
        "log_dir": log_dir,
        "display": "none",
        "log_level": "warning",
        "log_realtime": False,
        "score_display": False,
        "acp_server": False,
        "ctl_server": False,
    }


def run(prepare: Callable[[Job], Callable[[Job], Any]]) -> None:
    """Evaluate the job on the command line and print its figures as the last line.

    Args:
        prepare: loads the model and returns what evaluates a job and returns the ids of its first prompt.
    """
    import torch

    job = Job(*json.loads(sys.argv[1]))
    torch.set_num_threads(1)
    evaluate = prepare(job)
    ids = evaluate(job._replace(samples=WARM))
    wall, processor = time.perf_counter(), time.process_time()
    evaluate(job)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"wall": job.samples / wall, "processor": job.samples / processor, "peak": peak, "ids": list(ids)}
    Path(sys.argv[2]).write_text(json.dumps(figures), encoding="utf-8")
