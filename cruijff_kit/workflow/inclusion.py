"""Inclusion: prove that one line is in the record without showing the others, and check such a proof."""

import json
import re
from hashlib import sha256
from typing import TypeVar

from pydantic import ValidationError

from cruijff_kit.data.merkle import climb, leaf_hash, sibling_path, tree_root
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.inclusion import LineProof, LogRoot, ProofVerdict
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.workflow.audit import verify_audit

__all__ = ["check_proof", "log_root", "prove_line", "root_of"]

_TOKEN = re.compile(r"([1-9][0-9]*):([0-9a-f]{64})")
_ANEW = "`ck audit root` and `ck audit prove` write them"

_File = TypeVar("_File", LogRoot, LineProof)


def log_root(*, lines: int | None = None, world: World) -> LogRoot:
    """Return the root over the first lines of the record, once its chain was found to hold; nothing is written.

    Args:
        lines: how many lines; all there are where None.
        world: the experiment and its surroundings.

    Raises:
        ResultError: there is no record, it does not hold, or it has fewer lines.
    """
    return root_of(_sound(lines, world))


def prove_line(number: int, *, lines: int | None = None, world: World) -> LineProof:
    """Return the proof that a line is among the first lines of the record; it shows that line and hashes, no other.

    Args:
        number: number of the line, from 1, as `ck audit show` tells it.
        lines: over how many lines, as the root that the reader has was made; all there are where None.
        world: the experiment and its surroundings.

    Raises:
        ResultError: there is no record, it does not hold, or it has no such line.
    """
    found = _sound(lines, world)
    if not 1 <= number <= len(found):
        hint = "`ck audit show` lists them with their numbers"
        raise ResultError(f"line `{number}` is not among lines 1 to {len(found)} of the audit log", hint=hint)
    at = number - 1
    path = sibling_path([leaf_hash(line) for line in found], at)
    return LineProof(
        leaf_index=at,
        lines=len(found),
        line=found[at].decode(),
        path=tuple(each.hex() for each in path),
        root=tree_root(found).hex(),
    )


def check_proof(proof: str, *, root: str | None = None, anchor: str | None = None) -> ProofVerdict:
    """Check a proof against a root that is known from elsewhere; it needs neither the record nor the experiment.

    Args:
        proof: text of the proof.
        root: the root as `LINES:HEX`.
        anchor: text of a file that `ck audit root --out` or an export wrote, instead of `root`.

    Raises:
        SpecError: neither or both roots are given, or one of the texts has another form.
        ResultError: the proof does not lead to that root.
    """
    lines, known = _known(root, anchor)
    claim = _read(LineProof, proof, what="proof")
    number = claim.leaf_index + 1
    if claim.lines != lines:
        fact = f"the proof is over {claim.lines} lines and the root over {lines}"
        raise ResultError(fact, hint=f"have it made for that root: `ck audit prove {number} --lines {lines}`")
    path = [bytes.fromhex(each) for each in claim.path]
    found = climb(claim.line.encode(), path, at=claim.leaf_index, size=lines)
    if found is None or found.hex() != known or claim.root != known:
        fact = f"the proof does not hold: line {number}, as it is shown, is not in the log with that root"
        raise ResultError(fact, hint="line, position or a hash was changed, or the root is another log's")
    if _position(claim.line) != claim.leaf_index:
        raise ResultError(
            f"the line says another `seq` than {claim.leaf_index}", hint="the log itself was not in order"
        )
    return ProofVerdict(number=number, lines=lines, root=known, line=claim.line)


def root_of(lines: list[bytes]) -> LogRoot:
    """Return the root over raw lines, of which there is one at least."""
    return LogRoot(lines=len(lines), root=tree_root(lines).hex(), last=sha256(lines[-1]).hexdigest())


def _sound(count: int | None, world: World) -> list[bytes]:
    """Return the first raw lines of a record that holds."""
    verdict = verify_audit(world=world)
    if not verdict.ok:
        place = f" at line {verdict.line}" if verdict.line is not None else ""
        raise ResultError(f"the audit log does not hold{place}: {verdict.problem}", hint="nothing is proven by it")
    found = list(world.audit.raw_lines())[: verdict.lines]
    if not found:
        raise ResultError("there is no audit log here, so nothing is proven", hint="name the experiment: `ck -C DIR`")
    if count is not None and not 1 <= count <= len(found):
        raise ResultError(f"the audit log has {len(found)} lines, not `{count}`", hint="ask for as many or fewer")
    return found[:count]


def _known(root: str | None, anchor: str | None) -> tuple[int, str]:
    """Return lines and hash of the root that is known from elsewhere."""
    if (root is None) == (anchor is None):
        raise SpecError("a proof is checked against one root", hint="give `--root LINES:HEX` or `--anchor FILE`")
    if anchor is not None:
        told = _read(LogRoot, anchor, what="anchor")
        return told.lines, told.root
    found = _TOKEN.fullmatch(str(root))
    if found is None:
        hint = "write it as `ck audit root` prints it: the hash alone does not fix how many lines there are"
        raise SpecError(f"`{root}` is no root of the form `LINES:HEX`", hint=hint)
    return int(found[1]), found[2]


def _read(kind: type[_File], text: str, *, what: str) -> _File:
    try:
        return kind.model_validate_json(text)
    except ValidationError as err:
        raise SpecError(f"the {what} cannot be read: {first_fault(err)}", hint=_ANEW) from err


def _position(line: str) -> object:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told.get("seq") if isinstance(told, dict) else None
