"""`ck archive` and `ck unarchive`: an experiment put away whole, and brought back as it was."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.disk import size_words
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, confirm, enter_archive
from cruijff_kit.schema.archive import ArchivePreview, UnarchivePreview
from cruijff_kit.schema.disk import DiskItem
from cruijff_kit.schema.drop import Drop

__all__ = ["archive", "unarchive"]

_FLAGS = {"merged": "--drop-merged", "checkpoints": "--drop-caches", "unfinished": "--drop-caches"}
"""What leaves out files of a kind."""

_REASON = click.option("--reason", default="", help="Why, for the record.")
_DRY = click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.command()
@click.option("--to", "to", metavar="DIR", help="Directory to put it in; `archive` beside the experiment where absent.")
@click.option("--drop-merged", is_flag=True, help="Remove merged models first, once you typed `drop`.")
@click.option("--drop-caches", is_flag=True, help="Remove checkpoints that nothing resumes from, and leftovers, too.")
@_REASON
@_DRY
@_JSON
@click.pass_obj
def archive(
    experiment: str,
    /,
    *,
    to: str | None,
    drop_merged: bool,
    drop_caches: bool,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put the experiment away: copied, every file verified by hash, a manifest written, and only then removed here.

    Adapters, configurations, logs, results and reports always go with it, and so do its output directories. Killed at
    any point, the same command goes on. `ck unarchive` brings it back.
    """
    world = enter_archive(experiment)
    drop: list[Drop] = [*(["merged"] if drop_merged else []), *(["caches"] if drop_caches else [])]
    place = None if to is None else str(Path(to).absolute())
    preview = workflow.preview_archive(to=place, drop=drop, world=world)
    if dry_run or not as_json:
        click.echo(preview.model_dump_json(indent=2) if as_json else "\n".join(_told(preview)))
    if dry_run:
        return
    if preview.dropped and drop:
        size = size_words(preview.dropped_bytes)
        confirm(f"Remove {size} for good? The rest comes back.", "drop", unattended=False, world=world)
    with ProgressBar("archive") as progress:
        receipt = workflow.archive_experiment(to=place, drop=drop, reason=reason, progress=progress, world=world)
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"archived {receipt.files} files, {size_words(receipt.bytes)} of content, in {receipt.archive}")
    click.echo(f"manifest {receipt.manifest_sha256[:12]}; `ck -C {receipt.experiment} unarchive` brings it back")


@click.command()
@click.option("--from", "source", metavar="DIR", help="The archive, where the project does not know of it.")
@_REASON
@_DRY
@_JSON
@click.pass_obj
def unarchive(experiment: str, source: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Bring the experiment back as it was: verified against the manifest, copied, verified again.

    `-C` names the directory it had. Refused where a file of the archive was changed, and where something else lies in
    its place by now.
    """
    world = enter_archive(experiment)
    place = None if source is None else str(Path(source).absolute())
    if dry_run:
        preview = workflow.preview_unarchive(source=place, world=world)
        click.echo(preview.model_dump_json(indent=2) if as_json else "\n".join(_back(preview)))
        return
    with ProgressBar("unarchive") as progress:
        receipt = workflow.unarchive_experiment(source=place, reason=reason, progress=progress, world=world)
    if as_json:
        click.echo(receipt.model_dump_json(indent=2))
        return
    click.echo(f"brought back {receipt.files} files, {size_words(receipt.bytes)} of content, to {receipt.origin}")
    for line in _gone(receipt.dropped):
        click.echo(line)


def _told(preview: ArchivePreview) -> Iterator[str]:
    if preview.begun:
        yield "a move that was interrupted goes on"
    elif not preview.moved:
        yield f"archived already in {preview.archive}; every file there is held against the manifest again"
        return
    rows = [*_rows(preview.moved, "moves"), *_rows(preview.dropped, "is dropped for good")]
    if rows:
        yield aligned(("run", "kind", "files", "takes", "what happens"), rows)
    yield f"from {preview.origin}"
    yield f"to   {preview.archive}, where {size_words(preview.free)} are free"
    dropped = f"; {size_words(preview.dropped_bytes)} are dropped" if preview.dropped else "; nothing is dropped"
    yield f"{size_words(preview.bytes)} on disk move{dropped}"


def _back(preview: UnarchivePreview) -> Iterator[str]:
    yield f"from {preview.archive}, archived {preview.archived:%Y-%m-%d %H:%M} UTC: as it was, by every hash"
    yield f"to   {preview.origin}"
    yield from (f"and  {place}" for place in preview.places)
    yield f"{preview.files} files, {size_words(preview.bytes)}, come back"
    yield from _gone(preview.dropped)


def _gone(dropped: Sequence[DiskItem]) -> Iterator[str]:
    for each in dropped:
        yield f"dropped when it was archived: {each.run_id} {each.kind}, {size_words(each.bytes)}"


def _rows(items: Sequence[DiskItem], what: str) -> Iterator[tuple[str, str, str, str, str]]:
    for item in sorted(items, key=lambda item: -item.bytes):
        flag = _FLAGS.get(item.kind) if item.prunable and what == "moves" else None
        told = f"{what}, unless {flag} is said" if flag else what
        yield item.run_id or "(experiment)", item.kind, str(item.files), size_words(item.bytes), told
