"""Where everything lies in an experiment directory; the only place paths are joined."""

import re
from typing import NamedTuple

__all__ = ["ARCHIVE", "MERGED", "STASH", "ArchiveLayout", "ExperimentLayout", "RunLayout", "adapter_in"]

MERGED = "merged"
"""Folder of a merged model, below the adapter it was made of."""

ARCHIVE = "archive"
"""Folder of a project in which experiments are put away."""

STASH = "adapter_weights"
"""Folder of an adapter, below the merged model that was made of it."""


def adapter_in(epoch: str, *, adapter_only: bool, stash: bool) -> str:
    """Return where the adapter of an epoch's folder lies: in it, or stashed below a merged model.

    Args:
        epoch: the epoch's folder.
        adapter_only: `save_adapter_weights_only` of the training.
        stash: its `stash_adapter_weights`, which only counts beside merged models.
    """
    return f"{epoch}/{STASH}" if stash and not adapter_only else epoch


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class ExperimentLayout:
    """Relative POSIX paths of the files an experiment has once."""

    summary = "experiment_summary.md"
    lock = "design.lock.json"
    plan = "plan.json"
    audit = "logs/audit.jsonl"
    results = "results.parquet"
    predictions = "predictions"
    report = "summary.md"
    page = "report/index.html"
    traces = "report/trace.json"
    references = "report/references.json"
    runs = "runs"
    arrays = "arrays"
    data = "data"
    logs = "logs"
    findings = "findings.md"
    wanted = "wanted.json"
    compute = "compute.json"
    model_audit = "audit.json"
    search = "search.json"
    sanity = "sanity.json"
    pilots = "pilots.json"
    mirror = ".mirror.json"
    archived = "archive.json"
    imported = "imported.json"
    quiz = "quiz/index.html"
    originals = "original"
    elsewhere = "elsewhere"

    @staticmethod
    def predictions_of(run_id: str) -> str:
        """Return the path of one run's collected predictions."""
        return f"predictions/{run_id}.parquet"

    @staticmethod
    def dataset(key: str) -> str:
        """Return the path of a generated data set."""
        return f"data/{key}.json"

    @staticmethod
    def dataset_meta(key: str) -> str:
        """Return the path of a generated data set's sidecar."""
        return f"data/{key}.meta.json"

    @staticmethod
    def dataset_croissant(key: str) -> str:
        """Return the path of a generated data set's description for other tools."""
        return f"data/{key}.croissant.json"

    @staticmethod
    def groups(subject: str, column: str) -> str:
        """Return the folder of one comparison of groups; whatever a path may not hold becomes a hyphen."""
        return "groups/" + "_by_".join(_UNSAFE.sub("-", part).strip(".-") or "unnamed" for part in (subject, column))

    @staticmethod
    def array(tag: str) -> str:
        """Return the folder in which the jobs of an array start: its script, and what Slurm itself says of them."""
        return f"arrays/{tag}"

    @staticmethod
    def array_script(tag: str) -> str:
        """Return the script of an array."""
        return f"arrays/{tag}/array.slurm"

    @staticmethod
    def array_output(tag: str, job_id: str) -> str:
        """Return where the output of an array's job begins; its run's folder has the same file by its own name."""
        return f"arrays/{tag}/slurm-{job_id}.out"

    @staticmethod
    def view(verb: str) -> str:
        """Return the path of the text view of one verb's audit records."""
        return f"logs/{verb}-experiment.log"


class ArchiveLayout(NamedTuple):
    """Relative POSIX paths of an archived experiment, below the project."""

    name: str
    """Name of the experiment's directory."""

    @property
    def mark(self) -> str:
        """Return what tells where the experiment went."""
        return f"{ARCHIVE}/{self.name}.json"

    @property
    def archive(self) -> str:
        """Return where it goes unless somebody says otherwise."""
        return f"{ARCHIVE}/{self.name}"

    @staticmethod
    def staged(place: str) -> str:
        """Return the hidden directory beside a place in which what goes there is gathered."""
        parent, _, name = place.rpartition("/")
        return f"{parent}/.{name}.part"

    @staticmethod
    def outside(output: str) -> str:
        """Return where an archive keeps an output directory that lay outside the experiment."""
        return f"{ExperimentLayout.elsewhere}/{output}"


class RunLayout(NamedTuple):
    """Relative POSIX paths of one run, below the experiment directory."""

    run_id: str
    """The run."""

    @property
    def folder(self) -> str:
        """Return the run directory."""
        return f"runs/{self.run_id}"

    @property
    def run_yaml(self) -> str:
        """Return the resolved configuration with sources."""
        return f"{self.folder}/run.yaml"

    @property
    def setup(self) -> str:
        """Return the stage-1 configuration, which a person may edit."""
        return f"{self.folder}/setup_finetune.yaml"

    @property
    def config(self) -> str:
        """Return the stage-2 configuration, which the recipe reads."""
        return f"{self.folder}/finetune.yaml"

    @property
    def train_script(self) -> str:
        """Return the training job's script."""
        return f"{self.folder}/finetune.slurm"

    @property
    def eval_folder(self) -> str:
        """Return the folder of the evaluation job."""
        return f"{self.folder}/eval"

    @property
    def eval_script(self) -> str:
        """Return the evaluation job's script."""
        return f"{self.folder}/eval/inspect.slurm"

    def cell(self, name: str) -> str:
        """Return the folder of one evaluation cell."""
        return f"{self.folder}/eval/{name}"

    def cell_config(self, name: str) -> str:
        """Return the configuration of one evaluation cell."""
        return f"{self.cell(name)}/eval.yaml"

    def cell_logs(self, name: str) -> str:
        """Return the folder of one cell's `.eval` logs."""
        return f"{self.cell(name)}/logs"

    def cell_manifest(self, name: str) -> str:
        """Return the provenance of one evaluation cell."""
        return f"{self.cell(name)}/manifest.json"

    def cell_done(self, name: str) -> str:
        """Return the marker a finished cell leaves."""
        return f"{self.cell(name)}/DONE"

    def status(self, step: str) -> str:
        """Return the state file that the job of a step writes."""
        return f"{self.folder}/status.json" if step == "train" else f"{self.folder}/eval/status.json"

    def done(self, step: str) -> str:
        """Return the marker that the job of a step leaves last."""
        return f"{self.folder}/DONE" if step == "train" else f"{self.folder}/eval/DONE"

    def lock(self, step: str) -> str:
        """Return the folder of the lock that the job of a step holds while it works."""
        return f"{self.folder}/lock/{step}"

    @property
    def metrics(self) -> str:
        """Return the training metrics, one object a step."""
        return f"{self.folder}/metrics.jsonl"

    @property
    def calibrator(self) -> str:
        """Return the run's calibrator."""
        return f"{self.folder}/calibrator.json"

    @property
    def manifest(self) -> str:
        """Return the provenance manifest."""
        return f"{self.folder}/manifest.json"

    def attempt(self, step: str, number: int) -> str:
        """Return the folder of one submission of one step."""
        return f"{self.folder}/attempts/{step}_{number}"

    def submitted_script(self, step: str, number: int) -> str:
        """Return the copy of a step's script that was made when its submission was recorded."""
        script = self.train_script if step == "train" else self.eval_script
        return f"{self.attempt(step, number)}/{script.removeprefix(self.folder + '/')}"

    def intent(self, step: str, number: int) -> str:
        """Return the record written before that submission."""
        return f"{self.attempt(step, number)}/intent.json"

    def job(self, step: str, number: int) -> str:
        """Return the record written once the scheduler accepted it."""
        return f"{self.attempt(step, number)}/job.json"

    def original(self, path: str) -> str:
        """Return where a file of another system's run is kept as it was."""
        return f"{self.folder}/{ExperimentLayout.originals}/{path}"

    def gpu_samples(self, job_id: str) -> str:
        """Return what a job's script samples of its GPUs: time, GPU, use in percent, memory in MiB and more."""
        return f"{self.folder}/gpu-{job_id}.csv"

    def job_output(self, job_id: str) -> str:
        """Return what a job prints to."""
        return f"{self.folder}/slurm-{job_id}.out"

    @property
    def output(self) -> str:
        """Return the checkpoint folder's name, below `outputs/` or the site's base."""
        return f"ck-out-{self.run_id}"

    def epoch(self, number: int) -> str:
        """Return one epoch's folder, below `outputs/` or the site's base."""
        return f"{self.output}/epoch_{number}"

    @property
    def tracking(self) -> str:
        """Return the folder of the run's offline tracking, below `outputs/` or the site's base."""
        return f"{self.output}/logs/wandb"
