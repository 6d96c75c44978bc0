"""Submissions of a run's jobs, as kept in its `attempts/` folders."""

from collections.abc import Iterable, Mapping, Sequence

from cruijff_kit.errors import RunError
from cruijff_kit.ports import RunStore, Scheduler
from cruijff_kit.schema.job import Attempt, Intent, JobReport, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import PlannedRun

__all__ = [
    "AttemptKey",
    "find_run",
    "holders",
    "last_reports",
    "read_attempts",
    "steps_of",
    "write_attempt",
    "write_attempts",
    "write_intent",
    "write_intents",
]

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


def write_intent(store: RunStore, intent: Intent, *, files: Iterable[str]) -> Attempt:
    """Record what is about to be submitted, with copies of the files it runs."""
    layout = RunLayout(intent.run_id)
    folder = layout.attempt(intent.step, intent.number)
    for path in files:
        content = store.read(path)
        if content is not None:
            store.write(f"{folder}/{path.removeprefix(layout.folder + '/')}", content)
    store.write(layout.intent(intent.step, intent.number), intent.model_dump_json(indent=1) + "\n")
    return Attempt(intent=intent)


def write_intents(store: RunStore, intents: Mapping[Intent, Iterable[str]], *, last: Mapping[str, str]) -> None:
    """Record what one request is about to submit, with copies of the files it runs; flushed once, however many.

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
        files[layout.intent(intent.step, intent.number)] = f"{intent.model_dump_json(indent=1)}\n".encode()
    (name, text), *_ = last.items()
    store.publish(files | {name: text.encode()}, manifest=name)


def write_attempts(store: RunStore, attempts: Sequence[Attempt]) -> None:
    """Record what became of several submissions; flushed once, however many."""
    if len(attempts) == 1:
        write_attempt(store, attempts[0])
    elif attempts:
        places = [RunLayout(each.intent.run_id).job(each.intent.step, each.intent.number) for each in attempts]
        files = {
            path: f"{each.model_dump_json(indent=1)}\n".encode() for path, each in zip(places, attempts, strict=True)
        }
        store.publish(files, manifest=places[-1])


def write_attempt(store: RunStore, attempt: Attempt) -> None:
    """Record what became of a submission."""
    intent = attempt.intent
    path = RunLayout(intent.run_id).job(intent.step, intent.number)
    store.write(path, attempt.model_dump_json(indent=1) + "\n")


def holders(attempts: Mapping[AttemptKey, tuple[Attempt, ...]]) -> dict[str, str]:
    """Return whose job each id is now, by tag: of several that were given the same one, the last."""
    newest = (each[-1] for each in attempts.values() if each[-1].job_id is not None)
    ordered = sorted(newest, key=lambda each: each.submitted or each.intent.recorded)
    return {each.job_id: each.intent.tag for each in ordered if each.job_id is not None}


def last_reports(scheduler: Scheduler, attempts: Mapping[AttemptKey, tuple[Attempt, ...]]) -> dict[str, JobReport]:
    """Ask the scheduler about the last attempt of every step, in one query; return what it says by job id."""
    tags = holders(attempts)
    return scheduler.reports(sorted(tags), tags=tags) if tags else {}


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
