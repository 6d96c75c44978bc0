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
    rows: Sequence[Mapping[str, str]] = ROWS,
    base: str = "",
) -> Evaluated:
    """Write a run; each mapping of `cells` changes one cell's configuration."""
    base = base or random_base(experiment.parent / "models" / "base")
    adapter = random_adapter(experiment / f"outputs/ck-out-{RUN}/epoch_0", base)
    data = experiment / "data" / "words.json"
    _write(data, json.dumps({"train": list(rows), "test": list(rows)}))
    hashes = artefact_hashes(sorted(Path(adapter).glob("adapter_*")), experiment=experiment)
    done = Done(exit_code=0, artefacts=hashes, finished=now())
    _write(experiment / RunLayout(RUN).done("train"), done.model_dump_json())
    configs = []
    for number, changes in enumerate(cells):
        config = {**_config(base, adapter, data=data, rows=len(rows)), "name": f"words{number}", **changes}
        suffix = "base" if config["epoch"] is None else f"epoch_{config['epoch']}"
        path = experiment / RunLayout(RUN).cell_config(f"{config['name']}_{suffix}")
        _write(path, dump_yaml({"cell_dir": str(path.parent), **config}))
        configs.append(path)
    return Evaluated(experiment, base, adapter, tuple(configs))


def _config(base: str, adapter: str, *, data: Path, rows: int) -> dict[str, Any]:
    return {
        "run_id": RUN,
        "task": "capitalization",
        "epoch": 0,
        "base_model": {"name": "tiny", "path": base, "sha256": model_sha256(Path(base))},
        "adapter": adapter,
        "dataset": {
            "path": str(data),
            "sha256": file_sha256(data),
            "dataset_type": "chat_completion",
            "prompt": "{input}",
            "system_prompt": "",
            "template_date": "26 Jul 2024",
            "max_seq_len": 128,
        },
        "split": "test",
        "expected_samples": rows,
        "scorers": ["match", "includes"],
        "groups": ["word_length"],
        "generation": {"max_tokens": 6, "batch_size": 4, "top_logprobs": 3},
        "seed": 3,
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
