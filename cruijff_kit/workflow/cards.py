"""Cards: one experiment as it is remembered, read from its files and from nothing else."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cruijff_kit.analysis.recall import card_figure, covered, headline
from cruijff_kit.data.tiers import path_tier, strictest
from cruijff_kit.errors import CruijffError
from cruijff_kit.ports import Library, Stamped
from cruijff_kit.rendering.lesson_text import parse_lessons
from cruijff_kit.schema.archive import ArchiveManifest
from cruijff_kit.schema.audit import Anchor, AuditRecord
from cruijff_kit.schema.compute import ComputeReport, JobCompute, Speed
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.lesson import Lesson
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.run import Manifest
from cruijff_kit.schema.search import Card, CardModel, CardSpeed, Stage
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.consent import missing
from cruijff_kit.workflow.lesson_evidence import Reported, parse_report, stale
from cruijff_kit.workflow.read_design import parse_design
from cruijff_kit.workflow.tiers import named_data

__all__ = ["FILES", "UNTOLD", "make_card"]

FILES = (
    ExperimentLayout.summary,
    ExperimentLayout.plan,
    ExperimentLayout.wanted,
    ExperimentLayout.compute,
    ExperimentLayout.traces,
    ExperimentLayout.results,
    ExperimentLayout.findings,
    ExperimentLayout.audit,
    ExperimentLayout.archived,
)
"""What a card is made of; it is made again where the stamp of one has changed."""
UNTOLD = "neither its design nor its plan can be read, so nobody knows how freely it may be shown"
"""Why nothing is told of an experiment whose tier nobody can read."""

_LAST_LINES = 1 << 16
_MOST_LESSONS = 20

_Read = TypeVar("_Read")


class _Reader:
    """Reads files of one experiment; what cannot be read is told in `problems`, never with its contents."""

    def __init__(self, found: Stamped, library: Library) -> None:
        self.found = found
        self.folder = f"{found.project}/{found.name}"
        self.library = library
        self.problems: list[str] = []

    def read(self, path: str, parse: Callable[[bytes], _Read], *, last: int | None = None) -> _Read | None:
        """Return what a file holds; None where there is none, or it cannot be read."""
        try:
            content = self.library.read(self.folder, path, last=last)
            return None if content is None else parse(content)
        except CruijffError as err:
            self.problems.append(_told(path, err))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # What is wrong in a file may quote it: its tier decides who may read that.
            self.problems.append(f"`{path}` is torn, or no file of this form")
        return None


def make_card(found: Stamped, *, library: Library) -> Card:
    """Return what is to be remembered of an experiment; damage is told in it, never raised."""
    reader = _Reader(found, library)
    spec = reader.read(ExperimentLayout.summary, _parsed_design)
    plan = reader.read(ExperimentLayout.plan, Plan.model_validate_json)
    bare = Card(experiment=found.name, project=found.project, stage="designed", tier="red", withheld=UNTOLD)
    if spec is None and plan is None:
        return bare.model_copy(update={"problems": tuple(reader.problems)})
    report = reader.read(ExperimentLayout.traces, parse_report) or Reported()
    away = reader.read(ExperimentLayout.archived, ArchiveManifest.model_validate_json)
    # What marks its data lies where it was when it was put away.
    places = tuple(_places(spec, plan, folder=reader.folder if away is None else away.origin))
    said = [*_tiers(spec, plan, places=places, reader=reader), *([] if away is None else [away.tier])]
    if away is None and ExperimentLayout.archived in found.stamps:
        said.append("red")
    told = Card(
        experiment=found.name,
        project=found.project,
        stage=_stage(found),
        archived="" if away is None else away.archived.date().isoformat(),
        tier=strictest(said),
        places=places,
        **_designed(spec, plan, report=report),
        **_reported(report, plan, reader=reader),
        **_recorded(reader),
    )
    why = _withheld(told, reader)
    told = told.model_copy(update={"problems": tuple(reader.problems)})
    return covered(told, why, tier=told.tier) if why else told


def _told(path: str, err: CruijffError) -> str:
    """Return why a file cannot be read; of its contents nothing."""
    if isinstance(err, ValueError):
        return f"`{path}` holds no valid design"
    return f"`{path}`: {str(err).partition(chr(10))[0]}"


def _parsed_design(content: bytes) -> ExperimentSpec:
    return parse_design(content.decode("utf-8"))


def _stage(found: Stamped) -> Stage:
    has = found.stamps
    if ExperimentLayout.traces in has:
        return "reported"
    if ExperimentLayout.plan not in has:
        return "designed"
    if ExperimentLayout.wanted not in has:
        return "scaffolded"
    return "ended" if ExperimentLayout.compute in has else "running"


def _tiers(
    spec: ExperimentSpec | None, plan: Plan | None, *, places: Iterable[str], reader: _Reader
) -> Iterator[Tier | None]:
    if spec is not None:
        yield spec.data.tier
    if plan is not None:
        yield plan.tier
    if reader.problems and (spec is None or plan is None):
        # The one that cannot be read may be the stricter one.
        yield "red"
    yield from map(path_tier, map(Path, places))


def _places(spec: ExperimentSpec | None, plan: Plan | None, *, folder: str) -> Iterator[str]:
    """Yield where the data of an experiment lies."""
    files = [facts.path for facts in plan.datasets] if plan is not None else []
    files += [path for _, path in named_data(spec)] if spec is not None else []
    yield from dict.fromkeys(str(Path(folder, file)) for file in files)


def _withheld(card: Card, reader: _Reader) -> str:
    if card.tier == "red":
        return "its data is red"
    if card.tier == "yellow" and not _allowed(card, reader):
        return "its data is yellow, and no consent is recorded"
    return ""


def _allowed(card: Card, reader: _Reader) -> bool:
    """Return whether a person let the content that the experiment was sealed with be shown."""
    records = reader.read(ExperimentLayout.audit, _parsed_records) or ()
    return bool(card.datasets) and not missing({each: each for each in card.datasets}, way="show", records=records)


def _parsed_records(content: bytes) -> list[AuditRecord]:
    # What follows the last end of a line is still being written.
    return [AuditRecord.model_validate_json(line) for line in content.split(b"\n")[:-1]]


def _designed(spec: ExperimentSpec | None, plan: Plan | None, *, report: Reported) -> dict[str, Any]:
    models = {run.model.name: run.model.sha256 for run in plan.runs} if plan is not None else {}
    datasets = tuple(dict.fromkeys(facts.sha256 for facts in plan.datasets)) if plan is not None else ()
    runs = len(plan.runs) if plan is not None else 0
    planned = {"datasets": datasets, "runs": runs}
    reported = [each.figure.rpartition("/")[2] for each in report.figures if each.figure.startswith("accuracy/")]
    if spec is None:
        models_told = tuple(CardModel(name=name, sha256=sha) for name, sha in models.items())
        return {**planned, "models": models_told, "metrics": tuple(dict.fromkeys(reported))}
    models = {each.name: each.sha256 for each in spec.models} | models
    scorers = [scorer for task in spec.evaluation.tasks for scorer in task.scorers]
    return {
        **planned,
        "question": spec.question,
        "created": spec.created,
        "models": tuple(CardModel(name=name, sha256=sha) for name, sha in models.items()),
        "tasks": tuple(dict.fromkeys(each for task in spec.evaluation.tasks for each in (task.name, task.task))),
        "factors": spec.factors,
        "metrics": tuple(dict.fromkeys((spec.analysis.primary_metric, *scorers, *reported))),
    }


def _reported(report: Reported, plan: Plan | None, *, reader: _Reader) -> dict[str, Any]:
    return {
        "figures": headline(report.figures, report.references),
        "figures_in_all": len(report.figures),
        "report_sha256": report.sha256 or None,
        "superseded": _superseded(report, reader),
        "speeds": tuple(_speeds(report, plan, reader=reader)) if plan is not None else (),
        **_lessons(report, reader),
    }


def _superseded(report: Reported, reader: _Reader) -> bool:
    """Return whether the result table on disk is another than the report was made of."""
    made_of = report.made_of
    try:
        return made_of is not None and reader.library.digest(reader.folder, ExperimentLayout.results) != made_of
    except CruijffError as err:
        reader.problems.append(_told(ExperimentLayout.results, err))
        return True


def _lessons(report: Reported, reader: _Reader) -> dict[str, Any]:
    text = reader.read(ExperimentLayout.findings, lambda content: content.decode("utf-8"))
    found = parse_lessons(text or "")
    told: list[Lesson] = [stale(each, report) for each in found[-_MOST_LESSONS:]]
    return {"lessons": tuple(told), "lessons_in_all": len(found)}


def _speeds(report: Reported, plan: Plan, *, reader: _Reader) -> Iterator[CardSpeed]:
    """Yield a speed of each model: of the longest training in `compute.json`, else of the first in the report."""
    raw = reader.read(ExperimentLayout.compute, lambda content: (ComputeReport.model_validate_json(content), content))
    jobs = [(job, job.speed) for job in raw[0].jobs if job.speed is not None] if raw else []
    runs = {run.id: run for run in plan.runs}
    for model in dict.fromkeys(run.model.name for run in plan.runs):
        mine = [each for each in jobs if each[0].run_id in runs and runs[each[0].run_id].model.name == model]
        if mine and raw:
            longest = max(mine, key=lambda each: each[1].tokens)
            yield _computed(*longest, model=model, file_sha256=sha256(raw[1]).hexdigest(), reader=reader)
        else:
            own = [run.id for run in plan.runs if run.model.name == model]
            yield from _traced(report, own, model=model, reader=reader)


def _computed(job: JobCompute, speed: Speed, *, model: str, file_sha256: str, reader: _Reader) -> CardSpeed:
    device = _device(job.run_id, reader) or ("GPU" if speed.on_gpu else "cpu")
    return CardSpeed(
        model=model,
        run=job.run_id,
        tokens_per_second=speed.middle,
        slow=speed.slow,
        fast=speed.fast,
        hardware=f"{job.gpus} x {device}" if speed.on_gpu and job.gpus > 1 else device,
        path=ExperimentLayout.compute,
        sha256=file_sha256,
    )


def _traced(report: Reported, runs: list[str], *, model: str, reader: _Reader) -> Iterator[CardSpeed]:
    wanted = {f"training/{run}/tokens_per_second": run for run in runs}
    for each in report.figures:
        if each.figure in wanted and each.value is not None:
            source, run = card_figure(each, report.references), wanted[each.figure]
            if source.sha256 is not None:
                yield CardSpeed(
                    model=model,
                    run=run,
                    tokens_per_second=each.value,
                    hardware=_device(run, reader),
                    path=source.path,
                    sha256=source.sha256,
                )
                return


def _device(run: str, reader: _Reader) -> str:
    manifest = reader.read(RunLayout(run).manifest, Manifest.model_validate_json)
    return manifest.device if manifest is not None else ""


def _recorded(reader: _Reader) -> dict[str, Any]:
    """Return the last line of the audit log; nothing where it is torn, as while one is being written."""
    tail = reader.read(ExperimentLayout.audit, lambda content: content, last=_LAST_LINES) or b""
    line = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    try:
        record = AuditRecord.model_validate_json(line)
    except ValidationError:
        return {}
    head = Anchor(seq=record.seq, sha256=sha256(line).hexdigest())
    return {"record": head, "changed": record.ts.isoformat(timespec="seconds").replace("+00:00", "Z")}
