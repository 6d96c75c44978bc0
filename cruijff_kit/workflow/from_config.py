"""From config: the predecessor's configuration, labels and rows as a design of ours, in a directory of its own."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.config_text import read_config
from cruijff_kit.data.structured import LABEL_KEY, METADATA_KEY, TEXT_KEY
from cruijff_kit.errors import CruijffError, PlanError, Problem, SpecError
from cruijff_kit.planning.config_design import Translated, data_wish, following, translate
from cruijff_kit.planning.config_labels import ReadLabels, read_labels
from cruijff_kit.planning.config_told import TEST_SHARE, ConfigInputs, DataWish, Labels, Told
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.config_keys import CONFIG_KEYS, LABELS_FILE
from cruijff_kit.schema.configured import ConfiguredDesign, ConfigureOrder
from cruijff_kit.schema.dataset_report import Division
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.structured_rows import Augmentation, StructureReceipt, Structuring
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.division import split_data
from cruijff_kit.workflow.item_rows import opened_rows
from cruijff_kit.workflow.structure import structure_data
from cruijff_kit.workflow.surroundings import shelf_of
from cruijff_kit.workflow.train_inputs import find_base
from cruijff_kit.workflow.user_text import user_text

__all__ = ["configure_design"]

_DIVIDED, _ROWS = "data/divided.jsonl", "data/rows.json"
_PROCEDURES = "high_stakes.procedural.procedure_file"
_QUANTIZED = "lora.quantization.enabled"


class _Looked(NamedTuple):
    """What reading the rows once found."""

    splits: Counter[str]
    labels: Counter[str]
    columns: tuple[str, ...]

    @property
    def divided(self) -> bool:
        return len(self.splits) > 1


def configure_design(
    config: str, *, order: ConfigureOrder, reason: str, progress: Progress | None = None, world: World
) -> ConfiguredDesign:
    """Write the design that a configuration of the predecessor becomes, with its rows; or tell what it would be.

    Every key works, is set aside with the reason, or is refused with what to write instead. Rows that are
    not divided are: stratified by label, seed 42.

    Args:
        config: the configuration file.
        order: rows, labels, model, and what else was said.
        reason: why, in the words of whoever decided.
        progress: told of rows read.
        world: the directory of the new experiment, and its surroundings.

    Raises:
        PlanError: the directory has a design already.
        SpecError: keys, labels, rows or the model are wrong; lists every problem, and nothing is written.
    """
    if not order.check and world.store.read_text(ExperimentLayout.summary) is not None:
        raise PlanError(f"`{world.store.root}` has a design already", hint="name another directory")
    said = read_config(_text(config), name=Path(config).name, table=CONFIG_KEYS)
    labels, looked = _labels(config, order), _look(order.data, world)
    told = Told(said, _inputs(said.values, looked, labels=labels.labels, config=config, order=order, world=world))
    if not looked.divided:
        told = told._replace(inputs=told.inputs._replace(splits=_expected(told, looked)))
    first = translate(told)
    problems = [*first.problems, *_no_model(told, order), *labels.problems, *_strange(labels, looked, data=order.data)]
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SpecError(f"`{config}` has {count}; nothing was written", problems=problems)
    if order.check:
        return _told(first, labels, told=told, world=world)
    laid = list[str]()
    try:
        rows = _lay_rows(told, order, looked=looked, laid=laid, progress=progress, world=world)
        told = told._replace(inputs=told.inputs._replace(splits=rows.splits))
        translated = translate(told)
        receipt = write_design(translated.design, reason=reason, world=world)
    except CruijffError:
        # Rows without their design would be in the way of the next try.
        shelf_of(world).remove(str(world.store.root), laid)
        raise
    made = _told(translated, labels, told=told, world=world, runs=receipt.runs)
    return made.model_copy(update={"written": True, "rows": rows, "warnings": receipt.warnings})


def _told(
    translated: Translated, labels: ReadLabels, *, told: Told, world: World, runs: tuple[str, ...] = ()
) -> ConfiguredDesign:
    run = next((each for each in runs if each.startswith("tuned")), "RUN")
    return ConfiguredDesign(
        path=str(world.store.root / ExperimentLayout.summary),
        written=False,
        outcomes=(*translated.outcomes, *labels.outcomes),
        splits=dict(told.inputs.splits),
        runs=runs,
        next=tuple(following(told, run=run, place=str(world.store.root))),
        design=translated.design,
    )


def _text(path: str) -> str:
    return user_text(Path(path), name=path, hint="name a file of text")


def _labels(config: str, order: ConfigureOrder) -> ReadLabels:
    """Return the labels of the file named, else of the one beside the configuration, where there is one."""
    beside = Path(config).parent / LABELS_FILE
    path = order.labels or (str(beside) if beside.is_file() else None)
    return ReadLabels(Labels(), (), ()) if path is None else read_labels(_text(path), name=Path(path).name)


def _look(data: str, world: World) -> _Looked:
    """Read every row once; what is wrong with rows is told by those that divide and write them.

    Raises:
        SpecError: there is no such file.
    """
    looked = _Looked(Counter(), Counter(), ())
    for each in opened_rows(data, world=world)():
        looked.splits[each.split] += 1
        looked.labels[str(each.row.get(LABEL_KEY) or "").strip()] += 1
        looked = looked if looked.columns else looked._replace(columns=tuple(each.row))
    return looked


def _inputs(
    values: Mapping[str, Any], looked: _Looked, *, labels: Labels, config: str, order: ConfigureOrder, world: World
) -> ConfigInputs:
    found = find_base(order.model or str(_model_id(values)), make=False, world=world)
    named = labels if labels.options else labels._replace(options=tuple(sorted(filter(None, looked.labels))))
    rules = values.get(_PROCEDURES)
    place = next((each for each in _places(rules, config) if each.is_file()), None)
    usual = int(world.site.scheduler == "slurm" or values[_QUANTIZED] is True)
    return ConfigInputs(
        name=world.store.root.name,
        created=world.clock.now().date().isoformat(),
        model=found.path or "",
        templated=found.facts is None or found.facts.has_chat_template,
        data=_ROWS,
        labels=named,
        splits=dict(looked.splits),
        metadata=METADATA_KEY in looked.columns,
        columns=looked.columns,
        tier=order.tier,
        gpus=usual if order.gpus is None else order.gpus,
        procedures=str(place.resolve()) if place is not None else None,
        trials=order.trials,
    )


def _places(rules: Any, config: str) -> Iterator[Path]:
    """Yield where a file of rules may lie: as it is named, or from the configuration's own project."""
    if isinstance(rules, str) and rules.strip():
        yield from (Path(rules), Path(config).parent / rules, Path(config).parent.parent / rules)


def _model_id(values: Mapping[str, Any]) -> Any:
    return values.get(f"model_options.{values['selected_model']}.model_id")


def _strange(labels: ReadLabels, looked: _Looked, *, data: str) -> Iterator[Problem]:
    """Yield a problem where rows have labels that nobody named; which they are is in the rows alone."""
    known = labels.labels.options
    count = sum(rows for label, rows in looked.labels.items() if label and known and label not in known)
    if count:
        told = ", ".join(f"`{each}`" for each in known)
        fact = f"{count:,} of {looked.splits.total():,} rows have a label that is none of {told}"
        yield Problem(fact, LABEL_KEY, Path(data).name, "name it in the labels, or mend the rows")


def _no_model(told: Told, order: ConfigureOrder) -> Iterator[Problem]:
    own = _model_id(told.config.values)
    if not told.inputs.model and order.model is not None:
        yield Problem(
            f"`{order.model}` is no model on this machine", "--model", hint="name a directory; see `ck models`"
        )
    elif not told.inputs.model and own is not None:
        name = f"model_options.{told['selected_model']}.model_id"
        hint = f"`ck models pull {own}`, or name a directory by `--model`"
        yield Problem(f"`{own}` is not on this machine", name, told.config.place(name), hint)


def _expected(told: Told, looked: _Looked) -> dict[str, int]:
    """Return about how many rows each split will have."""
    return {name: round(share * looked.splits.total()) for name, share in _shares(data_wish(told)).items()}


def _shares(wish: DataWish) -> dict[str, float]:
    shares = {"train": wish.train, "validation": wish.validation, "test": TEST_SHARE, "calibration": wish.calibration}
    return {name: share for name, share in shares.items() if share > 0}


def _lay_rows(
    told: Told, order: ConfigureOrder, *, looked: _Looked, laid: list[str], progress: Progress | None, world: World
) -> StructureReceipt:
    """Write the rows that train and are evaluated, divided first where they are not; `laid` gets each file written."""
    wish, source = data_wish(told), order.data
    if not looked.divided:
        division = Division.model_validate({**_shares(wish), "stratify": LABEL_KEY, "seed": 42})
        split_data(source, _DIVIDED, division=division, force=order.force, progress=progress, world=world)
        source = _DIVIDED
        laid.append(_DIVIDED)
    reason = next((each for each in ("rationale", "output") if each in looked.columns), None)
    asked = Structuring(
        text_column=TEXT_KEY,
        label_column=LABEL_KEY,
        rationale_column=reason,
        id_column="example_id" if "example_id" in looked.columns else None,
        options=told.inputs.labels.options,
        augmentation=Augmentation.model_validate(wish.augmented) if wish.augmented else None,
        abstain_examples=wish.examples,
    )
    receipt = structure_data(source, _ROWS, asked=asked, force=order.force, progress=progress, world=world)
    laid.append(_ROWS)
    return receipt
