"""The first system's directories: which files belong to which run, and what its logs and configurations say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cruijff_kit.data.first_config import FINETUNE_FILE, FirstConfig, Form, read_first_config
from cruijff_kit.data.first_summary import SUMMARIES, FirstSummary, read_first_summary
from cruijff_kit.data.loss_lines import PrintedLoss, printed_losses
from cruijff_kit.errors import Problem
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.imported import UNKNOWN, ForeignLog
from cruijff_kit.schema.setup_keys import SETUP_FILE
from cruijff_kit.workflow.surroundings import shelf_of

__all__ = ["EPOCH_FOLDER", "Directory", "RunFiles", "SourceFile", "SourceLog", "read_directory"]

_CONFIGS = (SETUP_FILE, FINETUNE_FILE)
_OUTPUT = "ck-out-"
EPOCH_FOLDER = re.compile(r"(?<![A-Za-z])epoch_?(\d+)(?!\d)")
"""Epoch in the name of a folder, a model or a log."""

_JOB = re.compile(r"slurm-(\d+)\.out")
_BELOW = {"eval", "evals", "logs", "artifacts"}
_PLACES = ("dataset_path", "data_path")
_OWN = ("config_dir", "config_path")


class SourceFile(NamedTuple):
    """One file of the directory, or of one of its outputs."""

    original: str
    """Path below the directory; absolute where it lies elsewhere."""
    place: Path
    """Where it lies."""
    epoch: int | None = None
    """Epoch that its path names."""


class SourceLog(NamedTuple):
    """One evaluation log with what it says."""

    file: SourceFile
    """The file."""
    said: ForeignLog
    """What it says of itself."""
    epoch: int | None
    """Epoch it evaluated; None for a base model."""
    split: str
    """Split; `unknown` where it does not say."""
    data: str
    """Where its data lay; empty where that is not known."""


class RunFiles(NamedTuple):
    """One run with everything found of it."""

    name: str
    """Its name."""
    trained: bool
    """Whether it was trained."""
    model: str
    """Directory or name of its base model; empty where nothing says it."""
    config: FirstConfig | None
    """What it was configured with."""
    kept: tuple[SourceFile, ...]
    """Configurations, scripts and outputs of jobs."""
    adapters: tuple[SourceFile, ...]
    """Files of its adapters."""
    losses: tuple[PrintedLoss, ...]
    """Losses that its training printed."""
    logs: tuple[SourceLog, ...]
    """Its evaluation logs, the newest of each task and epoch."""


class Directory(NamedTuple):
    """A first-system experiment, read."""

    summary: FirstSummary
    """What its summary says."""
    summary_file: SourceFile | None
    """The summary; None where there is none."""
    runs: tuple[RunFiles, ...]
    """Its runs."""
    problems: tuple[Problem, ...]
    """All that is wrong with it."""
    left: tuple[str, ...]
    """What is not imported, with reasons."""


class _Shelves(NamedTuple):
    """Every file, sorted by what it belongs to."""

    files: Mapping[str, SourceFile]
    runs: Mapping[str, str]
    """Run to the folder of its configuration."""
    outputs: Mapping[str, tuple[str, ...]]
    """Run to the folders of its checkpoints."""


def read_directory(
    folder: Path, *, outputs: Sequence[Path] = (), progress: Progress | None = None, world: World
) -> Directory:
    """Return what a directory of the first system holds; nothing in it is changed.

    Args:
        folder: the experiment.
        outputs: further directories in which `ck-out-<run>` folders lie.
        progress: told of logs read.
        world: the experiment to be, and its surroundings.
    """
    problems, left = list[Problem](), list(_links(folder, outputs))
    files = {each.original: each for each in _files(folder, outputs, world=world)}
    summary, source = _summary(files, problems)
    if summary.ours:
        return Directory(summary, source, (), tuple(problems), tuple(left))
    form: Form = "later" if source is not None and source.original.endswith(".yaml") else "autumn"
    shelves = _shelved(files, summary, folder=folder, problems=problems)
    logs = _logs(shelves, left, problems=problems, progress=progress, world=world)
    there = dict.fromkeys((*shelves.runs, *shelves.outputs, *logs))
    names = dict.fromkeys((*(each.name for each in summary.runs if each.name in there), *there))
    runs = [
        _run(name, shelves, summary=summary, logs=logs.get(name, ()), form=form, problems=problems) for name in names
    ]
    runs = [_newest(run, left) for run in runs]
    left += [f"run `{each.name}`: the summary lists it, and no file of it is here"
             for each in summary.runs if each.name not in names]  # fmt: skip
    if not runs and not problems:
        hint = f"name a directory with run folders that hold `{SETUP_FILE}` or `.eval` logs"
        problems.append(Problem("it holds no run of the first system", place=str(folder), hint=hint))
    used = {each.original for run in runs for each in (*run.kept, *run.adapters, *(log.file for log in run.logs))}
    rest = [name for name in files if name not in used and not name.endswith(".eval") and name not in SUMMARIES]
    if rest:
        left.append(f"{len(rest)} further files, such as `{rest[0]}`: no configuration, log or adapter of a run")
    return Directory(summary, source, tuple(runs), tuple(problems), tuple(left))


def _files(folder: Path, outputs: Sequence[Path], *, world: World) -> Iterator[SourceFile]:
    shelf = shelf_of(world)
    for root in dict.fromkeys((folder, *outputs)):
        for path in shelf.files(str(root)):
            named = path if root == folder else str(root / path)
            found = EPOCH_FOLDER.findall(path)
            yield SourceFile(named, root / path, int(found[-1]) if found else None)


def _links(folder: Path, outputs: Sequence[Path]) -> Iterator[str]:
    links = [path for root in (folder, *outputs) for path in root.rglob("*") if path.is_symlink()]
    if links:
        yield f"{len(links)} links, such as `{links[0]}`: what they lead to is not imported; name it by `--outputs`"


def _summary(files: Mapping[str, SourceFile], problems: list[Problem]) -> tuple[FirstSummary, SourceFile | None]:
    source = next((files[name] for name in SUMMARIES if name in files), None)
    text = None if source is None else _text(source, problems)
    if source is None or text is None:
        return FirstSummary(), source
    summary, found = read_first_summary(text, name=source.original)
    problems += found
    return summary, source


def _text(source: SourceFile, problems: list[Problem]) -> str | None:
    try:
        return source.place.read_bytes().decode("utf-8")
    except OSError as err:
        problems.append(Problem(f"it cannot be read: {err.strerror}", place=source.original, hint="see its mode"))
    except UnicodeDecodeError as err:
        fact = f"byte {err.start} is no UTF-8"
        problems.append(Problem(fact, place=source.original, hint="restore the file, or move it away"))
    return None


def _shelved(
    files: Mapping[str, SourceFile], summary: FirstSummary, *, folder: Path, problems: list[Problem]
) -> _Shelves:
    outputs: dict[str, dict[str, None]] = {}
    for name in files:
        parts = PurePosixPath(name).parts
        at = next((index for index, part in enumerate(parts[:-1]) if part.startswith(_OUTPUT)), None)
        if at is not None:
            outputs.setdefault(parts[at].removeprefix(_OUTPUT), {})[str(PurePosixPath(*parts[: at + 1]))] = None
    held = [PurePosixPath(name) for name in files if PurePosixPath(name).name in _CONFIGS]
    folders = dict.fromkeys(str(each.parent) for each in held if not _is_output(each))
    runs: dict[str, str] = {}
    for place in folders:
        name = folder.name if place == "." else PurePosixPath(place).name
        if name in runs:
            fact = f"two folders are called `{name}`: `{runs[name]}` and `{place}`"
            problems.append(Problem(fact, place=place, hint="rename one, or import each by itself"))
        runs.setdefault(name, place)
    listed = {each.name for each in summary.runs}
    for name in files:
        top = PurePosixPath(name).parts[0]
        if top in listed and top not in runs and len(PurePosixPath(name).parts) > 1:
            runs[top] = top
    return _Shelves(files, runs, {name: tuple(each) for name, each in outputs.items()})


def _is_output(path: PurePosixPath) -> bool:
    """Return whether a file is a copy that lies among what a training left."""
    return any(part.startswith(_OUTPUT) or part == "artifacts" for part in path.parts)


def _logs(
    shelves: _Shelves, left: list[str], *, problems: list[Problem], progress: Progress | None, world: World
) -> dict[str, list[tuple[SourceFile, ForeignLog]]]:
    """Return the logs of each run; damaged ones are problems, those of no run are told."""
    found: dict[str, list[tuple[SourceFile, ForeignLog]]] = {}
    logs = [each for name, each in shelves.files.items() if name.endswith(".eval")]
    for at, source in enumerate(logs):
        if progress is not None:
            progress(at, len(logs), source.original)
        said = world.evaluations.look(source.place)
        if said.status == "unreadable":
            hint = "restore the log, or move it away: what it held is lost"
            problems.append(Problem(f"the log cannot be read: {said.error}", place=source.original, hint=hint))
            continue
        owner = _owner(source.original, shelves) or _owner_by_model(said, shelves)
        if owner is None:
            left.append(f"`{source.original}`: it lies in no run's folder, and its model `{said.model}` names none")
            continue
        found.setdefault(owner, []).append((source, said))
    return found


def _owner(name: str, shelves: _Shelves) -> str | None:
    path = PurePosixPath(name)
    for part in path.parts[:-1]:
        if part.startswith(_OUTPUT):
            return part.removeprefix(_OUTPUT)
    inside = [run for run, place in shelves.runs.items() if place != "." and path.is_relative_to(place)]
    if inside:
        return max(inside, key=lambda run: len(shelves.runs[run]))
    above = [part for part in path.parts[:-1] if part not in _BELOW]
    if len(shelves.runs) == 1 and "." in shelves.runs.values():
        return next(iter(shelves.runs))
    return above[0] if above and path.parts[0] == above[0] and not path.is_absolute() else None


def _owner_by_model(said: ForeignLog, shelves: _Shelves) -> str | None:
    """Return the run that a log's model is called by: `hf/<run>_epoch_<n>` or `hf/<run>_control`."""
    name = re.sub(r"_(?:epoch_\d+|control)$", "", said.model.rpartition("/")[2])
    return name if name in shelves.runs else None


def _run(
    name: str,
    shelves: _Shelves,
    *,
    summary: FirstSummary,
    logs: Sequence[tuple[SourceFile, ForeignLog]],
    form: Form,
    problems: list[Problem],
) -> RunFiles:
    own = [each for each in shelves.files.values() if _belongs(each.original, name, shelves=shelves)]
    listed = next((each for each in summary.runs if each.name == name), None)
    # A copy of the configuration lies beside the checkpoints, where the evaluation looked for it.
    configs = {file: _first(own, file) for file in _CONFIGS}
    texts = {file: None if each is None else _text(each, problems) for file, each in configs.items()}
    trained = any(configs.values()) or bool(listed and listed.type == "fine-tuned")
    where = shelves.runs.get(name) or name
    config = read_first_config(texts[SETUP_FILE], texts[FINETUNE_FILE], where=where, form=form) if trained else None
    problems += config.problems if config is not None else ()
    adapters = tuple(each for each in own if _is_adapter(each.place.name) and each.epoch is not None)
    kept = tuple(each for each in own if each.place.name in _CONFIGS or each.place.suffix in {".slurm", ".out"}
                 or each.place.name == "eval.yaml")  # fmt: skip
    told = listed.model if listed else ""
    model = (config.model if config else "") or summary.models.get(told, told) or _model_of(logs)
    epochs = sorted({each.epoch for each in adapters if each.epoch is not None})
    read = [_log(source, said, config=config, epochs=epochs if trained else None) for source, said in logs]
    return RunFiles(name, trained, model, config, kept, adapters, _losses(own, problems), tuple(read))


def _belongs(path: str, run: str, *, shelves: _Shelves) -> bool:
    places = (*((shelves.runs[run],) if run in shelves.runs else ()), *shelves.outputs.get(run, ()))
    return any(place == "." or PurePosixPath(path).is_relative_to(place) for place in places)


def _first(own: Sequence[SourceFile], name: str) -> SourceFile | None:
    found = [each for each in own if each.place.name == name]
    return min(found, key=lambda each: (_is_output(PurePosixPath(each.original)), len(each.original)), default=None)


def _is_adapter(name: str) -> bool:
    return name.startswith("adapter_") or name == "original_repo_id.json"


def _losses(own: Sequence[SourceFile], problems: list[Problem]) -> tuple[PrintedLoss, ...]:
    """Return the losses of the last job that printed any."""
    outputs = [(int(job[1]), each) for each in own if (job := _JOB.fullmatch(each.place.name))]
    for _, each in sorted(outputs, key=lambda item: item[0], reverse=True):
        found = printed_losses(_text(each, problems) or "")
        if found:
            return tuple(found)
    return ()


def _model_of(logs: Sequence[tuple[SourceFile, ForeignLog]]) -> str:
    for _, said in logs:
        for name in ("source_model", "base_model"):
            if said.metadata.get(name):
                return str(said.metadata[name])
        if said.model_args.get("model_path"):
            return str(said.model_args["model_path"])
    return ""


def _log(
    source: SourceFile, said: ForeignLog, *, config: FirstConfig | None, epochs: Sequence[int] | None
) -> SourceLog:
    own = config.data if config is not None and any(name in said.task_args for name in _OWN) else ""
    named = next((str(said.task_args[name]) for name in _PLACES if said.task_args.get(name)), "")
    data = named or own or (said.data if said.data.startswith("/") else "")
    split = str(said.task_args.get("split") or UNKNOWN)
    return SourceLog(source, said, _epoch(source, said, epochs=epochs), split, data)


def _epoch(source: SourceFile, said: ForeignLog, *, epochs: Sequence[int] | None) -> int | None:
    """Return the epoch a log evaluated; None for a base model, -1 where nothing says it."""
    if epochs is None:
        return None
    stated = str(said.metadata.get("epoch", ""))
    if stated.isascii() and stated.isdigit():
        return int(stated)
    if source.epoch is not None:
        return source.epoch
    words = (said.model, *(str(value) for value in (*said.model_args.values(), *said.task_args.values())))
    named = [int(each) for text in words for each in EPOCH_FOLDER.findall(text)]
    return named[0] if named else epochs[0] if len(epochs) == 1 else -1


def _newest(run: RunFiles, left: list[str]) -> RunFiles:
    """Return a run with one log of each task, split and epoch: the newest."""
    best: dict[tuple[str, str, str, int | None], SourceLog] = {}
    for log in sorted(run.logs, key=lambda each: (each.said.created, each.file.original)):
        if log.epoch == -1:
            left.append(f"`{log.file.original}`: neither the log nor its path says which epoch it evaluated")
            continue
        key = (log.said.task, log.split, log.data, log.epoch)
        if key in best:
            left.append(f"`{best[key].file.original}`: `{log.file.original}` evaluated the same later")
        best[key] = log
    return run._replace(logs=tuple(best.values()))
