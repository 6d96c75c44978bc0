"""Submissions of a run's jobs, as kept in its `attempts/` folders."""

from collections.abc import Iterable, Mapping

from cruijff_kit.errors import RunError
from cruijff_kit.ports import RunStore, Scheduler
from cruijff_kit.schema.job import Attempt, Intent, JobReport, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.plan import PlannedRun

__all__ = [
    "AttemptKey",
    "find_run",
    "holders",
    "last_reports",
    "read_attempts",
    "steps_of",
    "write_attempts",
    "write_intents",
]

_FEW = 4
"""Files that are flushed one by one: to flush many at once is to wait for all that anybody wrote there."""

AttemptKey = tuple[str, Step]
"""Run id and step."""


def steps_of(run: PlannedRun) -> tuple[Step, ...]:
    """Return the jobs a run has: training, evaluation, or both."""
    training = (Step.TRAIN,) if run.type == "fine-tuned" else ()
    return (*training, Step.EVAL) if run.cells else training


def find_run(runs: Iterable[PlannedRun], name: str) -> PlannedRun:
    """Return the run with this id or unambiguous prefix of it.

    Raises:
        RunError: no run, or more than one, answers to the name.
    """
    known = list(runs)
    exact = [run for run in known if run.id == name]
    found = exact or [run for run in known if run.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(f"`{run.id}`" for run in (found or known)[:8])
    fact = f"run `{name}` is ambiguous" if found else f"no run is called `{name}`"
    raise RunError(f"{fact}; candidates: {candidates}", run_id=name, hint="give the whole run id")


def read_attempts(store: RunStore) -> dict[AttemptKey, tuple[Attempt, ...]]:
    """Return every submission on disk, oldest first, by run and step.

    Raises:
        RunError: a record is torn or foreign.
    """
    found: dict[AttemptKey, list[Attempt]] = {}
    for path in store.glob(ExperimentLayout.runs, "*/attempts/*/intent.json"):
        attempt = _read(store, path)
        found.setdefault((attempt.intent.run_id, attempt.intent.step), []).append(attempt)
    return {key: tuple(sorted(each, key=lambda item: item.intent.number)) for key, each in found.items()}


def write_intents(
    store: RunStore, intents: Mapping[Intent, Iterable[str]], *, last: Mapping[str, str] | None = None
) -> None:
    """Record what one request is about to submit, with copies of the files it runs; flushed once, if there are many.

    Args:
        store: the experiment's files.
        intents: every job, with the files it reads.
        last: one more file, which is there once all the others are.
    """
    files: dict[str, bytes] = {}
    for intent, paths in intents.items():
        layout = RunLayout(intent.run_id)
        folder = layout.attempt(intent.step, intent.number)
        copies = ((path, store.read(path)) for path in paths)
        files |= {
            f"{folder}/{path.removeprefix(layout.folder + '/')}": copy for path, copy in copies if copy is not None
        }
        files[layout.intent(intent.step, intent.number)] = _bytes(intent)
    _write(store, files | {path: text.encode() for path, text in (last or {}).items()})


def write_attempts(store: RunStore, *attempts: Attempt) -> None:
    """Record what became of submissions; flushed once, if there are many."""
    places = (RunLayout(each.intent.run_id).job(each.intent.step, each.intent.number) for each in attempts)
    _write(store, {path: _bytes(each) for path, each in zip(places, attempts, strict=True)})


def holders(attempts: Mapping[AttemptKey, tuple[Attempt, ...]]) -> dict[str, str]:
    """Return whose job each id is now, by tag: of several that were given the same one, the last."""
    newest = (each[-1] for each in attempts.values() if each[-1].job_id is not None)
    ordered = sorted(newest, key=lambda each: each.submitted or each.intent.recorded)
    return {each.job_id: each.intent.tag for each in ordered if each.job_id is not None}


def last_reports(scheduler: Scheduler, attempts: Mapping[AttemptKey, tuple[Attempt, ...]]) -> dict[str, JobReport]:
    """Ask the scheduler about the last attempt of every step, in one query; return what it says by job id."""
    tags = holders(attempts)
    return scheduler.reports(sorted(tags), tags=tags) if tags else {}


def _bytes(noun: Noun) -> bytes:
    return f"{noun.model_dump_json(indent=1)}\n".encode()


def _write(store: RunStore, files: Mapping[str, bytes]) -> None:
    """Write files in their order, the last once all others are there."""
    if len(files) > _FEW:
        store.publish(files, manifest=list(files)[-1])
        return
    for path, content in files.items():
        store.write(path, content)


def _read(store: RunStore, path: str) -> Attempt:
    job = path.removesuffix("intent.json") + "job.json"
    try:
        text = store.read_text(job)
        if text is not None:
            return Attempt.model_validate_json(text)
        return Attempt(intent=Intent.model_validate_json(store.read_text(path) or ""))
    except ValueError as err:
        raise RunError(
            f"`{path}` or its `job.json` cannot be read: {err}",
            run_id=path.split("/")[1],
            hint="restore the file from a copy; the scheduler's queue still knows the job by its tag",
        ) from err
