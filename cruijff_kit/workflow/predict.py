"""Predict: structured answers to texts, by one model or by several in a cascade; an answer to every question."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from cruijff_kit.data.question_lines import question_lines, question_of
from cruijff_kit.data.tiers import TIERS
from cruijff_kit.errors import SpecError
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.ports import Classifier, Progress, World
from cruijff_kit.schema.answer import Answer, AnswerForm, PredictReceipt, Question, Thresholds
from cruijff_kit.schema.serving import ModelChoice
from cruijff_kit.scoring.settling import goes_on, refused, settle
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.consent import refuse_hidden
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.item_rows import refuse_changing, source_sha256
from cruijff_kit.workflow.model_choice import choose_model
from cruijff_kit.workflow.run_models import eval_config, train_config
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.surroundings import serving_of, shelf_of
from cruijff_kit.workflow.tiers import plan_tier, tier_of

__all__ = ["Predictor", "Stage", "open_predictor", "predict_file", "predict_lines", "predict_text", "predict_texts"]

_AS_IT_IS = Thresholds()
_PART = 256


class Stage(NamedTuple):
    """One model of a cascade."""

    classifier: Classifier
    """The model, loaded."""
    model_id: str
    """Its name, and the beginning of its weights' hash."""


class Predictor(NamedTuple):
    """What answers: its models, the last of which has the last word."""

    stages: tuple[Stage, ...]
    """The models, the first one asked first."""
    form: AnswerForm
    """How they are asked."""
    thresholds: Thresholds
    """When a decision stands."""
    runs: tuple[str, ...] = ()
    """Runs of the experiment that are among them."""
    notes: tuple[str, ...] = ()
    """What whoever asks should know."""


def open_predictor(
    choices: Sequence[ModelChoice], form: AnswerForm, *, thresholds: Thresholds = _AS_IT_IS, world: World
) -> Predictor:
    """Load models to ask for structured answers.

    Args:
        choices: the models, the first one asked first.
        form: how to ask; without labels those of the first run named.
        thresholds: when a decision stands.
        world: the experiment, where there is one, and its surroundings.

    Raises:
        PlanError: a run was named and nothing is scaffolded, or two labels are one to a tokenizer.
        ResultError: an adapter does not fit.
        RunError: a run is unknown or has no such epoch.
        SiteError: a model cannot be loaded.
        SpecError: a choice contradicts itself or names nothing, or questions cannot be put so.
    """
    runs = tuple(choice.run for choice in choices if choice.run is not None)
    asked = form if form.options else form.model_copy(update={"options": _run_options(runs, world)})
    serving, stages, notes = serving_of(world), list[Stage](), list[str]()
    for choice in choices:
        served = choose_model(choice, world=world)
        classifier = serving.classifier(served, asked)
        stages.append(Stage(classifier, f"{served.name}@{(served.adapter_sha256 or served.base_sha256)[:12]}"))
        notes += [note for note in served.notes if "--wrap" not in note]
        notes += classifier.notes
    return Predictor(tuple(stages), asked, thresholds, runs, tuple(notes))


def predict_text(text: str, metadata: str = "", *, predictor: Predictor, world: World) -> Answer:
    """Return the answer to one text.

    Args:
        text: the text.
        metadata: what else is known of it, a JSON object.
        predictor: what answers.
        world: the experiment and its surroundings.

    Raises:
        RunError: what the model was trained on may not be shown.
        ResultError: the model's logits are not numbers.
    """
    return next(predict_texts([question_of(text, metadata)], predictor=predictor, world=world))


def predict_texts(questions: Iterable[Question], *, predictor: Predictor, world: World) -> Iterator[Answer]:
    """Yield an answer to each question in order, each batch as soon as it is made.

    What cannot be asked or decided is an abstention with its reason.

    Args:
        questions: texts, in any number.
        predictor: what answers.
        world: the experiment and its surroundings.

    Raises:
        RunError: what the model was trained on may not be shown.
        ResultError: the model's logits are not numbers.
    """
    if predictor.runs:
        # A rationale may repeat what was learnt.
        refuse_hidden("answers", predictor.runs[0], plan=recorded_plan(world=world)[0], world=world)
    return _answers(questions, predictor)


def predict_lines(lines: IO[bytes], *, predictor: Predictor, world: World) -> Iterator[Answer]:
    """Yield an answer to every line of a stream of JSON Lines, in order, each batch as soon as it is made.

    Args:
        lines: the stream, open for reading.
        predictor: what answers.
        world: the experiment and its surroundings.

    Raises:
        RunError: what the model was trained on may not be shown.
        ResultError: the model's logits are not numbers.
    """
    return predict_texts(question_lines(lines), predictor=predictor, world=world)


def predict_file(
    source: str,
    target: str,
    *,
    predictor: Predictor,
    force: bool = False,
    progress: Progress | None = None,
    world: World,
) -> PredictReceipt:
    """Write an answer to every line of a JSON Lines file, in order; whole or not at all.

    Answers made so far lie aside until all are there; stopped at any moment, the same call on
    the same file goes on behind them.

    Args:
        source: file of questions; relative paths start at the experiment.
        target: `.jsonl` file inside the experiment, kept as closely as questions and model.
        predictor: what answers.
        force: replace what is there.
        progress: told of lines answered.
        world: the experiment and its surroundings.

    Raises:
        ResultError: the model's logits are not numbers.
        SpecError: the source cannot be read, or the target may not be written.
    """
    name = _target(target, source=source, force=force, predictor=predictor, world=world)
    digest = source_sha256(source, world=world)
    place, parts, counted = world.store.root / source, list[str](), _Counted()
    total, aside = _line_count(place), _aside(name, _key(digest, predictor))
    with place.open("rb") as file:
        for part in _parts(question_lines(file), predictor, aside=aside, counted=counted, world=world):
            parts.append(part)
            if progress is not None:
                progress(counted.answers, total, "answering")
    refuse_changing(source, digest, world=world)
    sha256, _ = world.store.write_parts(name, (world.store.read(part) or b"" for part in parts))
    shelf_of(world).remove(str(world.store.root), parts)
    record_written("predict", name, inputs={source: digest}, outputs={name: sha256}, world=world)
    return counted.receipt(name, sha256=sha256, most=predictor.thresholds.max_abstain_rate)


class _Counted:
    """Answers as they are counted."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.abstentions = self.invalid = self.kept = 0

    @property
    def answers(self) -> int:
        return self.decisions.total() + self.abstentions

    def add(self, answer: Answer) -> None:
        if answer.decision is not None:
            self.decisions[answer.decision] += 1
        else:
            self.abstentions += 1
            self.invalid += not answer.raw_output

    def receipt(self, target: str, *, sha256: str, most: float) -> PredictReceipt:
        return PredictReceipt(
            target=target,
            sha256=sha256,
            answers=self.answers,
            decisions=dict(self.decisions.most_common()),
            abstentions=self.abstentions,
            invalid=self.invalid,
            too_many_abstentions=self.abstentions > most * self.answers,
            kept=self.kept,
        )


def _answers(questions: Iterable[Question], predictor: Predictor) -> Iterator[Answer]:
    rest = iter(questions)
    while batch := list(islice(rest, predictor.form.batch_size)):
        yield from _batch(batch, predictor)


def _batch(questions: Sequence[Question], predictor: Predictor) -> list[Answer]:
    """Return the answers to one batch: each model is asked what those before it left open."""
    found = {at: refused(each, each.problem) for at, each in enumerate(questions) if each.problem}
    left = [at for at in range(len(questions)) if at not in found]
    for number, stage in enumerate(predictor.stages):
        last = number + 1 == len(predictor.stages)
        for at, raw in zip(left, stage.classifier.ask([questions[each] for each in left]), strict=True):
            before = found[at].latency_ms if at in found else 0.0
            answer = settle(
                questions[at],
                raw.model_copy(update={"latency_ms": before + raw.latency_ms}),
                options=predictor.form.options,
                thresholds=predictor.thresholds,
                model_id=stage.model_id,
            )
            found[at] = answer
        left = [] if last else [at for at in left if goes_on(found[at], thresholds=predictor.thresholds)]
    return [found[at] for at in range(len(questions))]


def _parts(
    questions: Iterator[Question], predictor: Predictor, *, aside: str, counted: _Counted, world: World
) -> Iterator[str]:
    """Yield the files that answers are written to part by part; those there already are taken over."""
    numbers = count()
    while chunk := list(islice(questions, _PART)):
        path = f"{aside}/{next(numbers):08}.jsonl"
        kept = world.store.read(path)
        if kept is None:
            answers = list(_answers(chunk, predictor))
            world.store.write(path, "".join(f"{answer.model_dump_json()}\n" for answer in answers))
        else:
            answers = [Answer.model_validate_json(line) for line in kept.splitlines()]
            counted.kept += len(answers)
        for answer in answers:
            counted.add(answer)
        yield path


def _aside(name: str, key: str) -> str:
    """Return the folder of what is answered so far: beside the target, out of sight of whoever reads data there."""
    place = PurePosixPath(name)
    return str(place.with_name(f".{place.name}.{key}.parts"))


def _key(digest: str, predictor: Predictor) -> str:
    """Return what tells answers apart that were made otherwise: questions, models, form and thresholds."""
    said = [digest, [stage.model_id for stage in predictor.stages]]
    said += [predictor.form.model_dump(mode="json"), predictor.thresholds.model_dump(mode="json")]
    return content_hash(said)[:12]


def _line_count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in iter(lambda: file.readline(2**20), b"")) or 1


def _target(target: str, *, source: str, force: bool, predictor: Predictor, world: World) -> str:
    if not (world.store.root / source).is_file():
        raise SpecError(f"`{source}` is no file", hint="name a `.jsonl` file of lines with `text`")
    if not target.endswith(".jsonl"):
        raise SpecError(f"`{target}` names no file of lines", hint="end it in `.jsonl`")
    name = own_target(target, source=source, force=force, world=world)
    if predictor.runs:
        tier = plan_tier(recorded_plan(world=world)[0], world)
        found = tier_of(world.store.root / name, world=world)
        if TIERS.index(found) < TIERS.index(tier):
            fact = f"the model was trained on {tier} data, and `{name}` would be {found}"
            raise SpecError(fact, hint=f"write it below `data/{tier}/`")
    return name


def _run_options(runs: Sequence[str], world: World) -> tuple[str, ...]:
    """Return the labels that the first run named is evaluated on or was trained with; none without a run."""
    if not runs:
        return ()
    plan, _ = recorded_plan(world=world)
    run = find_run(plan.runs, runs[0])
    for cell in run.cells:
        config = eval_config(run, cell, world=world)
        if config.rules.options:
            return config.rules.options
    if run.type == "control":
        return ()
    return train_config(run, world).options or ()
