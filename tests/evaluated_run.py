"""A run that is ready to be evaluated: base, adapter, data, `eval.yaml` and training's marker."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.job_files import artefact_hashes, now
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from tests.random_model import random_adapter, random_base

__all__ = ["ROWS", "RUN", "Evaluated", "ready_run"]

RUN = "rank4-0123abcd"
ROWS = tuple(
    {"input": word, "output": word.capitalize(), "word_length": str(len(word))}
    for word in ("house", "tree", "apples", "a", "river bank", " stone ")
)


class Evaluated(NamedTuple):
    """Where everything lies."""

    experiment: Path
    base: str
    adapter: str
    configs: tuple[Path, ...]


def ready_run(
    experiment: Path,
    *,
    cells: Sequence[Mapping[str, Any]] = ({},),
    dataset: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, str]] = ROWS,
    template: str | None = None,
    base: str = "",
) -> Evaluated:
    """Write a run; each mapping of `cells` changes one cell's configuration."""
    models = experiment.parent / "models"
    base = base or (random_base(models / "base", template=template) if template else random_base(models / "base"))
    adapter = random_adapter(experiment / f"outputs/ck-out-{RUN}/epoch_0", base)
    data = experiment / "data" / "words.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps({"train": list(rows), "test": list(rows)}), encoding="utf-8")
    layout = RunLayout(RUN)
    hashes = artefact_hashes(sorted(Path(adapter).glob("adapter_*")), experiment=experiment)
    done = Done(exit_code=0, artefacts=hashes, finished=now())
    marker = experiment / layout.done("train")
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(done.model_dump_json(), encoding="utf-8")
    shared = {
        "path": str(data),
        "sha256": file_sha256(data),
        "dataset_type": "chat_completion",
        "prompt": "{input}",
        "system_prompt": "",
        "template_date": "26 Jul 2024",
        "max_seq_len": 128,
        **(dataset or {}),
    }
    configs = []
    for number, changes in enumerate(cells):
        config = {
            "run_id": RUN,
            "name": f"words{number}",
            "task": "capitalization",
            "epoch": 0,
            "base_model": {"name": "tiny", "path": base, "sha256": model_sha256(Path(base))},
            "adapter": adapter,
            "dataset": shared,
            "split": "test",
            "expected_samples": len(rows),
            "scorers": ["match", "includes"],
            "groups": ["word_length"],
            "generation": {"max_tokens": 6, "batch_size": 4, "top_logprobs": 3},
            "seed": 3,
            **changes,
        }
        suffix = "base" if config["epoch"] is None else f"epoch_{config['epoch']}"
        cell = f"{config['name']}_{suffix}"
        path = experiment / layout.cell_config(cell)
        path.parent.mkdir(parents=True)
        path.write_text(dump_yaml({"cell_dir": str(path.parent), **config}), encoding="utf-8")
        configs.append(path)
    return Evaluated(experiment, base, adapter, tuple(configs))
