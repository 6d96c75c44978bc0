"""Adapters: check what one does, merge it into its base, convert it, rewrite the base that it names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import RunError
from cruijff_kit.ports import World
from cruijff_kit.schema.adapter import (
    AdapterCheck,
    AdapterForm,
    AdapterLimits,
    ConvertReceipt,
    MergeReceipt,
    PortedFile,
    PortReceipt,
)
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.audit import render_views

__all__ = ["PROMPT", "check_adapter", "convert_adapter", "merge_adapter", "port_adapter"]

PROMPT = "The sun rises in the east and sets in the west, and the moon has no light of its own."
"""Text that an adapter is checked on where none is given."""

_OUTPUT = "ck-out-"


class _Vouching(NamedTuple):
    """A marker of a finished training, and its new text."""

    path: str
    text: str
    files: frozenset[str]
    """Those of the files that it names."""


def check_adapter(
    folder: str,
    *,
    base: str | None = None,
    prompt: str = PROMPT,
    limits: AdapterLimits | None = None,
    world: World,
) -> AdapterCheck:
    """Return whether an adapter does anything: perplexity and logits of a text with and without it.

    Nothing is written.

    Args:
        folder: adapter directory.
        base: base model directory; the one that the adapter names where None.
        prompt: the text.
        limits: what counts as an effect.
        world: the experiment and its surroundings.

    Raises:
        ResultError: the adapter does not fit its base, or logits are not numbers.
        SiteError: either cannot be found or loaded.
        SpecError: the text is too short.
    """
    return world.adapters.check(folder, base=base, prompt=prompt, limits=limits or AdapterLimits())


def merge_adapter(folder: str, *, output: str, base: str | None = None, world: World) -> MergeReceipt:
    """Write an adapter and its base as one model to a new directory.

    The adapter is left as it is: it on its base is the model unmerged.

    Args:
        folder: adapter directory.
        output: directory to make; it must not exist.
        base: base model directory; the one that the adapter names where None.
        world: the experiment and its surroundings.

    Raises:
        SiteError: the output is taken or lies in the adapter or base, or these cannot be merged.
    """
    return world.adapters.merge(folder, output, base=base)


def convert_adapter(
    folder: str, *, output: str, to: AdapterForm, base: str | None = None, world: World
) -> ConvertReceipt:
    """Write an adapter of peft in mlx-lm's form, or one of mlx-lm in peft's, to a new directory.

    Args:
        folder: adapter directory.
        output: directory to make; it must not exist.
        to: library whose form is wanted.
        base: base model directory; the one that the adapter names where None.
        world: the experiment and its surroundings.

    Raises:
        SiteError: the output is taken, the adapter is not of the other form, or its base is another.
    """
    return world.adapters.convert(folder, output, to=to, base=base)


def port_adapter(folder: str, *, base: str | None = None, repo_id: str | None = None, world: World) -> PortReceipt:
    """Let an adapter, or all those below a run's output directory, name another place of their base.

    Where the training that made them is finished, its marker is made to vouch for the
    new files, so that evaluation goes on to take them for what they are.

    Args:
        folder: adapter directory, or a run's output directory.
        base: directory of the base; refused where its content is not what was trained on.
        repo_id: repository of the base; the recorded one where both are None.
        world: the experiment and its surroundings.

    Raises:
        RunError: the adapter is a run's, and this experiment does not vouch for it as it lies there.
        SiteError: there is no adapter, or the base given is another.
        SpecError: no base is given or recorded, or its form is not known.
    """
    files = world.adapters.plan_port(folder, base=base, repo_id=repo_id)
    vouching = list(_vouching(files, world))
    _refuse_unvouched(files, vouching)
    # Markers first: whoever is stopped in between mends it by the same call.
    for marker in vouching:
        with world.store.lock("submit"):
            world.store.write(marker.path, marker.text)
    world.adapters.write_port(files)
    receipt = PortReceipt(
        base=repo_id or base or "the repository each one records",
        files=tuple(file.path for file in files),
        vouched=tuple(marker.path for marker in vouching),
    )
    if vouching:
        world.audit.append(_event(folder, files, receipt=receipt, world=world))
        render_views(world=world)
    return receipt


def _vouching(files: Sequence[PortedFile], world: World) -> Iterator[_Vouching]:
    """Yield the markers of this experiment that name some of the files, with the new hashes in them."""
    news = {file.path: file for file in files}
    for path in world.store.glob("runs", "*/DONE") if files else ():
        done = Done.found_in(world.store.read(path))
        named = {name: str((world.store.root / name).resolve()) for name in done.artefacts} if done else {}
        if done is None or not news.keys() & set(named.values()):
            continue
        artefacts = dict(done.artefacts)
        for name, place in named.items():
            file = news.get(place)
            if file is None:
                continue
            if artefacts[name] not in (file.before, file.after):
                raise _refused(place, "is not the file that its training wrote")
            artefacts[name] = file.after
        text = done.model_copy(update={"artefacts": artefacts}).model_dump_json(indent=2) + "\n"
        yield _Vouching(path, text, frozenset(named.values()) & news.keys())


def _refuse_unvouched(files: Sequence[PortedFile], vouching: Sequence[_Vouching]) -> None:
    """Refuse to touch a run's own adapter where nobody would vouch for it afterwards."""
    vouched = {path for marker in vouching for path in marker.files}
    for file in files:
        own = any(part.startswith(_OUTPUT) for part in Path(file.path).parts)
        if own and file.path not in vouched:
            raise _refused(file.path, "is a run's, and no finished training of this experiment vouches for it")


def _refused(path: str, fact: str) -> RunError:
    run = next((part.removeprefix(_OUTPUT) for part in Path(path).parts if part.startswith(_OUTPUT)), "")
    hint = "say which experiment with `ck -C EXPERIMENT adapter port`, or port a copy of the adapter's folder"
    return RunError(f"`{path}` {fact}", run_id=run, hint=hint)


def _event(folder: str, files: Sequence[PortedFile], *, receipt: PortReceipt, world: World) -> AuditEvent:
    return AuditEvent(
        actor=world.actor,
        verb="port",
        action=Action.DECIDE_CONFIG,
        subject=folder,
        inputs={"base": receipt.base, **{file.path: file.before for file in files}},
        outputs={file.path: file.after for file in files},
    )
