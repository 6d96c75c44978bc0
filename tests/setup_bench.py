"""Runs that are set up by keys alone and really trained, for tests that read the keys back."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.data.tokens import IGNORE, Encoding, encode_row
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import Manifest, MetricPoint
from cruijff_kit.workflow.setup_finetune import write_finetune
from tests.fakes.designed import world_at
from tests.training_runs import WORDS, metric_points

__all__ = ["PLAIN", "ROWS", "Bench", "Ran", "counted"]

PLAIN = {
    "input_dir_base": "data",
    "input_formatting": "",
    "dataset_label": "words",
    "model_checkpoint": "base",
    "prompt": "{input}",
    "gpus": "0",
    "lr": "1e-3",
    "num_warmup_steps": "2",
    "log_every_n_steps": "1",
    "seed": "1",
    "custom_recipe": "tests.probe_recipe",
}
# Every other answer is short, so that a limit can cut some of them and not the rest.
ROWS = [
    {"input": word, "output": word.title(), "question": f"{word}?", "answer": f"{word.upper()}!!" if at % 2 else "!"}
    for at, word in enumerate(WORDS)
]


class Ran(NamedTuple):
    """A run that was set up by its keys and trained by its job's command."""

    folder: Path
    config: TrainConfig
    points: list[MetricPoint]
    trace: list[dict[str, Any]]
    code: int

    @property
    def manifest(self) -> Manifest:
        return Manifest.model_validate_json((self.folder / "manifest.json").read_bytes())

    @property
    def output(self) -> Path:
        return Path(self.config.output_dir)

    @property
    def adapter(self) -> dict[str, Any]:
        return json.loads((self.output / "epoch_0" / "adapter_config.json").read_text(encoding="utf-8"))

    @property
    def losses(self) -> list[float]:
        return [point.loss for point in self.points if point.loss is not None]


class Bench(NamedTuple):
    """A folder of models and rows, and every run that was trained in it."""

    root: Path
    ran: dict[str, Ran]

    def run(self, **flags: str | None) -> Ran:
        """Return the run of these keys, trained once however often it is asked for; None leaves a plain one out."""
        name = json.dumps(flags, sort_keys=True)
        if name not in self.ran:
            self.ran[name] = self._train(f"run{len(self.ran)}", flags)
        return self.ran[name]

    def _train(self, name: str, flags: dict[str, str | None]) -> Ran:
        folder = self.root / name
        folder.mkdir()
        (folder / "other.yaml").write_text("seed: 99\n", encoding="utf-8")
        (folder / "data").symlink_to(self.root / "data", target_is_directory=True)
        world = world_at(folder)._replace(hub=LocalHub(cache=self.root / "cache"))
        given = {"models_dir": str(self.root / "models"), **PLAIN, **flags}
        write_finetune(flags={key: text for key, text in given.items() if text is not None}, world=world)
        job = parse_script((folder / "finetune.slurm").read_text(encoding="utf-8"))
        assert job.command[1] == "-m"
        code = import_module(job.command[2]).main(job.command[3:])
        trace = folder / "trace.jsonl"
        lines = trace.read_text(encoding="utf-8").splitlines() if trace.is_file() else []
        done = (folder / "metrics.jsonl").is_file()
        config = folder / "finetune.yaml"
        loaded = import_module("cruijff_kit.runtime.train_config").load_train_config(config)
        return Ran(folder, loaded, metric_points(config) if done else [], [json.loads(line) for line in lines], code)


def counted(*, base: Path, **keys: Any) -> tuple[int, int]:
    """Return the tokens and supervised tokens of the rows under these keys."""
    encoding = Encoding(**{"dataset_type": "chat_completion", "max_seq_len": 2048, "overlong": "truncate", **keys})
    tokenizer = load_tokenizer(base)
    rows = [encode_row(row, encoding=encoding, tokenizer=tokenizer, place="") for row in ROWS]
    supervised = sum(label != IGNORE for row in rows for label in row.labels)
    return sum(len(row.ids) for row in rows), supervised
