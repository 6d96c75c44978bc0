"""Decide on texts: a model scores the options behind each text as its evaluation did; the rest is arithmetic."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.tokens import Encoding, encode_conversation, encode_prompt, encoding_problems, prompt_sha256
from cruijff_kit.errors import CruijffError, ResultError, SpecError
from cruijff_kit.ports import OptionScorer, Tokenizer, World
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.schema.serving import ModelChoice, ServedModel
from cruijff_kit.schema.verdict import Chances, DecisionSettings, Doubt, TextOrder, Verdict
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.calibrators import chosen_records, read_collected
from cruijff_kit.workflow.model_choice import choose_model
from cruijff_kit.workflow.roots import refuse_outside_files
from cruijff_kit.workflow.run_models import eval_config, planned_rows
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.surroundings import serving_of
from cruijff_kit.workflow.verdicts import checked_calibrator, decide_chances

__all__ = ["TextJudge", "decide_text", "open_judge"]

_QUESTIONS = ("chat_completion", "text_completion")
"""Kinds of rows that are a question in a column."""
_TRIED = 500
"""Rows of the calibration split whose prompts are made again at most."""
_UNBOUNDED = 2**31


class _Asked(NamedTuple):
    """How a model is asked, and which calibrator is its own."""

    encoding: Encoding
    options: tuple[str, ...]
    calibrator: Calibrator | None
    unproven: str = ""
    notes: tuple[str, ...] = ()
    doubt: Doubt | None = None


def decide_text(text: str, *, order: TextOrder, calibrator: Calibrator | None = None, world: World) -> Verdict:
    """Return what is to be done with a text, asked of a model on this machine; nothing is written.

    Args:
        text: what stands in the place of a row's input.
        order: the model, its options, error rates and costs.
        calibrator: one from a file; a run's own where None.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or the text is too long for the model.
        RunError: the run is unknown.
        ResultError: the calibrator is of another checkpoint or other options, or an adapter does not fit.
        SiteError: the model cannot be loaded.
        SpecError: the order contradicts itself, or the text cannot be put to the model.
    """
    return open_judge(order, calibrator=calibrator, world=world).decide(text)


def open_judge(order: TextOrder, *, calibrator: Calibrator | None = None, world: World) -> "TextJudge":
    """Load a model that texts are to be put to; for many texts it is loaded once.

    Raises:
        As `decide_text` says.
    """
    run = _run(order.choice, world)
    own = calibrator if calibrator is not None or run is None else _own(run, world=world)
    served = choose_model(_choice(order.choice, own), world=world)
    if own is not None:
        _refuse_checkpoint(own, served)
    tokenizer = world.hub.tokenizer(served.base)
    asked = _asked(order, served, run=run, calibrator=own, tokenizer=tokenizer, world=world)
    problems = encoding_problems(asked.encoding, tokenizer=tokenizer)
    if problems:
        raise SpecError("this model cannot be asked so", problems=problems)
    doubt = _doubt(order, served, world=world) or asked.doubt
    return TextJudge(serving_of(world).scorer(served), tokenizer, asked=asked, order=order, doubt=doubt)


class TextJudge:
    """A model in memory that decides on texts."""

    def __init__(
        self, scorer: OptionScorer, tokenizer: Tokenizer, *, asked: _Asked, order: TextOrder, doubt: Doubt | None
    ) -> None:
        """Take a loaded model and how it is asked; `open_judge` makes both."""
        self._scorer, self._tokenizer, self._asked, self._order, self._doubt = scorer, tokenizer, asked, order, doubt

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options that are chosen from."""
        return self._asked.options

    @property
    def calibrator(self) -> Calibrator | None:
        """Return the calibrator that holds for the model; None where nothing was calibrated."""
        return self._asked.calibrator

    def asked_otherwise(self, asked: DecisionSettings) -> "TextJudge":
        """Return the same model in memory under other error rates and costs."""
        order = self._order.model_copy(update={"asked": asked})
        return TextJudge(self._scorer, self._tokenizer, asked=self._asked, order=order, doubt=self._doubt)

    def decide(self, text: str) -> Verdict:
        """Return what is to be done with a text.

        Raises:
            PlanError: it is too long for the model.
            ResultError: an adapter does not fit, or the costs do not fit the options.
            SpecError: it cannot be put to the model.
        """
        asked = self._asked
        prompt = self._prompt(text)
        (rows,) = self._scorer.score([prompt], options=asked.options, doubt=self._doubt)
        seed = 0 if asked.calibrator is None else asked.calibrator.settings.seed
        digest = prompt_sha256(prompt)
        chances = Chances(
            options=asked.options,
            logprobs=rows[0],
            sample_id="text",
            groups=self._order.fields,
            uniform=uniform(f"text/{digest}", seed=seed, label="conformal"),
            unproven=asked.unproven,
            notes=asked.notes,
        )
        if self._doubt is None:
            return decide_chances(chances, calibrator=asked.calibrator, asked=self._order.asked)
        return self._together(chances, rows)

    def _together(self, chances: Chances, rows: Sequence[Sequence[float]]) -> Verdict:
        """Return a verdict on the mean of several answers, which no calibrator of single ones speaks for."""
        from cruijff_kit.scoring.ensembles import mean_logprobs, pool_members

        own, doubt = self._asked.calibrator, self._doubt
        if doubt is None:
            raise RuntimeError("several answers are there that nobody asked for")
        pooled = pool_members(rows, source=doubt.source)
        notes, asked = list(chances.notes), self._order.asked
        told = chances.model_copy(update={"logprobs": mean_logprobs(pooled.probabilities)})
        if doubt == self._asked.doubt:
            # It was evaluated and calibrated so.
            found = decide_chances(told, calibrator=own, asked=asked)
            return found.model_copy(update={"uncertainty": pooled.uncertainty})
        if own is not None:
            asked = asked if asked.costs is not None else asked.model_copy(update={"costs": own.settings.costs})
            what = "passes with dropout on" if doubt.source == "mc_dropout" else "models"
            notes.append(
                f"the calibrator of run `{own.run}` was fitted to other answers, and these probabilities are the "
                f"mean of {len(rows)} {what}: it does not hold for them"
            )
        found = decide_chances(told.model_copy(update={"notes": tuple(notes)}), asked=asked)
        return found.model_copy(update={"uncertainty": pooled.uncertainty})

    def _prompt(self, text: str) -> PromptIds:
        encoding = self._asked.encoding
        if encoding.dataset_type in _QUESTIONS:
            row = {encoding.input_key: text, **self._order.fields}
            return encode_prompt(row, encoding=encoding, tokenizer=self._tokenizer, place="text")
        turns = [{"role": "system", "content": encoding.system_prompt}] if encoding.system_prompt else []
        return encode_conversation(
            [*turns, {"role": "user", "content": text}], encoding=encoding, tokenizer=self._tokenizer, place="text"
        )


def _run(choice: ModelChoice, world: World) -> PlannedRun | None:
    return None if choice.run is None else find_run(recorded_plan(world=world)[0].runs, choice.run)


def _own(run: PlannedRun, *, world: World) -> Calibrator | None:
    """Return the run's calibrator; a run that has none need not have been collected."""
    if world.store.read(RunLayout(run.id).calibrator) is None:
        return None
    return checked_calibrator(run.id, world=world)


def _choice(choice: ModelChoice, calibrator: Calibrator | None) -> ModelChoice:
    """Return a choice with the calibrator's epoch where none was named, asked as rows are."""
    named = {"wrap": True}
    if choice.run is not None and choice.epoch is None and calibrator is not None and calibrator.epoch is not None:
        return choice.model_copy(update={**named, "epoch": str(calibrator.epoch)})
    return choice.model_copy(update=named)


def _refuse_checkpoint(calibrator: Calibrator, served: ServedModel) -> None:
    digest = served.adapter_sha256 or served.base_sha256
    if digest != calibrator.checkpoint_sha256:
        where = "base" if calibrator.epoch is None else f"epoch {calibrator.epoch}"
        fact = (
            f"the calibrator is of checkpoint `{calibrator.checkpoint_sha256[:12]}` ({where} of run "
            f"`{calibrator.run}`), and the model is `{digest[:12]}`"
        )
        raise ResultError(fact, hint="ask the checkpoint that was calibrated, or calibrate this one")


def _asked(
    order: TextOrder,
    served: ServedModel,
    *,
    run: PlannedRun | None,
    calibrator: Calibrator | None,
    tokenizer: Tokenizer,
    world: World,
) -> _Asked:
    cell = None if run is None else _cell(run, calibrator, world=world)
    if cell is not None:
        refuse_outside_files((cell.dataset.path, served.base, served.adapter), world)
    known = calibrator.options if calibrator is not None else cell.rules.options if cell is not None else ()
    options = order.options or known
    if not options:
        hint = "name them: `--option no --option yes`"
        raise SpecError("it is not known which options are to be chosen from", hint=hint)
    if calibrator is not None and options != calibrator.options:
        names = ", ".join(f"`{each}`" for each in calibrator.options)
        fact = f"the calibrator knows the options {names}, and others are asked for"
        raise ResultError(fact, hint="leave the options out, or calibrate an evaluation with these")
    encoding = _encoding(served) if cell is None else Encoding.of(cell.dataset)
    doubt = None if cell is None or served.adapter is None else _evaluated_so(cell)
    if calibrator is None:
        return _Asked(encoding, options, None, notes=served.notes, doubt=doubt)
    alike = (
        run is not None
        and cell is not None
        and _asked_alike(calibrator, run, cell=cell, tokenizer=tokenizer, world=world)
    )
    unproven = "" if alike else f"texts are put to the model as task `{calibrator.task}` put its samples"
    return _Asked(encoding, options, calibrator, unproven, served.notes, doubt)


def _cell(run: PlannedRun, calibrator: Calibrator | None, *, world: World) -> EvalConfig | None:
    """Return the evaluation that texts are asked as: the calibrator's, else the first that scored options."""
    for cell in run.cells:
        if calibrator is not None and (cell.task.name, cell.epoch) != (calibrator.task, calibrator.epoch):
            continue
        if calibrator is not None or cell.task.options:
            return eval_config(run, cell, world=world)
    return None


def _evaluated_so(cell: EvalConfig) -> Doubt | None:
    """Return which several answers an evaluation asked for; None for single ones."""
    passes = cell.generation.dropout_passes
    return Doubt(source="mc_dropout", passes=passes, seed=cell.seed) if passes else None


def _encoding(served: ServedModel) -> Encoding:
    """Return how training put questions, or how such a model is asked where no training is known."""
    known = Encoding.of(served.dataset) if served.dataset else Encoding(dataset_type=served.dataset_type)
    told = {"dataset_type": served.dataset_type, "system_prompt": served.system_prompt, "max_seq_len": _UNBOUNDED}
    return known.model_copy(update=told)


def _asked_alike(
    calibrator: Calibrator, run: PlannedRun, *, cell: EvalConfig, tokenizer: Tokenizer, world: World
) -> bool:
    """Return whether rows of the calibration split, asked as texts are, give prompts that were calibrated on."""
    split, encoding = calibrator.settings.split, Encoding.of(cell.dataset)
    try:
        source = read_collected(calibrator.run, world=world)
        records = chosen_records(source, split=split, task=calibrator.task, epoch=calibrator.epoch)
        known = {each.prompt_token_sha256 for each in records}
        rows = planned_rows(cell.dataset, split, run=run)
        made = (encode_prompt(row, encoding=encoding, tokenizer=tokenizer) for row in rows[:_TRIED])
        return any(prompt_sha256(prompt) in known for prompt in made)
    except CruijffError:
        # Then it stays a condition: nothing is claimed that was not seen.
        return False


def _doubt(order: TextOrder, served: ServedModel, *, world: World) -> Doubt | None:
    if order.source is None:
        if order.members:
            raise SpecError("members are named, and no ensemble is asked for", hint="ask for `ensemble`")
        return None
    if order.source == "mc_dropout":
        return Doubt(source="mc_dropout", passes=order.passes, seed=order.seed)
    if not order.members:
        raise SpecError("an ensemble of one model does not differ from it", hint="name further runs or adapters")
    return Doubt(source="ensemble", adapters=tuple(_member(each, served, world=world) for each in order.members))


def _member(name: str, served: ServedModel, *, world: World) -> str:
    """Return the adapter directory of an ensemble's member, which must be on the same base and asked alike."""
    folder = Path(name).expanduser()
    by_hand = (folder / ADAPTER_WEIGHTS).is_file()
    choice = ModelChoice(adapter=name, model=served.base) if by_hand else ModelChoice(run=name)
    found = choose_model(choice.model_copy(update={"wrap": True}), world=world)
    if found.base_sha256 != served.base_sha256 or found.adapter is None:
        fact = f"`{name}` is no adapter on the base `{served.base}`"
        raise SpecError(fact, hint="an ensemble is of adapters on one base, such as several seeds of one cell")
    ours, theirs = _encoding(served), _encoding(found)
    if theirs != ours:
        other = next(key for key in Encoding.model_fields if getattr(ours, key) != getattr(theirs, key))
        fact = f"`{name}` was trained to be asked otherwise than `{served.name}`: its `{other}` is another"
        raise SpecError(fact, hint="an ensemble is of adapters that are asked alike")
    return found.adapter
