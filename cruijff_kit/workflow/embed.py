"""Embed: texts of a file to vectors of a model, an adapter, or epochs of a run, streamed to HDF5."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, RunError, SiteError, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.base_record import find_base
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.embedding import EmbedJob, EmbedOrder, EmbedReceipt, EmbedTarget, Tier
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import Entry, recording, render_views
from cruijff_kit.workflow.run_models import adapter_digest, eval_config, kept_adapter, train_config
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier, tier_of

__all__ = ["embed_texts"]

_ENDINGS = (".h5", ".hdf5")
_LABELS = "numbers of saved epochs, `best`, `base` and `all`"


class _Subject(NamedTuple):
    """The base, the adapters put on it one after the other, and the run's own rows where there is a run."""

    model: str
    adapters: dict[str, str | None]
    """Label to adapter directory; None for the bare base."""
    dataset: DatasetConfig | None = None
    run: str | None = None


def embed_texts(order: EmbedOrder, *, progress: Progress | None = None, world: World) -> EmbedReceipt:
    """Write hidden states of every text of a file, pooled or not, with their ids, to HDF5.

    Stopped at any moment, the same call goes on where it was; finished, it does nothing.
    Inside an experiment it is recorded. Nothing of a row is shown, whatever its tier; the
    file says how closely it is to be kept. Relative paths start at the current directory.

    Args:
        order: which texts, by which model, how and where to.
        progress: called with texts done, texts in all, and the file at hand.
        world: the experiment, where there is one, and its surroundings.

    Raises:
        PlanError: the model has no such layer, or a run was named and nothing is scaffolded.
        ResultError: a file of other settings is there, or vectors are not finite.
        RunError: the run is unknown, has no such epoch, or its data changed.
        SiteError: a model or adapter cannot be loaded, or an extra is not installed.
        SpecError: the order contradicts itself, or the data cannot be used.
    """
    problems = list(_problems(order))
    if problems:
        raise SpecError("these texts cannot be embedded", problems=problems)
    if world.embedder is None:
        raise SiteError("nothing in this world embeds texts", hint="use `ck embed`")
    job = _job(order, world)
    inside = world.audit.head() is not None
    subject = ", ".join(target.out for target in job.targets)
    with recording(world, verb="embed", action=Action.EMBED, subject=subject) if inside else nullcontext() as entry:
        files = world.embedder.embed(job, progress=progress)
        receipt = EmbedReceipt(model=job.model, data=job.dataset.path, tier=job.tier, files=files)
        if entry is not None:
            _note(entry, job, receipt=receipt)
    if inside:
        render_views(world=world)
    return receipt


def _problems(order: EmbedOrder) -> Iterator[Problem]:
    if order.run is not None and (order.model is not None or order.adapter is not None):
        hint = "leave out the model and the adapter, or the run"
        yield Problem("a run brings its own model and adapters", "run", hint=hint)
    if order.run is None and order.model is None and order.adapter is None:
        yield Problem("no model is named", "model", hint="name a model directory, an adapter or a run")
    if order.run is None and order.epochs:
        yield Problem("epochs are those of a run", "epochs", hint="name the run with `--run`")
    if order.run is None and order.data is None:
        yield Problem("no texts are named", "data", hint="name a file with `--data`; only a run has rows of its own")
    if Path(order.out).suffix.lower() not in _ENDINGS:
        yield Problem(f"`{order.out}` is no name of an HDF5 file", "out", hint="let it end in `.h5`")


def _job(order: EmbedOrder, world: World) -> EmbedJob:
    subject = _by_hand(order) if order.run is None else _of_run(order.run, order.epochs, world=world)
    facts = world.hub.facts(subject.model)
    dataset = _dataset(order, subject, facts=facts, world=world)
    return EmbedJob(
        model=facts.path,
        model_sha256=facts.sha256,
        max_positions=facts.max_positions,
        dataset=dataset,
        split=order.split,
        id_column=order.id_column,
        tier=_tier(Path(dataset.path), subject, world=world),
        run=subject.run,
        work=order.work,
        targets=tuple(_targets(order, subject, facts=facts, world=world)),
        force=order.force,
    )


def _by_hand(order: EmbedOrder) -> _Subject:
    if order.adapter is None:
        return _Subject(order.model or "", {"base": None})
    adapter = Path(order.adapter).absolute()
    model = order.model if order.model is not None else str(find_base(adapter))
    return _Subject(model, {"adapter": str(adapter)})


def _of_run(name: str, epochs: tuple[str, ...], *, world: World) -> _Subject:
    plan, _ = recorded_plan(world=world)
    run = find_run(plan.runs, name)
    if run.type == "control":
        if set(epochs) - {"base", "all"}:
            raise RunError(f"run `{run.id}` does not train, so it has no epochs", run_id=run.id, hint="leave them out")
        dataset = None
        for cell in run.cells[:1]:
            dataset = eval_config(run, cell, world=world).dataset
        return _Subject(run.model_path, {"base": None}, dataset, run.id)
    config = train_config(run, world)
    labels = dict.fromkeys(label for epoch in epochs or (str(run.epochs_saved[-1]),) for label in _labels(epoch, run))
    adapters = {label: None if label == "base" else kept_adapter(config, label) for label in labels}
    return _Subject(config.base_model.path, adapters, config.dataset, run.id)


def _labels(epoch: str, run: PlannedRun) -> list[str]:
    """Return the labels that an epoch of an order stands for."""
    if epoch == "all":
        return ["base", *(f"epoch_{number}" for number in run.epochs_saved)]
    if epoch in ("best", "base"):
        return [epoch]
    if epoch not in map(str, run.epochs_saved):
        saved = ", ".join(f"`{number}`" for number in run.epochs_saved)
        raise RunError(
            f"run `{run.id}` keeps no epoch `{epoch}`; it keeps {saved}", run_id=run.id, hint=f"there are {_LABELS}"
        )
    return [f"epoch_{epoch}"]


def _targets(order: EmbedOrder, subject: _Subject, *, facts: ModelFacts, world: World) -> Iterator[EmbedTarget]:
    out = Path(order.out).absolute()
    for label, adapter in subject.adapters.items():
        own = out if len(subject.adapters) == 1 else out.with_name(f"{out.stem}_{label}{out.suffix}")
        if adapter is None:
            yield EmbedTarget(label=label, out=str(own))
            continue
        digest, _ = adapter_digest(adapter, facts, of_run=subject.run is not None, world=world)
        yield EmbedTarget(label=label, out=str(own), adapter=adapter, adapter_sha256=digest)


def _dataset(order: EmbedOrder, subject: _Subject, *, facts: ModelFacts, world: World) -> DatasetConfig:
    """Return rows and encoding: the run's own or plain text, and above it whatever the order sets."""
    path = _data(order, subject)
    digest = world.store.digest(path)
    if digest is None:
        raise SpecError(f"`{path}` is not there", hint="mend the path; relative ones start at the current directory")
    if order.data is None and subject.dataset is not None and digest != subject.dataset.sha256:
        raise RunError(
            f"data set `{path}` is not the one that was planned", run_id=subject.run or "", hint="restore it"
        )
    plain = DatasetConfig(
        path=path,
        sha256=digest,
        dataset_type="text_completion",
        prompt="{input}",
        system_prompt="",
        template_date="26 Jul 2024",
        max_seq_len=facts.max_positions,
    )
    chosen = {
        "path": path,
        "sha256": digest,
        "input_key": order.text_column,
        "dataset_type": order.dataset_type,
        "prompt": order.prompt,
        "system_prompt": order.system_prompt,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return (subject.dataset or plain).model_copy(update=given)


def _data(order: EmbedOrder, subject: _Subject) -> str:
    """Return where the texts lie: as named, or the run's own."""
    if order.data is not None:
        return str(Path(order.data).absolute())
    if subject.dataset is None:
        raise RunError("the run reads no rows of its own", run_id=subject.run or "", hint="name texts with `--data`")
    return subject.dataset.path


def _tier(data: Path, subject: _Subject, *, world: World) -> Tier:
    """Return the tier of texts, and of the data that the run was trained on: vectors give both away."""
    own = tier_of(data, world=world)
    return own if subject.run is None else strictest([own, plan_tier(recorded_plan(world=world)[0], world)])


def _note(entry: Entry, job: EmbedJob, *, receipt: EmbedReceipt) -> None:
    entry.inputs |= {job.model: job.model_sha256, job.dataset.path: job.dataset.sha256, "pool": job.work.pool}
    entry.inputs |= {target.adapter: target.adapter_sha256 or "" for target in job.targets if target.adapter}
    entry.outputs |= {file.path: file.sha256 for file in receipt.files}
    entry.outputs |= {"texts": str(receipt.files[0].rows), "tier": job.tier}
